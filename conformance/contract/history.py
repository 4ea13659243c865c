"""What was done to a target: events and what became of them, users, payments, restarts.

Built once from a journal's records and never changed. Everything is numbered by its place in the
journal, so that the state at any request is what stands before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Final

from trueup.conformance.contract.fields import LOG_FIELDS, ApiField
from trueup.conformance.contract.target_time import TargetClock, time_of
from trueup.conformance.model import NETWORKS, UNREPORTED
from trueup.conformance.rows import as_int, canonical_hostname, parse_time
from trueup.reports.journal.records import (
    CapsulePlanted,
    Delivered,
    Exchange,
    Hook,
    JudgePlan,
    ReadingSeen,
    Record,
)
from trueup.reports.results import Json, Outcome

__all__ = [
    "EventDelivery",
    "EventRecord",
    "History",
    "PaymentRecord",
    "SentEvent",
    "UserChange",
    "build_history",
    "part_of",
    "records_by_part",
]

AHEAD: Final = timedelta(hours=12)
"""An event further ahead of the target's clock than this cannot have happened."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event as it was handed over, read."""

    log_id: str
    customer: str
    """Customer letter: `a` or `b`."""
    user: str
    network: str
    hostname: str
    """As DNS sees it: lower case, no trailing dot."""
    bytes: int
    at: datetime
    day: str
    """UTC day of the request, `YYYY-MM-DD`."""
    raw: Mapping[str, Json]
    shown: tuple[tuple[ApiField, Json], ...]
    """Documented fields that were sent with a value."""
    empty: tuple[ApiField, ...]
    """Documented fields that were sent as null or not at all, where the target can know that."""
    status: int | None
    coded: bool
    """Whether it carries an error code."""
    unsent: frozenset[str]
    """Fields whose values do not arrive at the target: what it shows there is open."""

    def value(self, name: str) -> Json:
        """Return the value of a field as the log must show it, for filters and order."""
        return None if name in self.unsent else self.raw.get(name)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """One time that an event was handed over."""

    op: int
    outcome: Outcome
    at: datetime
    """Our time when its outcome was known."""
    batch: int
    """Number of the delivery that it was part of."""
    began: datetime
    """Our time when it was begun."""
    reached: bool = True
    """Whether the target certainly got it, whatever the outcome."""

    def overlaps(self, other: EventDelivery) -> bool:
        """Return whether two deliveries were under way at the same time."""
        return self.batch != other.batch and self.began < other.at and other.began < self.at


@dataclass(slots=True)
class EventRecord:
    """One event of one customer and every delivery of it."""

    event: SentEvent
    deliveries: list[EventDelivery] = field(default_factory=list)
    others: list[SentEvent] = field(default_factory=list)
    """Events with the same id and other content that may have been taken in."""
    impossible: str = ""
    """Why it cannot have happened; empty for a possible event."""

    def outcome(self, op: int) -> Outcome:
        """Return its outcome as far as it is known before `op`; refused if it was not sent yet."""
        best = Outcome.REFUSED
        for delivery in self.deliveries:
            if delivery.op >= op:
                break
            if delivery.outcome is Outcome.ACCEPTED:
                return Outcome.ACCEPTED
            if delivery.outcome is Outcome.UNKNOWN:
                best = Outcome.UNKNOWN
        return best

    def accepted(self, op: int) -> EventDelivery | None:
        """Return the delivery by which it was first accepted, before `op`."""
        for delivery in self.deliveries:
            if delivery.op >= op:
                return None
            if delivery.outcome is Outcome.ACCEPTED:
                return delivery
        return None

    def reached(self, op: int) -> bool:
        """Return whether the target certainly got it before `op`, whatever it made of it."""
        return any(delivery.reached for delivery in self.deliveries if delivery.op < op)

    def times(self, op: int) -> int:
        """Return how often it was delivered before `op`."""
        return sum(1 for delivery in self.deliveries if delivery.op < op)


@dataclass(frozen=True, slots=True)
class UserChange:
    """A proxy user that was created, edited or deleted over the API."""

    op: int
    customer: str
    user: str
    action: str
    """`create`, `edit` or `delete`."""
    values: Mapping[str, Json]
    outcome: Outcome
    at: datetime

    @property
    def accepted(self) -> bool:
        """Whether it was certainly made."""
        return self.outcome is Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """One call of the payment hook."""

    op: int
    customer: str
    pool: str
    kind: str
    bytes: int
    key: str
    service_id: str
    outcome: Outcome
    at: datetime
    """The target's time."""


