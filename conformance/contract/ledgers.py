"""Ledgers and account figures: what every pool of an account moved by since the run began.

Both are account-wide, and an account may have a past and other users. So everything is compared
with the *baseline*, the first reading of the run: usage moves by the bytes of our events and by
what the account's own summaries show of other users, entries that are no usage by our payments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import POOLS, PaymentRecord
from trueup.conformance.contract.listing import (
    Listing,
    expect_order,
    expect_pages,
    read_listing,
    whole_listing,
)
from trueup.conformance.contract.matching import SearchRequest, parse_search, values_of
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.rows import Row, as_int, as_str, day_of, parse_time
from trueup.reports.results import Outcome

__all__ = [
    "AccountState",
    "AccountStates",
    "judge_account",
    "judge_customer",
    "judge_ledger_retrieve",
    "judge_ledger_search",
    "ledger_fields",
    "read_accounts",
]

USAGE: Final = "ledger-usage-is-the-traffic"
ONE_ROW: Final = "one-usage-entry-a-day"
SIGN: Final = "usage-takes-away"
PAYMENTS: Final = "payments-have-entries"
AGAIN: Final = "payments-count-once"
KEPT: Final = "ledger-is-kept"
FIXED: Final = "past-entries-are-fixed"
BALANCE: Final = "account-equals-ledger"
CUSTOMER: Final = "customer-equals-account"
TENANTS: Final = "tenants-are-apart"
FILTERS: Final = "filters-are-exact"
ORDER: Final = "times-are-in-order"
TIMES: Final = "ledger-times-are-plausible"


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


@dataclass(slots=True)
class AccountState:
    """What one (customer, pool) showed when it was first read, and what others did since."""

    rows: dict[str, Row] | None = None
    """Ledger entries by id at the baseline; None where they were never read before a write."""
    left: int | None = None
    used: int | None = None
    bought: int | None = None
    requests: int | None = None
    op: int = 0
    """Place in the journal of the baseline."""
    others: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Stage → day → bytes of other users' summaries on this network, where that was read."""
    others_requests: dict[str, Mapping[str, int]] = field(default_factory=dict)
    stage: str = ""
    """Stage of the baseline."""
    usage: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Stage → day → least and most usage of others that its readings of the ledger show."""
    paid: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Stage → least and most of what its entries that are no usage add up to, since the baseline.
    """
    remains: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Stage → least and most bytes left, our own part taken off, that its readings show."""

    @property
    def shared(self) -> bool:
        """Whether others used the account while the run lasted."""
        first = next(iter(self.others.values()), {})
        return any(other != first for other in self.others.values())

    def slack(self, stage: str, day: str = "") -> int:
        """Return the bytes by which figures of a stage may be off because of the usage of others.

        0 if no one else did. Without `day`: of all days together.
        """
        if not self.shared:
            return 0
        found = 0
        for name in (self.stage, stage):
            days = self.usage.get(name, {})
            spans = [span for each, span in days.items() if day in ("", each)]
            found += sum(most - least for least, most in spans)
            for span in (self.remains.get(name), self.paid.get(name)) if not day else ():
                found += span[1] - span[0] if span is not None else 0
        return found

    def is_known(self, stage: str) -> bool:
        """Return whether the usage of others until a stage is known there, or there was none."""
        return stage in self.others or not self.shared

    def basis(self, stage: str) -> tuple[object, ...]:
        """Everything of it that figures of a stage are held to."""
        return (
            *(self.rows, self.left, self.used, self.bought, self.requests, self.op, self.stage),
            *(self.shared, self.is_known(stage)),
            *(_moved_by_others(self, stage), _moved_by_others(self, stage, requests=True)),
            *(
                readings.get(name)
                for readings in (self.usage, self.paid, self.remains)
                for name in (self.stage, stage)
            ),
        )


AccountStates = Mapping[tuple[str, str], AccountState]


def read_accounts(model: ContractModel, units: Sequence[JudgedRequest]) -> AccountStates:
    """Return the baselines of all accounts, and the usage of others, from all units in order."""
    states: dict[tuple[str, str], AccountState] = {
        (letter, pool): AccountState() for letter in model.history.customers for pool in POOLS
    }
    first_write = {(letter, pool): _first_write(model, letter, pool) for letter, pool in states}
    for unit in units:
        path = unit.first.path.rsplit("/public/user/", 1)[-1]
        pool = path.split("_")[0].split("/")[0]
        state = states.get((unit.customer, pool))
        early = unit.op < first_write.get((unit.customer, pool), 0)
        early = early and not (model.read_only and state is not None and state.rows is not None)
        if state is not None and path.endswith("_ledger/search"):
            _baseline_rows(unit, pool, state, early=early)
            _note_usage(model, unit, pool, state)
        elif state is not None and path == f"{pool}/summary":
            if early:
                _baseline_account(unit, pool, state)
            _note_remains(model, unit, pool, state)
        elif path == "log_summary/search":
            _read_others(model, unit, states)
    return states


def _first_write(model: ContractModel, letter: str, pool: str) -> int:
    """Place in the journal of the first deed that may have moved an account."""
    ops = [
        delivery.op
        for record in model.history.of_customer(letter)
        for delivery in record.deliveries
        if record.event.network == pool or record.impossible
    ]
    ops += [p.op for p in model.history.payments if (p.customer, p.pool) == (letter, pool)]
    return min(ops, default=10**9)


def _baseline_rows(unit: JudgedRequest, pool: str, state: AccountState, *, early: bool) -> None:
    plain = {name for name, _ in unit.first.query} <= {"page", "per_page"}
    rows = whole_listing(unit) if early and plain else None
    if rows is not None:
        state.rows = {as_str(row, f"{pool}_ledger_id") or "": row for row in rows}
        state.op = unit.op
        state.stage = unit.stage


def _each_once(rows: Sequence[Row] | None, key: str) -> list[Row] | None:
    """Rows by id, as seen last: one that came in meanwhile pushes others onto the next page."""
    if rows is None:
        return None
    return list({as_str(row, key) or f"row {n}": row for n, row in enumerate(rows)}.values())


def _note_usage(model: ContractModel, unit: JudgedRequest, pool: str, state: AccountState) -> None:
    """Keep the range of what others used, as the readings of a stage show it."""
    if not {name for name, _ in unit.first.query} <= {"page", "per_page"}:
        return
    rows = _each_once(whole_listing(unit), f"{pool}_ledger_id")
    if rows is None:
        return
    used: dict[str, int] = defaultdict(int)
    for row in rows:
        if is_usage(row, pool):
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            used[day] += abs(as_int(row, f"{pool}_ledger_bytes") or 0)
    for day, total in own_usage(model, unit.customer, pool, unit.op).items():
        used[day] -= total.bytes
    if state.rows is not None:
        paid = sum(
            as_int(row, f"{pool}_ledger_bytes") or 0
            for row in rows
            if not is_usage(row, pool) and as_str(row, f"{pool}_ledger_id") not in state.rows
        )
        least, most = state.paid.get(unit.stage, (paid, paid))
        state.paid[unit.stage] = (min(least, paid), max(most, paid))
    days = state.usage.setdefault(unit.stage, {})
    for day, size in used.items():
        least, most = days.get(day, (size, size))
        days[day] = (min(least, size), max(most, size))


def _note_remains(
    model: ContractModel, unit: JudgedRequest, pool: str, state: AccountState
) -> None:
    data = ContractModel.data(unit.first)
    left = as_int(data, f"{pool}_bytes_left") if data is not None else None
    if left is None:
        return
    own = sum(t.bytes for t in own_usage(model, unit.customer, pool, unit.op).values())
    paid = sum(p.bytes for p in expected_payments(model, unit.customer, pool, unit.op)[0])
    rest = left + own - paid
    least, most = state.remains.get(unit.stage, (rest, rest))
    state.remains[unit.stage] = (min(least, rest), max(most, rest))


def _baseline_account(unit: JudgedRequest, pool: str, state: AccountState) -> None:
    data = ContractModel.data(unit.first)
    if data is not None:
        state.left = as_int(data, f"{pool}_bytes_left")
        state.used = as_int(data, f"{pool}_bytes_used")
        state.bought = as_int(data, f"{pool}_bytes")
        state.requests = as_int(data, f"{pool}_requests")


def _read_others(
    model: ContractModel, unit: JudgedRequest, states: Mapping[tuple[str, str], AccountState]
) -> None:
    """Other users' summaries of a pool, where the whole network was listed."""
    names = {name for name, _ in unit.first.query} - {"page", "per_page"}
    query = dict(unit.first.query)
    pool = query.get("log_summary_network", "")
    period = {"min_log_summary_period", "max_log_summary_period"}
    state = states.get((unit.customer, pool))
    if state is None or not names <= {"log_summary_network", *period}:
        return
    rows = _each_once(whole_listing(unit), "log_summary_id")
    if rows is None:
        return
    sizes: dict[str, int] = defaultdict(int)
    requests: dict[str, int] = defaultdict(int)
    for row in rows:
        if not model.is_own_name(row):
            day = day_of(row.get("log_summary_period")) or ""
            sizes[day] += as_int(row, "log_summary_bytes") or 0
            requests[day] += as_int(row, "log_summary_requests") or 0
    state.others[unit.stage] = dict(sizes)
    state.others_requests[unit.stage] = dict(requests)


