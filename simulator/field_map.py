"""A target's names for the fields of an event. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from trueup.reports.results import Json

__all__ = ["EVENT_KEYS", "FieldMap"]

_KEYS: Final = """
    log_id customer_id proxy_user_id service_id log_network log_client_ip_address
    log_authentication_type log_smartpath_enabled log_smartpath_routed log_protocol
    log_protocol_version log_transport log_method log_is_tls_enabled log_status_code
    log_error_code log_local_port log_hostname proxy_id log_local_ip_address country_id city_alias
    asn_id log_egress_ip_address log_session_id log_request_datetime log_total_bytes
    log_total_elapsed_ms log_handshake_elapsed_ms log_tunnel_elapsed_ms log_concurrency
"""
EVENT_KEYS: Final = tuple(_KEYS.split())
"""Every field of an event that a fleet draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """Maps our events to a target's: renamed fields, dropped fields, fields with a constant
    value.
    """

    rename: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    drop: frozenset[str] = frozenset()
    extras: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        """Return whether anything is mapped."""
        return bool(self.rename or self.drop or self.extras)

    def apply(self, event: Mapping[str, Json]) -> dict[str, Json]:
        """Return the event under the target's names."""
        mapped = {
            self.rename.get(key, key): value for key, value in event.items() if key not in self.drop
        }
        mapped.update(self.extras)
        return mapped