@dataclass(slots=True)
class History:
    """Everything that was done, by customer and user."""

    clock: TargetClock
    prefix: str
    customers: Mapping[str, int]
    unsent: frozenset[str] = frozenset()
    """Fields of events whose values do not arrive at the target."""
    records: dict[tuple[str, str], EventRecord] = field(default_factory=dict)
    """(customer, log id) → record, in the order of the first delivery."""
    by_user: dict[tuple[str, str], list[EventRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    changes: list[UserChange] = field(default_factory=list)
    payments: list[PaymentRecord] = field(default_factory=list)
    restarts: list[tuple[int, datetime]] = field(default_factory=list)
    """(op, our time) of every restart that succeeded."""
    writes: list[tuple[int, datetime]] = field(default_factory=list)
    """(op, our time) of every change, in order, for freshness."""
    is_capsule: bool = False
    """Whether it was done by an earlier run, whose capsule is harvested."""
    accepted: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    """Reason → events refused for it."""

    def of_customer(self, customer: str) -> Iterable[EventRecord]:
        """Return the event records of a customer."""
        return (record for key, record in self.records.items() if key[0] == customer)

    def records_with_id(self, log_id: str) -> Mapping[str, EventRecord]:
        """Return the records of an id of any customer, by customer letter."""
        found = {letter: self.records.get((letter, log_id.lower())) for letter in self.customers}
        return {letter: record for letter, record in found.items() if record is not None}

    def letter(self, number: Json) -> str | None:
        """Return the customer letter of a customer number."""
        for letter, own in self.customers.items():
            if own == number:
                return letter
        return None

    def last_write(self, op: int) -> datetime | None:
        """Return our time of the last change before `op`; None if nothing was changed yet."""
        place = self._writes_before(op)
        return self.writes[place - 1][1] if place else None

    def written_between(self, one: int, two: int) -> bool:
        """Return whether something was changed between two places of the journal."""
        low, high = sorted((one, two))
        return self._writes_before(low) < self._writes_before(high + 1)

    def _writes_before(self, op: int) -> int:
        return bisect_left(self.writes, op, key=itemgetter(0))

    def users_of(self, customer: str) -> list[str]:
        """Return the users of a customer that events were sent for."""
        return [user for letter, user in self.by_user if letter == customer]

    def changes_of(self, customer: str, user: str, op: int) -> list[UserChange]:
        """Return the changes of a user before `op`, refused ones too, in order."""
        return [
            change
            for change in self.changes
            if change.op < op and (change.customer, change.user) == (customer, user)
        ]

    def lives_of(self, customer: str, user: str, op: int) -> list[UserChange]:
        """Return the creations and deletions of a user before `op` that may have been made."""
        return [
            change
            for change in self.changes_of(customer, user, op)
            if change.action in ("create", "delete") and change.outcome is not Outcome.REFUSED
        ]

    def deletion_of(self, customer: str, user: str, op: int) -> UserChange | None:
        """Return the deletion after which a user may not have been created again before `op`.

        Between two deletions it may have been; None if it was certainly created after the last.
        """
        found: UserChange | None = None
        for change in self.lives_of(customer, user, op):
            if change.action == "delete":
                found = change
            elif change.accepted:
                found = None
        return found

    def begin_of_life(self, customer: str, user: str, op: int) -> int:
        """Return the place in the journal of the last event that may have begun a user's life anew.

        A creation or a deletion, or the first event that was delivered for a deleted user: a target
        may create users by their traffic. 0 if there was none before `op`.
        """
        lives = self.lives_of(customer, user, op)
        if not lives:
            return 0
        if lives[-1].action == "create":
            return lives[-1].op
        later = (
            delivery.op
            for record in self.by_user.get((customer, user), ())
            for delivery in record.deliveries
            if lives[-1].op < delivery.op < op and delivery.outcome is not Outcome.REFUSED
        )
        return min(later, default=lives[-1].op)

    def was_deleted(self, customer: str, user: str, op: int) -> bool:
        """Return whether the deletion of a user was requested before `op`."""
        return any(change.action == "delete" for change in self.changes_of(customer, user, op))

    def names_of(self, customer: str) -> frozenset[str]:
        """Return the users of a customer: those of sent events, and those created or changed."""
        changed = {change.user for change in self.changes if change.customer == customer}
        return frozenset(changed.union(self.users_of(customer)))

    def names_of_others(self, customer: str) -> frozenset[str]:
        """Return the users that other customers have and this one does not."""
        others = (self.names_of(letter) for letter in self.customers if letter != customer)
        return frozenset().union(*others) - self.names_of(customer)

    def created_users(self, customer: str, op: int) -> frozenset[str]:
        """Return the users that were created over the API before `op`, deleted ones too."""
        return frozenset(
            change.user
            for change in self.changes
            if change.customer == customer
            and change.op < op
            and change.action == "create"
            and change.outcome is Outcome.ACCEPTED
        )

    def has_user(self, customer: str, name: str, op: int) -> bool:
        """Return whether a user existed before `op`: an event or its creation was accepted."""
        return any(record.accepted(op) for record in self.by_user.get((customer, name), ())) or any(
            change.action == "create" and change.outcome is Outcome.ACCEPTED
            for change in self.changes_of(customer, name, op)
        )


def part_of(stage: str) -> str:
    """Return the part of a run that a stage belongs to; empty for a stage of the checks."""
    word, _, rest = stage.partition(" ")
    return rest.split(" ")[0] if word == "traffic" else ""


def records_by_part(records: Iterable[Record]) -> Mapping[str, list[Record]]:
    """Return the records of each part that has a plan, in order, with all readings so far."""
    readings: list[Record] = []
    parts: dict[str, list[Record]] = {}
    for record in records:
        match record:
            case ReadingSeen():
                readings.append(record)
            case JudgePlan():
                parts.setdefault(record.part, [*readings]).append(record)
            case Delivered() | Hook() | Exchange():
                parts.setdefault(part_of(record.stage), [*readings]).append(record)
            case _:
                pass
    return parts


def build_history(records: Sequence[Record], part: str = "") -> History:
    """Return the history of one part of a journal; without a plan it has no customers."""
    clock = TargetClock.from_records(records, part)
    plan = next((r for r in records if isinstance(r, JudgePlan) and r.part == part), None)
    history = History(
        clock=clock,
        prefix=plan.prefix if plan is not None else "",
        customers=dict(plan.customers) if plan is not None else {},
        unsent=frozenset(plan.unsent) if plan is not None else frozenset(),
    )
    for op, record in enumerate(records):
        match record:
            case Delivered() | Hook() | Exchange() if part_of(record.stage) != part:
                continue
            case CapsulePlanted():
                history.is_capsule = True
            case Delivered(source="probe"):
                _deliver(history, op, record)
            case Hook() if record.check and not record.ok:
                pass  # refused to a customer's keys: nothing was done
            case Hook() if record.hook != "clock":
                _hook(history, op, record)
            case Hook(hook="clock"):
                at = time_of(record)
                if at is not None and record.ok:
                    history.writes.append((op, at))
            case Exchange() if record.method != "GET" and record.tenant in history.customers:
                _change(history, op, record)
            case _:
                pass
    return history


def _deliver(history: History, op: int, record: Delivered) -> None:
    end = time_of(record)
    if end is None:
        return
    begin = end - timedelta(milliseconds=record.elapsed_ms)
    history.writes.append((op, end))
    for outcome in record.outcomes:
        stretch = record.events[outcome.first : outcome.first + outcome.count]
        for raw in stretch:
            event = read_event(raw, history)
            if event is None:
                continue
            if outcome.outcome is Outcome.ACCEPTED:
                history.accepted += 1
            elif outcome.outcome is Outcome.REFUSED:
                reason = outcome.reason or "no reason given"
                history.refusals[reason] = history.refusals.get(reason, 0) + 1
            delivery = EventDelivery(
                op=op,
                outcome=outcome.outcome,
                at=end,
                batch=op,
                began=begin,
                reached=outcome.outcome is not Outcome.UNKNOWN or outcome.reason == UNREPORTED,
            )
            _note(history, event, delivery)


def _note(history: History, event: SentEvent, delivery: EventDelivery) -> None:
    key = (event.customer, event.log_id)
    known = history.records.get(key)
    if known is None:
        known = EventRecord(event=event)
        now = history.clock.at(delivery.at)
        known.impossible = _impossible(event, now)
        history.records[key] = known
        history.by_user[event.customer, event.user].append(known)
    elif known.event.raw != event.raw:
        if delivery.outcome is Outcome.REFUSED:
            return  # what exists already stays
        if known.outcome(delivery.op) is Outcome.REFUSED:
            _replace(history, known, event, delivery)
        elif all(other.raw != event.raw for other in known.others):
            known.others.append(event)
        return
    known.deliveries.append(delivery)


def _replace(
    history: History, known: EventRecord, event: SentEvent, delivery: EventDelivery
) -> None:
    """The first content was refused: from now on the id stands for the new one."""
    history.by_user[known.event.customer, known.event.user].remove(known)
    known.event = event
    known.impossible = _impossible(event, history.clock.at(delivery.at))
    known.deliveries.append(delivery)
    history.by_user[event.customer, event.user].append(known)


def read_event(raw: Mapping[str, Json], history: History) -> SentEvent | None:
    """Return a sent event, or None if it has no customer of ours or no id."""
    customer = history.letter(raw.get("customer_id"))
    log_id = raw.get("log_id")
    if customer is None or not isinstance(log_id, str):
        return None
    at = parse_time(raw.get("log_request_datetime"))
    shown: list[tuple[ApiField, Json]] = []
    empty: list[ApiField] = []
    for name, one in LOG_FIELDS.items():
        if name in history.unsent:
            continue
        value = raw.get(name)
        if value is None:
            empty.append(one)
        else:
            shown.append((one, value))
    instant = at if at is not None else datetime.fromtimestamp(0, UTC)
    hostname = raw.get("log_hostname")
    return SentEvent(
        log_id=log_id.lower(),
        customer=customer,
        user=str(raw.get("proxy_user_id")),
        network=str(raw.get("log_network")),
        hostname=canonical_hostname(hostname) if isinstance(hostname, str) else "",
        bytes=as_int(raw, "log_total_bytes") or 0,
        at=instant,
        day=instant.strftime("%Y-%m-%d"),
        raw=raw,
        shown=tuple(shown),
        empty=tuple(empty),
        status=None if "log_status_code" in history.unsent else as_int(raw, "log_status_code"),
        coded="log_error_code" not in history.unsent and raw.get("log_error_code") is not None,
        unsent=history.unsent,
    )


def _impossible(event: SentEvent, now: datetime) -> str:
    """Why an event cannot have happened; the documents allow no reading by which it could."""
    size = event.raw.get("log_total_bytes")
    if as_int(event.raw, "log_total_bytes") is None:
        return f"{size!r} bytes"
    if event.bytes < 0:
        return f"{event.bytes} bytes"
    if event.network not in NETWORKS:
        return f"network {event.network}"
    if parse_time(event.raw.get("log_request_datetime")) is None:
        return f"time {event.raw.get('log_request_datetime')!r}"
    if event.at > now + AHEAD:
        return f"time {event.raw.get('log_request_datetime')}, ahead of the clock"
    return ""


def _hook(history: History, op: int, record: Hook) -> None:
    at = time_of(record)
    if at is None:
        return
    match record.hook:
        case "restart" if record.ok:
            history.restarts.append((op, at))
            history.writes.append((op, at))
        case "maintenance" if record.ok:
            history.writes.append((op, at))
        case "money":
            customer = history.letter(record.request.get("customer_id"))
            if customer is None:
                return
            history.writes.append((op, at))
            history.payments.append(
                PaymentRecord(
                    op=op,
                    customer=customer,
                    pool=str(record.request.get("network")),
                    kind=str(record.request.get("kind")),
                    bytes=as_int(record.request, "bytes") or 0,
                    key=str(record.request.get("idempotency_key")),
                    service_id=str(record.request.get("service_id") or ""),
                    outcome=_hook_outcome(record),
                    at=history.clock.at(at),
                )
            )
        case _:
            pass


def _hook_outcome(record: Hook) -> Outcome:
    """A 4xx refuses, 429 excepted; anything else that is no success may have happened."""
    if record.ok:
        return Outcome.ACCEPTED
    refused = record.error.startswith("status 4") and not record.error.startswith("status 429")
    return Outcome.REFUSED if refused else Outcome.UNKNOWN


def _change(history: History, op: int, record: Exchange) -> None:
    parts = record.path.strip("/").split("/")
    if "proxy_user" not in parts:
        return
    action = parts[parts.index("proxy_user") + 1]
    body = record.request_body if isinstance(record.request_body, dict) else {}
    named = parts[-1] if parts[-1] != action else body.get("proxy_user_id")
    at = time_of(record)
    if not isinstance(named, str) or at is None:
        return
    if record.status is None or record.status == 429 or record.status >= 500:
        outcome = Outcome.UNKNOWN  # no usable response: it may have happened
    else:
        outcome = Outcome.ACCEPTED if record.status < 300 else Outcome.REFUSED
    history.writes.append((op, at))
    history.changes.append(
        UserChange(
            op=op,
            customer=record.tenant,
            user=named,
            action=action,
            values={name: value for name, value in body.items() if name != "proxy_user_id"},
            outcome=outcome,
            at=at,
        )
    )