def _moved_by_others(state: AccountState, stage: str, requests: bool = False) -> Mapping[str, int]:
    """Day → what other users added since the baseline, as their summaries show it."""
    readings = state.others_requests if requests else state.others
    stages = list(readings)
    if not stages:
        return {}
    known = [name for name in stages if name == stage] or stages[-1:]
    first, last = readings[stages[0]], readings[known[0]]
    days = {*first, *last}
    return {d: last.get(d, 0) - first.get(d, 0) for d in days if last.get(d, 0) != first.get(d, 0)}


# --- expectations


def own_usage(model: ContractModel, customer: str, pool: str, op: int) -> dict[str, CellSum]:
    """Return day → sum of our events of a pool before `op`."""
    days: dict[str, CellSum] = {}
    for letter, user in model.history.users:
        if letter == customer:
            for cell, total in model.cells(customer, user, op).items():
                if cell.network == pool:
                    days.setdefault(cell.day, CellSum()).add(total)
    return days


def expected_payments(
    model: ContractModel, customer: str, pool: str, op: int
) -> tuple[list[PaymentRecord], list[PaymentRecord]]:
    """Return the payments that must have an entry, and those that may, before `op`.

    A key that was used before by the same customer changes nothing, where that is claimed.
    """
    once = "idempotent-money" in model.reading.claims
    must: dict[tuple[str, int], PaymentRecord] = {}
    may: list[PaymentRecord] = []
    used: dict[str, PaymentRecord] = {}
    for n, payment in enumerate(model.history.payments):
        if payment.op >= op or (payment.customer, payment.pool) != (customer, pool):
            continue
        if payment.outcome is Outcome.REFUSED:
            continue
        if once and payment.key in used:
            continue
        if payment.outcome is Outcome.UNKNOWN or payment.bytes == 0:
            may.append(payment)
            if payment.outcome is Outcome.UNKNOWN:
                continue
        else:
            must[payment.key, n] = payment
        used[payment.key] = payment
    return list(must.values()), may


