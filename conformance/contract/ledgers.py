"""Ledgers of a pool: entries of usage and of payments, their sums, retrieves and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.account_states import (
    AccountState,
    AccountStates,
    day_of_entry,
    is_usage,
    moved_by_others,
    own_usage,
    usage_by_day,
)
from trueup.conformance.contract.check_names import (
    DAY,
    ERRORS,
    FILTERS,
    FIXED,
    LEDGER_KEPT,
    LEDGER_TIMES,
    RETRIEVE,
    TENANTS,
)
from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.ledger_payments import judge_payments
from trueup.conformance.contract.listing import (
    Listing,
    expect_distinct,
    expect_match,
    expect_order,
    expect_pages,
    read_listing,
)
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.rows import Row, as_int, as_str, day_of, parse_time

__all__ = ["judge_ledger_retrieve", "judge_ledger_search", "ledger_fields"]

USAGE: Final = "ledger-usage-is-the-traffic"
ONE_ROW: Final = "one-usage-entry-a-day"
SIGN: Final = "usage-takes-away"


def ledger_fields(pool: str) -> Mapping[str, ApiField]:
    """Return the documented fields of a pool's ledger, by name."""
    name = f"{pool}_ledger_"
    rows = (
        ApiField(name=f"{name}id", kind=FieldKind.IDENTIFIER),
        ApiField(name="service_id", kind=FieldKind.TEXT),
        ApiField(name="service_adjustment_id", kind=FieldKind.WHOLE),
        ApiField(name="customer_id", kind=FieldKind.WHOLE, filterable=False),
        ApiField(name=f"{name}reason", kind=FieldKind.TEXT),
        ApiField(name=f"{name}requests", kind=FieldKind.WHOLE),
        ApiField(name=f"{name}bytes", kind=FieldKind.WHOLE),
        *(
            ApiField(name=f"{name}{each}", kind=FieldKind.TIME)
            for each in ("period_date", "creation_datetime", "last_update_datetime")
        ),
    )
    return MappingProxyType({row.name: row for row in rows})


def judge_ledger_search(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    search: SearchRequest,
) -> None:
    """Judge `{pool}_ledger/search`, in full."""
    listing = read_listing(finding, search, USAGE)
    if listing is None:
        return
    key = f"{pool}_ledger_id"
    expect_distinct(finding, listing, lambda r: as_str(r, key) or "")
    listing.leave_out_repeats(lambda r: as_str(r, key) or "")
    expect_pages(finding, listing, search, model.reading, lambda r: as_str(r, key) or "", None)
    expect_order(finding, listing, search)
    finding.listing = (f"{pool}_ledger", search, listing.listed())
    state = accounts.get((unit.customer, pool), AccountState())
    for row in listing.rows:
        entry = as_str(row, key) or ""
        finding.seen_rows[f"{pool}_ledger", unit.customer, entry] = row
        _judge_entry(model, state, unit, finding, pool, row)
        if search.conditions:
            expect_match(finding, search, row, f"{pool}_ledger/search · {entry}")
    if not listing.complete:
        return
    if not search.conditions:
        _note_total(state, unit, finding, pool, listing)
        _judge_kept(state, finding, pool, listing)
    else:
        _judge_filtered(model, state, unit, finding, pool, listing, search)
    if all(each.field.name == f"{pool}_ledger_period_date" for each in search.conditions):
        _judge_usage(model, state, unit, finding, pool, listing, search)
        judge_payments(model, state, unit, finding, pool, listing, search)


def total_of(rows: Iterable[Row], pool: str) -> int:
    """Return the sum of entries: those of payments as shown, minus all usage."""
    total = 0
    for row in rows:
        amount = as_int(row, f"{pool}_ledger_bytes") or 0
        total += -abs(amount) if is_usage(row, pool) else amount
    return total


def _note_total(
    state: AccountState, unit: JudgedRequest, finding: RequestFinding, pool: str, listing: Listing
) -> None:
    if state.rows is not None and not state.shared:
        total = total_of(listing.rows, pool)
        moved = total - total_of(state.rows.values(), pool)
        finding.figures["ledger", unit.customer, pool] = (total, moved)


def _judge_filtered(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    listing: Listing,
    search: SearchRequest,
) -> None:
    """Entries of the baseline that match must be listed: they have not changed unless usage did."""
    key = f"{pool}_ledger_id"
    there = {as_str(row, key) for row in listing.rows}
    own_days = own_usage(model, unit.customer, pool, unit.op)
    for entry, row in (state.rows or {}).items():
        day = day_of(row.get(f"{pool}_ledger_period_date")) or ""
        if is_usage(row, pool) and (day in own_days or state.shared):
            continue
        finding.observed(FILTERS)
        if search.matches_row(row) is True and entry not in there:
            finding.deviate(
                FILTERS, f"{pool}_ledger/search · {entry}", "listed", "not listed", definite=True
            )
    reasons = [c for c in search.conditions if c.field.name == f"{pool}_ledger_reason"]
    only_reason = len(search.conditions) == 1 and reasons and not reasons[0].operator
    if only_reason and reasons[0].value == "usage":
        _judge_usage(model, state, unit, finding, pool, listing, replace(search, conditions=()))


