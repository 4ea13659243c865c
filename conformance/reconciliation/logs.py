"""The logs of fleet or load traffic: listed id by id, or counted in parts and listed in samples.

Every accepted id must be among the logs of a place that is listed whole, and no other id of this
traffic. If there are too many, they are counted by time and network and by proxy user, so that a
lost log and a duplicate do not cancel out, and time slices that the seed chooses are listed. If the
target does not count either, the result is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trueup.conformance.contract.fields import differing_fields
from trueup.conformance.contract.sums import NOTHING, add
from trueup.conformance.model import Event
from trueup.conformance.ports import Slice
from trueup.conformance.reconciliation.case import Case
from trueup.conformance.reconciliation.drilldown import (
    INSPECT_MOST,
    CellInspection,
    Compared,
    compared,
    explained,
    inspect_events,
    second_of,
)
from trueup.conformance.reconciliation.expected import bounds_by_key, minus, total_of, within
from trueup.conformance.reconciliation.finding import Finding, FindingBuilder
from trueup.conformance.reconciliation.plan import (
    PROXIED,
    LogCount,
    all_logs_are_listed,
    counted,
    log_count_request,
)
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, as_str
from trueup.reports.journal.records import Exchange
from trueup.reports.results import TieOut

__all__ = ["judge_logs", "log_inspections", "log_requests_to_repeat"]

_ONE_LOG: Final = "1 log"


def judge_logs(case: Case, rows: list[TieOut]) -> Finding:
    """Return the finding on the logs; add a tie-out row for each tenant whose logs are counted."""
    builder = FindingBuilder(case.observations)
    for slice_, request in case.log_searches:
        _compare_listed(case, builder, slice_, request)
    for count in case.log_counts:
        _compare_count(case, builder, count)
    for request in case.retrieves:
        _compare_retrieved(case, builder, request)
    for customer, letter in sorted(case.letters.items()):
        _compare_total(case, builder, customer, letter, rows)
        if case.part == PROXIED:
            rows += _rows_by_network(case, customer, letter)
    return builder.finding(_summary_of(case))


def _summary_of(case: Case) -> str:
    """Return what was found correct, and how much of it was compared one by one."""
    whole, parts = True, 0
    for letter in case.letters.values():
        whole &= all_logs_are_listed(case.observations, case.events, case.stage, letter)
    if whole:
        return "the logs are the events that were sent, each once and unaltered"
    for slice_, _ in case.log_searches:
        parts += len(case.sent.ids_in([slice_])[0])
    counts = len(case.log_counts)
    return (
        f"the logs are as many as were sent, by time, network and proxy user ({counts} counts); "
        f"{parts} of them, listed, and a sample of retrieves are the events that were sent"
    )


# --- places that are listed


def _suspects(found: Compared) -> list[str]:
    """Return ids that a search missed or showed twice; rows that move between pages do the same."""
    return [*found.lost, *found.doubled]


def _compare_listed(
    case: Case, builder: FindingBuilder, slice_: Slice, request: ApiRequest
) -> None:
    search = builder.paged_result(case.stage, request)
    if search is None:
        return
    found = compared(case, slice_, search.rows)
    builder.observed(found.present + len(found.lost))
    last = search.numbers[-1:]
    for log_id in found.foreign:
        builder.mismatch(f"log {log_id}", "no such event", "a log (foreign)", exchanges=last)
    for log_id, outcome in found.unsent.items():
        what = f"no log ({outcome or 'never sent'})"
        _differs(case, builder, log_id, what, "a log", last)
    for log_id, wrong in found.changed.items():
        for field, was, now in wrong:
            _differs(case, builder, log_id, was, f"{now} (altered)", last, field=field)
    _compare_suspects(case, builder, found, last)


def _compare_suspects(
    case: Case, builder: FindingBuilder, found: Compared, last: tuple[int, ...]
) -> None:
    """Read lost and duplicate logs again, with few other rows; a log that is found is not lost."""
    unsteady = False
    for number, log_id in enumerate(_suspects(found)):
        times, exchanges = found.doubled.get(log_id, 0), last
        if number < INSPECT_MOST:
            (inspection,) = inspect_events(case, [second_of(case.sent, log_id)])
            again = builder.paged_result(case.stage, inspection.request)
            if again is None:
                continue
            near = compared(case, inspection.slice, again.rows)
            times = near.doubled.get(log_id, 0 if log_id in near.lost else 1)
            exchanges = again.numbers[-1:]
        elif unsteady:
            builder.unusable("rows moved between the pages of log/search: others use the tenant")
            return
        if times == 1:
            unsteady = True
        else:
            what = f"{times} logs (doubled)" if times else "no log (lost)"
            _differs(case, builder, log_id, _ONE_LOG, what, exchanges)


def _differs(
    case: Case,
    builder: FindingBuilder,
    log_id: str,
    expected: object,
    seen: object,
    exchanges: Sequence[int],
    *,
    field: str = "",
) -> None:
    event = case.sent.event(log_id)
    builder.mismatch(
        f"log {log_id}" + (f" · {field}" if field else ""),
        expected,
        seen,
        events=[dict(event)] if event else [],
        exchanges=exchanges,
    )


# --- parts that are counted


def _span(case: Case, count: LogCount) -> tuple[int, int]:
    """Return how many logs must and may be in a part, including other traffic of this run."""
    besides = (other.inside(count.slice) for other in case.events.beside)
    certain, possible = total_of([count.span, *besides])
    return certain.requests, possible.requests


def _more(case: Case, count: LogCount) -> tuple[int | None, Exchange | None]:
    """Return how many logs there are above what is possible; negative: too few; None: no count."""
    exchange = case.observations.response(case.stage, count.request)
    total = counted(exchange)
    if total is None:
        return None, exchange
    certain, possible = _span(case, count)
    if within(total, certain, possible):
        return 0, exchange
    return (total - certain if total < certain else total - certain - possible), exchange


def _where(slice_: Slice) -> str:
    part = slice_.proxy_user_id or slice_.network
    return f"tenant {slice_.customer_id} · logs of {part} · {slice_.first} to {slice_.last}"


def _compare_count(case: Case, builder: FindingBuilder, count: LogCount) -> None:
    more, exchange = _more(case, count)
    if more is None or exchange is None:
        number = exchange.n if exchange else 0
        builder.unusable(f"{_where(count.slice)}: the target returned no total_count", number)
        return
    builder.observed()
    certain, possible = _span(case, count)
    if more > 0 and not count.slice.proxy_user_id:
        # Others may be counted too; counts by proxy user contain this traffic alone.
        if more <= sum(_foreign(case, count.slice)):
            return
        if not _alone(case, count.slice):
            builder.unusable(f"{_where(count.slice)}: {more} too many, but others use the tenant")
            return
    if more:
        text, events, shown = _explain(case, count, more)
        builder.mismatch(
            _where(count.slice),
            f"{certain} to {certain + possible}" if possible else f"{certain}",
            f"{counted(exchange)} ({abs(more)} {'too many' if more > 0 else 'lost'}; {text})",
            events=events,
            exchanges=[exchange.n, *shown],
        )


def _foreign(case: Case, slice_: Slice) -> Iterator[int]:
    for network_day, counts in case.seen.foreign.items():
        days = slice_.first[:10] <= network_day.day <= slice_.last[:10]
        if (
            network_day.customer_id == slice_.customer_id
            and network_day.network == slice_.network
            and days
        ):
            yield counts.requests


def _alone(case: Case, slice_: Slice) -> bool:
    """Return whether the summaries show no other user in a part."""
    network_days = [
        network_day
        for network_day in case.events.days
        if network_day.customer_id == slice_.customer_id
        and network_day.network == slice_.network
        and slice_.first[:10] <= network_day.day <= slice_.last[:10]
    ]
    return all(map(case.seen.whole, network_days)) and not any(_foreign(case, slice_))


def _explain(case: Case, count: LogCount, more: int) -> tuple[str, Sequence[Event], Sequence[int]]:
    inspected = [
        inspection
        for inspection in _count_inspections(case, count.slice.customer_id)
        if count.slice.proxy_user_id in ("", inspection.slice.proxy_user_id)
        and count.slice.network in ("", inspection.slice.network)
        and count.slice.first <= inspection.slice.first <= count.slice.last
    ]
    said: list[str] = []
    events: list[Event] = []
    shown: list[int] = []
    for inspection in inspected:
        found = explained(case, inspection, NOTHING._replace(requests=more), exact=False)
        if "is correct" not in found.said:
            said.append(found.said)
            events += found.events
            shown += found.exchanges
    if not inspected:
        said.append("not inspected: too many places differ")
    return "; ".join(dict.fromkeys(said)) or "events not identified", events, shown


def _count_inspections(case: Case, customer: int) -> list[CellInspection]:
    """Return inspections where times and users that differ intersect."""
    users: list[Slice] = []
    times: list[Slice] = []
    for count in case.log_counts:
        if count.slice.customer_id == customer and _more(case, count)[0]:
            (users if count.slice.proxy_user_id else times).append(count.slice)
    if users and times:
        met = [time._replace(proxy_user_id=user.proxy_user_id) for time in times for user in users]
    else:
        met = [*users, *times]
    sizes = case.sent.ids_in(met)
    filled = [each for each, ids in zip(met, sizes, strict=True) if ids]
    return inspect_events(case, filled)


# --- single logs, and the number of all


def _compare_retrieved(case: Case, builder: FindingBuilder, request: ApiRequest) -> None:
    exchange = builder.exchange(case.stage, request)
    if exchange is None:
        return
    log_id = request.path.rsplit("/", 1)[1]
    event = case.sent.event(log_id)
    builder.observed()
    row = case.observations.row(case.stage, request)
    if row is None or event is None:
        _differs(case, builder, log_id, "a log", f"status {exchange.status}", [exchange.n])
        return
    for field, was, now in differing_fields(event, row):
        _differs(case, builder, log_id, was, now, [exchange.n], field=field)


def _compare_total(
    case: Case, builder: FindingBuilder, customer: int, letter: str, rows: list[TieOut]
) -> None:
    """Compare the number of logs in the traffic's days: what was sent, and what others have."""
    observations, expected = case.observations, case.events
    questions = [log_count_request(observations, expected, letter, again) for again in (1, 2)]
    if None in questions:
        return
    answers = [
        observations.response(case.stage, request) for request in questions if request is not None
    ]
    first, last = map(counted, answers)
    if last is None:
        if not all_logs_are_listed(observations, expected, case.stage, letter):
            number = answers[-1].n if answers[-1] else 0
            builder.unusable(
                f"tenant {customer}: the target returned no total_count of its logs, and they are "
                "too many to be listed whole within the budget",
                number,
            )
        return
    certain, possible = expected.total(customer)
    days = {network_day.day for network_day in expected.days if network_day.customer_id == customer}
    own = case.sums.beside_cells.items()
    foreign = [
        each
        for network_day, each in case.seen.foreign.items()
        if network_day.customer_id == customer
    ]
    known = [
        span.certain
        for key, span in own
        if key.customer_id == customer
        and key.day in days
        and (key[:2] in expected.users or not _all_seen(case, customer))
    ]
    others = NOTHING
    for each in (*foreign, *known):
        others = add(others, each)
    seen = minus(NOTHING._replace(requests=last), others).requests
    if case.part != PROXIED:
        rows.append(
            TieOut(
                view="logs",
                scope=f"tenant {customer}",
                expected_requests=certain.requests,
                seen_requests=seen,
                slack_requests=possible.requests,
                ok=within(seen, certain.requests, possible.requests),
            )
        )
    builder.observed()
    where = f"tenant {customer} · number of logs in the traffic's days"
    most = certain.requests + possible.requests
    if seen < certain.requests:
        builder.mismatch(
            where, f"at least {certain.requests}", f"{seen} ({certain.requests - seen} lost)"
        )
    elif seen > most:
        as_counted = case.sums.failed_count and case.sums.empty_count
        stable = first == last and _all_seen(case, customer) and (as_counted or not others.requests)
        excess(builder, where, most, seen, stable=stable)


