"""Fields that each endpoint can filter by, and the values that fit each operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["FIELDS", "USES", "FilterField"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterField:
    """One documented filter of one search."""

    endpoint: str
    """Path of the search."""
    name: str
    kind: str
    """`text`, `enum`, `id`, `int`, `bool`, `time` or `day`; decides operators and values."""
    sent: str = ""
    """Field of an event that holds its values; empty where only the target knows them."""
    claim: str = ""


USES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "text": {
        "exact": ("present", "absent", "other-case", "other-customer", "empty"),
        "like_": (
            *("substring", "percent-first", "percent", "underscore", "percent-inside"),
            *("other-case", "absent"),
        ),
        "not_": ("present", "absent"),
    },
    "enum": {"exact": ("present",), "not_": ("present",)},
    "id": {"exact": ("present", "absent", "other-customer"), "not_": ("present",)},
    "int": {
        "exact": ("present", "zero", "absent"),
        "min_": ("present", "boundary", "absent"),
        "max_": ("present", "boundary", "zero"),
        "not_": ("present", "zero"),
    },
    "bool": {"exact": ("true", "zero"), "not_": ("true",)},
    "time": {
        "exact": ("present",),
        "min_": ("present", "boundary", "absent"),
        "max_": ("present", "boundary"),
        "not_": ("present",),
    },
    "day": {
        "exact": ("present", "absent"),
        "min_": ("present", "absent"),
        "max_": ("present", "boundary"),
        "not_": ("present",),
    },
}
"""Kind of field → operator → the value classes that are asked for."""

_LOG: Final = """
log_id id · log_network enum · proxy_user_id text · service_id text · log_protocol enum
country_id text · city_alias text · asn_id int · log_session_id text · proxy_id text
log_method text · log_client_ip_address text · log_local_ip_address text · log_local_port int
log_egress_ip_address text · log_hostname text · log_status_code int · log_total_bytes int
log_concurrency int · log_smartpath_routed bool · log_transport enum · log_request_datetime time
log_total_elapsed_ms int
"""
_SUMMARY: Final = """
proxy_user_id text proxy_user_id · log_summary_network enum log_network
log_summary_hostname text log_hostname · log_summary_requests int
log_summary_successful int · log_summary_error int · log_summary_bytes int log_total_bytes
log_summary_period day log_request_datetime · log_summary_creation_datetime time
log_summary_last_update_datetime time
"""
_LEDGER: Final = """
service_id text · service_adjustment_id int · X_ledger_reason text · X_ledger_requests int
X_ledger_bytes int · X_ledger_period_date day · X_ledger_creation_datetime time
X_ledger_last_update_datetime time
"""
_USER: Final = """
proxy_user_id text proxy_user_id · proxy_user_is_deleted bool · proxy_user_access_type enum
proxy_user_is_strict_security bool · proxy_user_is_default bool
proxy_user_ip_address_authentication_limit int · proxy_user_creation_datetime time
proxy_user_last_update_datetime time
"""


def _fields(
    endpoint: str, rows: str, *, claim: str = "", same: bool = False
) -> tuple[FilterField, ...]:
    """Fields from rows of `name kind sent`; `same`: an event has them under the same name."""
    found = []
    for row in rows.replace("\n", " · ").split(" · "):
        if row.strip():
            name, kind, *sent = row.split()
            field = FilterField(
                endpoint=endpoint,
                name=name,
                kind=kind,
                sent=sent[0] if sent else (name if same else ""),
                claim="success-counts" if name.endswith(("_successful", "_error")) else claim,
            )
            found.append(field)
    return tuple(found)


FIELDS: Final = (
    *_fields("log/search", _LOG, same=True),
    *_fields("log_summary/search", _SUMMARY),
    *_fields("residential_ledger/search", _LEDGER.replace("X", "residential"), claim="residential"),
    *_fields("mobile_ledger/search", _LEDGER.replace("X", "mobile"), claim="mobile"),
    *_fields("proxy_user/search", _USER, claim="proxy-user"),
)
"""Every filter whose values can be known, in the order of the documentation."""
