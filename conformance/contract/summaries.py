"""Searches and retrieves of log summaries: which rows they contain, and in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.check_names import (
    EQUAL,
    ERRORS,
    FILTERS,
    HOSTS_KEPT,
    IMPOSSIBLE,
    OF_HOSTNAMES,
    REMOVED,
    TENANTS,
)
from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import Cell, JudgedRequest, RequestFinding
from trueup.conformance.contract.listing import (
    Listing,
    expect_match,
    expect_order,
    expect_pages,
    expect_slice,
    read_listing,
)
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import ContractModel, day_start
from trueup.conformance.contract.summary_candidates import (
    SummaryCandidate,
    find_candidates,
    identity_of,
    sort_values_of,
)
from trueup.conformance.contract.summary_rows import judge_group, sum_check
from trueup.conformance.contract.sums import NOTHING, CellSum, show, summary_cell, sums_of_summaries
from trueup.conformance.rows import Row, as_int, as_str, parse_time, same_hostname

__all__ = ["SUMMARY_FIELDS", "judge_summary_retrieve", "judge_summary_search"]


def _field(kind: FieldKind, *names: str, filterable: bool = True) -> list[ApiField]:
    return [ApiField(name=f"log_summary_{n}", kind=kind, filterable=filterable) for n in names]


SUMMARY_FIELDS: Final[Mapping[str, ApiField]] = MappingProxyType(
    {
        field.name: field
        for field in (
            ApiField(name="proxy_user_id", kind=FieldKind.TEXT),
            ApiField(name="customer_id", kind=FieldKind.WHOLE, filterable=False),
            *_field(FieldKind.IDENTIFIER, "id"),
            *_field(FieldKind.TEXT, "network"),
            *_field(FieldKind.HOSTNAME, "hostname"),
            *_field(FieldKind.WHOLE, "requests", "bytes", "successful", "error"),
            *_field(FieldKind.TIME, "period", "creation_datetime", "last_update_datetime"),
        )
    }
)


def judge_summary_search(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, search: SearchRequest
) -> None:
    """Judge `log_summary/search`, in full."""
    listing = read_listing(finding, search, EQUAL)
    if listing is None:
        return
    listing.leave_out_repeats(identity_of)
    foreign = model.read_only or not model.is_own(search.conditions)
    candidates = find_candidates(model, unit, search)
    open_ended = foreign or any(
        not each.must or len(each.total.spellings) > 1 for each in candidates.values()
    )
    certain = None if open_ended else len(candidates)
    least = 0 if model.read_only else sum(each.must for each in candidates.values())
    expect_pages(finding, listing, search, model.reading, identity_of, certain, least)
    expect_order(finding, listing, search)
    if certain is not None:
        expect_slice(finding, listing.listed(), search, sort_values_of(search, candidates))
    _judge_rows(model, unit, finding, search, listing, candidates, foreign=foreign)
    if listing.complete and search.of_users:
        others = (user for letter, user in model.history.by_user if letter != unit.customer)
        finding.observed(TENANTS, 1 if any(map(search.is_of_user, others)) else 0)
        users = filter(search.is_of_user, model.history.users_of(unit.customer))
        finding.note_cells("log_summary", users, sums_of_summaries(listing.rows))


def _judge_rows(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    listing: Listing,
    candidates: Mapping[Cell, SummaryCandidate],
    *,
    foreign: bool,
) -> None:
    where = search.where("log_summary/search")
    plain = search.of_users
    groups: dict[Cell, list[Row]] = defaultdict(list)
    for row in listing.rows:
        finding.seen_rows["log_summary", unit.customer, identity_of(row)] = row
        cell = summary_cell(row)
        if foreign and not model.is_own_name(row):
            finding.foreign += 1
            _judge_foreign(model, unit, finding, search, row, f"{where} · {cell}")
        else:
            groups[cell].append(row)
            finding.listed.add((unit.customer, cell))
            if not plain:
                finding.observed(FILTERS)
    for cell, rows in groups.items():
        candidate = candidates.get(cell)
        if candidate is None:
            _judge_extra(model, unit, finding, cell, rows, where)
            continue
        whole = len(candidate.total.spellings) < 2 or (listing.complete and _keeps_cells(search))
        judge_group(model, unit, finding, candidate, rows, f"{where} · {cell}", whole=whole)
    if not listing.complete:
        return
    for cell, candidate in candidates.items():
        if cell in groups or not candidate.must:
            continue
        finding.deviate(
            sum_check(model, unit, cell, candidate.total),
            f"{where} · {cell}",
            candidate.total.text(),
            "no row",
            events=candidate.total.certain,
            topic=cell.topic(unit.customer),
            counts=(candidate.total.counts(), NOTHING),
            filtered=not plain,
        )


def _keeps_cells(search: SearchRequest) -> bool:
    """Whether the filters keep or leave out all spellings of a hostname together."""
    kept = ("proxy_user_id", "log_summary_network", "log_summary_period")
    return all(condition.field.name in kept for condition in search.conditions)


def _judge_extra(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    cell: Cell,
    rows: Sequence[Row],
    where: str,
) -> None:
    """Rows of a cell that nothing accounts for, or that the filters should keep out."""
    place = f"{where} · {cell}"
    topic = cell.topic(unit.customer)
    seen = sums_of_summaries(rows).get(cell, NOTHING)
    cells = model.cells(unit.customer, cell.user, unit.op)
    if not model.knows(unit.customer, cell.user, cell.day):
        return
    known = cells.get(cell)
    same_day = [c for c in cells if (c.network, c.day) == (cell.network, cell.day)]
    if known is not None or (not cell.hostname and same_day):
        day = day_start(cell.day)
        if cell.hostname and not model.reading.hostname_may_show(
            day, model.created(cell, unit.customer, unit.op), unit.now
        ):
            finding.deviate(REMOVED, place, "no hostname", cell.hostname, topic=topic)
        elif not cell.hostname and model.reading.hostname_must_show(day, unit.now):
            finding.deviate(HOSTS_KEPT, place, "its hostname", "none", topic=topic)
        else:
            finding.deviate(
                FILTERS, place, "only rows that match", "a row that does not", topic=topic
            )
        return
    impossible = [
        record
        for record in model.history.by_user.get((unit.customer, cell.user), ())
        if record.impossible
        and (record.event.network, record.event.hostname) == (cell.network, cell.hostname)
    ]
    if impossible:
        finding.deviate(
            IMPOSSIBLE,
            place,
            f"nothing ({impossible[0].impossible})",
            show(seen),
            events=[r.event for r in impossible],
            topic=topic,
        )
        return
    if (unit.customer, cell.user) not in model.history.by_user and any(
        (letter, cell.user) in model.history.by_user for letter in model.history.customers
    ):
        finding.deviate(TENANTS, place, "own rows only", show(seen), topic=topic)
        return
    check = EQUAL
    if cell.hostname and any(same_hostname_loose(cell.hostname, c.hostname) for c in same_day):
        check = OF_HOSTNAMES
    finding.deviate(check, place, "no row", show(seen), topic=topic, counts=(NOTHING, seen))


def same_hostname_loose(one: str, two: str) -> bool:
    """Return whether one name ends with the other, so that it may have been cut to it."""
    return same_hostname(one, two) or one.endswith(f".{two}") or two.endswith(f".{one}")


def _judge_foreign(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    row: Row,
    where: str,
) -> None:
    expect_match(finding, search, row, where)
    number = as_int(row, "customer_id")
    if number is not None and number != model.customer_number(unit.customer):
        finding.deviate(TENANTS, where, "own rows only", f"customer {number}", definite=True)
    at = parse_time(row.get("log_summary_period"))
    host = as_str(row, "log_summary_hostname")
    if at is not None and host and not model.reading.hostname_may_show(at, at, unit.now):
        created = parse_time(row.get("log_summary_creation_datetime")) or unit.now
        if not model.reading.hostname_may_show(at, created, unit.now):
            finding.deviate(REMOVED, where, "no hostname", host)


def judge_summary_retrieve(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, summary_id: str
) -> None:
    """Judge `log_summary/retrieve/{id}`."""
    exchange = unit.first
    served = model.served(exchange)
    where = f"log_summary/retrieve/{summary_id}"
    owners = model.ids.get(("log_summary", summary_id), frozenset())
    if unit.customer not in owners:
        check = TENANTS if owners else ERRORS
        finding.compare_refusal(check, where, served=served)
        return
    row = model.data(exchange)
    if not served or row is None:
        return
    finding.seen_rows["log_summary retrieved", unit.customer, summary_id] = row
    if not model.is_own_name(row):
        return
    cell = summary_cell(row)
    sums = model.cells(unit.customer, cell.user, unit.op)
    total = sums.get(cell)
    if not cell.hostname:
        same_day = [
            one
            for other, one in sums.items()
            if (other.network, other.day) == (cell.network, cell.day)
        ]
        total = CellSum.of(same_day) if same_day else None
    if total is None:
        if model.knows(unit.customer, cell.user, cell.day):
            finding.deviate(EQUAL, f"{where} · {cell}", "no row", "a row")
        return
    if cell.hostname and not model.reading.hostname_may_show(
        day_start(cell.day), model.created(cell, unit.customer, unit.op), unit.now
    ):
        finding.deviate(REMOVED, f"{where} · {cell}", "no hostname", cell.hostname)
    if len(total.spellings) < 2:
        candidate = SummaryCandidate(cell=cell, total=total, must=True)
        judge_group(model, unit, finding, candidate, [row], f"{where} · {cell}", whole=True)
