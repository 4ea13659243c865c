"""Deviations that another check explains: a day shifted, a filter or a page, a view that lags."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from trueup.conformance.contract.check_names import DAY, FILTERS, FRESH, MONOTONE, PAGES, RETRIEVE
from trueup.conformance.contract.fields import LOG_FIELDS, agrees
from trueup.conformance.contract.findings import Cell, Deviation, JudgedRequest, RequestFinding
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import NOTHING

__all__ = ["find_healed", "reassign_days", "reassign_field", "reassign_presence"]


def reassign_field(
    model: ContractModel, deviation: Deviation, findings: Sequence[RequestFinding]
) -> Deviation:
    """Return a deviation, reassigned to the retrieve if only the retrieve shows it."""
    if deviation.topic[:1] != ("field",) or "/retrieve/" not in deviation.unit.first.path:
        return deviation
    _, customer, log_id, name = deviation.topic
    for finding in findings:
        if finding.unit.stage != deviation.unit.stage:
            continue
        row = finding.seen_rows.get(("log", customer, log_id))
        record = model.history.records.get((customer, log_id))
        if row is not None and record is not None:
            sent = record.event.value(name)
            if name in LOG_FIELDS and agrees(LOG_FIELDS[name].kind, sent, row.get(name)):
                return replace(deviation, check=RETRIEVE)
    return deviation


def reassign_days(deviations: Sequence[Deviation]) -> list[Deviation]:
    """Return deviations; those whose excess another day lacks concern the day of the request."""
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


def reassign_presence(
    deviations: Sequence[Deviation], findings: Sequence[RequestFinding]
) -> list[Deviation]:
    """Return deviations; rows that another list of the stage shows concern filter or page."""
    shown: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for finding in findings:
        stage, ask = finding.unit.stage, finding.unit.ask
        for resource, customer, name in finding.seen_rows:
            if resource == "log":
                shown[stage, "log", customer, name].add(ask)
        for customer, cell in finding.listed:
            shown[(stage, *cell.topic(customer))].add(ask)
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


def find_healed(
    model: ContractModel, deviations: Sequence[Deviation], findings: Sequence[RequestFinding]
) -> Mapping[int, str]:
    """Return deviations that another read of the stage or a later stage does not show."""
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
            still = [u.op for u in right[question] if not model.history.written_between(u.op, op)]
            if still:
                healed[id(deviation)] = MONOTONE if min(still) < op else FRESH
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
    elif deviation.topic[0] == "cell":  # a view that lags lacks whole events
        want, have = deviation.expected_counts or NOTHING, deviation.seen_counts or NOTHING
        if have.requests >= want.requests:
            return False
    elif deviation.topic[0] == "usage":
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
