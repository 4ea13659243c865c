"""The audit of lists: paging, sorting, filters, retrieves and tenants on data that is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trueup.conformance.checks.audit import OPEN, closed_summaries, sample_users
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.searches import hold_walk, sortable
from trueup.conformance.datasets.datasets import NETWORKS
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_str, get_path
from trueup.reports.results import Impact

__all__ = ["CHECKS"]

PAGE_SIZES: Final = (7, 11)


def _walks(observations: Observations) -> list[ApiRequest]:
    """One user's summaries of closed days, with pages of several sizes, and in a tied order."""
    found = []
    for user in sample_users(observations)[:1]:
        base = closed_summaries(observations.context, user)
        found += [base, *(replace(base, per_page=size) for size in PAGE_SIZES)]
        tied = replace(base, query=(*base.query, ("sort_by", "log_summary_network")), per_page=5)
        found += [replace(tied, again=n) for n in (1, 2)]
    return found


def _sorted_asks(observations: Observations) -> list[tuple[ApiRequest, str, bool]]:
    found = []
    for user in sample_users(observations)[:1]:
        base = closed_summaries(observations.context, user)
        for field in ("log_summary_bytes", "log_summary_requests"):
            for ending, down in (("_asc", False), ("_desc", True)):
                query = (*base.query, ("sort_by", field + ending))
                found.append((replace(base, query=query), field, down))
    return found


def _filter_asks(observations: Observations) -> list[tuple[ApiRequest, str]]:
    found = []
    for user in sample_users(observations)[:1]:
        base = closed_summaries(observations.context, user)
        for network in NETWORKS:
            query = (*base.query, ("log_summary_network", network))
            found.append((replace(base, query=query), network))
    return found


def _rows(observations: Observations) -> list[tuple[str, str, Row]]:
    """(resource, id, row): a few rows of every list that was looked at."""
    found: list[tuple[str, str, Row]] = []
    for user in sample_users(observations)[:1]:
        walk = observations.paged_result(OPEN, closed_summaries(observations.context, user))
        rows = walk.rows[:3] if walk else ()
        found += [("log_summary", as_str(row, "log_summary_id") or "", row) for row in rows]
    logs = observations.paged_result(
        OPEN, ApiRequest(path="log/search", query=(("per_page", "10"),))
    )
    rows = logs.rows[:3] if logs else ()
    return [*found, *(("log", as_str(row, "log_id") or "", row) for row in rows)]


def _follow(observations: Observations, stage: str) -> Sequence[ApiRequest]:
    if stage != OPEN:
        return ()
    singles = [ApiRequest(path=f"{kind}/retrieve/{key}") for kind, key, _ in _rows(observations)]
    return [
        *_walks(observations),
        *(ask for ask, _, _ in _sorted_asks(observations)),
        *(ask for ask, _ in _filter_asks(observations)),
        *singles,
        *(replace(ask, tenant="b") for ask in singles),
    ]


