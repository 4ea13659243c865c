"""Searches and retrieves of logs: which logs they contain, in which order, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from trueup.conformance.contract.check_names import ERRORS, FILTERS, IMPOSSIBLE, TENANTS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import EventRecord
from trueup.conformance.contract.listing import (
    Listing,
    expect_match,
    expect_order,
    expect_pages,
    expect_slice,
    read_listing,
)
from trueup.conformance.contract.log_rows import compare_log
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import sums_of_logs
from trueup.conformance.rows import Row, as_str, parse_time
from trueup.reports.results import Outcome

__all__ = ["KEPT_FROM", "judge_log_retrieve", "judge_log_search"]

COMPLETE: Final = "logs-are-complete"
SINGLE: Final = "logs-are-single"
KEPT: Final = "logs-are-kept"
REMOVED: Final = "logs-are-removed"
REFUSED: Final = "refused-events-leave-nothing"
RESTART: Final = "events-survive-a-restart"
AGAIN: Final = "redelivered-events-count-once"
KEPT_FROM: Final = timedelta(days=6)
"""Age from which the presence of a log says that it is kept, rather than taken in."""


@dataclass(frozen=True, slots=True)
class _Expected:
    """What may be listed: records that must, and those that may, be there."""

    must: dict[str, EventRecord]
    may: dict[str, EventRecord]
    foreign: bool
    """Whether rows of other users of the account may be there as well."""


def judge_log_search(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, search: SearchRequest
) -> None:
    """Judge `log/search`, in full."""
    listing = read_listing(finding, search, COMPLETE)
    if listing is None:
        return
    listing.leave_out_repeats(_identity)
    expected = _expect(model, unit, search)
    certain = len(expected.must) if not expected.may and not expected.foreign else None
    finding.observed(TENANTS, 1 if _others_match(model, unit, search) else 0)
    least = 0 if model.read_only else len(expected.must)
    expect_pages(finding, listing, search, model.reading, _identity, certain, least)
    expect_order(finding, listing, search)
    if certain is not None and search.order is not None:
        name = search.order.field.name
        expect_slice(
            finding,
            listing.listed(),
            search,
            [model.value(record.event, name) for record in expected.must.values()],
        )
    _judge_rows(model, unit, finding, search, listing, expected)
    if listing.complete and search.of_users:
        users = filter(search.is_of_user, model.history.users_of(unit.customer))
        finding.note_cells("log", users, sums_of_logs(listing.rows))


def _identity(row: Row) -> str:
    return (as_str(row, "log_id") or "").lower()


def _expect(model: ContractModel, unit: JudgedRequest, search: SearchRequest) -> _Expected:
    must: dict[str, EventRecord] = {}
    may: dict[str, EventRecord] = {}
    for record in model.records(unit.customer, search.user):
        if record.impossible:
            continue
        event = record.event
        if not model.reading.log_may_show(event.at, unit.now):
            continue
        outcome = record.outcome(unit.op)
        if outcome is Outcome.REFUSED:
            continue
        matches = search.matches(partial(model.value, event))
        alike = [search.matches(partial(model.value, other)) for other in record.others]
        if matches is False and not any(each is not False for each in alike):
            continue
        sure = (
            matches is True
            and all(each is True for each in alike)
            and _must_show(model, unit, record)
        )
        (must if sure else may)[event.log_id] = record
    return _Expected(
        must=must, may=may, foreign=model.read_only or not model.is_own(search.conditions)
    )


def _must_show(model: ContractModel, unit: JudgedRequest, record: EventRecord) -> bool:
    """Whether the log of an event must be there: accepted, young enough, its user not deleted."""
    event = record.event
    return (
        record.outcome(unit.op) is Outcome.ACCEPTED
        and model.reading.log_must_show(event.at, unit.now)
        and not model.is_removed(record, unit.op)
    )


def _others_match(model: ContractModel, unit: JudgedRequest, search: SearchRequest) -> bool:
    """Whether another customer certainly has a log that the search would show if it were theirs."""
    return any(
        search.matches(partial(model.value, record.event)) is True
        and record.outcome(unit.op) is Outcome.ACCEPTED
        and model.reading.log_must_show(record.event.at, unit.now)
        for letter in model.history.customers
        if letter != unit.customer
        for record in model.records(letter, search.user)
    )


def _judge_rows(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    listing: Listing,
    expected: _Expected,
) -> None:
    where = search.where("log/search")
    filtered = not search.of_users
    counts = Counter(_identity(row) for row in listing.rows)
    for row in listing.rows:
        log_id = _identity(row)
        record = expected.must.get(log_id) or expected.may.get(log_id)
        if record is None:
            _judge_extra(model, unit, finding, search, row, log_id, where, expected)
            continue
        finding.observed(FILTERS if filtered else SINGLE)
        if record.times(unit.op) > 1:
            finding.observed(AGAIN)
        finding.seen_rows["log", unit.customer, log_id] = row
        compare_log(model, finding, unit, row, record, f"{where} · {log_id}")
        if not record.others and search.is_left_out(row, record.event.value):
            finding.deviate(
                FILTERS,
                f"{where} · {log_id}",
                "only rows that match",
                "a row that does not, by what was filled in",
                events=[record.event],
                definite=True,
            )
    for log_id, times in counts.items():
        record = expected.must.get(log_id) or expected.may.get(log_id)
        if times > 1 and record is not None and not _dedup_open(model, record, unit):
            again = record.times(unit.op) > 1
            finding.deviate(
                AGAIN if again else SINGLE,
                f"{where} · {log_id}",
                "1 log",
                f"{times} logs",
                events=[record.event],
                topic=("log", unit.customer, log_id, "twice"),
            )
    if not listing.complete:
        return
    _note_absent(model, unit, finding, search, counts)
    for log_id, record in expected.must.items():
        check = _presence(model, record, unit)
        finding.observed(FILTERS if filtered else check)
        if not counts[log_id]:
            finding.deviate(
                check,
                f"{where} · {log_id}",
                "listed",
                f"not among {len(listing.rows)} rows",
                events=[record.event],
                topic=("log", unit.customer, log_id, "missing"),
                filtered=filtered,
            )


def _note_absent(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    counts: Mapping[str, int],
) -> None:
    """Evidence for refusals: a user's own events are listed, and what was refused is not."""
    if not search.of_users:
        return
    for record in model.history.of_customer(unit.customer):
        if not search.is_of_user(record.event.user):
            continue
        if record.outcome(unit.op) is Outcome.ACCEPTED and not record.impossible:
            if not model.reading.log_may_show(record.event.at, unit.now):
                finding.observed(REMOVED)
            continue
        if not counts:
            continue
        if not record.reached(unit.op) or counts.get(record.event.log_id):
            continue
        if record.impossible:
            finding.observed(IMPOSSIBLE)
        elif record.outcome(unit.op) is Outcome.REFUSED:
            finding.observed(REFUSED)


