"""The executable contract: what every view must show at a time, given what was done before.

Pure. Written from the guide, the API's public pages and the clauses; it shares nothing with the
reference. Judges of single views (`logs`, `summaries`, `ledgers`, `graphs`, `proxy_users`) compare
responses with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from trueup.conformance.contract.filled_fields import FilledFields
from trueup.conformance.contract.findings import Cell, JudgedRequest
from trueup.conformance.contract.history import EventRecord, History, SentEvent
from trueup.conformance.contract.inferred import InferredSums
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.matching import Open, SearchCondition
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.rows import Row, as_int, as_str, get_path
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json, Outcome

__all__ = ["ContractModel"]

GATEWAY_STATUSES: Final = frozenset({429, 502, 503, 504})
"""Statuses of gateways, which are no evidence about the target."""
MISSING_STATUSES: Final = frozenset({400, 404, 410, 422})
"""Statuses of a retrieve of something that is not there."""


@dataclass(slots=False)
class ContractModel:
    """The state and the readings of one run, with indexes. Never changed once built."""

    history: History
    reading: Interpretation
    graph: Mapping[str, str]
    """Where graph points sit in a response."""
    ids: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """(resource, id) → customers to whom a search showed it."""
    filled: FilledFields = field(default_factory=FilledFields)
    """What logs show in fields that were sent without a value."""
    inferred: InferredSums = field(default_factory=InferredSums)
    """What was read first, where nothing was sent (level 0)."""
    read_only: bool = False
    shared: bool = False
    """Whether others used an account while the run lasted; they may know our hostnames."""
    _cells: dict[tuple[str, str, int, int], Mapping[Cell, CellSum]] = field(default_factory=dict)
    _days: dict[tuple[str, str], dict[tuple[str, str], list[EventRecord]]] = field(
        default_factory=dict
    )
    """(customer, user) → (network, day) → records of its events."""
    _ops: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(customer, user) → places in the journal of the deliveries of the user's events, in order."""

    # --- events

    def records(self, customer: str, user: str | None) -> Iterable[EventRecord]:
        """Return the records of a customer, or of one of its users."""
        if user is not None:
            return self.history.by_user.get((customer, user), ())
        return self.history.of_customer(customer)

    def records_of(self, customer: str, cell: Cell) -> Iterator[EventRecord]:
        """Yield the records of the events that belong to a cell."""
        days = self._days.get((customer, cell.user))
        if days is None:
            days = self._days[customer, cell.user] = defaultdict(list)
            for record in self.history.by_user.get((customer, cell.user), ()):
                days[record.event.network, record.event.day].append(record)
        for record in days.get((cell.network, cell.day), ()):
            if not cell.hostname or record.event.hostname == cell.hostname:
                yield record

    def is_own(self, conditions: Sequence[SearchCondition]) -> bool:
        """Return whether conditions match only our rows: one of our names is asked for exactly."""
        prefix = self.history.prefix
        for condition in conditions:
            name, value = condition.field.name, condition.value
            if name.endswith("_hostname") and self.shared:
                continue
            if condition.operator == "like" and name.endswith(("_hostname", "proxy_user_id")):
                if prefix in value:
                    return True
                continue
            if condition.operator:
                continue
            if name == "proxy_user_id" and value.startswith(prefix):
                return True
            if name == "proxy_user_id" and any(v == value for _, v in self.inferred.days):
                return True
            if name.endswith("_hostname") and prefix in value:
                return True
            if name == "log_id" and self.history.records_with_id(value):
                return True
        return False

    def cells(
        self, customer: str, user: str, op: int, *, charged: bool = False
    ) -> Mapping[Cell, CellSum]:
        """Return the sums of a user's accepted events before `op`, by cell.

        `charged`: as ledgers and accounts count them, which keep what deleted users used.
        """
        records = self.history.by_user.get((customer, user), ())
        ops = self._ops.get((customer, user))
        if ops is None:
            ops = sorted({delivery.op for record in records for delivery in record.deliveries})
            self._ops[customer, user] = ops
        removed = 0 if charged else self.removed_before(customer, user, op)
        key = (customer, user, bisect_left(ops, op), bisect_left(ops, removed))
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = self._add_up(customer, user, op, charged=charged)
        return found

    def _add_up(
        self, customer: str, user: str, op: int, *, charged: bool
    ) -> Mapping[Cell, CellSum]:
        found: dict[Cell, CellSum] = {}
        for record in self.history.by_user.get((customer, user), ()):
            for event, certain in self.contributions(record, op, charged=charged):
                if not self.knows(customer, user, event.day):
                    continue
                cell = Cell(user, event.network, event.hostname, event.day)
                one = found.setdefault(cell, CellSum())
                (one.certain if certain else one.possible).append(event)
                one.spellings.add(str(event.raw.get("log_hostname")))
        return found

    def may_lag(self, unit: JudgedRequest, bound: timedelta) -> bool:
        """Return whether a view may still lag: it was asked within `bound` after a change."""
        written = self.history.last_write(unit.op)
        return written is not None and unit.asked_at - written < bound

    def contributions(
        self, record: EventRecord, op: int, *, charged: bool = False
    ) -> list[tuple[SentEvent, bool]]:
        """Return what a record adds to sums before `op`: events, and whether each is certain.

        `charged`: as ledgers and accounts count it, which keep what deleted users used.
        """
        if record.impossible:
            return []
        outcome = record.outcome(op)
        if outcome is Outcome.REFUSED:
            return []
        events = [e for e in (record.event, *record.others) if self.counts(e)]
        if not events:
            return []
        certain = outcome is Outcome.ACCEPTED and not record.others
        certain = certain and (charged or not self.is_removed(record, op))
        found = [(event, certain) for event in events]
        if "deduplication" not in self.reading.claims:
            found += [(record.event, False)] * (record.times(op) - 1)
        return found

    def removed_before(self, customer: str, user: str, op: int) -> int:
        """Return the place in the journal before which a user's deliveries may be gone by `op`.

        Where deleted users are not kept, their deletion removes all that was delivered for them,
        and what comes before they are created again need not be shown. 0 if nothing may be gone.
        """
        if self.reading.value("deleted-users") == "kept":
            return 0
        if self.history.deletion_of(customer, user, op) is not None:
            return op
        lives = self.history.lives_of(customer, user, op)
        deletions = [n for n, change in enumerate(lives) if change.action == "delete"]
        if not deletions:
            return 0
        created = (c.op for c in lives[deletions[-1] + 1 :] if c.accepted)
        return max(created, default=op)

    def is_removed(self, record: EventRecord, op: int) -> bool:
        """Return whether logs and sums may lack an event because its user was deleted."""
        before = self.removed_before(record.event.customer, record.event.user, op)
        return before > 0 and any(
            delivery.op < before and delivery.outcome is not Outcome.REFUSED
            for delivery in record.deliveries
        )

    def counts(self, event: SentEvent) -> bool:
        """Return whether an event counts in summaries, ledgers and graph by the readings."""
        failed = event.coded or (event.status or 0) >= 400
        if failed and self.reading.value("failed-requests") != "counted":
            return False
        return event.bytes != 0 or self.reading.value("zero-byte-requests") == "counted"

    def leaves_out(self, customer: str, cell: Cell, op: int) -> bool:
        """Return whether a cell was sent events before `op` that do not count by the readings."""
        return any(
            record.times(op) > 0 and not self.counts(record.event)
            for record in self.records_of(customer, cell)
        )

    def created(self, cell: Cell, customer: str, op: int) -> datetime:
        """Return the target's time when the first event of a cell was taken in.

        Of those that its user's deletion cannot have removed, if there are any.
        """
        records = list(self.records_of(customer, cell))
        kept = [record for record in records if not self.is_removed(record, op)]
        times = [
            self.history.clock.at(delivery.at)
            for record in kept or records
            for delivery in record.deliveries[:1]
            if delivery.op < op
        ]
        return min(times, default=day_start(cell.day))

    def knows(self, customer: str, user: str, day: str) -> bool:
        """Return whether all events of a user's day are known. Above level 0 they always are."""
        return not self.read_only or self.inferred.logs_cover(customer, user, day)

    def value(self, event: SentEvent, name: str) -> Json | Open:
        """Return the value of a field of an event, for filters and order.

        Where nothing was sent, it is what its log shows.
        """
        sent = event.value(name)
        return self.filled.value(event.customer, event.log_id, name) if sent is None else sent

    def status(self, event: SentEvent) -> int | None:
        """Return the status of an event; where none was sent, the one that its log shows."""
        if event.status is not None:
            return event.status
        shown = self.value(event, "log_status_code")
        return None if isinstance(shown, Open) else as_int({"v": shown}, "v")

    # --- responses

    @staticmethod
    def served(exchange: Exchange) -> bool:
        """Return whether a usable response to a retrieve holds an object."""
        return exchange.status == 200 and bool(get_path(exchange.body, "data"))

    @staticmethod
    def data(exchange: Exchange) -> Row | None:
        """Return the `data` object of a response with status 200."""
        found = get_path(exchange.body, "data")
        return found if exchange.status == 200 and isinstance(found, dict) else None

    def spelled(self, sent: str) -> str | None:
        """Return how a hostname is shown according to the readings; None if they are open."""
        case, dot = (
            self.reading.values.get("hostname-case"),
            self.reading.values.get("hostname-dot"),
        )
        if case is None or dot is None:
            return None
        name = sent.lower() if case == "folded" else sent
        name = name.removesuffix(".") if dot == "stripped" else name
        return name if name.isascii() else None

    def customer_number(self, letter: str) -> Json:
        """Return the number of a customer, or None if it is unknown."""
        return self.history.customers.get(letter)

    def is_own_name(self, row: Row) -> bool:
        """Return whether a row is of a proxy user of this run."""
        name = as_str(row, "proxy_user_id") or ""
        if self.read_only:
            return any(user == name for _, user in self.inferred.days)
        return name.startswith(self.history.prefix)


def day_start(day: str) -> datetime:
    """Return midnight, UTC, of a day `YYYY-MM-DD`."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
