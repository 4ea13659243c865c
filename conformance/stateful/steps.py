"""A sequence of steps on a target, small enough to be generated, shrunk and read.

A step holds choices: classes of `datasets/dimensions.toml`, places in the sequence, hours. It names
no time and nothing of a run, so that a sequence that failed can be saved as JSON and repeated under
new names. Hypothesis generates it; `trueup.conformance.stateful.operations` makes it the operations
that check runs execute as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from hypothesis import strategies as st

from trueup.conformance.datasets.dimensions import table
from trueup.conformance.datasets.payment_plan import CONSTRAINTS
from trueup.conformance.datasets.user_changes import CHANGES, CLAIM
from trueup.conformance.model import CheckContext

__all__ = [
    "PLAIN",
    "ClockStep",
    "DeliveryStep",
    "EventChoice",
    "HookStep",
    "PaymentStep",
    "ReadStep",
    "RepeatStep",
    "Step",
    "StepSequence",
    "UserStep",
    "step_sequences",
]

MOST_STEPS: Final = 12
MOST_EVENTS: Final = 6
"""Events of one delivery."""
MOST_KEYS: Final = 3
"""Idempotency keys of a pool, so that they are repeated."""
MANY_DELIVERIES: Final = 4
"""How much likelier a delivery is than any other step."""
POSSIBLE: Final = 12
"""Possible events that are drawn for one of each of `WRONG`."""
HOURS: Final = (1, 12, 24, 100, 8 * 24, 10 * 24, 94 * 24, 400 * 24)
"""Moves of the clock: within a day, past the life of a log, of a hostname, of a year."""
FIXED: Final = frozenset({"customer", "delivery", "day"})
"""Dimensions of the event table that a choice says otherwise, or that the clock chooses."""
PLAIN: Final = {each.name: each.classes[0].name for each in table("event")} | {"bytes": "distinct"}
"""Dimension → the class of an event that chooses none."""
WRONG: Final = ("negative", "ahead", "network", "far-negative")
"""Events that cannot have happened."""


class EventChoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event: its classes, by dimension of the event table; dimensions left out are plain."""

    customer: str = "a"
    classes: Mapping[str, str] = {}
    wrong: str = ""
    """One of `WRONG`; empty for an event that can have happened."""


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="step", omit_defaults=True):
    pass


class DeliveryStep(_Step, frozen=True, kw_only=True, tag="deliver"):
    """Deliver events in one delivery."""

    events: tuple[EventChoice, ...]


class RepeatStep(_Step, frozen=True, kw_only=True, tag="repeat"):
    """Deliver an earlier event again; `nth` counts from the first."""

    nth: int
    change: str = ""
    """`content`: with another size; `customer`: by the other customer; `mended`: as it would have
    been possible; empty: as it was."""
    at_once: bool = False
    """Twice at the same time."""


class PaymentStep(_Step, frozen=True, kw_only=True, tag="pay"):
    """Call the money hook; the classes are those of the payment table."""

    customer: str = "a"
    pool: str
    kind: str
    amount: str
    key: int = 0
    """Idempotency keys of a pool are numbered; both customers use the same."""
    at_once: bool = False
    """Twice at the same time."""


class UserStep(_Step, frozen=True, kw_only=True, tag="user"):
    """Create, edit or delete a proxy user of a class of the event table."""

    customer: str = "a"
    user: str
    change: str


class ClockStep(_Step, frozen=True, kw_only=True, tag="clock"):
    """Move the target's clock forward."""

    hours: int


class HookStep(_Step, frozen=True, kw_only=True, tag="hook"):
    """Call the maintenance or the restart hook."""

    hook: str


class ReadStep(_Step, frozen=True, kw_only=True, tag="read"):
    """Read every view of every user of the sequence. A sequence always ends with it."""


Step: TypeAlias = (
    DeliveryStep | RepeatStep | PaymentStep | UserStep | ClockStep | HookStep | ReadStep
)
StepSequence: TypeAlias = tuple[Step, ...]