def _judge_entry(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    row: Row,
) -> None:
    """What one entry says by itself: whose it is, its sign, its times."""
    entry = as_str(row, f"{pool}_ledger_id") or "an entry"
    where = f"{pool} ledger · {entry}"
    finding.compare_owner(where, row, model.customer_number(unit.customer))
    amount = as_int(row, f"{pool}_ledger_bytes")
    if is_usage(row, pool) and amount:
        sign = model.reading.values.get("usage-sign")
        if sign is not None:
            seen = "negative" if amount < 0 else "positive"
            finding.equal(SIGN, f"{where} · sign of usage", sign, seen, definite=True)
    made = parse_time(row.get(f"{pool}_ledger_creation_datetime"))
    changed = parse_time(row.get(f"{pool}_ledger_last_update_datetime"))
    fresh = state.rows is not None and entry not in state.rows
    if made is not None and changed is not None:
        finding.compare_times(LEDGER_TIMES, where, made, changed)
        if fresh:
            begun = model.history.clock.theirs[0] if model.history.clock.theirs else unit.now
            if made < begun - CLOCK_SLACK:
                finding.deviate(
                    LEDGER_TIMES, f"{where} · creation", f"{begun} or later", made, definite=True
                )


def _judge_usage(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    listing: Listing,
    search: SearchRequest,
) -> None:
    """Hold the usage of each day that a search asks for to the traffic; it restricts days alone."""
    if state.rows is None:
        finding.cannot_use(f"{pool} ledger: no reading from before the run", unit.first.n, USAGE)
        return
    own = own_usage(model, unit.customer, pool, unit.op)
    usage = [row for row in listing.rows if is_usage(row, pool)]
    seen, before = usage_by_day(usage, pool), usage_by_day(state.rows.values(), pool)
    requests = usage_by_day(usage, pool, "requests")
    before_requests = usage_by_day(state.rows.values(), pool, "requests")
    counted = all(as_int(row, f"{pool}_ledger_requests") is not None for row in usage)
    others = moved_by_others(state, unit.stage)
    others_requests = moved_by_others(state, unit.stage, requests=True)
    for day in sorted({*own, *seen, *before}):
        total = own.get(day, CellSum())
        moved = seen[day] - before[day] - others.get(day, 0)
        where = f"{pool} ledger · usage of {day}"
        if search.matches_row({f"{pool}_ledger_period_date": day}) is not True:
            continue
        if not total.certain and not total.possible and seen[day] == before[day]:
            continue
        if model.read_only and day >= (unit.now - timedelta(days=1)).strftime("%Y-%m-%d"):
            continue  # a live account moves
        if not state.is_known(unit, day=True):
            continue
        finding.observed(USAGE)
        finding.observed(DAY)
        slack = state.slack(unit.stage, day)
        if abs(moved - total.bytes) > slack and not total.allows_bytes(moved):
            finding.deviate(
                USAGE,
                where,
                f"{before[day] + total.bytes + others.get(day, 0):,} bytes",
                f"{seen[day]:,} bytes",
                events=total.certain,
                topic=("usage", unit.customer, pool, day),
                counts=(total.counts(), total.counts()._replace(bytes=moved)),
            )
        elif counted and not total.possible and not state.shared:
            more = requests[day] - before_requests[day] - others_requests.get(day, 0)
            finding.equal(
                "ledger-requests-are-the-traffic", f"{where} · requests", total.requests, more
            )
    entries = Counter((day_of_entry(row, pool), as_str(row, "service_id") or "") for row in usage)
    for (day, _service), number in entries.items():
        finding.equal(ONE_ROW, f"{pool} ledger · {day}", 1, number)


def _judge_kept(state: AccountState, finding: RequestFinding, pool: str, listing: Listing) -> None:
    """No entry of the baseline is gone, and none that is no usage has changed."""
    key = f"{pool}_ledger_id"
    there = {as_str(row, key): row for row in listing.rows}
    for entry, before in (state.rows or {}).items():
        row = there.get(entry)
        finding.observed(LEDGER_KEPT)
        if row is None:
            finding.deviate(LEDGER_KEPT, f"{pool} ledger · {entry}", "kept without end", "removed")
        elif not is_usage(before, pool):
            for name in ("bytes", "reason", "period_date"):
                field_name = f"{pool}_ledger_{name}"
                finding.equal(
                    FIXED,
                    f"{pool} ledger · {entry} · {name}",
                    str(before.get(field_name)),
                    str(row.get(field_name)),
                )


def judge_ledger_retrieve(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, pool: str, entry: str
) -> None:
    """Judge `{pool}_ledger/retrieve/{id}`: served to its owner alone."""
    exchange = unit.first
    served = model.served(exchange)
    where = f"{pool}_ledger/retrieve/{entry}"
    owners = model.ids.get((f"{pool}_ledger", entry), frozenset())
    if unit.customer in owners:
        finding.observed(RETRIEVE)
        row = model.data(exchange)
        if not served or row is None:
            finding.deviate(LEDGER_KEPT, where, "served", f"status {exchange.status}")
        else:
            finding.seen_rows[f"{pool}_ledger retrieved", unit.customer, entry] = row
        return
    check = TENANTS if owners else ERRORS
    finding.compare_refusal(check, where, served=served)
