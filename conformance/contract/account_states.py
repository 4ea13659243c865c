"""What the account of a pool had before a run, and what other users of it did meanwhile.

Figures of a whole account are compared as differences from this baseline. What others added or
used between two reads widens what is accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trueup.conformance.contract.findings import JudgedRequest
from trueup.conformance.contract.history import PaymentRecord
from trueup.conformance.contract.listing import whole_listing
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.model import POOLS
from trueup.conformance.rows import Row, as_int, as_str, day_of
from trueup.reports.results import Outcome

__all__ = [
    "AccountState",
    "AccountStates",
    "OthersUsage",
    "Span",
    "StageReadings",
    "day_of_entry",
    "expected_payments",
    "is_usage",
    "moved_by_others",
    "own_usage",
    "read_accounts",
    "usage_by_day",
]


class Span(NamedTuple):
    """The least and the most of several readings."""

    least: int
    most: int

    @classmethod
    def around(cls, value: int, span: Span | None) -> Span:
        """Return the span that holds a value beside those of another span, if there is one."""
        return cls(value, value) if span is None else cls(min(span[0], value), max(span[1], value))

    @property
    def width(self) -> int:
        """How far its ends are apart."""
        return self.most - self.least

    def holds(self, *values: int) -> bool:
        """Return whether all values lie within it."""
        return self.least <= min(values) and max(values) <= self.most


class OthersUsage(NamedTuple):
    """What other users' summaries of a pool add up to, by day, in one reading."""

    bytes: Mapping[str, int]
    requests: Mapping[str, int]
    op: int
    """Its place in the journal."""


@dataclass(slots=True)
class StageReadings:
    """What the readings of one stage show of a pool that others may use as well."""

    others: OthersUsage | None = None
    """None where the summaries of the whole network were not read."""
    usage: dict[str, Span] = field(default_factory=dict)
    """Day → usage of others that the readings of the ledger show."""
    usage_ops: Span | None = None
    """Places in the journal of the readings that `usage` is from."""
    paid: Span | None = None
    """What its entries that are no usage add up to, since the baseline."""
    remains: Span | None = None
    """Bytes left, our own part taken off."""
    remains_ops: Span | None = None
    """Places in the journal of the readings that `remains` is from."""


@dataclass(slots=True)
class AccountState:
    """What one (customer, pool) showed when it was first read, and what others did since."""

    rows: dict[str, Row] | None = None
    """Ledger entries by id at the baseline; None where they were never read before a write."""
    left: int | None = None
    used: int | None = None
    requests: int | None = None
    op: int = 0
    """Place in the journal of the baseline."""
    stage: str = ""
    """Stage of the baseline."""
    unwatched: bool = False
    """Whether days passed between two readings, as with a capsule: others may have used or paid
    for the account, and nothing but the readings shows it."""
    stages: dict[str, StageReadings] = field(default_factory=dict)
    """Stage → what its readings show, in the order in which they were made."""

    def readings(self, stage: str) -> StageReadings:
        """Return the readings of a stage; empty ones if it made none."""
        return self.stages.get(stage) or StageReadings()

    @property
    def shared(self) -> bool:
        """Whether others used the account while the run lasted, or may have."""
        if self.unwatched:
            return True
        read = [each.others.bytes for each in self.stages.values() if each.others is not None]
        return any(other != read[0] for other in read)

    def slack(self, stage: str, day: str = "") -> int:
        """Return the bytes by which figures of a stage may be off because of the usage of others.

        0 if no one else did. Without `day`: of all days together.
        """
        if not self.shared:
            return 0
        spans: list[Span | None] = []
        for readings in (self.readings(self.stage), self.readings(stage)):
            spans += [span for each, span in readings.usage.items() if day in ("", each)]
            spans += [readings.remains, readings.paid] if not day else []
        return sum(span.width for span in spans if span is not None)

    def is_known(self, unit: JudgedRequest, *, day: bool = False) -> bool:
        """Return whether `slack` covers what others used between a reading and that of `others`.

        It covers what they used while the readings that it is from were made, and nothing after
        the last of them; for one `day`, only readings of the ledger.
        """
        if not self.shared:
            return True
        readings = self.readings(unit.stage)
        others = readings.others
        if others is None:
            return False
        spans = (readings.usage_ops, None if day else readings.remains_ops)
        return any(span.holds(unit.op, others.op) for span in spans if span is not None)

    def basis(self, stage: str) -> tuple[object, ...]:
        """Return everything of it with which figures of a stage are compared."""
        return (
            *(self.rows, self.left, self.used, self.requests, self.op, self.stage),
            *(self.shared, self.readings(self.stage), self.readings(stage)),
            *(moved_by_others(self, stage), moved_by_others(self, stage, requests=True)),
        )