def step_sequences(context: CheckContext) -> st.SearchStrategy[StepSequence]:
    """Return a strategy for sequences of at most `MOST_STEPS` steps that the target can take.

    Steps that need a hook or a claim that the target does not have are left out.
    """
    customers = st.sampled_from(sorted(context.customers))
    steps: list[st.SearchStrategy[Step]] = [
        _deliveries(context, customers) for _ in range(MANY_DELIVERIES)
    ]
    if "deduplication" in context.claims:
        steps += _repeats(context)
    payments = _payments(context, customers)
    steps += [payments] if payments is not None else []
    if CLAIM in context.claims:
        changes = [(user, change) for change, users in CHANGES.items() for user in users]
        steps.append(
            st.builds(
                lambda customer, pair: UserStep(customer=customer, user=pair[0], change=pair[1]),
                customers,
                st.sampled_from(changes),
            )
        )
    if "clock" in context.hooks and context.level >= 3:
        steps.append(st.builds(ClockStep, hours=st.sampled_from(HOURS)))
    hooks = [hook for hook in ("maintenance", "restart") if hook in context.hooks]
    if hooks:
        steps.append(st.builds(HookStep, hook=st.sampled_from(hooks)))
    steps.append(st.just(ReadStep()))
    return st.lists(st.one_of(steps), min_size=1, max_size=MOST_STEPS).map(tuple)


def _deliveries(
    context: CheckContext, customers: st.SearchStrategy[str]
) -> st.SearchStrategy[Step]:
    events = st.lists(_events(context, customers), min_size=1, max_size=MOST_EVENTS)
    return st.builds(DeliveryStep, events=events.map(tuple))


def _events(
    context: CheckContext, customers: st.SearchStrategy[str]
) -> st.SearchStrategy[EventChoice]:
    """Half of the dimensions of an event are plain, so that events meet in one summary."""
    reached = {
        each.name: each.reachable(context.level, context.claims, context.hooks)
        for each in table("event")
        if each.name not in FIXED
    }
    classes = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(names) for name, names in reached.items() if names}
    ).map(_without_plain)
    wrong = st.sampled_from(("",) * POSSIBLE + WRONG)
    return st.builds(EventChoice, customer=customers, classes=classes, wrong=wrong)


def _without_plain(classes: Mapping[str, str]) -> Mapping[str, str]:
    return {name: each for name, each in classes.items() if PLAIN[name] != each}


def _repeats(context: CheckContext) -> list[st.SearchStrategy[Step]]:
    changes: Sequence[str] = ("content", "mended")
    if len(context.customers) > 1:
        changes = (*changes, "customer")
    nth = st.integers(0, MOST_EVENTS)
    return [
        st.builds(RepeatStep, nth=nth, at_once=st.booleans()),
        st.builds(RepeatStep, nth=nth, change=st.sampled_from(changes)),
    ]


def _payments(
    context: CheckContext, customers: st.SearchStrategy[str]
) -> st.SearchStrategy[Step] | None:
    """Payments of every kind; None without a money hook or a pool."""
    if not {"money"} <= context.hooks & context.claims:
        return None
    names = {
        each.name: each.reachable(context.level, context.claims, context.hooks)
        for each in table("payment")
    }
    (fits,) = (each for each in CONSTRAINTS if each.fields == ("kind", "amount"))
    pairs = [
        (kind, amount)
        for kind in names["kind"]
        for amount in names["amount"]
        if fits.allows({"kind": kind, "amount": amount})
    ]
    if not names["pool"] or not pairs:
        return None
    once = "idempotent-money" in context.claims
    return st.builds(
        lambda customer, pool, pair, key, at_once: PaymentStep(
            customer=customer, pool=pool, kind=pair[0], amount=pair[1], key=key, at_once=at_once
        ),
        customers,
        st.sampled_from(names["pool"]),
        st.sampled_from(pairs),
        st.integers(0, MOST_KEYS - 1),
        st.booleans() if once else st.just(value=False),
    )
