"""Fleet and load traffic, held to what the target reports: lost, doubled, altered, foreign.

`judge_traffic` is pure: from expected cells and from what a reconciliation has read to verdicts
and tie-out rows. Events whose delivery has no known outcome widen the expectation; they are
counted neither as lost nor as stored. What others sent to the same tenant is told apart by its
proxy users, and where only totals are known, an excess convicts nobody: it is inconclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from functools import partial
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.evaluate import judge_all
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.case import Case
from trueup.conformance.reconciliation.drilldown import (
    INSPECT_MOST,
    CellInspection,
    Explained,
    explained,
    id_of,
    inspect_cell,
)
from trueup.conformance.reconciliation.expected import Bounds, NetworkDay, add, minus, within
from trueup.conformance.reconciliation.logs import excess, judge_logs, log_looks, logs_to_ask_again
from trueup.conformance.reconciliation.plan import graph_asks
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, as_str, day_of
from trueup.reports.journal.records import Record
from trueup.reports.results import CellKey, CheckResult, Counts, Impact, TieOut

__all__ = ["PARTS", "judge_case", "judge_traffic", "looks", "to_ask_again", "traffic_checks"]

PARTS: Final = ("fleet", "load")
"""Traffic that can be reconciled, as `Delivered.source` names it."""
_VIEWS: Final = (
    ("logs", "LOG=SENT", "The logs are the events that were sent, each once."),
    ("summaries", "SUM=LOG", "The summaries add up to what was sent, cell by cell."),
    ("ledgers", "LEDGER=SUM", "The ledgers' usage rises by the metered bytes that were sent."),
    ("graph", "GRAPH=SENT", "The graph shows what was sent, network by network."),
)

_KEPT: Final = timedelta(days=6)
"""Logs that are younger than so many days are all there still."""


def traffic_checks(part: str) -> tuple[str, ...]:
    """Names of the checks of a part, for the journal's header: `fleet-logs-equal-sent` …"""
    return tuple(f"{part}-{view}-equal-sent" for view, _, _ in _VIEWS)


def judge_traffic(
    records: Iterable[Record], sent: SentTraffic, part: str
) -> tuple[list[CheckResult], list[TieOut]]:
    """Verdicts and tie-out rows of one part, from the journal's records and what was sent.

    Nothing where the records hold no reconciliation of that part.
    """
    observations = Observations(records, part=part)
    if observations.plan is None:
        return [], []
    return judge_case(Case.of(observations, sent, part))


def judge_case(case: Case) -> tuple[list[CheckResult], list[TieOut]]:
    """Verdicts and tie-out rows of one case."""
    rows: list[TieOut] = []
    checks = [
        Check(
            name=name,
            law=law,
            title=title,
            judge=partial(_found, judge, case, rows),
            impact=Impact.UNDER_CHARGE,
            eventual=True,
        )
        for name, (_, law, title), judge in zip(
            traffic_checks(case.part),
            _VIEWS,
            (judge_logs, _summaries, _ledgers, _graph),
            strict=True,
        )
    ]
    return judge_all(case.observations, checks), rows


def _found(
    judge: Callable[[Case, list[TieOut]], Finding],
    case: Case,
    rows: list[TieOut],
    _facts: Observations,
) -> Finding:
    return judge(case, rows)


# --- summaries, cell by cell


def _summaries(case: Case, rows: list[TieOut]) -> Finding:
    builder = FindingBuilder(case.observations)
    seen = case.seen
    for why, number in seen.unread.items():
        builder.unusable(why, number)
    sums: dict[tuple[int, str], list[Counts]] = defaultdict(lambda: [NOTHING] * 3)
    unseen: dict[int, int] = defaultdict(int)
    for key in case.cells:
        if not seen.covers(key):
            unseen[key.customer_id] += 1
            continue
        certain, possible = case.span(key)
        have = seen.own.get(key, NOTHING)
        both = sums[key.customer_id, key.network]
        both[0], both[1], both[2] = (
            add(both[0], certain),
            add(both[1], possible),
            add(both[2], have),
        )
        builder.observed()
        if (have.successful or have.error) and not possible.requests and case.expect_equal(key):
            _hold_statuses(builder, key, certain, have, seen.where.get(key, 0))
    for number, key in enumerate(case.wrong_cells):
        _hold_cell(case, builder, key, looked=number < INSPECT_MOST)
    for key in case.stray_cells[:INSPECT_MOST]:
        _hold_stray(case, builder, key)
    for customer, cells in unseen.items():
        builder.unusable(
            f"tenant {customer}: a sample was walked and {cells} cells were not: too many to be "
            "walked whole within the budget; raise `budget.requests` if the target allows it"
        )
    for (customer, network), (certain, possible, have) in sorted(sums.items()):
        rows.append(_tie("summaries", f"tenant {customer} · {network}", certain, possible, have))
    return builder.finding(
        "every cell of every proxy user holds what was sent"
        + (
            "; the days beside the traffic's could not be looked at whole"
            if _half_seen(case)
            else ""
        )
    )