AccountStates = Mapping[tuple[str, str], AccountState]


def read_accounts(model: ContractModel, units: Sequence[JudgedRequest]) -> AccountStates:
    """Return the baselines of all accounts, and the usage of others, from all units in order."""
    states: dict[tuple[str, str], AccountState] = {
        (letter, pool): AccountState(unwatched=model.history.is_capsule)
        for letter in model.history.customers
        for pool in POOLS
    }
    first_write = {(letter, pool): _first_write(model, letter, pool) for letter, pool in states}
    for unit in units:
        path = resource_path(unit.first.path)
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
    rows = whole_listing(unit) if early and not unit.filters else None
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
    if unit.filters:
        return
    rows = _each_once(whole_listing(unit), f"{pool}_ledger_id")
    if rows is None:
        return
    used = usage_by_day(rows, pool)
    for day, total in own_usage(model, unit.customer, pool, unit.op).items():
        used[day] -= total.bytes
    readings = state.stages.setdefault(unit.stage, StageReadings())
    if state.rows is not None:
        paid = sum(
            as_int(row, f"{pool}_ledger_bytes") or 0
            for row in rows
            if not is_usage(row, pool) and as_str(row, f"{pool}_ledger_id") not in state.rows
        )
        readings.paid = Span.around(paid, readings.paid)
    readings.usage_ops = Span.around(unit.op, readings.usage_ops)
    for day, size in used.items():
        readings.usage[day] = Span.around(size, readings.usage.get(day))


def _note_remains(
    model: ContractModel, unit: JudgedRequest, pool: str, state: AccountState
) -> None:
    data = ContractModel.data(unit.first)
    left = as_int(data, f"{pool}_bytes_left") if data is not None else None
    if left is None:
        return
    own = sum(t.bytes for t in own_usage(model, unit.customer, pool, unit.op).values())
    paid = sum(p.bytes for p in expected_payments(model, unit.customer, pool, unit.op)[0])
    readings = state.stages.setdefault(unit.stage, StageReadings())
    readings.remains = Span.around(left + own - paid, readings.remains)
    readings.remains_ops = Span.around(unit.op, readings.remains_ops)


def _baseline_account(unit: JudgedRequest, pool: str, state: AccountState) -> None:
    data = ContractModel.data(unit.first)
    if data is not None:
        state.left = as_int(data, f"{pool}_bytes_left")
        state.used = as_int(data, f"{pool}_bytes_used")
        state.requests = as_int(data, f"{pool}_requests")


def _read_others(
    model: ContractModel, unit: JudgedRequest, states: Mapping[tuple[str, str], AccountState]
) -> None:
    """Other users' summaries of a pool, where the whole network was listed."""
    query = unit.filters
    pool = query.get("log_summary_network", "")
    period = {"min_log_summary_period", "max_log_summary_period"}
    state = states.get((unit.customer, pool))
    if state is None or not query.keys() <= {"log_summary_network", *period}:
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
    readings = state.stages.setdefault(unit.stage, StageReadings())
    readings.others = OthersUsage(dict(sizes), dict(requests), unit.op)


def moved_by_others(state: AccountState, stage: str, requests: bool = False) -> Mapping[str, int]:
    """Return day → what other users added since the baseline, as their summaries show it."""
    read = [each.others for each in state.stages.values() if each.others is not None]
    if not read:
        return {}
    chosen = state.readings(stage).others or read[-1]
    first, last = (one.requests if requests else one.bytes for one in (read[0], chosen))
    days = {*first, *last}
    return {d: last.get(d, 0) - first.get(d, 0) for d in days if last.get(d, 0) != first.get(d, 0)}


def own_usage(model: ContractModel, customer: str, pool: str, op: int) -> dict[str, CellSum]:
    """Return day → sum of our events of a pool before `op`."""
    days: dict[str, CellSum] = {}
    for user in model.history.users_of(customer):
        for cell, total in model.cells(customer, user, op, charged=True).items():
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


def usage_by_day(rows: Iterable[Row], pool: str, figure: str = "bytes") -> defaultdict[str, int]:
    """Return day → what entries of usage add up to: bytes without their sign, or `requests`."""
    days: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if is_usage(row, pool):
            amount = as_int(row, f"{pool}_ledger_{figure}") or 0
            days[day_of_entry(row, pool)] += abs(amount) if figure == "bytes" else amount
    return days


def day_of_entry(row: Row, pool: str) -> str:
    """Return the day of a ledger row, `YYYY-MM-DD`, or `no day`."""
    return day_of(row.get(f"{pool}_ledger_period_date")) or "no day"


def is_usage(row: Row, pool: str) -> bool:
    """Return whether a ledger row is an entry of usage."""
    return as_str(row, f"{pool}_ledger_reason") == "usage"