def is_usage(row: Row, pool: str) -> bool:
    """Return whether a ledger row is an entry of usage."""
    return as_str(row, f"{pool}_ledger_reason") == "usage"


def judge_ledger_search(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
) -> None:
    """Judge `{pool}_ledger/search`, in full."""
    search = parse_search(unit.first.query, ledger_fields(pool))
    if search.unusual:
        return
    listing = read_listing(finding, search, USAGE)
    if listing is None:
        return
    key = f"{pool}_ledger_id"
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
            finding.observed(FILTERS)
            if search.matches(values_of(row)) is False:
                finding.deviate(
                    FILTERS,
                    f"{pool}_ledger/search · {entry}",
                    "only rows that match",
                    "a row that does not",
                    definite=True,
                )
    if not listing.complete:
        return
    if not search.conditions:
        _note_total(state, unit, finding, pool, listing)
        _judge_usage(model, state, unit, finding, pool, listing)
        _judge_payments(model, state, unit, finding, pool, listing)
        _judge_kept(state, unit, finding, pool, listing)
    else:
        _judge_filtered(model, state, unit, finding, pool, listing, search)


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
        if search.matches(values_of(row)) is True and entry not in there:
            finding.deviate(
                FILTERS, f"{pool}_ledger/search · {entry}", "listed", "not listed", definite=True
            )
    reasons = [c for c in search.conditions if c.field.name == f"{pool}_ledger_reason"]
    only_reason = len(search.conditions) == 1 and reasons and not reasons[0].operator
    if only_reason and reasons[0].value == "usage":
        _judge_usage(model, state, unit, finding, pool, listing)


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
    number = as_int(row, "customer_id")
    if number is not None:
        finding.equal(
            TENANTS,
            f"{where} · customer_id",
            model.customer_number(unit.customer),
            number,
            definite=True,
        )
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
        finding.observed(TIMES)
        now = (
            unit.now
            + CLOCK_SLACK
            + timedelta(milliseconds=sum(e.elapsed_ms for e in unit.exchanges))
        )
        finding.observed(ORDER)
        if made > changed:
            finding.deviate(
                ORDER,
                f"{where} · times",
                "created before its last change",
                f"created {made}, changed {changed}",
                definite=True,
            )
        elif changed > now:
            finding.deviate(
                TIMES, f"{where} · last_update", f"not after {now}", changed, definite=True
            )
        if fresh:
            begun = model.history.clock.theirs[0] if model.history.clock.theirs else unit.now
            if made < begun - CLOCK_SLACK:
                finding.deviate(
                    TIMES, f"{where} · creation", f"{begun} or later", made, definite=True
                )


