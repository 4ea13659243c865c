"""Comparison of fleet and load traffic with what a target reports.

`judge_traffic` is pure: it takes expected cells and recorded responses, and returns verdicts and
tie-out rows. Events of unknown outcome widen what is expected. Traffic of others on the same tenant
is recognised by its proxy users; if only totals are known, an excess is inconclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import Final, NamedTuple

from trueup.conformance import requests
from trueup.conformance.contract.account_states import usage_by_day
from trueup.conformance.contract.sums import NOTHING, add
from trueup.conformance.model import POOLS
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
from trueup.conformance.reconciliation.expected import Bounds, NetworkDay, minus, within
from trueup.conformance.reconciliation.finding import Finding, FindingBuilder
from trueup.conformance.reconciliation.logs import (
    excess,
    judge_logs,
    log_inspections,
    log_requests_to_repeat,
)
from trueup.conformance.reconciliation.plan import graph_requests
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int
from trueup.reports.journal.records import Record
from trueup.reports.results import CellKey, CheckResult, Counts, Impact, TieOut

__all__ = [
    "PARTS",
    "PARTS_BEFORE_CHECKS",
    "inspections",
    "judge_case",
    "judge_traffic",
    "requests_to_repeat",
    "traffic_checks",
]

PARTS_BEFORE_CHECKS: Final = ("fleet", "proxied")
"""Traffic that is sent before the checks run, as `Delivered.source` names it."""
PARTS: Final = (*PARTS_BEFORE_CHECKS, "load")
"""All traffic that can be reconciled."""
_VIEWS: Final = (
    ("logs", "LOG=SENT", "The logs are the events that were sent, each once."),
    ("summaries", "SUM=LOG", "The summaries add up to what was sent, cell by cell."),
    ("ledgers", "LEDGER=SUM", "The ledgers' usage rises by the metered bytes that were sent."),
    ("graph", "GRAPH=SENT", "The graph shows what was sent, network by network."),
)

_KEPT: Final = timedelta(days=6)
"""Logs that are younger than this must all exist."""


def traffic_checks(part: str) -> tuple[str, ...]:
    """Return the names of a part's checks for the journal's header: `fleet-logs-equal-sent` …"""
    return tuple(f"{part}-{view}-equal-sent" for view, _, _ in _VIEWS)


def judge_traffic(
    records: Iterable[Record], sent: SentTraffic, part: str
) -> tuple[list[CheckResult], list[TieOut]]:
    """Return verdicts and tie-out rows of one part, from records and what was sent.

    Both are empty if the records contain no reconciliation of that part.
    """
    observations = Observations(records, part=part)
    if observations.plan is None:
        return [], []
    return judge_case(Case.of(observations, sent, part))


def judge_case(case: Case) -> tuple[list[CheckResult], list[TieOut]]:
    """Return verdicts and tie-out rows of one case."""
    rows: list[TieOut] = []
    judges: tuple[Callable[[Case, list[TieOut]], Finding], ...] = (
        judge_logs,
        _summaries,
        _ledgers,
        _graph,
    )
    results = [
        judge(case, rows).result(name=name, law=law, title=title, impact=Impact.UNDER_CHARGE)
        for name, (_, law, title), judge in zip(
            traffic_checks(case.part), _VIEWS, judges, strict=True
        )
    ]
    return results, rows


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
        place = key.customer_id, key.network
        sums[place] = list(map(add, sums[place], (certain, possible, have)))
        builder.observed()
        if (have.successful or have.error) and not possible.requests and case.expect_equal(key):
            _compare_statuses(builder, key, certain, have, seen.where.get(key, 0))
    for number, key in enumerate(case.wrong_cells):
        _compare_cell(case, builder, key, looked=number < INSPECT_MOST)
    for key in case.unexpected_cells[:INSPECT_MOST]:
        _compare_unexpected_cell(case, builder, key)
    for customer, cells in unseen.items():
        builder.unusable(
            f"tenant {customer}: a sample was read and {cells} cells were not: too many for the "
            "budget; raise `budget.requests` if the target allows it"
        )
    for (customer, network), (certain, possible, have) in sorted(sums.items()):
        scope = case.scope_of(customer, network)
        rows.append(_tie("summaries", scope, certain, possible, have))
    return builder.finding(
        "every cell of every proxy user equals what was sent"
        + (
            "; adjacent days could not be read completely"
            if _adjacent_days_are_incomplete(case)
            else ""
        )
    )


def _adjacent_days_are_incomplete(case: Case) -> bool:
    """Return whether some adjacent day was not read completely."""
    return any(
        search.beside and (search.customer, search.day, "", "") not in case.seen.read_parts
        for search in case.searches
    )


def _place(key: CellKey) -> str:
    return (
        f"tenant {key.customer_id} · {key.proxy_user_id} · {key.network} · {key.hostname} · "
        f"{key.day}"
    )


def _compare_cell(case: Case, builder: FindingBuilder, key: CellKey, *, looked: bool) -> None:
    """Report what is wrong with a cell that differs from what was sent."""
    certain, possible = case.span(key)
    have = case.seen.own.get(key, NOTHING)
    found = Explained(said="its logs were not inspected: too many cells differ")
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


def _compare_unexpected_cell(case: Case, builder: FindingBuilder, key: CellKey) -> None:
    """Report a cell on another day, unless it belongs to an earlier run."""
    inspection = inspect_cell(case, key)
    search = case.observations.paged_result(case.stage, inspection.request)
    if search is None or search.unusable:
        return
    have = minus(case.seen.own[key], case.span(key).certain).requests
    ours = [id_of(row) for row in search.rows if case.sent.event(id_of(row)) is not None]
    foreign = len(search.rows) - len(ours)
    if have <= foreign or (not search.rows and key.day < _kept_since(case)):
        return
    of_which = f"; of which sent by this run: {', '.join(ours[:3])}" if ours else "; without logs"
    builder.observed()
    builder.mismatch(
        _place(key),
        f"{foreign} requests of others; nothing was sent for that day",
        f"{case.seen.own[key].requests} requests{of_which}",
        exchanges=[case.seen.where[key], *search.numbers[-1:]],
    )


def _kept_since(case: Case) -> str:
    """Return the first day whose logs must all exist."""
    return f"{case.observations.context.now - _KEPT:%Y-%m-%d}"


def _compare_statuses(
    builder: FindingBuilder, key: CellKey, certain: Counts, have: Counts, number: int
) -> None:
    """Compare successful + error with requests; what counts as an error is a reading."""
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
    return "as many as sent, with other amounts"


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
    search = case.observations.paged_result(case.stage, requests.ledger(pool, again, letter))
    if search is None or search.unusable:
        return None
    return usage_by_day(search.rows, pool)


def _network_days(case: Case, customer: int, network: str) -> list[tuple[NetworkDay, Bounds]]:
    network_days = case.sums.days.items()
    return sorted(
        (network_day, span)
        for network_day, span in network_days
        if network_day[:2] == (customer, network)
    )


def _unknown_others(case: Case, builder: FindingBuilder, network_day: NetworkDay) -> None:
    """Note that, if only a sample was read, traffic of others may hide a loss."""
    if not case.seen.whole(network_day):
        builder.unusable(
            f"tenant {network_day.customer_id} · {network_day.network} · {network_day.day}: "
            "traffic of others is not known, because not all summaries could be read"
        )


def _ledgers(case: Case, rows: list[TieOut]) -> Finding:
    """Compare, day by day, the metered bytes that were sent and those of others."""
    builder = FindingBuilder(case.observations)
    for customer, letter in sorted(case.letters.items()):
        for pool in POOLS:
            mine = _network_days(case, customer, pool)
            if not mine or pool not in case.observations.context.claims:
                continue
            first, last = (_usage(case, again, pool, letter) for again in (1, 2))
            if last is None:
                builder.unusable(f"the {pool} ledger could not be read")
                continue
            sums = [0, 0, 0]
            for network_day, (certain, possible) in mine:
                others = case.others(network_day)
                seen = last.get(network_day.day, 0) - others.certain.bytes
                slack = possible.bytes + others.possible.bytes
                sums = [sums[0] + certain.bytes, sums[1] + slack, sums[2] + seen]
                builder.observed()
                _unknown_others(case, builder, network_day)
                where = f"tenant {customer} · {pool} ledger · usage of {network_day.day}, in bytes"
                if seen < certain.bytes:
                    builder.mismatch(where, f"at least {certain.bytes}", seen)
                elif seen > certain.bytes + slack:
                    stable = first == last and case.seen.whole(network_day)
                    excess(builder, where, certain.bytes + slack, seen, stable=stable)
            rows.append(
                TieOut(
                    view=f"{pool}_ledger",
                    scope=case.ledger_scope_of(customer, pool),
                    expected_bytes=sums[0],
                    seen_bytes=sums[2],
                    slack_bytes=sums[1],
                    ok=within(sums[2], sums[0], sums[1]),
                )
            )
            _account(case, builder, (customer, pool, letter), tuple(sums), rows)
    return builder.finding("the ledgers equal the metered bytes that were sent")


def _account(
    case: Case,
    builder: FindingBuilder,
    place: tuple[int, str, str],
    usage: tuple[int, ...],
    rows: list[TieOut],
) -> None:
    """Compare by how much an account's used bytes rose, where they were read before the traffic.

    `place` is tenant, pool and letter. `usage` is what the ledger's usage must rise by, by how much
    more it may, and by how much it did. What others used is in the account as it is in the ledger.
    """
    customer, pool, letter = place
    certain, slack, in_ledger = usage
    before = _used(case, case.baseline_stage, pool, 0, letter)
    first, last = (_used(case, case.stage, pool, again, letter) for again in (1, 2))
    if before is None or last is None:
        return
    seen = (last.account - before.account) - (last.ledger - before.ledger - in_ledger)
    ok = within(seen, certain, slack)
    rows.append(
        TieOut(
            view="account",
            scope=case.ledger_scope_of(customer, pool),
            expected_bytes=certain,
            seen_bytes=seen,
            slack_bytes=slack,
            ok=ok,
        )
    )
    builder.observed()
    if ok or not within(in_ledger, certain, slack):
        return
    where = f"tenant {customer} · {pool} account · bytes used, more than before the traffic"
    if first == last:
        builder.mismatch(where, f"{certain} to {certain + slack}" if slack else certain, seen)
    else:
        builder.unusable(f"{where}: others were using the tenant")


class _Used(NamedTuple):
    """Bytes of a pool that an account and its ledger show as used, read together."""

    account: int
    ledger: int


def _used(case: Case, stage: str, pool: str, again: int, letter: str) -> _Used | None:
    """Return what an account and its ledger show; None where one of them could not be read."""
    account = case.observations.row(stage, requests.account(pool, again, letter))
    used = as_int(account, f"{pool}_bytes_used") if account is not None else None
    search = case.observations.paged_result(stage, requests.ledger(pool, again, letter))
    if used is None or search is None or search.unusable:
        return None
    return _Used(used, sum(usage_by_day(search.rows, pool).values()))


def _graph(case: Case, rows: list[TieOut]) -> Finding:
    """Compare, day by day and network by network, what was sent and what others have."""
    builder = FindingBuilder(case.observations)
    sums: dict[tuple[int, str], list[Counts]] = defaultdict(lambda: [NOTHING] * 3)
    firsts = graph_requests(case.observations, case.events, 1)
    lasts = graph_requests(case.observations, case.events, 2)
    for (request, network), (early, _) in zip(lasts, firsts, strict=True):
        customer = case.observations.context.customers[request.tenant]
        points, exchange, trouble = case.observations.points(case.stage, request)
        if trouble or exchange is None:
            builder.unusable(trouble)
            continue
        still = case.observations.points(case.stage, early)[0] == points
        shown: dict[str, Counts] = defaultdict(lambda: NOTHING)
        for point in points:
            if point.at is not None:
                day = point.at.strftime("%Y-%m-%d")
                shown[day] = add(shown[day], Counts(point.requests, point.bytes, 0, 0))
        for network_day, (certain, possible) in _network_days(case, customer, network):
            others = case.others(network_day)
            stable = still and case.seen.whole(network_day)
            slack = add(possible, others.possible)
            have = minus(shown[network_day.day], others.certain)._replace(successful=0, error=0)
            sums[customer, network] = list(
                map(add, sums[customer, network], (certain, slack, have))
            )
            builder.observed()
            _unknown_others(case, builder, network_day)
            where = f"tenant {customer} · graph of {network} · {network_day.day}"
            if have.requests < certain.requests or have.bytes < certain.bytes:
                seen = f"{have.requests} requests, {have.bytes} bytes"
                builder.mismatch(where, _range(certain, slack), seen, exchanges=[exchange.n])
            elif have.requests > certain.requests + slack.requests:
                most = certain.requests + slack.requests
                excess(builder, f"{where}, in requests", most, have.requests, stable=stable)
            elif have.bytes > certain.bytes + slack.bytes:
                most = certain.bytes + slack.bytes
                excess(builder, f"{where}, in bytes", most, have.bytes, stable=stable)
    for (customer, network), (certain, possible, have) in sorted(sums.items()):
        rows.append(_tie("graph", case.scope_of(customer, network), certain, possible, have))
    return builder.finding("the graph shows what was sent, day by day and network by network")


# --- inspections and repetitions


def inspections(case: Case) -> list[CellInspection]:
    """Return which logs to inspect after everything was read: those of what differs."""
    cells = (*case.wrong_cells[:INSPECT_MOST], *case.unexpected_cells[:INSPECT_MOST])
    return [*log_inspections(case), *(inspect_cell(case, key) for key in cells)]


def requests_to_repeat(
    case: Case, failed: Collection[str]
) -> tuple[list[ApiRequest], list[ApiRequest]]:
    """Return requests whose responses may be late: summaries, between snapshots, and logs.

    `failed` names the checks that do not pass.
    """
    logs, _, *shared = traffic_checks(case.part)
    days = {(key.customer_id, key.day) for key in (*case.wrong_cells, *case.unexpected_cells)}
    if not set(shared).isdisjoint(failed):
        # Traffic of others is subtracted from ledgers and graph, and may have grown.
        days |= {(network_day.customer_id, network_day.day) for network_day in case.seen.foreign}
    customers = {customer for customer, _ in days}
    searches = [
        search.request
        for search in case.searches
        if (search.customer, search.day) in days
        or (not search.day and search.customer in customers)
    ]
    return searches, log_requests_to_repeat(case) if logs in failed else []
