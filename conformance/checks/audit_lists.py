"""The audit of lists: paging, sorting, filters, retrieves and tenants on data that is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trueup.conformance.checks.audit import OPEN, closed_summaries, sample_users
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, Tally
from trueup.conformance.checks.searches import hold_walk, sortable
from trueup.conformance.datasets.datasets import NETWORKS
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, dotted, text
from trueup.reports.results import Impact

__all__ = ["CHECKS"]

PAGE_SIZES: Final = (7, 11)


def _walks(facts: Facts) -> list[Ask]:
    """One user's summaries of closed days, with pages of several sizes, and in a tied order."""
    found = []
    for user in sample_users(facts)[:1]:
        base = closed_summaries(facts.scene, user)
        found += [base, *(replace(base, per_page=size) for size in PAGE_SIZES)]
        tied = replace(base, query=(*base.query, ("sort_by", "log_summary_network")), per_page=5)
        found += [replace(tied, again=n) for n in (1, 2)]
    return found


def _sorted_asks(facts: Facts) -> list[tuple[Ask, str, bool]]:
    found = []
    for user in sample_users(facts)[:1]:
        base = closed_summaries(facts.scene, user)
        for field in ("log_summary_bytes", "log_summary_requests"):
            for ending, down in (("_asc", False), ("_desc", True)):
                query = (*base.query, ("sort_by", field + ending))
                found.append((replace(base, query=query), field, down))
    return found


def _filter_asks(facts: Facts) -> list[tuple[Ask, str]]:
    found = []
    for user in sample_users(facts)[:1]:
        base = closed_summaries(facts.scene, user)
        for network in NETWORKS:
            query = (*base.query, ("log_summary_network", network))
            found.append((replace(base, query=query), network))
    return found


def _rows(facts: Facts) -> list[tuple[str, str, Row]]:
    """(resource, id, row): a few rows of every list that was looked at."""
    found: list[tuple[str, str, Row]] = []
    for user in sample_users(facts)[:1]:
        walk = facts.walk(OPEN, closed_summaries(facts.scene, user))
        rows = walk.rows[:3] if walk else ()
        found += [("log_summary", text(row, "log_summary_id") or "", row) for row in rows]
    logs = facts.walk(OPEN, Ask(path="log/search", query=(("per_page", "10"),)))
    rows = logs.rows[:3] if logs else ()
    return [*found, *(("log", text(row, "log_id") or "", row) for row in rows)]


def _follow(facts: Facts, stage: str) -> Sequence[Ask]:
    if stage != OPEN:
        return ()
    singles = [Ask(path=f"{kind}/retrieve/{key}") for kind, key, _ in _rows(facts)]
    return [
        *_walks(facts),
        *(ask for ask, _, _ in _sorted_asks(facts)),
        *(ask for ask, _ in _filter_asks(facts)),
        *singles,
        *(replace(ask, tenant="b") for ask in singles),
    ]


def _pages(facts: Facts) -> Finding:
    tally = Tally(facts)
    first: set[str] | None = None
    for ask in _walks(facts):
        walk = tally.walk(OPEN, ask)
        if walk is None:
            continue
        ids = hold_walk(tally, ask, walk, "log_summary_id")
        where = f"{ask.path}, {ask.per_page} a page · rows of another walk that this does not give"
        first = ids if first is None else first
        tally.holds(where, 0, len(first - ids), *walk.numbers)
    return tally.finding("walks of every page size give the same rows once")


def _sorted(facts: Facts) -> Finding:
    tally = Tally(facts)
    for ask, field, down in _sorted_asks(facts):
        walk = tally.walk(OPEN, ask)
        values = [sortable(row.get(field)) for row in walk.rows] if walk else []
        tally.saw(max(0, len(values) - 1))
        if walk is not None and values != sorted(values, reverse=down):
            order = "largest first" if down else "smallest first"
            seen = ", ".join(str(row.get(field)) for row in walk.rows[:8])
            where = f"{ask.path} · sort_by={ask.query[-1][1]}"
            tally.differs(where, order, seen, exchanges=walk.numbers)
    return tally.finding("rows come in the order asked for")


def _filtered(facts: Facts) -> Finding:
    """Every row has the network asked for, and the four networks are all there is."""
    tally = Tally(facts)
    for user in sample_users(facts)[:1]:
        every = tally.walk(OPEN, closed_summaries(facts.scene, user))
        parts = 0
        for ask, network in _filter_asks(facts):
            walk = tally.walk(OPEN, ask)
            for row in walk.rows if walk else ():
                parts += 1
                where = f"{ask.path} · log_summary_network={network}"
                numbers = walk.numbers if walk else ()
                tally.holds(where, network, row.get("log_summary_network"), *numbers)
        if every is not None:
            where = f"{user} · rows of the four networks together"
            tally.holds(where, len(every.rows), parts, *every.numbers)
    return tally.finding("the filter by network gives that network, and the four give all")


def _retrieved(facts: Facts) -> Finding:
    tally = Tally(facts)
    for kind, key, row in _rows(facts):
        exchange = tally.exchange(OPEN, Ask(path=f"{kind}/retrieve/{key}"))
        if exchange is None:
            continue
        tally.holds(f"{kind}/retrieve · status", 200, exchange.status, exchange.n)
        got = dotted(exchange.body, "data")
        for field, value in (got if isinstance(got, dict) else {}).items():
            if field in row and not _open_counter(kind, field):
                tally.holds(f"{kind}/retrieve · {field}", row[field], value, exchange.n)
    return tally.finding("every retrieve gives the row that the search gave")


def _open_counter(kind: str, field: str) -> bool:
    return kind == "log_summary" and field.endswith("last_update_datetime")


def _apart(facts: Facts) -> Finding:
    """What one tenant listed is not served to the other."""
    tally = Tally(facts)
    for kind, key, _ in _rows(facts):
        ask = Ask(path=f"{kind}/retrieve/{key}", tenant="b")
        exchange = facts.answer(OPEN, ask)
        if exchange is not None and exchange.status is not None:
            served = exchange.status == 200 and bool(dotted(exchange.body, "data"))
            seen = "served" if served else "not served"
            tally.holds(f"{kind}/retrieve of another tenant's id", "not served", seen, exchange.n)
    return tally.finding("ids of one tenant are not served to the other")


def _check(
    name: str,
    law: str,
    title: str,
    judge: Callable[[Facts], Finding],
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
        follow=_follow,
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