def _judge_usage(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    listing: Listing,
) -> None:
    if state.rows is None:
        finding.cannot_use(f"{pool} ledger: no reading from before the run", unit.first.n, USAGE)
        return
    own = own_usage(model, unit.customer, pool, unit.op)
    before: dict[str, int] = defaultdict(int)
    before_requests: dict[str, int] = defaultdict(int)
    for row in state.rows.values():
        if is_usage(row, pool):
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            before[day] += abs(as_int(row, f"{pool}_ledger_bytes") or 0)
            before_requests[day] += as_int(row, f"{pool}_ledger_requests") or 0
    seen: dict[str, int] = defaultdict(int)
    requests: dict[str, int] = defaultdict(int)
    rows: Counter[tuple[str, str]] = Counter()
    counted = True
    for row in listing.rows:
        if is_usage(row, pool):
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            seen[day] += abs(as_int(row, f"{pool}_ledger_bytes") or 0)
            number = as_int(row, f"{pool}_ledger_requests")
            counted = counted and number is not None
            requests[day] += number or 0
            rows[day, as_str(row, "service_id") or ""] += 1
    others, others_requests = (
        _moved_by_others(state, unit.stage),
        _moved_by_others(state, unit.stage, requests=True),
    )
    for day in sorted({*own, *seen, *before}):
        total = own.get(day, CellSum())
        moved = seen[day] - before[day] - others.get(day, 0)
        where = f"{pool} ledger · usage of {day}"
        if not total.certain and not total.possible and seen[day] == before[day]:
            continue
        if model.read_only and day >= (unit.now - timedelta(days=1)).strftime("%Y-%m-%d"):
            continue  # a live account moves
        if not state.is_known(unit.stage):
            continue
        finding.observed(USAGE)
        finding.observed("day-of-the-request")
        fits = abs(moved - total.bytes) <= state.slack(unit.stage, day) or (
            total.possible
            and any(total.allows(total.requests + n, moved) for n in range(len(total.possible) + 1))
        )
        if not fits:
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
    for (day, _service), number in rows.items():
        finding.equal(ONE_ROW, f"{pool} ledger · {day}", 1, number)


