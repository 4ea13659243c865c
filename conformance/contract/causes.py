"""Causes of deviations: the check that names each cause, and the checks that only follow from it.

A lost event is missing in the logs, the summaries, the ledger, the graph and the account. Each of
these is a deviation; the first is the cause, and the others are attributed to it. A view follows
from another one if it shows exactly what can be computed from what the other one showed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from trueup.conformance.contract.fields import LOG_FIELDS, agrees
from trueup.conformance.contract.findings import (
    Cell,
    Deviation,
    JudgedRequest,
    ListedRows,
    RequestFinding,
)
from trueup.conformance.contract.listing import expect_slice
from trueup.conformance.contract.matching import SearchRequest, values_of
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.presence import find_left_out
from trueup.conformance.contract.sums import NOTHING
from trueup.conformance.rows import Row, as_str
from trueup.reports.results import Counts

__all__ = ["AttributedDeviation", "attribute"]

RETRIEVE: Final = "retrieve-equals-search"
DAY: Final = "day-of-the-request"
FRESH: Final = "events-are-soon-visible"
BACKWARDS: Final = "reads-never-go-backwards"
FILTERS: Final = "filters-are-exact"
PAGES: Final = "pages-are-whole"
BALANCE: Final = "account-equals-ledger"
FIXED: Final = "past-entries-are-fixed"
ERRORS_ARE: Final = "errors-are-the-failed-requests"
CONTENT: Final = "logs-say-what-was-sent"
AGEING: Final = frozenset({"hostnames-are-removed", "summaries-keep-hostnames"})
"""Rows that stand apart too long, or are merged too early: the sums of both forms follow."""
LOG_CHECKS: Final = frozenset(
    {
        "logs-are-complete",
        "logs-are-single",
        "logs-are-kept",
        "events-survive-a-restart",
        "redelivered-events-count-once",
        "refused-events-leave-nothing",
        "impossible-events-are-refused",
        "logs-say-what-was-sent",
        "logs-keep-large-sizes",
    }
)


@dataclass(frozen=True, slots=True)
class AttributedDeviation:
    """A deviation, its check, and the check of its cause if it only follows from another."""

    deviation: Deviation
    check: str
    cause: str = ""
    lag: bool = False
    """Whether it may only be a view that lags: it was asked too soon after a change."""


def attribute(
    model: ContractModel,
    findings: Sequence[RequestFinding],
    bound: timedelta,
    *,
    settled: bool = False,
) -> tuple[list[AttributedDeviation], Mapping[str, int]]:
    """Charge every deviation of a run; `bound` is how long a view may lag after a change.

    `settled`: last attempts count as asked after that time, whenever they were asked.
    Returns them with the comparisons that were made across responses, by check.
    """
    made: Counter[str] = Counter()
    extra = [
        *_retrieves(model, findings, made),
        *_optional_fields(model, findings),
        *_constants(findings, made),
        *_error_counts(model, findings, made),
        *find_left_out(findings, made),
        *_balances(model, findings, made),
        *_beside_whole(model, findings, made),
    ]
    deviations = [d for finding in findings for d in finding.deviations] + extra
    judged = [d for d in deviations if d.unit.last or not _too_soon(model, d.unit, bound)]
    renamed = _days(judged)
    renamed = _presence(renamed, findings)
    renamed = [_content(model, each, findings) for each in renamed]
    healed = _healing(model, renamed, findings)
    causes = _Causes(renamed, findings)
    found = []
    for deviation in renamed:
        check = healed.get(id(deviation), deviation.check)
        cause = causes.of(deviation) if check == deviation.check else ""
        lag = not (deviation.definite or settled) and _too_soon(model, deviation.unit, bound)
        found.append(AttributedDeviation(deviation=deviation, check=check, cause=cause, lag=lag))
    return found, made


def _too_soon(model: ContractModel, unit: JudgedRequest, bound: timedelta) -> bool:
    written = model.history.last_write(unit.op)
    return written is not None and unit.asked_at - written < bound


# --- RETRIEVE: what a retrieve gives is the row that the search gave


def _retrieves(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    searched: dict[tuple[str, str, str, str], tuple[Row, JudgedRequest]] = {}
    for finding in findings:
        for (resource, customer, name), row in finding.seen_rows.items():
            if not resource.endswith(" retrieved"):
                searched[finding.unit.stage, resource, customer, name] = (row, finding.unit)
    found: list[Deviation] = []
    for finding in findings:
        for (resource, customer, name), row in finding.seen_rows.items():
            if not resource.endswith(" retrieved"):
                continue
            resource = resource.removesuffix(" retrieved")
            pair = searched.get((finding.unit.stage, resource, customer, name))
            if pair is None:
                continue
            moving = _written_between(model, pair[1].op, finding.unit.op)
            made[RETRIEVE] += _compare_rows(
                found, finding, resource, name, pair, row, moving=moving
            )
    return found


def _written_between(model: ContractModel, one: int, two: int) -> bool:
    low, high = min(one, two), max(one, two)
    return any(low <= op <= high for op, _ in model.history.writes)


_MOVING: Final = (
    "_bytes",
    "_requests",
    "_used",
    "_left",
    "_update_datetime",
    "_successful",
    "_error",
)


def _compare_rows(
    found: list[Deviation],
    finding: RequestFinding,
    resource: str,
    name: str,
    pair: tuple[Row, JudgedRequest],
    row: Row,
    *,
    moving: bool,
) -> int:
    compared = 0
    before, unit = pair
    usage = str(before.get(f"{resource}_reason")) == "usage"
    for key in before:
        if not _documented(resource, key) or ((moving or usage) and key.endswith(_MOVING)):
            continue
        one, two = before.get(key), row.get(key)
        compared += 1
        if one != two:
            found.append(
                Deviation(
                    check=RETRIEVE,
                    where=f"{resource}/retrieve/{name} · {key}",
                    expected=f"{one!r}, as in the search",
                    seen=repr(two),
                    unit=finding.unit,
                    exchanges=(*unit.numbers[-2:], *finding.unit.numbers[-2:]),
                    topic=("retrieve", finding.unit.customer, name, key),
                    definite=not moving,
                )
            )
    return compared


def _documented(resource: str, key: str) -> bool:
    """Whether a key belongs to the documented object; further keys may be anything."""
    own = key.startswith(f"{resource}_") or key in LOG_FIELDS or key == "service_adjustment_id"
    return own or (resource == "proxy_user" and key in ("ip_address_authentications",))


def _content(
    model: ContractModel, deviation: Deviation, findings: Sequence[RequestFinding]
) -> Deviation:
    """A field that only the retrieve shows wrongly is the retrieve's, not the log's."""
    if deviation.topic[:1] != ("field",) or "/retrieve/" not in deviation.unit.first.path:
        return deviation
    _, customer, log_id, name = deviation.topic
    for finding in findings:
        if finding.unit.stage != deviation.unit.stage:
            continue
        row = finding.seen_rows.get(("log", customer, log_id))
        record = model.history.records.get((customer, log_id))
        if row is not None and record is not None:
            sent = record.event.raw.get(name)
            if name in LOG_FIELDS and agrees(LOG_FIELDS[name].kind, sent, row.get(name)):
                return replace(deviation, check=RETRIEVE)
    return deviation


# --- what never changes once it was seen

_CONSTANT: Final[Mapping[str, tuple[str, ...]]] = {
    "ledger": ("_period_date", "_reason", "_creation_datetime"),
    "ledger entry": ("_bytes", "service_id", "service_adjustment_id", "_requests"),
    "summary": ("_creation_datetime",),
}


def _constants(findings: Sequence[RequestFinding], made: Counter[str]) -> list[Deviation]:
    """Ledger entries of payments never change; a row keeps its own creation time."""
    first: dict[tuple[str, str, str], Row] = {}
    found: list[Deviation] = []
    for finding in findings:
        for key, row in finding.seen_rows.items():
            resource, _, name = key
            check = FIXED if resource.endswith("_ledger") else "summary-times-are-plausible"
            names = _constant_fields(resource, row)
            before = first.setdefault(key, row)
            if not names or before is row or len(row) == 0:
                continue
            made[check] += len(names)
            found += [
                Deviation(
                    check=check,
                    where=f"{resource} · {name} · {each}",
                    expected=f"{before.get(each)!r}, as before",
                    seen=repr(row.get(each)),
                    unit=finding.unit,
                    exchanges=finding.unit.numbers[-4:],
                    definite=True,
                )
                for each in names
                if before.get(each) != row.get(each)
            ]
    return found


def _constant_fields(resource: str, row: Row) -> tuple[str, ...]:
    if resource.endswith("_ledger"):
        names = _CONSTANT["ledger"]
        if row.get(f"{resource}_reason") != "usage":
            names += _CONSTANT["ledger entry"]
        return tuple(n if n.startswith("service") else f"{resource}{n}" for n in names)
    if resource == "proxy_user":
        return ("proxy_user_creation_datetime",)
    if resource == "log_summary" and row.get("log_summary_hostname"):
        return tuple(f"{resource}{n}" for n in _CONSTANT["summary"])
    return ()


# --- filters, orders and pages of what only another response tells


def _beside_whole(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Hold searches of ledgers and proxy users to the whole list that the same stage gave."""
    wholes: dict[tuple[str, str, str], list[tuple[JudgedRequest, SearchRequest, ListedRows]]]
    wholes = defaultdict(list)
    for finding in findings:
        if finding.listing is not None:
            resource, search, listed = finding.listing
            plain = not search.conditions or (resource == "proxy_user" and search.of_users)
            if plain and search.order is None and listed.complete and listed.paged:
                key = (finding.unit.stage, finding.unit.customer, resource)
                wholes[key].append((finding.unit, search, listed))
    found: list[Deviation] = []
    for finding in findings:
        if finding.listing is None:
            continue
        resource, search, listed = finding.listing
        key = (finding.unit.stage, finding.unit.customer, resource)
        whole = next(
            (
                rows
                for unit, other, rows in wholes[key]
                if unit is not finding.unit
                and search.narrows(other)
                and not _written_between(model, unit.op, finding.unit.op)
            ),
            None,
        )
        if whole is not None and not model.shared:
            found += _beside(finding, resource, search, listed, whole, made)
    return found


