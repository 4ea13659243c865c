"""What the account of a pool had before a run, and what other users of it did meanwhile.

Figures of a whole account are compared as differences from this baseline. What others added or
used between two reads widens what is accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
    "day_of_entry",
    "expected_payments",
    "is_usage",
    "moved_by_others",
    "own_usage",
    "read_accounts",
    "usage_by_day",
]


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
    others_op: dict[str, int] = field(default_factory=dict)
    """Stage → place in the journal of the reading that `others` is from."""
    usage_ops: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Stage → places in the journal of the first and last reading that `usage` is from."""
    remains_ops: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Stage → places in the journal of the first and last reading that `remains` is from."""

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

    def is_known(self, unit: JudgedRequest, *, day: bool = False) -> bool:
        """Return whether `slack` covers what others used between a reading and that of `others`.

        It covers what they used while the readings that it is from were made, and nothing after
        the last of them; for one `day`, only readings of the ledger.
        """
        if not self.shared:
            return True
        beside = self.others_op.get(unit.stage)
        if beside is None:
            return False
        spans = [self.usage_ops.get(unit.stage)]
        if not day:
            spans.append(self.remains_ops.get(unit.stage))
        return any(
            span[0] <= min(unit.op, beside) and max(unit.op, beside) <= span[1]
            for span in spans
            if span is not None
        )

    def basis(self, stage: str) -> tuple[object, ...]:
        """Return everything of it with which figures of a stage are compared."""
        return (
            *(self.rows, self.left, self.used, self.requests, self.op, self.stage),
            *(self.shared, self.others_op.get(stage)),
            *(moved_by_others(self, stage), moved_by_others(self, stage, requests=True)),
            *(
                readings.get(name)
                for readings in (self.usage, self.paid, self.remains)
                for name in (self.stage, stage)
            ),
            *(readings.get(stage) for readings in (self.usage_ops, self.remains_ops)),
        )


AccountStates = Mapping[tuple[str, str], AccountState]


def read_accounts(model: ContractModel, units: Sequence[JudgedRequest]) -> AccountStates:
    """Return the baselines of all accounts, and the usage of others, from all units in order."""
    states: dict[tuple[str, str], AccountState] = {
        (letter, pool): AccountState() for letter in model.history.customers for pool in POOLS
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
    used = usage_by_day(rows, pool)
    for day, total in own_usage(model, unit.customer, pool, unit.op).items():
        used[day] -= total.bytes
    if state.rows is not None:
        paid = sum(
            as_int(row, f"{pool}_ledger_bytes") or 0
            for row in rows
            if not is_usage(row, pool) and as_str(row, f"{pool}_ledger_id") not in state.rows
        )
        _widen(state.paid, unit.stage, paid)
    _widen(state.usage_ops, unit.stage, unit.op)
    days = state.usage.setdefault(unit.stage, {})
    for day, size in used.items():
        _widen(days, day, size)


def _widen(spans: dict[str, tuple[int, int]], name: str, value: int) -> None:
    """Widen the span (least, most) of a name so that it holds a value."""
    least, most = spans.get(name, (value, value))
    spans[name] = (min(least, value), max(most, value))


def _note_remains(
    model: ContractModel, unit: JudgedRequest, pool: str, state: AccountState
) -> None:
    data = ContractModel.data(unit.first)
    left = as_int(data, f"{pool}_bytes_left") if data is not None else None
    if left is None:
        return
    own = sum(t.bytes for t in own_usage(model, unit.customer, pool, unit.op).values())
    paid = sum(p.bytes for p in expected_payments(model, unit.customer, pool, unit.op)[0])
    _widen(state.remains, unit.stage, left + own - paid)
    _widen(state.remains_ops, unit.stage, unit.op)


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
    state.others_op[unit.stage] = unit.op
    state.others_requests[unit.stage] = dict(requests)


def moved_by_others(state: AccountState, stage: str, requests: bool = False) -> Mapping[str, int]:
    """Return day → what other users added since the baseline, as their summaries show it."""
    readings = state.others_requests if requests else state.others
    stages = list(readings)
    if not stages:
        return {}
    known = [name for name in stages if name == stage] or stages[-1:]
    first, last = readings[stages[0]], readings[known[0]]
    days = {*first, *last}
    return {d: last.get(d, 0) - first.get(d, 0) for d in days if last.get(d, 0) != first.get(d, 0)}


def own_usage(model: ContractModel, customer: str, pool: str, op: int) -> dict[str, CellSum]:
    """Return day → sum of our events of a pool before `op`."""
    days: dict[str, CellSum] = {}
    for user in model.history.users_of(customer):
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