def _judge_payments(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    listing: Listing,
) -> None:
    """Every payment has its entry, once; nothing else has one."""
    if state.rows is None or "money" not in model.reading.claims:
        return
    must, may = expected_payments(model, unit.customer, pool, unit.op)
    key = f"{pool}_ledger_id"
    fresh = [
        row
        for row in listing.rows
        if not is_usage(row, pool) and (as_str(row, key) or "") not in state.rows
    ]
    left: Counter[int] = Counter(as_int(row, f"{pool}_ledger_bytes") or 0 for row in fresh)
    repeated = {
        p.key
        for p in model.history.payments
        if p.op < unit.op
        and sum(
            1
            for q in model.history.payments
            if (q.key, q.customer, q.pool) == (p.key, p.customer, p.pool)
        )
        > 1
    }
    paid = sum(payment.bytes for payment in must)
    merged = len(fresh) < len(must) and sum(left.elements()) == paid and not may
    for payment in must:
        check = AGAIN if payment.key in repeated else PAYMENTS
        finding.observed(check)
        if merged:
            continue
        wanted = [payment.bytes]
        if payment.kind == "refund":
            wanted.append(-payment.bytes)
        found = next((amount for amount in wanted if left[amount] > 0), None)
        where = f"{pool} ledger · {payment.kind} of {payment.bytes:,} bytes"
        topic = ("payment", unit.customer, pool, payment.key)
        if found is None:
            finding.deviate(check, where, "1 entry", "no entry", topic=topic)
            continue
        left[found] -= 1
        _judge_paid_row(model, unit, finding, pool, payment, found, fresh, where)
    for payment in may:
        if left[payment.bytes] > 0:
            left[payment.bytes] -= 1
    if merged:
        return
    for amount, number in left.items():
        if number <= 0:
            continue
        if state.shared:
            continue  # another user of the account may have paid as much
        owner = next(
            (
                p
                for p in model.history.payments
                if p.op < unit.op and p.bytes == amount and p.pool == pool
            ),
            None,
        )
        where = f"{pool} ledger · entry of {amount:,} bytes"
        if owner is not None and owner.customer != unit.customer:
            finding.deviate(TENANTS, where, "own entries only", "another customer's payment")
        elif owner is not None and owner.outcome is Outcome.REFUSED and owner.key not in repeated:
            finding.deviate(
                PAYMENTS,
                where,
                "nothing (refused)",
                f"{number} entries",
                topic=("payment", unit.customer, pool, owner.key),
            )
        elif owner is not None:
            finding.deviate(
                AGAIN,
                where,
                "1 entry",
                f"{number} more",
                topic=("payment", unit.customer, pool, owner.key),
            )
        elif amount:
            finding.deviate(
                PAYMENTS,
                where,
                "no such entry",
                f"{number} entries",
                topic=("payment", unit.customer, pool, ""),
            )


def _judge_paid_row(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    payment: PaymentRecord,
    amount: int,
    rows: Sequence[Row],
    where: str,
) -> None:
    same = [row for row in rows if as_int(row, f"{pool}_ledger_bytes") == amount]
    if len(same) != 1:
        return
    row = same[0]
    day = day_of(row.get(f"{pool}_ledger_period_date"))
    near = {(payment.at + shift).strftime("%Y-%m-%d") for shift in (-CLOCK_SLACK, CLOCK_SLACK)}
    finding.observed(TIMES)
    if day is not None and day not in near:
        finding.deviate(
            TIMES, f"{where} · period_date", " or ".join(sorted(near)), day, definite=True
        )
    reason = as_str(row, f"{pool}_ledger_reason")
    if reason == "usage":
        finding.deviate(PAYMENTS, f"{where} · reason", "another reason", "usage", definite=True)
    wanted = {
        "top_up": {"top_up", "adjustment"},
        "purchase": {"service_purchase", "adjustment", "top_up"},
    }.get(payment.kind)
    known = {"usage", "top_up", "adjustment", "service_purchase"}
    if wanted is not None and reason in known and reason not in wanted:
        finding.deviate(
            PAYMENTS, f"{where} · reason", " or ".join(sorted(wanted)), reason, definite=True
        )
    service = as_str(row, "service_id")
    if payment.service_id and service is not None:
        finding.equal(PAYMENTS, f"{where} · service_id", payment.service_id, service, definite=True)