def _beside(
    finding: RequestFinding,
    resource: str,
    search: SearchRequest,
    listed: ListedRows,
    whole: ListedRows,
    made: Counter[str],
) -> list[Deviation]:
    scratch = RequestFinding(unit=finding.unit)
    key = f"{resource}_id"
    shown = {as_str(row, key) for row in listed.rows}
    matching = [(row, search.matches(values_of(row))) for row in whole.rows]
    sure = [row for row, held in matching if held is True]
    for row in sure if listed.complete else ():
        scratch.observed(FILTERS)
        if as_str(row, key) not in shown:
            where = f"{resource}/search · {search.text} · {as_str(row, key)}"
            scratch.deviate(FILTERS, where, "listed, as without filters", "not listed")
    if len(sure) == len([held for _, held in matching if held is not False]):
        if search.order is not None:
            name = search.order.field.name
            expect_slice(scratch, listed, search, [row.get(name) for row in sure])
        if listed.total is not None and not (resource == "proxy_user" and search.of_users):
            where = f"{resource}/search · {search.text} · total_count"
            scratch.equal(PAGES, where, len(sure), listed.total)
    for check, amount in scratch.evidence.items():
        made[check] += amount
    return scratch.deviations


# --- the account is what its ledger adds up to


def _balances(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Within a stage, what is left and what the ledger adds up to have moved alike."""
    ledgers: dict[tuple[str, str, str], tuple[int, int, JudgedRequest]] = {}
    for finding in findings:
        for (figure, customer, pool), (value, moved) in finding.figures.items():
            if figure == "ledger":
                ledgers[finding.unit.stage, customer, pool] = (value, moved, finding.unit)
    found = []
    for finding in findings:
        for (figure, customer, pool), (value, moved) in finding.figures.items():
            other = ledgers.get((finding.unit.stage, customer, pool))
            if figure != "left" or other is None:
                continue
            total, by, unit = other
            if _written_between(model, unit.op, finding.unit.op):
                continue
            made[BALANCE] += 1
            if moved != by and not any(d.topic[:1] == ("account",) for d in finding.deviations):
                found.append(
                    Deviation(
                        check=BALANCE,
                        where=f"{pool}/summary · left, beside the entries of the ledger",
                        expected=f"{value - moved + by:,} bytes (the entries add up to {total:,})",
                        seen=f"{value:,} bytes",
                        unit=finding.unit,
                        exchanges=(*unit.numbers[-2:], *finding.unit.numbers[-2:]),
                        topic=("balance", customer, pool),
                    )
                )
    return found


# --- what counts as an error: one reading, everywhere


def _error_counts(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Deviations of the counts of errors under the reading that fits most of them."""
    if "success-counts" not in model.reading.claims:
        return []
    wrong: dict[str, list[Deviation]] = defaultdict(list)
    agreed: dict[str, int] = defaultdict(int)
    for finding in findings:
        for reading, answers in finding.split.items():
            for answer in answers:
                if answer is None:
                    agreed[reading] += 1
                else:
                    wrong[reading].append(answer)
    if not wrong and not agreed:
        return []
    best = max({*wrong, *agreed}, key=lambda reading: agreed[reading])
    made[ERRORS_ARE] += agreed[best] + len(wrong[best])
    return wrong[best]


# --- fields that may be left out


def _optional_fields(model: ContractModel, findings: Sequence[RequestFinding]) -> list[Deviation]:
    """A field that a target shows for some rows must be shown for all that have it."""
    shown: dict[str, int] = defaultdict(int)
    for finding in findings:
        for key, optional in finding.optional.items():
            shown[key] += optional.shown
    found: list[Deviation] = []
    sent = _sent_values(model)
    fillers = _fillers(findings)
    for finding in findings:
        for key, optional in finding.optional.items():
            view, _, name = key.partition(".")
            if shown[key] or _promised(model, name, shown):
                for where, value, unit, event in optional.absent:
                    found.append(
                        Deviation(
                            check=_VIEW_CHECKS[view],
                            where=f"{where} · {name}",
                            expected=str(value),
                            seen="nothing",
                            unit=unit,
                            exchanges=unit.numbers[-4:],
                            events=(event,) if event is not None else (),
                            topic=(
                                "field",
                                unit.customer,
                                event.log_id if event is not None else "",
                                name,
                            ),
                            definite=True,
                        )
                    )
            if len(fillers[key]) > 1:
                for value, places in optional.fillers.items():
                    if value in sent.get(name, ()):
                        where, unit = places[0]
                        found.append(
                            Deviation(
                                check=CONTENT,
                                where=f"{where} · {name}",
                                expected="nothing: it was sent without",
                                seen=value,
                                unit=unit,
                                exchanges=unit.numbers[-4:],
                                definite=True,
                            )
                        )
    return found


_VIEW_CHECKS: Final[Mapping[str, str]] = {
    "log": CONTENT,
    "log_summary": "charged-is-metered",
    "account": BALANCE,
    "customer": "customer-equals-account",
    "proxy_user": "used-bytes-are-the-traffic",
}
"""View → check of its fields that a target may leave out everywhere, but not here and there."""


def _promised(model: ContractModel, name: str, shown: Mapping[str, int]) -> bool:
    """Whether the guide promises a field that no row shows."""
    if name == "log_authentication_type":
        return True
    if name == "log_status_code":
        return "status-codes" in model.reading.claims and not shown.get("log.log_error_code")
    return False


def _fillers(findings: Sequence[RequestFinding]) -> Mapping[str, set[str]]:
    """Field → the values that are shown where nothing was sent."""
    found: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        for key, optional in finding.optional.items():
            found[key].update(optional.fillers)
    return found


def _sent_values(model: ContractModel) -> Mapping[str, set[str]]:
    values: dict[str, set[str]] = defaultdict(set)
    for record in model.history.records.values():
        for field, value in record.event.shown:
            if not field.guide and value not in (0, False, True, ""):
                values[field.name].add(repr(value)[:80])
    return values


# --- DAY: what one day lacks another has too much


def _days(deviations: Sequence[Deviation]) -> list[Deviation]:
    groups: dict[tuple[object, ...], list[Deviation]] = defaultdict(list)
    for deviation in deviations:
        key = _day_group(deviation)
        if key is not None:
            groups[key].append(deviation)
    moved: set[int] = set()
    for group in groups.values():
        by_day: Counter[str] = Counter()
        for deviation in group:
            by_day[deviation.topic[-1]] += _more(deviation)
        apart = [more for more in by_day.values() if more]
        if apart and sum(apart) == 0:
            moved |= {id(d) for d in group if by_day[d.topic[-1]]}
    return [replace(d, check=DAY) if id(d) in moved else d for d in deviations]


def _day_group(deviation: Deviation) -> tuple[object, ...] | None:
    if deviation.expected_counts is None or deviation.seen_counts is None:
        return None
    match deviation.topic:
        case ("cell", customer, user, network, _host, _day):
            return (deviation.unit.stage, deviation.unit.ask, customer, user, network)
        case ("usage", customer, pool, _day):
            return (deviation.unit.stage, deviation.unit.ask, customer, pool)
        case _:
            return None


def _more(deviation: Deviation) -> int:
    """By how much more was seen than expected, in requests, else in bytes."""
    want, have = deviation.expected_counts or NOTHING, deviation.seen_counts or NOTHING
    return (have.requests - want.requests) or (have.bytes - want.bytes)


# --- what a listing lacks: lost by the target, by a filter, or by the pages


def _presence(
    deviations: Sequence[Deviation], findings: Sequence[RequestFinding]
) -> list[Deviation]:
    """A row that another listing of the stage shows was lost by this listing's filter or pages."""
    shown: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for finding in findings:
        stage, ask = finding.unit.stage, finding.unit.ask
        for resource, customer, name in finding.seen_rows:
            if resource == "log":
                shown[stage, "log", customer, name].add(ask)
        for customer, cell in finding.listed:
            place = (customer, cell.user, cell.network, cell.hostname, cell.day)
            shown[(stage, "cell", *place)].add(ask)
    found = []
    for deviation in deviations:
        key = _lacking(deviation)
        if key is not None and shown[key] - {deviation.unit.ask}:
            check = FILTERS if deviation.filtered else PAGES
            deviation = replace(deviation, check=check)
        found.append(deviation)
    return found


def _lacking(deviation: Deviation) -> tuple[str, ...] | None:
    """What a listing lacks, as it is named among the rows of other listings."""
    stage = deviation.unit.stage
    match deviation.topic:
        case ("log", customer, log_id, "missing"):
            return (stage, "log", customer, log_id)
        case ("cell", *_) if deviation.seen == "no row":
            return (stage, *deviation.topic)
        case _:
            return None


# --- FRESH and MONOTONE: what mends itself


def _healing(
    model: ContractModel, deviations: Sequence[Deviation], findings: Sequence[RequestFinding]
) -> Mapping[int, str]:
    """Deviations that a read of the same stage does not show, or that a later one has mended."""
    wrong: dict[tuple[str, str], list[Deviation]] = defaultdict(list)
    for deviation in deviations:
        wrong[_question(deviation.unit)].append(deviation)
    right: dict[tuple[str, str], list[JudgedRequest]] = defaultdict(list)
    by_ask: dict[str, list[RequestFinding]] = defaultdict(list)
    for finding in findings:
        by_ask[_plain_ask(finding.unit)].append(finding)
        if not finding.deviations and not finding.unusable:
            right[_question(finding.unit)].append(finding.unit)
    healed: dict[int, str] = {}
    for question, group in wrong.items():
        for deviation in group:
            if deviation.definite or deviation.topic[:1] not in _MENDABLE:
                continue
            op = deviation.unit.op
            still = [u.op for u in right[question] if not _written_between(model, u.op, op)]
            if still:
                healed[id(deviation)] = BACKWARDS if min(still) < op else FRESH
            elif _mended_later(deviation, by_ask):
                healed[id(deviation)] = FRESH
    return healed


_MENDABLE: Final = (("log",), ("cell",), ("usage",), ("graph",), ("used",), ("account",))
"""What a view that lags shows wrongly, and rightly when it is asked again."""


def _plain_ask(unit: JudgedRequest) -> str:
    return unit.ask.partition(" #")[0]


def _question(unit: JudgedRequest) -> tuple[str, str]:
    return unit.stage, _plain_ask(unit)


_LOSSES: Final = ("missing", "retrieve")


def _mended_later(deviation: Deviation, by_ask: Mapping[str, Sequence[RequestFinding]]) -> bool:
    """Whether something was missing that the same request shows at a later stage, rightly."""
    if deviation.topic[0] == "log":
        if deviation.topic[-1] not in _LOSSES:
            return False
    elif deviation.topic[0] in ("cell", "usage"):
        if _more(deviation) >= 0:
            return False
    else:
        return False
    for finding in by_ask[_plain_ask(deviation.unit)]:
        if finding.unit.op <= deviation.unit.op or finding.unusable:
            continue
        if finding.unit.stage != deviation.unit.stage and _shows(finding, deviation.topic):
            return all(d.topic != deviation.topic for d in finding.deviations)
    return False


def _shows(finding: RequestFinding, topic: tuple[str, ...]) -> bool:
    """Whether a finding tells of what a topic names: the log, the cell, the usage of the day."""
    match topic:
        case ("log", customer, log_id, _):
            return ("log", customer, log_id) in finding.seen_rows
        case ("cell", customer, user, network, host, day):
            cells = finding.seen_cells.get(("log_summary", customer, user), {})
            return Cell(user, network, host, day) in cells
        case ("usage", _, _, _):
            return "ledger-usage-is-the-traffic" in finding.evidence
        case _:
            return False


# --- causes


class _Causes:
    """Looks a deviation's cause up among the views that it is computed from."""

    def __init__(self, deviations: Sequence[Deviation], findings: Sequence[RequestFinding]) -> None:
        self._cells: dict[tuple[str, str, Cell], tuple[Counts, Counts, str]] = {}
        self._logs: dict[tuple[str, str, str], str] = {}
        self._log_cells: dict[tuple[str, str], Mapping[Cell, Counts]] = {}
        self._usage: dict[tuple[str, str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
        self._listing: dict[tuple[int, ...], str] = {}
        self._paid: dict[tuple[str, str, str], str] = {}
        self._aged: dict[tuple[str, ...], str] = {}
        for finding in findings:
            for (view, customer, user), cells in finding.seen_cells.items():
                if view == "log":
                    self._log_cells[f"{finding.unit.stage} {customer}", user] = cells
        for deviation in deviations:
            self._note(deviation)

    def _note(self, deviation: Deviation) -> None:
        stage = deviation.unit.stage
        numbers = deviation.unit.numbers
        if deviation.check != PAGES and deviation.topic and (deviation.topic[0] in ("log", "cell")):
            self._listing.setdefault(numbers, deviation.check)
        match deviation.topic:
            case ("log", customer, _, _):
                for event in deviation.events:
                    if deviation.check in LOG_CHECKS:
                        self._logs.setdefault((stage, customer, event.user), deviation.check)
            case (
                "field",
                customer,
                _,
                "log_total_bytes"
                | "log_network"
                | "log_hostname"
                | "log_request_datetime"
                | "proxy_user_id",
            ):
                for event in deviation.events:
                    self._logs.setdefault((stage, customer, event.user), deviation.check)
            case ("cell", customer, user, network, _, day) if deviation.check in AGEING:
                self._aged[stage, customer, user, network, day] = deviation.check
            case ("cell", customer, user, network, host, day):
                cell = Cell(user, network, host, day)
                self._cells[stage, customer, cell] = (
                    deviation.expected_counts or NOTHING,
                    deviation.seen_counts or NOTHING,
                    deviation.check,
                )
            case ("usage", customer, pool, day):
                self._usage[stage, customer, pool][day] = (_more_bytes(deviation), deviation.check)
            case ("payment", customer, pool, _):
                self._paid.setdefault((stage, customer, pool), deviation.check)
            case _:
                pass

    def of(self, deviation: Deviation) -> str:
        """The check that names its cause; empty where it is one itself."""
        stage = deviation.unit.stage
        if deviation.check == PAGES and not deviation.topic:
            return self._listing.get(deviation.unit.numbers, "")
        match deviation.topic:
            case ("cell", customer, user, network, host, day):
                aged = self._aged.get((stage, customer, user, network, day), "")
                if aged and deviation.check not in AGEING:
                    return aged
                return self._cell_cause(deviation, stage, customer, Cell(user, network, host, day))
            case ("usage", customer, pool, day):
                return self._sum_cause(deviation, stage, customer, network=pool, day=day)
            case ("used", customer, user, pool):
                return self._sum_cause(deviation, stage, customer, network=pool, user=user)
            case ("account" | "customer", customer, pool):
                usage = self._usage.get((stage, customer, pool), {})
                paid = self._paid.get((stage, customer, pool), "")
                return next((check for _, check in usage.values()), paid)
            case ("graph", customer, user, network, bucket):
                return self._sum_cause(
                    deviation, stage, customer, network=network, user=user, day=bucket[:10]
                )
            case ("retrieve", _, _, _):
                return ""
            case _:
                return ""

    def _cell_cause(self, deviation: Deviation, stage: str, customer: str, cell: Cell) -> str:
        """A sum that is exactly what the logs of its stage add up to is as wrong as they are."""
        logs = self._log_cells.get((f"{stage} {customer}", cell.user))
        check = self._logs.get((stage, customer, cell.user), "")
        if logs is None or not check or deviation.seen_counts is None or not cell.hostname:
            return ""
        shown = logs.get(cell, NOTHING)
        same = shown[:2] == deviation.seen_counts[:2]
        return check if same else ""

    def _sum_cause(
        self,
        deviation: Deviation,
        stage: str,
        customer: str,
        *,
        network: str = "",
        user: str = "",
        day: str = "",
    ) -> str:
        """A sum that is wrong by as much as the summaries that it adds up follows from them."""
        wrong = [
            (have.bytes - want.bytes, have.requests - want.requests, check)
            for (at, of, cell), (want, have, check) in self._cells.items()
            if at == stage
            and of == customer
            and (not network or cell.network == network)
            and (not user or cell.user == user)
            and (not day or cell.day.startswith(day))
        ]
        if not wrong:
            return ""
        if sum(each[0] for each in wrong) == _more_bytes(deviation):
            return wrong[0][2]
        return ""


def _more_bytes(deviation: Deviation) -> int:
    want, have = deviation.expected_counts or NOTHING, deviation.seen_counts or NOTHING
    return have.bytes - want.bytes


def checks_of(attributed: Iterable[AttributedDeviation]) -> Mapping[str, list[AttributedDeviation]]:
    """Return deviations by the check to which they are attributed."""
    found: dict[str, list[AttributedDeviation]] = defaultdict(list)
    for each in attributed:
        found[each.check].append(each)
    return found
