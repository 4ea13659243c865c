"""PAGE, SORT, FILTER and RETRIEVE: lists that can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import (
    NOW,
    all_of,
    at_stages,
    counted,
    logs_of,
    of_user,
    summaries_of,
)
from trueup.conformance.datasets.datasets import DATASETS
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.observations import Observations, PagedResult
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str, format_time, parse_time
from trueup.reports.results import Json

__all__ = ["CHECKS", "hold_walk", "sortable"]

WALKS: Final = (7, 11)
"""Page sizes that do not divide the number of planted rows."""
SHUFFLES: Final = 3
"""Walks of one tied order: rows that come out in another order are lost or repeated in one."""
PAST_THE_END: Final = "999"


# --- PAGE


def _log_walks(context: CheckContext) -> list[ApiRequest]:
    user = context.user("ties")
    sized = [replace(requests.logs(user), per_page=size) for size in (*WALKS, 100)]
    tied = [
        replace(requests.logs(user, sort_by="log_total_bytes"), per_page=5, again=n)
        for n in range(SHUFFLES)
    ]
    return [*sized, *tied, replace(requests.logs(context.user("long")), per_page=100)]


def _summary_walks(context: CheckContext) -> list[ApiRequest]:
    user = context.user("ties")
    return [replace(requests.summaries(user), per_page=size) for size in (5, 7)]


def _single_pages(context: CheckContext) -> list[ApiRequest]:
    user = ("proxy_user_id", context.user("ties"))
    return [
        ApiRequest(path="log/search", query=(user, ("per_page", "1"))),
        ApiRequest(path="log/search", query=(user, ("page", PAST_THE_END), ("per_page", "7"))),
        ApiRequest(path="log_summary/search", query=(user, ("per_page", "1"))),
        ApiRequest(
            path="log_summary/search", query=(user, ("page", PAST_THE_END), ("per_page", "7"))
        ),
    ]


def _pages(observations: Observations) -> Finding:
    """Every walk gives each row once, as many as `total_count` says, whatever the page size."""
    builder = FindingBuilder(observations)
    context = observations.context
    for key, walks in (
        ("log_id", _log_walks(context)),
        ("log_summary_id", _summary_walks(context)),
    ):
        found: dict[str, set[str]] = {}
        for ask in walks:
            walk = builder.paged_result(NOW, ask)
            if walk is not None:
                ids = hold_walk(builder, ask, walk, key)
                user = dict(ask.query)["proxy_user_id"]
                if user in found:
                    _same_rows(builder, ask, found[user], ids, walk)
                found.setdefault(user, ids)
    for ask in _single_pages(context):
        _hold_single(builder, ask)
    return builder.finding("every walk gives each row once, and as many as total_count says")


def hold_walk(builder: FindingBuilder, ask: ApiRequest, walk: PagedResult, key: str) -> set[str]:
    where = f"{ask.path}, {ask.per_page} a page"
    ids = [as_str(row, key) or "" for row in walk.rows]
    builder.expect_equal(f"{where} · rows given twice", 0, len(ids) - len(set(ids)), *walk.numbers)
    for page, exchange in enumerate(walk.exchanges, 1):
        body = exchange.body if isinstance(exchange.body, dict) else {}
        data = body.get("data")
        size = len(data) if isinstance(data, list) else 0
        builder.expect_equal(
            f"{where} · page {page} · item_count", size, body.get("item_count"), exchange.n
        )
        builder.expect_equal(f"{where} · page {page} · page", page, body.get("page"), exchange.n)
        most = as_int(body, "per_page") or 0
        builder.expect_equal(f"{where} · page {page} · rows above per_page", 0, max(0, size - most))
        total = as_int(body, "total_count")
        if total != -1:
            builder.expect_equal(
                f"{where} · page {page} · total_count", len(ids), total, *walk.numbers
            )
    return set(ids)


def _same_rows(
    builder: FindingBuilder, ask: ApiRequest, before: set[str], ids: set[str], walk: PagedResult
) -> None:
    where = f"{ask.path}, {ask.per_page} a page · rows that another walk gives and this does not"
    builder.expect_equal(where, 0, len(before - ids), *walk.numbers)


def _hold_single(builder: FindingBuilder, ask: ApiRequest) -> None:
    exchange = builder.exchange(NOW, ask)
    body = exchange.body if exchange is not None and isinstance(exchange.body, dict) else {}
    data = body.get("data")
    if exchange is None:
        return
    if dict(ask.query).get("page") == PAST_THE_END:
        where = f"{ask.path} · page {PAST_THE_END}"
        builder.expect_equal(f"{where} · status", 200, exchange.status, exchange.n)
        builder.expect_equal(
            f"{where} · rows", 0, len(data) if isinstance(data, list) else None, exchange.n
        )
        return
    whole_walk = next(
        (
            w
            for w in (
                *_log_walks(builder.observations.context),
                *_summary_walks(builder.observations.context),
            )
            if w.path == ask.path and w.query == ask.query[:1]
        ),
        None,
    )
    walk = None if whole_walk is None else builder.paged_result(NOW, whole_walk)
    total = as_int(body, "total_count")
    if walk is not None and total != -1:
        where = f"{ask.path} · total_count with one row a page"
        builder.expect_equal(where, len(walk.rows), total, exchange.n, *walk.numbers)


# --- SORT


def _sorts(context: CheckContext) -> list[tuple[ApiRequest, str, bool]]:
    """(question, field, largest first)."""
    user = context.user("variety")
    made = []
    for ask, fields in (
        (requests.logs, ("log_total_bytes", "log_request_datetime", "log_hostname", "asn_id")),
        (requests.summaries, ("log_summary_bytes", "log_summary_hostname")),
    ):
        for field in fields:
            made.append((ask(user, sort_by=f"{field}_asc"), field, False))
            made.append((ask(user, sort_by=f"{field}_desc"), field, True))
        made.append((ask(user, sort_by=fields[0]), fields[0], False))
    return made


def _sorted(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for ask, field, down in _sorts(observations.context):
        walk = builder.paged_result(NOW, ask)
        if walk is None:
            continue
        values = [sortable(row.get(field)) for row in walk.rows]
        right = sorted(values, reverse=down)
        builder.observed(max(0, len(values) - 1))
        if values != right:
            order = "largest first" if down else "smallest first"
            where = f"{ask.path} · sort_by={dict(ask.query)['sort_by']}"
            seen = ", ".join(str(row.get(field)) for row in walk.rows[:8])
            builder.mismatch(where, order, seen, exchanges=walk.numbers)
    return builder.finding("rows come in the order asked for, both ways")


def sortable(value: Json) -> tuple[int, float, str]:
    """Something that orders as the API's values do: absent, numbers, times, texts."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    at = parse_time(value)
    return (1, at.timestamp(), "") if at is not None else (2, 0.0, str(value).lower())