def _judge_kept(
    state: AccountState, unit: JudgedRequest, finding: RequestFinding, pool: str, listing: Listing
) -> None:
    """No entry of the baseline is gone, and none that is no usage has changed."""
    key = f"{pool}_ledger_id"
    there = {as_str(row, key): row for row in listing.rows}
    for entry, before in (state.rows or {}).items():
        row = there.get(entry)
        finding.observed(KEPT)
        if row is None:
            finding.deviate(KEPT, f"{pool} ledger · {entry}", "kept without end", "removed")
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
    if served is None:
        finding.cannot_use(model.why(exchange), exchange.n, "retrieve-equals-search")
        return
    owners = model.ids.get((f"{pool}_ledger", entry), frozenset())
    if unit.customer in owners:
        finding.observed("retrieve-equals-search")
        row = model.data(exchange)
        if not served or row is None:
            finding.deviate(KEPT, where, "served", f"status {exchange.status}")
        else:
            finding.seen_rows[f"{pool}_ledger retrieved", unit.customer, entry] = row
        return
    check = TENANTS if owners else "errors-are-documented"
    finding.observed(check)
    if served:
        finding.deviate(check, where, "not served", "served", definite=True)


def _moves(
    model: ContractModel, state: AccountState, unit: JudgedRequest, pool: str
) -> tuple[int, int, int, bool]:
    """(usage, requests, paid, certain) by which an account moved since the baseline."""
    own = own_usage(model, unit.customer, pool, unit.op)
    must, may = expected_payments(model, unit.customer, pool, unit.op)
    used = sum(total.bytes for total in own.values())
    requests = sum(total.requests for total in own.values())
    used += sum(_moved_by_others(state, unit.stage).values())
    requests += sum(_moved_by_others(state, unit.stage, requests=True).values())
    certain = not any(total.possible for total in own.values()) and not any(
        payment.bytes for payment in may
    )
    paid = sum(payment.bytes for payment in must)
    if state.shared:  # others may have paid as well: what the ledger shows is taken as given
        paid = state.paid.get(unit.stage, (paid, paid))[1]
    return used, requests, paid, certain