def _rows_by_network(case: Case, customer: int, letter: str) -> Iterator[TieOut]:
    """Yield a tie-out row for each network of a tenant: of its logs as listed, with their bytes, or
    as counted.
    """
    listed = all_logs_are_listed(case.observations, case.events, case.stage, letter)
    seen = _listed_by_network(case, customer) if listed else _counted_by_network(case, customer)
    spans = bounds_by_key(
        (network_day.network, span)
        for network_day, span in case.events.days.items()
        if network_day.customer_id == customer
    )
    if seen is None:
        return
    for network, (certain, possible) in spans.items():
        requests, size = seen.get(network, (0, 0 if listed else None))
        yield TieOut(
            view="logs",
            scope=case.scope_of(customer, network),
            expected_requests=certain.requests,
            seen_requests=requests,
            slack_requests=possible.requests,
            expected_bytes=certain.bytes if listed else None,
            seen_bytes=size,
            slack_bytes=possible.bytes if listed else 0,
            ok=within(requests, certain.requests, possible.requests)
            and (size is None or within(size, certain.bytes, possible.bytes)),
        )


def _listed_by_network(case: Case, customer: int) -> dict[str, tuple[int, int | None]] | None:
    """Return requests and bytes of the listed logs of this traffic's users; None: not readable."""
    sums: dict[str, tuple[int, int | None]] = {}
    for slice_, request in case.log_searches:
        if slice_.customer_id != customer:
            continue
        search = case.observations.paged_result(case.stage, request)
        if search is None or search.unusable:
            return None
        for row in search.rows:
            network, size = as_str(row, "log_network") or "", as_int(row, "log_total_bytes") or 0
            if (customer, as_str(row, "proxy_user_id")) in case.events.users:
                before, total = sums.get(network, (0, 0))
                sums[network] = (before + 1, (total or 0) + size)
    return sums