def _pages(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    first: set[str] | None = None
    for ask in _walks(observations):
        walk = builder.paged_result(OPEN, ask)
        if walk is None:
            continue
        ids = hold_walk(builder, ask, walk, "log_summary_id")
        where = f"{ask.path}, {ask.per_page} a page · rows of another walk that this does not give"
        first = ids if first is None else first
        builder.expect_equal(where, 0, len(first - ids), *walk.numbers)
    return builder.finding("walks of every page size give the same rows once")


def _sorted(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for ask, field, down in _sorted_asks(observations):
        walk = builder.paged_result(OPEN, ask)
        values = [sortable(row.get(field)) for row in walk.rows] if walk else []
        builder.observed(max(0, len(values) - 1))
        if walk is not None and values != sorted(values, reverse=down):
            order = "largest first" if down else "smallest first"
            seen = ", ".join(str(row.get(field)) for row in walk.rows[:8])
            where = f"{ask.path} · sort_by={ask.query[-1][1]}"
            builder.mismatch(where, order, seen, exchanges=walk.numbers)
    return builder.finding("rows come in the order asked for")


def _filtered(observations: Observations) -> Finding:
    """Every row has the network asked for, and the four networks are all there is."""
    builder = FindingBuilder(observations)
    for user in sample_users(observations)[:1]:
        every = builder.paged_result(OPEN, closed_summaries(observations.context, user))
        parts = 0
        for ask, network in _filter_asks(observations):
            walk = builder.paged_result(OPEN, ask)
            for row in walk.rows if walk else ():
                parts += 1
                where = f"{ask.path} · log_summary_network={network}"
                numbers = walk.numbers if walk else ()
                builder.expect_equal(where, network, row.get("log_summary_network"), *numbers)
        if every is not None:
            where = f"{user} · rows of the four networks together"
            builder.expect_equal(where, len(every.rows), parts, *every.numbers)
    return builder.finding("the filter by network gives that network, and the four give all")


def _retrieved(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for kind, key, row in _rows(observations):
        exchange = builder.exchange(OPEN, ApiRequest(path=f"{kind}/retrieve/{key}"))
        if exchange is None:
            continue
        builder.expect_equal(f"{kind}/retrieve · status", 200, exchange.status, exchange.n)
        got = get_path(exchange.body, "data")
        for field, value in (got if isinstance(got, dict) else {}).items():
            if field in row and not _open_counter(kind, field):
                builder.expect_equal(f"{kind}/retrieve · {field}", row[field], value, exchange.n)
    return builder.finding("every retrieve gives the row that the search gave")


def _open_counter(kind: str, field: str) -> bool:
    return kind == "log_summary" and field.endswith("last_update_datetime")


def _apart(observations: Observations) -> Finding:
    """What one tenant listed is not served to the other."""
    builder = FindingBuilder(observations)
    for kind, key, _ in _rows(observations):
        ask = ApiRequest(path=f"{kind}/retrieve/{key}", tenant="b")
        exchange = observations.answer(OPEN, ask)
        if exchange is not None and exchange.status is not None:
            served = exchange.status == 200 and bool(get_path(exchange.body, "data"))
            seen = "served" if served else "not served"
            builder.expect_equal(
                f"{kind}/retrieve of another tenant's id", "not served", seen, exchange.n
            )
    return builder.finding("ids of one tenant are not served to the other")


def _check(
    name: str,
    law: str,
    title: str,
    judge: Callable[[Observations], Finding],
    clauses: tuple[str, ...],
    *,
    needed: int,
    impact: Impact = Impact.COSMETIC,
) -> Check:
    return Check(
        name=f"audit-{name}",
        law=law,
        title=title,
        judge=judge,
        follow_ups=_follow,
        clauses=clauses,
        level=0,
        impact=impact,
        needed=needed,
        rests_on=("AUTH",),
        eventual=False,
        audit=True,
    )


CHECKS: Final = (
    _check(
        "pages-are-whole",
        "PAGE",
        "A walk over pages gives each row once, whatever their size.",
        _pages,
        ("PAGE-1", "PAGE-2", "PAGE-4", "PAGE-5", "PAGE-6", "PAGE-7"),
        needed=20,
    ),
    _check(
        "rows-are-sorted",
        "SORT",
        "Rows come in the order of sort_by, both ways.",
        _sorted,
        ("SORT-1", "SORT-2"),
        needed=8,
    ),
    _check(
        "filters-are-exact",
        "FILTER",
        "Every row has the network asked for, and none is left out.",
        _filtered,
        ("FILTER-1", "FILTER-6"),
        needed=4,
    ),
    _check(
        "retrieve-equals-search",
        "RETRIEVE",
        "A retrieve gives the row that the search gave.",
        _retrieved,
        ("RETR-1", "RETR-2"),
        needed=10,
    ),
    _check(
        "tenants-are-apart",
        "TENANT",
        "Ids of one customer are not served to another.",
        _apart,
        ("TEN-2",),
        needed=2,
        impact=Impact.PRIVACY,
    ),
)
