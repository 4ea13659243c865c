"""From the steps of a sequence to operations and requests, under the names of one sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.event_batches import OTHER_BYTES
from trueup.conformance.datasets.event_times import DISTANCE, moments
from trueup.conformance.datasets.event_values import EventBuilder, user_name
from trueup.conformance.datasets.operations import (
    ChangeUser,
    Deliver,
    FollowUp,
    Maintain,
    Operation,
    Pay,
    Restart,
    Together,
)
from trueup.conformance.datasets.payment_plan import payment
from trueup.conformance.datasets.stage_reads import (
    foreign_requests,
    read_all,
    read_users,
    retrieves,
    user_reads,
)
from trueup.conformance.datasets.user_changes import create_users, delete_users, edit_users
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest
from trueup.conformance.stateful.steps import (
    PLAIN,
    DeliveryStep,
    EventChoice,
    HookStep,
    PaymentStep,
    RepeatStep,
    UserStep,
)
from trueup.reports.results import Json

__all__ = ["Operand", "SequenceOperations"]

DATASET: Final = "stateful"
RETRIEVED: Final = 4
"""Logs of each customer that are retrieved by id."""

Operand = DeliveryStep | RepeatStep | PaymentStep | UserStep | HookStep


@dataclass(frozen=True, slots=True)
class _DrawnEvent:
    """An event as it was sent, and as it would have been possible."""

    event: Event
    mended: Event


class SequenceOperations:
    """Makes the operations of one sequence, in order; it keeps what was delivered."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._builders = {
            letter: EventBuilder(context, DATASET, letter) for letter in context.customers
        }
        self._sent: list[_DrawnEvent] = []
        self._users: dict[str, dict[str, None]] = defaultdict(dict)
        self._payments = 0

    def of(self, step: Operand, now: datetime) -> Operation | None:
        """Return the operation of a step at a time of the target; None if there is none."""
        match step:
            case DeliveryStep():
                return self._delivery(step.events, now)
            case RepeatStep():
                return self._repeat(step)
            case PaymentStep():
                return self._payment(step)
            case UserStep():
                return self._user_change(step)
            case HookStep():
                return Restart() if step.hook == "restart" else Maintain()

    def _delivery(self, choices: Sequence[EventChoice], now: datetime) -> Operation:
        made = [self._event(choice, now) for choice in choices]
        self._sent += made
        wrong = frozenset(n for n, choice in enumerate(choices) if choice.wrong)
        return Deliver(dataset=DATASET, events=tuple(each.event for each in made), refusable=wrong)

    def _event(self, choice: EventChoice, now: datetime) -> _DrawnEvent:
        row = {**PLAIN, **choice.classes}
        times = moments(now, self._context.late_days)
        at = times.get(row["time"], times["present"])[0]
        possible = self._builders[choice.customer].of_row(row, at)
        self._users[choice.customer][str(possible["proxy_user_id"])] = None
        return _DrawnEvent(event={**possible, **_fault(choice.wrong, now)}, mended=possible)

    def _repeat(self, step: RepeatStep) -> Operation | None:
        """Delivering again what was refused, or is too old by now, may be refused."""
        if not self._sent:
            return None
        sent = self._sent[step.nth % len(self._sent)]
        event = sent.event
        match step.change:
            case "content":
                size = sent.mended["log_total_bytes"]
                assert isinstance(size, int), "events are made with a size"
                event = {**sent.mended, "log_total_bytes": size + OTHER_BYTES}
            case "mended":
                event = sent.mended
            case "customer":
                number = sent.mended["customer_id"]
                letter, other = next(
                    (k, n) for k, n in self._context.customers.items() if n != number
                )
                event = {**sent.mended, "customer_id": other}
                self._users[letter][str(event["proxy_user_id"])] = None
            case _:
                pass
        one = Deliver(dataset=DATASET, events=(event,), refusable=frozenset({0}))
        return Together(operations=(one, one)) if step.at_once else one

    def _payment(self, step: PaymentStep) -> Operation:
        """Without a claim that keys make payments idempotent, every payment has its own key."""
        self._payments += 1
        number = step.key if "idempotent-money" in self._context.claims else self._payments
        row = {
            "customer": step.customer,
            "pool": step.pool,
            "kind": step.kind,
            "amount": step.amount,
        }
        made = payment(self._context, row, number)
        one: Pay = replace(made, key=f"{made.key}-{step.pool}")
        return Together(operations=(one, one)) if step.at_once else one

    def _user_change(self, step: UserStep) -> Operation | None:
        makers = {"create": create_users, "edit": edit_users, "delete": delete_users}
        self._users[step.customer][user_name(self._context, step.user)] = None
        made: Sequence[ChangeUser] = makers[step.change](self._context, step.customer, (step.user,))
        return made[0] if made else None

    def reads(self, now: datetime) -> tuple[tuple[ApiRequest, ...], tuple[FollowUp, ...]]:
        """Return requests for every view of every user, and for the ids in their responses."""
        context = self._context
        users = {letter: tuple(self._users[letter]) for letter in context.customers}
        events: dict[str, list[Event]] = {letter: [] for letter in context.customers}
        for sent in self._sent:
            letter = next(
                k for k, n in context.customers.items() if n == sent.mended["customer_id"]
            )
            events[letter].append(sent.mended)
        logs, follow_ups = retrieves(context, events, each=RETRIEVED)
        foreign, foreign_follow_ups = foreign_requests(context, events)
        requests = (
            *read_users(context, users, now, None),
            *read_all(context, users, now),
            *user_reads(context, users, turn=0, share=1),
            *logs,
            *foreign,
        )
        return requests, (*follow_ups, *foreign_follow_ups)


def _fault(wrong: str, now: datetime) -> dict[str, Json]:
    """The fields by which an event cannot have happened; empty for a possible one."""
    match wrong:
        case "negative":
            return {"log_total_bytes": -5}
        case "far-negative":
            return {"log_total_bytes": -(2**31)}
        case "network":
            return {"log_network": "carrier-pigeon"}
        case "ahead":
            ahead = now + timedelta(days=1) - DISTANCE
            return {"log_request_datetime": ahead.strftime("%Y-%m-%d %H:%M:%S")}
        case _:
            return {}