def _counted_by_network(case: Case, customer: int) -> dict[str, tuple[int, int | None]] | None:
    """Return how many logs were counted, without those of others; None: not all were."""
    sums: dict[str, tuple[int, int | None]] = {}
    for count in case.log_counts:
        if count.slice.customer_id != customer or not count.slice.network:
            continue
        total = counted(case.observations.response(case.stage, count.request))
        if total is None:
            return None
        besides = total_of(other.inside(count.slice) for other in case.events.beside)
        before, _ = sums.get(count.slice.network, (0, None))
        sums[count.slice.network] = (before + total - besides.certain.requests, None)
    for network_day, counts in case.seen.foreign.items():
        if network_day.customer_id == customer and network_day.network in sums:
            before, _ = sums[network_day.network]
            sums[network_day.network] = (before - counts.requests, None)
    return sums or None


def _all_seen(case: Case, customer: int) -> bool:
    return all(
        case.seen.whole(network_day)
        for network_day in case.events.days
        if network_day.customer_id == customer
    )


def excess(builder: FindingBuilder, where: str, most: int, seen: int, *, stable: bool) -> None:
    """Report more than was sent: a mismatch if nothing changed meanwhile, else inconclusive."""
    if stable:
        builder.mismatch(where, f"at most {most}", f"{seen}")
    else:
        builder.unusable(f"{where}: {seen - most} too many, but others were using the tenant")


# --- inspections and repetitions


def log_inspections(case: Case) -> list[CellInspection]:
    """Return where to inspect what searches and counts found wrong."""
    found: list[CellInspection] = []
    for slice_, request in case.log_searches:
        search = case.observations.paged_result(case.stage, request)
        if search is not None and not search.unusable:
            suspects = _suspects(compared(case, slice_, search.rows))[:INSPECT_MOST]
            found += inspect_events(case, [second_of(case.sent, log_id) for log_id in suspects])
    for customer in case.letters:
        found += _count_inspections(case, customer)
    return found


def log_requests_to_repeat(case: Case) -> list[ApiRequest]:
    """Return the requests for logs whose responses differ from what was sent."""
    again = []
    for slice_, request in case.log_searches:
        builder = FindingBuilder(case.observations)
        _compare_listed(case, builder, slice_, request)
        again += [request] if builder.differences else []
    again += [count.request for count in case.log_counts if _more(case, count)[0]]
    for request in case.retrieves:
        builder = FindingBuilder(case.observations)
        _compare_retrieved(case, builder, request)
        again += [request] if builder.differences else []
    return again