# --- FILTER


@dataclass(frozen=True, kw_only=True, slots=True)
class Filtered:
    """A filter and which planted events it must let through."""

    key: str
    value: str
    keeps: Callable[[Event], bool]


def _log_filters(context: CheckContext, events: Sequence[Event]) -> list[Filtered]:
    host = f"mx.{context.host('variety')}"
    times = (
        sorted(str(event["log_request_datetime"]) for event in events)
        or [format_time(context.now)] * 3
    )
    early, late = times[len(times) // 4], times[len(times) * 3 // 4]
    exact: tuple[tuple[str, str | int], ...] = (
        ("log_network", "residential"),
        ("log_network", "mobile"),
        ("log_network", "isp"),
        ("log_network", "datacenter"),
        ("log_protocol", "socks"),
        ("country_id", "fr"),
        ("city_alias", "dallas"),
        ("asn_id", 3215),
        ("log_status_code", 404),
        ("log_total_bytes", 400),
        ("log_hostname", host),
        ("log_client_ip_address", "198.51.100.3"),
        ("log_request_datetime", early),
    )
    made = [Filtered(key=key, value=str(value), keeps=_is(key, value)) for key, value in exact]
    return [
        *made,
        Filtered(key="log_hostname", value="%", keeps=lambda e: False),
        Filtered(key="log_hostname", value="_x." + context.host("variety"), keeps=lambda e: False),
        Filtered(key="min_log_total_bytes", value="300", keeps=lambda e: _bytes(e) >= 300),
        Filtered(key="max_log_total_bytes", value="300", keeps=lambda e: _bytes(e) <= 300),
        Filtered(key="min_log_request_datetime", value=late, keeps=lambda e: _time(e) >= late),
        Filtered(key="max_log_request_datetime", value=early, keeps=lambda e: _time(e) <= early),
        Filtered(key="not_log_network", value="isp", keeps=lambda e: e["log_network"] != "isp"),
        Filtered(
            key="like_log_hostname",
            value="MX.%",
            keeps=lambda e: str(e["log_hostname"]).startswith("mx."),
        ),
        Filtered(
            key="like_log_hostname",
            value=f"%{context.prefix}%",
            keeps=lambda e: True,
        ),
    ]


def _is(key: str, value: str | int) -> Callable[[Event], bool]:
    return lambda event: event[key] == value


def _bytes(event: Event) -> int:
    return as_int(event, "log_total_bytes") or 0


def _time(event: Event) -> str:
    return str(event["log_request_datetime"])


def _summary_filters(context: CheckContext) -> list[Filtered]:
    host = f"mx.{context.host('variety')}"
    return [
        Filtered(
            key="log_summary_network", value="mobile", keeps=lambda e: e["log_network"] == "mobile"
        ),
        Filtered(key="log_summary_network", value="isp", keeps=lambda e: e["log_network"] == "isp"),
        Filtered(key="log_summary_hostname", value=host, keeps=lambda e: e["log_hostname"] == host),
        Filtered(key="log_summary_hostname", value="%", keeps=lambda e: False),
        Filtered(key="log_summary_requests", value="1", keeps=lambda e: True),
        Filtered(key="log_summary_requests", value="2", keeps=lambda e: False),
        Filtered(key="min_log_summary_bytes", value="300", keeps=lambda e: _bytes(e) >= 300),
        Filtered(key="max_log_summary_bytes", value="300", keeps=lambda e: _bytes(e) <= 300),
        Filtered(
            key="not_log_summary_network",
            value="isp",
            keeps=lambda e: e["log_network"] != "isp",
        ),
        Filtered(
            key="like_log_summary_hostname",
            value="mx.%",
            keeps=lambda e: str(e["log_hostname"]).startswith("mx."),
        ),
    ]


def _planned(context: CheckContext) -> list[Event]:
    """The events of the world of variety as they are planned, before any outcome is known."""
    dataset = next(dataset for dataset in DATASETS if dataset.name == "variety")
    return [event for batch in dataset.plant(context) for event in batch.events]


def _filter_asks(context: CheckContext) -> Sequence[ApiRequest]:
    user = context.user("variety")
    return [
        *(
            requests.logs(user, **{f.key: f.value})
            for f in _log_filters(context, _planned(context))
        ),
        *(requests.summaries(user, **{f.key: f.value}) for f in _summary_filters(context)),
        requests.logs(context.user("variety", 9)),
        requests.summaries(context.user("variety", 9)),
        *(
            ApiRequest(path=f"{pool}_ledger/search", query=((f"{pool}_ledger_reason", "usage"),))
            for pool in requests.POOLS
            if pool in context.claims
        ),
    ]


def _filtered(observations: Observations) -> Finding:
    """Every row satisfies the filter, and no row that does is left out."""
    builder = FindingBuilder(observations)
    context = observations.context
    user = context.user("variety")
    sent = of_user(observations, ("variety",), user)
    summed = tuple(filter(counted(observations), sent))
    log_filters, summary_filters = (
        _log_filters(context, _planned(context)),
        _summary_filters(context),
    )
    for path, key, ask_of, filters, events in (
        ("log", "log_hostname", requests.logs, log_filters, sent),
        ("log_summary", "log_summary_hostname", requests.summaries, summary_filters, summed),
    ):
        for one in filters:
            walk = builder.paged_result(NOW, ask_of(user, **{one.key: one.value}))
            if walk is None:
                continue
            want = sorted(str(event["log_hostname"]) for event in events if one.keeps(event))
            have = sorted(as_str(row, key) or "" for row in walk.rows)
            builder.observed()
            if want != have:
                builder.mismatch(
                    f"{path}/search · {one.key}={one.value}",
                    f"{len(want)} rows",
                    f"{len(have)} rows{_which(want, have)}",
                    exchanges=walk.numbers,
                )
    for ask in (
        requests.logs(context.user("variety", 9)),
        requests.summaries(context.user("variety", 9)),
    ):
        walk = builder.paged_result(NOW, ask)
        if walk is not None:
            where = f"{ask.path} · a proxy user that there is none of · rows"
            builder.expect_equal(where, 0, len(walk.rows), *walk.numbers)
    _ledger_reason(builder)
    return builder.finding("every filter gives the rows that satisfy it, and only those")


def _which(want: list[str], have: list[str]) -> str:
    other = sorted({*want} ^ {*have})
    return f", apart in {other[0]}" if other else ""


def _ledger_reason(builder: FindingBuilder) -> None:
    for pool in requests.POOLS:
        key = f"{pool}_ledger_reason"
        ask = ApiRequest(path=f"{pool}_ledger/search", query=((key, "usage"),))
        walk = builder.observations.paged_result(NOW, ask)
        if walk is None or walk.unusable:
            continue
        for row in walk.rows:
            builder.expect_equal(f"{ask.path} · {key}=usage", "usage", row.get(key), *walk.numbers)


# --- RETRIEVE


def _retrieves(observations: Observations, stage: str) -> Sequence[ApiRequest]:
    if stage != NOW:
        return ()
    user = observations.context.user("variety")
    return [ask for ask, _ in _pairs(observations, user)]


def _pairs(observations: Observations, user: str) -> list[tuple[ApiRequest, Row]]:
    """Retrieve questions and the search rows that they must give again."""
    pairs: list[tuple[ApiRequest, Row]] = []
    logs, summed = (
        observations.paged_result(NOW, requests.logs(user)),
        observations.paged_result(NOW, requests.summaries(user)),
    )
    pairs += [(requests.log(as_str(r, "log_id") or ""), r) for r in (logs.rows[:4] if logs else ())]
    pairs += [
        (requests.summary(as_str(r, "log_summary_id") or ""), r)
        for r in (summed.rows[:4] if summed else ())
    ]
    for pool in requests.POOLS:
        walk = observations.paged_result(NOW, ApiRequest(path=f"{pool}_ledger/search"))
        for row in walk.rows[:3] if walk else ():
            entry = as_str(row, f"{pool}_ledger_id") or ""
            pairs.append((ApiRequest(path=f"{pool}_ledger/retrieve/{entry}"), row))
    return pairs


def _retrieve_is_search(observations: Observations) -> Finding:
    """What a retrieve gives is the row that the search gave, field by field."""
    builder = FindingBuilder(observations)
    for ask, row in _pairs(observations, observations.context.user("variety")):
        exchange = builder.exchange(NOW, ask)
        if exchange is None:
            continue
        where = ask.path.rsplit("/", 1)[0]
        got = observations.row(NOW, ask)
        builder.expect_equal(f"{where} · status", 200, exchange.status, exchange.n)
        for key, value in (got or {}).items():
            if key in row and not _moves(ask, row, key):
                builder.expect_equal(f"{where} · {key}", row[key], value, exchange.n)
        for key in row if got is not None else ():
            if row[key] is not None and not _moves(ask, row, key):
                builder.expect_equal(f"{where} · has {key}", True, key in (got or {}), exchange.n)
    return builder.finding("every retrieve gives the row that the search gave")


def _moves(ask: ApiRequest, row: Row, key: str) -> bool:
    """Whether a field may rightly have moved between the two reads: an open usage row."""
    ledger = "_ledger/" in ask.path
    usage = any(as_str(row, f"{pool}_ledger_reason") == "usage" for pool in requests.POOLS)
    return ledger and usage and key.endswith(("_bytes", "_requests", "_update_datetime"))


def _ledger_pages(context: CheckContext) -> Sequence[ApiRequest]:
    return [
        ApiRequest(path=f"{pool}_ledger/search")
        for pool in requests.POOLS
        if pool in context.claims
    ]


_RESTS: Final = ("AUTH", "FRESH")

CHECKS: Final = (
    Check(
        name="pages-are-whole",
        law="PAGE",
        title="A walk over pages gives each row once, as many as total_count says.",
        judge=_pages,
        requests=at_stages(
            (NOW,),
            lambda context: [
                *_log_walks(context),
                *_summary_walks(context),
                *_single_pages(context),
            ],
        ),
        datasets=("ties", "long"),
        needed=40,
        rests_on=_RESTS,
        clauses=(
            "PAGE-1",
            "PAGE-2",
            "PAGE-3",
            "PAGE-4",
            "PAGE-5",
            "PAGE-6",
            "PAGE-7",
            "PAGE-8",
            "SORT-3",
        ),
        eventual=False,
    ),
    Check(
        name="rows-are-sorted",
        law="SORT",
        title="Rows come in the order of sort_by, both ways.",
        judge=_sorted,
        requests=at_stages((NOW,), lambda context: [ask for ask, _, _ in _sorts(context)]),
        datasets=("variety",),
        needed=20,
        rests_on=_RESTS,
        clauses=(
            "SORT-1",
            "SORT-2",
        ),
        eventual=False,
    ),
    Check(
        name="filters-are-exact",
        law="FILTER",
        title="Every row satisfies the filter, and no row that satisfies it is left out.",
        judge=_filtered,
        requests=at_stages((NOW,), _filter_asks),
        datasets=("variety",),
        needed=15,
        rests_on=_RESTS,
        clauses=(
            "FILTER-1",
            "FILTER-2",
            "FILTER-3",
            "FILTER-4",
            "FILTER-5",
            "FILTER-6",
            "FILTER-7",
        ),
    ),
    Check(
        name="retrieve-equals-search",
        law="RETRIEVE",
        title="A retrieve gives the row that the search gave.",
        judge=_retrieve_is_search,
        requests=all_of(
            logs_of("variety"), summaries_of("variety"), at_stages((NOW,), _ledger_pages)
        ),
        follow_ups=_retrieves,
        datasets=("variety",),
        needed=20,
        rests_on=_RESTS,
        clauses=(
            "RETR-1",
            "RETR-2",
            "RETR-3",
        ),
    ),
)
