"""The documented fields of a log, and whether a shown value equals the one that was sent.

Sources: the guide's list of what a log contains, and the object page with the public client's
model (API_FACTS 2.1). A field that an object can lack may be null or absent.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trueup.conformance.rows import as_int, parse_time, same_hostname
from trueup.reports.results import Json

__all__ = [
    "HINTED",
    "LOG_FIELDS",
    "ApiField",
    "FieldKind",
    "agrees",
    "differing_fields",
    "is_optional",
    "same_address",
]


class FieldKind(StrEnum):
    """How values of a field are compared, filtered and sorted."""

    TEXT = "text"
    CODE = "code"
    """Text or integer, as sent."""
    WHOLE = "integer"
    SWITCH = "boolean"
    ADDRESS = "IP address"
    HOSTNAME = "hostname"
    TIME = "date-time"
    COUNTRY = "country"
    IDENTIFIER = "id"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiField:
    """One documented field. `guide`: the guide itself names it, so that it must be there."""

    name: str
    kind: FieldKind
    guide: bool = False
    filterable: bool = True


def _fields(
    kind: FieldKind, *names: str, guide: bool = False, filterable: bool = True
) -> list[ApiField]:
    return [ApiField(name=n, kind=kind, guide=guide, filterable=filterable) for n in names]


LOG_FIELDS: Final[Mapping[str, ApiField]] = MappingProxyType(
    {
        field.name: field
        for field in (
            *_fields(FieldKind.IDENTIFIER, "log_id", guide=True),
            *_fields(FieldKind.TEXT, "proxy_user_id", "log_network", "log_protocol", guide=True),
            *_fields(FieldKind.HOSTNAME, "log_hostname", guide=True),
            *_fields(FieldKind.ADDRESS, "log_client_ip_address", guide=True),
            *_fields(FieldKind.WHOLE, "log_total_bytes", "asn_id", guide=True),
            *_fields(FieldKind.TIME, "log_request_datetime", guide=True),
            *_fields(FieldKind.WHOLE, "log_authentication_type", guide=True, filterable=False),
            *_fields(FieldKind.COUNTRY, "country_id", guide=True),
            *_fields(FieldKind.TEXT, "city_alias", guide=True),
            *_fields(FieldKind.WHOLE, "log_status_code"),
            *_fields(FieldKind.CODE, "log_error_code", filterable=False),
            *_fields(FieldKind.WHOLE, "customer_id", filterable=False),
            *_fields(
                FieldKind.TEXT,
                "service_id",
                "proxy_id",
                "log_session_id",
                "log_method",
                "log_transport",
            ),
            *_fields(FieldKind.TEXT, "log_protocol_version", filterable=False),
            *_fields(FieldKind.ADDRESS, "log_local_ip_address", "log_egress_ip_address"),
            *_fields(FieldKind.WHOLE, "log_local_port", "log_total_elapsed_ms", "log_concurrency"),
            *_fields(
                FieldKind.WHOLE,
                "log_handshake_elapsed_ms",
                "log_tunnel_elapsed_ms",
                filterable=False,
            ),
            *_fields(
                FieldKind.SWITCH, "log_is_tls_enabled", "log_smartpath_enabled", filterable=False
            ),
            *_fields(FieldKind.SWITCH, "log_smartpath_routed"),
        )
    }
)
"""Name → field, those of the guide first."""


HINTED: Final = frozenset(
    {
        *("log_status_code", "log_method", "proxy_id", "log_transport", "log_local_ip_address"),
        *("log_local_port", "log_egress_ip_address", "log_total_elapsed_ms", "log_concurrency"),
        *("log_smartpath_routed", "log_summary_successful", "log_summary_error"),
    }
)
"""Fields that only the public client names as parameters (API_FACTS: a hint, not a proof), beside
all of proxy users but their name. A target may refuse to filter or to sort by them."""


def is_optional(field: ApiField) -> bool:
    """Return whether a log may be shown without a field that it was sent with."""
    return not field.guide or field.name == "log_authentication_type"


def differing_fields(
    sent: Mapping[str, Json], seen: Mapping[str, Json]
) -> list[tuple[str, Json, Json]]:
    """Return documented fields in which a log differs from its event: (field, sent, seen)."""
    found: list[tuple[str, Json, Json]] = []
    for name, field in LOG_FIELDS.items():
        want, have = sent.get(name), seen.get(name)
        if want is None or (have is None and is_optional(field)):
            continue
        if have is None or not agrees(field.kind, want, have):
            found.append((name, want, have))
    return found


def agrees(kind: FieldKind, sent: Json, seen: Json) -> bool:
    """Return whether a shown value is the one sent, in any of the documented forms."""
    match kind:
        case FieldKind.TEXT:
            return sent == seen and isinstance(seen, str)
        case FieldKind.WHOLE:
            return as_int({"v": seen}, "v") == sent
        case FieldKind.CODE:
            return type(sent) is type(seen) and sent == seen
        case FieldKind.SWITCH:
            return sent is seen
        case FieldKind.ADDRESS:
            return same_address(sent, seen)
        case FieldKind.HOSTNAME:
            return isinstance(seen, str) and same_hostname(str(sent), seen)
        case FieldKind.TIME:
            return _same_time(sent, seen)
        case FieldKind.COUNTRY | FieldKind.IDENTIFIER:
            return isinstance(seen, str) and str(sent).lower() == seen.lower()


def same_address(sent: Json, seen: Json) -> bool:
    """Return whether two texts are one IP address, however it is written."""
    if sent == seen:
        return True
    try:
        return ipaddress.ip_address(str(sent)) == ipaddress.ip_address(str(seen))
    except ValueError:
        return False


def _same_time(sent: Json, seen: Json) -> bool:
    """Whether two date-times are one second; a fraction that is shown must be the one sent."""
    if sent == seen:
        return True
    one, two = parse_time(sent), parse_time(seen)
    if one is None or two is None or isinstance(seen, bool):
        return False
    if one.replace(microsecond=0) != two.replace(microsecond=0):
        return False
    return two.microsecond in (0, one.microsecond, one.microsecond // 1000 * 1000)
