"""Events that a run injects to see when and where they appear, beside its fleet."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from trueup.conformance.rows import format_time
from trueup.reports.results import Json

__all__ = ["probe_event"]

_BYTES: Final = 1024


def probe_event(
    log_id: str, *, customer: int, user: str, hostname: str, at: datetime
) -> dict[str, Json]:
    """Return an event of 1,024 bytes of a proxy user that nothing else uses; `at` is UTC."""
    return {
        "log_id": log_id,
        "customer_id": customer,
        "proxy_user_id": user,
        "log_network": "datacenter",
        "log_protocol": "http",
        "log_hostname": hostname,
        "log_client_ip_address": "192.0.2.7",
        "log_total_bytes": _BYTES,
        "log_request_datetime": format_time(at),
        "log_authentication_type": 1,
        "country_id": "gb",
        "city_alias": "london",
        "asn_id": 64496,
    }