def _half_seen(case: Case) -> bool:
    """Whether some day on which a copy could stand was not read to its end."""
    return any(
        walk.beside and (walk.customer, walk.day, "", "") not in case.seen.walked
        for walk in case.walks
    )


def _place(key: CellKey) -> str:
    return (
        f"tenant {key.customer_id} · {key.proxy_user_id} · {key.network} · {key.hostname} · "
        f"{key.day}"
    )


def _hold_cell(case: Case, builder: FindingBuilder, key: CellKey, *, looked: bool) -> None:
    """Tell what is wrong with a cell that does not hold what was sent."""
    certain, possible = case.span(key)
    have = case.seen.own.get(key, NOTHING)
    found = Explained(said="its logs were not looked at: too many cells differ")
    if looked:
        exact = not any(possible) and key not in case.sums.beside_cells
        found = explained(case, inspect_cell(case, key), minus(have, certain), exact=exact)
    shown = [case.seen.where[key]] if key in case.seen.where else []
    builder.mismatch(
        _place(key),
        _range(certain, possible),
        f"{have.requests} requests, {have.bytes} bytes "
        f"({_kind(have, certain, possible)}; {found.said})",
        events=found.events,
        exchanges=[*shown, *found.exchanges],
    )


def _hold_stray(case: Case, builder: FindingBuilder, key: CellKey) -> None:
    """A cell beside the traffic's days: an earlier run's, unless its logs are ours or none."""
    look = inspect_cell(case, key)
    walk = case.observations.paged_result(case.stage, look.ask)
    if walk is None or walk.unusable:
        return
    have = minus(case.seen.own[key], case.span(key).certain).requests
    ours = [id_of(row) for row in walk.rows if case.sent.event(id_of(row)) is not None]
    strangers = len(walk.rows) - len(ours)
    if have <= strangers or (not walk.rows and key.day < _kept_since(case)):
        return
    of_which = f"; of them logs of ours: {', '.join(ours[:3])}" if ours else "; no log shows them"
    builder.observed()
    builder.mismatch(
        _place(key),
        f"{strangers} requests of others: nothing was sent for that day",
        f"{case.seen.own[key].requests} requests{of_which}",
        exchanges=[case.seen.where[key], *walk.numbers[-1:]],
    )


def _kept_since(case: Case) -> str:
    """First day whose logs must all be there still."""
    return f"{case.observations.context.now - _KEPT:%Y-%m-%d}"


def _hold_statuses(
    builder: FindingBuilder, key: CellKey, certain: Counts, have: Counts, number: int
) -> None:
    """Success and error add up; where the line between them lies is the target's reading."""
    if have.successful + have.error != have.requests:
        builder.mismatch(
            f"{_place(key)} · successful + error",
            certain.requests,
            have.successful + have.error,
            exchanges=[number],
        )


def _kind(have: Counts, certain: Counts, possible: Counts) -> str:
    if have.requests < certain.requests:
        return f"{certain.requests - have.requests} lost"
    if have.requests > certain.requests + possible.requests:
        return f"{have.requests - certain.requests - possible.requests} too many"
    return "as many as sent, of other amounts"


def _range(certain: Counts, possible: Counts) -> str:
    wide = f", and up to {possible.requests} more of unknown outcome" if possible.requests else ""
    return f"{certain.requests} requests, {certain.bytes} bytes{wide}"


def _tie(view: str, scope: str, certain: Counts, possible: Counts, have: Counts) -> TieOut:
    return TieOut(
        view=view,
        scope=scope,
        expected_requests=certain.requests,
        seen_requests=have.requests,
        expected_bytes=certain.bytes,
        seen_bytes=have.bytes,
        slack_requests=possible.requests,
        slack_bytes=possible.bytes,
        ok=within(have.requests, certain.requests, possible.requests)
        and within(have.bytes, certain.bytes, possible.bytes),
    )


# --- ledgers and graph


def _usage(case: Case, again: int, pool: str, letter: str) -> dict[str, int] | None:
    walk = case.observations.paged_result(case.stage, requests.ledger(pool, again, letter))
    if walk is None or walk.unusable:
        return None
    days: dict[str, int] = {}
    for row in walk.rows:
        if as_str(row, f"{pool}_ledger_reason") == "usage":
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            days[day] = days.get(day, 0) + abs(as_int(row, f"{pool}_ledger_bytes") or 0)
    return days


def _lanes(case: Case, customer: int, network: str) -> list[tuple[NetworkDay, Bounds]]:
    lanes = case.sums.days.items()
    return sorted((lane, span) for lane, span in lanes if lane[:2] == (customer, network))


def _unknown_others(case: Case, builder: FindingBuilder, lane: NetworkDay) -> None:
    """Where only a sample was walked, others may hide a loss: what fits is then no proof."""
    if not case.seen.whole(lane):
        builder.unusable(
            f"tenant {lane.customer_id} · {lane.network} · {lane.day}: what others have there is "
            "not known, because the summaries could not be walked whole"
        )