def _dedup_open(model: ContractModel, record: EventRecord, unit: JudgedRequest) -> bool:
    """Whether an event that was handed over again may leave several logs: nothing was claimed."""
    return "deduplication" not in model.reading.claims and record.times(unit.op) > 1


def _presence(model: ContractModel, record: EventRecord, unit: JudgedRequest) -> str:
    """The check that is tested by the presence of a log at this moment."""
    accepted = record.accepted(unit.op)
    assert accepted is not None
    if unit.now - record.event.at > KEPT_FROM:
        return KEPT
    if any(accepted.op < op < unit.op for op, _ in model.history.restarts):
        return RESTART
    return COMPLETE


def _judge_extra(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    row: Row,
    log_id: str,
    where: str,
    expected: _Expected,
) -> None:
    """A row that is not expected: whose is it, and why should it not be there?"""
    place = f"{where} · {log_id or 'a row without id'}"
    own = model.history.records.get((unit.customer, log_id))
    topic = ("log", unit.customer, log_id, "extra")
    if own is None:
        others = model.history.records_with_id(log_id)
        if others:
            finding.deviate(
                TENANTS,
                place,
                "own rows only",
                "a log of another customer",
                topic=topic,
                events=[next(iter(others.values())).event],
            )
        elif not expected.foreign or (as_str(row, "proxy_user_id") or "").startswith(
            model.history.prefix
        ):
            finding.deviate(COMPLETE, place, "no such log", "a log", topic=topic)
        else:
            finding.foreign += 1
            _judge_foreign(model, unit, finding, search, row, place)
        return
    event = own.event
    if own.impossible or own.outcome(unit.op) is Outcome.REFUSED:
        check = IMPOSSIBLE if own.impossible else REFUSED
        why = own.impossible or "refused"
        finding.deviate(check, place, f"nothing ({why})", "a log", events=[event], topic=topic)
    elif not model.reading.log_may_show(event.at, unit.now):
        seen = f"listed, {_age(unit, event.at)}"
        finding.deviate(REMOVED, place, "gone", seen, events=[event], topic=topic)
    else:
        finding.deviate(
            FILTERS,
            place,
            "only rows that match",
            "a row that does not",
            events=[event],
            topic=topic,
        )


def _judge_foreign(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    row: Row,
    place: str,
) -> None:
    """Compare a row of foreign traffic: it must match the filters and belong to this customer."""
    expect_match(finding, search, row, place)
    number = row.get("customer_id")
    if number is not None and number != model.history.customers.get(unit.customer):
        finding.deviate(TENANTS, place, "own rows only", f"customer {number}", definite=True)
    at = parse_time(row.get("log_request_datetime"))
    if at is not None and not model.reading.log_may_show(at, unit.now):
        finding.deviate(REMOVED, place, "gone", f"listed, {_age(unit, at)}")


def _age(unit: JudgedRequest, at: datetime) -> str:
    """How old a log was when it was asked for, for a person."""
    return f"{(unit.now - at).total_seconds() / 86400:.1f} days old"


def judge_log_retrieve(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, log_id: str
) -> None:
    """Judge `log/retrieve/{log_id}`: served or not, and its values."""
    exchange = unit.first
    record = model.history.records.get((unit.customer, log_id.lower()))
    where = f"log/retrieve/{log_id}"
    topic = ("log", unit.customer, log_id.lower(), "retrieve")
    served = model.served(exchange)
    owners = model.ids.get(("log", log_id), frozenset())
    if record is None and unit.customer in owners:
        return  # not sent by this run, but a search shows it
    if record is None or record.impossible or record.outcome(unit.op) is Outcome.REFUSED:
        if record is not None:
            check = REFUSED
        else:
            others = owners or model.history.records_with_id(log_id)
            check = TENANTS if others else ERRORS
        finding.observed(check)
        if served:
            finding.deviate(check, where, "not served", "served", topic=topic)
        return
    event = record.event
    if not model.reading.log_may_show(event.at, unit.now):
        finding.observed(REMOVED)
        if served:
            seen = f"served, {_age(unit, event.at)}"
            finding.deviate(REMOVED, where, "gone", seen, events=[event], topic=topic)
        return
    if _must_show(model, unit, record):
        check = _presence(model, record, unit)
        finding.observed(check)
        if not served:
            finding.deviate(
                check, where, "served", f"status {exchange.status}", events=[event], topic=topic
            )
    row = model.data(exchange)
    if served and row is not None:
        compare_log(model, finding, unit, row, record, where)
        finding.seen_rows["log retrieved", unit.customer, log_id.lower()] = row
