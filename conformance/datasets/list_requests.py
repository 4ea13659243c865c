"""Pages and orders of every search, and requests with other keys than the customer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trueup.conformance.datasets.covering import Constraint, Row, cover
from trueup.conformance.datasets.dimensions import dimension
from trueup.conformance.datasets.event_values import user_name
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import UNKNOWN_ID, ApiRequest

__all__ = ["SEARCHES", "key_requests", "page_requests", "paged_lists"]

SEARCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "log/search": (
        "log_total_bytes",
        "log_request_datetime",
        "log_hostname",
        "log_status_code",
        "log_session_id",
        "log_concurrency",
        "asn_id",
        "log_network",
    ),
    "log_summary/search": (
        "log_summary_bytes",
        "log_summary_period",
        "log_summary_hostname",
        "log_summary_requests",
        "log_summary_network",
    ),
    "residential_ledger/search": (
        "residential_ledger_bytes",
        "residential_ledger_period_date",
        "residential_ledger_reason",
        "residential_ledger_creation_datetime",
    ),
    "mobile_ledger/search": (
        "mobile_ledger_bytes",
        "mobile_ledger_period_date",
        "mobile_ledger_reason",
        "mobile_ledger_creation_datetime",
    ),
    "proxy_user/search": ("proxy_user_id", "proxy_user_creation_datetime"),
}
"""Search → fields that it is sorted by: unique ones, tied ones, and such that not all rows have."""


def searches(context: CheckContext) -> tuple[str, ...]:
    """Return the searches that the target claims to have."""
    known = dimension("request", "endpoint").reachable(context.level, context.claims, context.hooks)
    return tuple(each for each in SEARCHES if each in known)


def _scope(context: CheckContext, endpoint: str) -> tuple[tuple[str, str], ...]:
    """What keeps a list to this run's rows, where the list has proxy users."""
    return () if "_ledger" in endpoint else (("like_proxy_user_id", f"{context.prefix}-u-%"),)


def _default_has_no_sort_field(row: Row) -> bool:
    return row["direction"] != "default" or row["field"] == "0"


def page_requests(
    context: CheckContext, rows: int, *, seed: int, most: int | None
) -> tuple[tuple[ApiRequest, Row], ...]:
    """Return requests for single pages of sorted lists, with the classes of each.

    `rows`: about how many rows the lists have; middle and last pages are placed by it.
    """
    made: list[tuple[ApiRequest, Row]] = []
    for n, endpoint in enumerate(searches(context)):
        fields = SEARCHES[endpoint]
        factors: dict[str, Sequence[str]] = {
            "field": [str(k) for k in range(len(fields))],
            "direction": dimension("request", "direction").names,
            "per_page": dimension("request", "per_page").names,
            "page": [name for name in dimension("request", "page").names if name != "paged"],
            "customer": tuple(context.customers),
        }
        rule = Constraint(fields=("field", "direction"), allows=_default_has_no_sort_field)
        share = None if most is None else max(1, most * len(fields) // _ALL_FIELDS)
        for row in cover(factors, seed=seed + n, constraints=[rule])[:share]:
            query = dict(_scope(context, endpoint))
            if row["direction"] != "default":
                suffix = "" if row["direction"] == "plain" else row["direction"]
                query["sort_by"] = fields[int(row["field"])] + suffix
            query |= {"page": _page(row, rows), "per_page": row["per_page"]}
            request = ApiRequest(path=endpoint, query=tuple(query.items()), tenant=row["customer"])
            made.append((request, {**row, "endpoint": endpoint}))
    return tuple(made)


_ALL_FIELDS: Final = sum(len(fields) for fields in SEARCHES.values())


def _page(row: Row, rows: int) -> str:
    last = max(1, -(-rows // int(row["per_page"])))
    return {"first": "1", "middle": str((last + 1) // 2), "last": str(last)}.get(
        row["page"], str(last + 990)
    )


def paged_lists(context: CheckContext, *, most: int) -> tuple[ApiRequest, ...]:
    """Return requests for sorted lists, 7 rows a page, with ties and missing values."""
    wanted = (
        ("log/search", "log_total_bytes"),
        ("log/search", "log_network_desc"),
        ("log_summary/search", "log_summary_requests"),
        ("log/search", "log_concurrency_asc"),
        ("log_summary/search", "log_summary_bytes_desc"),
    )
    tenants = list(context.customers)
    return tuple(
        ApiRequest(
            path=endpoint,
            query=(("proxy_user_id", user_name(context, "implicit")), ("sort_by", sort)),
            tenant=tenants[n % len(tenants)],
            paged=True,
            per_page=7,
        )
        for n, (endpoint, sort) in enumerate(wanted[:most])
    )


def key_requests(
    context: CheckContext, events: Mapping[str, Sequence[Event]], *, seed: int, most: int | None
) -> tuple[tuple[ApiRequest, Row], ...]:
    """Return requests to every endpoint with keys that are missing, wrong or another customer's."""
    endpoints = dimension("request", "endpoint").reachable(
        context.level, context.claims, context.hooks
    )
    keys = [name for name in dimension("request", "keys").names if name != "own"]
    if len(context.customers) < 2:
        keys.remove("crossed")
    factors: dict[str, Sequence[str]] = {
        "endpoint": endpoints,
        "keys": keys,
        "customer": tuple(context.customers),
    }
    log_ids = {tenant: str(own[0]["log_id"]) for tenant, own in events.items() if own}
    ids = {"log/retrieve": log_ids, "proxy_user/retrieve": {}}
    made = []
    for row in cover(factors, seed=seed)[:most]:
        path = row["endpoint"]
        if path.endswith("/retrieve") and path != "customer/retrieve":
            own = ids.get(path, {}).get(row["customer"], UNKNOWN_ID)
            path = f"{path}/{user_name(context, 'implicit') if path[:5] == 'proxy' else own}"
        made.append(
            (
                ApiRequest(path=path, tenant=row["customer"], keys=row["keys"]),
                row,
            )
        )
    return tuple(made)