def _ledgers(case: Case, rows: list[TieOut]) -> Finding:
    """Day by day: the metered bytes that were sent, and those of others in the summaries."""
    builder = FindingBuilder(case.observations)
    for customer, letter in sorted(case.letters.items()):
        for pool in requests.POOLS:
            mine = _lanes(case, customer, pool)
            if not mine or pool not in case.observations.context.claims:
                continue
            first, last = (_usage(case, again, pool, letter) for again in (1, 2))
            if last is None:
                builder.unusable(f"the {pool} ledger could not be read")
                continue
            sums = [0, 0, 0]
            for lane, (certain, possible) in mine:
                others = case.others(lane)
                seen = last.get(lane.day, 0) - others.certain.bytes
                slack = possible.bytes + others.possible.bytes
                sums = [sums[0] + certain.bytes, sums[1] + slack, sums[2] + seen]
                builder.observed()
                _unknown_others(case, builder, lane)
                where = f"tenant {customer} · {pool} ledger · usage of {lane.day}, in bytes"
                if seen < certain.bytes:
                    builder.mismatch(where, f"at least {certain.bytes}", seen)
                elif seen > certain.bytes + slack:
                    quiet = first == last and case.seen.whole(lane)
                    excess(builder, where, certain.bytes + slack, seen, quiet=quiet)
            rows.append(
                TieOut(
                    view=f"{pool}_ledger",
                    scope=f"tenant {customer}",
                    expected_bytes=sums[0],
                    seen_bytes=sums[2],
                    slack_bytes=sums[1],
                    ok=within(sums[2], sums[0], sums[1]),
                )
            )
    return builder.finding("the ledgers hold the metered bytes that were sent")


def _graph(case: Case, rows: list[TieOut]) -> Finding:
    """Day by day and network by network: what was sent, and what others have there."""
    builder = FindingBuilder(case.observations)
    sums: dict[tuple[int, str], list[Counts]] = defaultdict(lambda: [NOTHING] * 3)
    firsts = graph_asks(case.observations, case.events, 1)
    lasts = graph_asks(case.observations, case.events, 2)
    for (ask, network), (early, _) in zip(lasts, firsts, strict=True):
        customer = case.observations.context.customers[ask.tenant]
        points, exchange, trouble = case.observations.points(case.stage, ask)
        if trouble or exchange is None:
            builder.unusable(trouble)
            continue
        still = case.observations.points(case.stage, early)[0] == points
        shown: dict[str, Counts] = defaultdict(lambda: NOTHING)
        for point in points:
            if point.at is not None:
                day = point.at.strftime("%Y-%m-%d")
                shown[day] = add(shown[day], Counts(point.requests, point.bytes, 0, 0))
        for lane, (certain, possible) in _lanes(case, customer, network):
            others = case.others(lane)
            quiet = still and case.seen.whole(lane)
            slack = add(possible, others.possible)
            have = minus(shown[lane.day], others.certain)._replace(successful=0, error=0)
            both = sums[customer, network]
            both[0], both[1], both[2] = (
                add(both[0], certain),
                add(both[1], slack),
                add(both[2], have),
            )
            builder.observed()
            _unknown_others(case, builder, lane)
            where = f"tenant {customer} · graph of {network} · {lane.day}"
            if have.requests < certain.requests or have.bytes < certain.bytes:
                seen = f"{have.requests} requests, {have.bytes} bytes"
                builder.mismatch(where, _range(certain, slack), seen, exchanges=[exchange.n])
            elif have.requests > certain.requests + slack.requests:
                most = certain.requests + slack.requests
                excess(builder, f"{where}, in requests", most, have.requests, quiet=quiet)
            elif have.bytes > certain.bytes + slack.bytes:
                most = certain.bytes + slack.bytes
                excess(builder, f"{where}, in bytes", most, have.bytes, quiet=quiet)
    for (customer, network), (certain, possible, have) in sorted(sums.items()):
        rows.append(_tie("graph", f"tenant {customer} · {network}", certain, possible, have))
    return builder.finding("the graph shows what was sent, day by day and network by network")


# --- what is asked besides, and again


def looks(case: Case) -> list[CellInspection]:
    """Where to look, once everything is read: at the logs of what differs."""
    cells = (*case.wrong_cells[:INSPECT_MOST], *case.stray_cells[:INSPECT_MOST])
    return [*log_looks(case), *(inspect_cell(case, key) for key in cells)]


def to_ask_again(case: Case, failed: Collection[str]) -> tuple[list[ApiRequest], list[ApiRequest]]:
    """Questions whose answers may be late: summaries, asked within the fences, and logs.

    `failed` names the checks that do not pass.
    """
    logs, _, *shared = traffic_checks(case.part)
    days = {(key.customer_id, key.day) for key in (*case.wrong_cells, *case.stray_cells)}
    if not set(shared).isdisjoint(failed):
        # What others have is taken off ledgers and graph, and may have grown.
        days |= {(lane.customer_id, lane.day) for lane in case.seen.foreign}
    customers = {customer for customer, _ in days}
    walks = [
        walk.ask
        for walk in case.walks
        if (walk.customer, walk.day) in days or (not walk.day and walk.customer in customers)
    ]
    return walks, logs_to_ask_again(case) if logs in failed else []