def judge_account(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
) -> None:
    """Judge `{pool}/summary`: bought less used is left, and all three moved as they must."""
    exchange = unit.first
    data = model.data(exchange)
    if data is None:
        if exchange.status not in (404, 422):
            finding.cannot_use(model.why(exchange), exchange.n, BALANCE)
        return
    bought, used, left = (
        as_int(data, f"{pool}_bytes{suffix}") for suffix in ("", "_used", "_left")
    )
    where = f"{pool}/summary"
    for name, value in (("", bought), ("_used", used), ("_left", left)):
        finding.note_optional(f"account.{pool}_bytes{name}", where, value, "a number")
    spent = used is not None and bought is not None and used > bought and left == 0
    if bought is not None and used is not None and left is not None and not spent:
        finding.equal(
            BALANCE, f"{where} · bought less used", bought - used, left, exchange.n, definite=True
        )
    state = accounts.get((unit.customer, pool), AccountState())
    if left is not None and state.left is not None and not state.shared:
        finding.figures["left", unit.customer, pool] = (left, left - state.left)
    if model.read_only or not state.is_known(unit.stage) or unit.op < state.op:
        return  # a live account moves between two readings
    slack = state.slack(unit.stage)
    used_by, requests_by, paid, certain = _moves(model, state, unit, pool)
    if not certain:
        return
    refunds = [
        p.bytes
        for p in expected_payments(model, unit.customer, pool, unit.op)[0]
        if p.kind == "refund"
    ]
    paid_either = {paid, paid - 2 * sum(refunds)}
    topic = ("account", unit.customer, pool)
    if left is not None and state.left is not None:
        right = {state.left + each - used_by for each in paid_either}
        right |= {0 for each in right if each < 0}  # an overspent pool: what it shows is open
        _one_of(finding, f"{where} · left", right, left, topic, slack)
    if used is not None and state.used is not None:
        gave_back = {state.used + used_by, state.used + used_by - sum(r for r in refunds)}
        _one_of(
            finding,
            f"{where} · used",
            gave_back if refunds else {state.used + used_by},
            used,
            topic,
            slack,
        )
    requests = as_int(data, f"{pool}_requests")
    if requests is not None and state.requests is not None and not state.shared:
        finding.equal(
            "account-requests-are-the-traffic",
            f"{where} · requests",
            state.requests + requests_by,
            requests,
            exchange.n,
        )
    users = data.get("proxy_user_ids")
    if isinstance(users, list):
        foreign = model.history.names_of_others(unit.customer)
        finding.observed(TENANTS)
        for listed in users:
            if isinstance(listed, str) and listed in foreign:
                finding.deviate(
                    TENANTS, f"{where} · proxy_user_ids", "own users only", listed, definite=True
                )


def _one_of(
    finding: RequestFinding,
    where: str,
    right: set[int],
    seen: int,
    topic: tuple[str, ...],
    slack: int,
) -> None:
    finding.observed(BALANCE)
    if all(abs(seen - each) > slack for each in right):
        words = " or ".join(f"{each:,}" for each in sorted(right))
        finding.deviate(BALANCE, where, f"{words} bytes", f"{seen:,} bytes", topic=topic)


def judge_customer(
    model: ContractModel, accounts: AccountStates, unit: JudgedRequest, finding: RequestFinding
) -> None:
    """Judge `customer/retrieve`: the bytes left of both pools are those of the account."""
    exchange = unit.first
    data = model.data(exchange)
    if data is None:
        finding.cannot_use(model.why(exchange), exchange.n, CUSTOMER)
        return
    number = as_int(data, "customer_id")
    if number is not None:
        finding.equal(
            TENANTS,
            "customer/retrieve · customer_id",
            model.customer_number(unit.customer),
            number,
            exchange.n,
            definite=True,
        )
    if model.read_only:
        for pool in POOLS:
            left = as_int(data, f"{pool}_bytes_left")
            if left is not None:
                finding.figures["customer", unit.customer, pool] = (left, 0)
        return
    for pool in POOLS:
        left = as_int(data, f"{pool}_bytes_left")
        if pool in model.reading.claims:
            shown = f"customer.{pool}_bytes_left"
            finding.note_optional(shown, "customer/retrieve", left, "a number")
        state = accounts.get((unit.customer, pool), AccountState())
        if left is None or state.left is None or pool not in model.reading.claims:
            continue
        if not state.is_known(unit.stage) or unit.op < state.op:
            continue
        used_by, _, paid, certain = _moves(model, state, unit, pool)
        if not certain:
            continue
        refunds = sum(
            p.bytes
            for p in expected_payments(model, unit.customer, pool, unit.op)[0]
            if p.kind == "refund"
        )
        finding.observed(CUSTOMER)
        right = {state.left + paid - used_by, state.left + paid - 2 * refunds - used_by}
        right |= {0 for each in right if each < 0}
        slack = state.slack(unit.stage)
        if all(abs(left - each) > slack for each in right):
            words = " or ".join(f"{each:,}" for each in sorted(right))
            finding.deviate(
                CUSTOMER,
                f"customer/retrieve · {pool}_bytes_left",
                f"{words} bytes",
                f"{left:,} bytes",
                topic=("customer", unit.customer, pool),
            )
