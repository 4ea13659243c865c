"""What all stages of a plan use: the rows of the arrays, and the events made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trueup.conformance.datasets.covering import Constraint, Row, cover
from trueup.conformance.datasets.depth import SETTINGS, Depth, Settings
from trueup.conformance.datasets.dimensions import table
from trueup.conformance.datasets.event_batches import LATER, EventSet, event_set
from trueup.conformance.datasets.event_times import moments
from trueup.conformance.datasets.event_values import LATER_USER, users_of
from trueup.conformance.datasets.operations import ClassName
from trueup.conformance.datasets.payment_plan import PaymentPlan, payment_plan, payment_rows
from trueup.conformance.datasets.special_events import LONG, SPECIAL_USERS
from trueup.conformance.model import CheckContext, Event

__all__ = ["Materials", "classes_of", "materials"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """The arrays of one plan, and what they stand for."""

    context: CheckContext
    settings: Settings
    seed: int
    event_rows: tuple[Row, ...]
    sets: Mapping[str, EventSet]
    """By customer."""
    payment_rows: tuple[Row, ...]
    payments: PaymentPlan
    user_classes: tuple[str, ...]
    array_most: Mapping[str, int] = field(default_factory=dict)
    """Age → how many requests of the arrays are made at it; ages that are left out: all."""

    @property
    def tenants(self) -> tuple[str, ...]:
        """Letters of the customers."""
        return tuple(self.context.customers)

    @property
    def events(self) -> Mapping[str, Sequence[Event]]:
        """Every possible event of the array, by customer."""
        return {tenant: own.events for tenant, own in self.sets.items()}

    @property
    def rich(self) -> Mapping[str, Sequence[Event]]:
        """Events of one proxy user with many rows, by customer."""
        name = users_of(self.context, "", ("implicit",))[0]
        return {
            tenant: [event for event in own if event["proxy_user_id"] == name]
            for tenant, own in self.events.items()
        }

    @property
    def array_users(self) -> Mapping[str, tuple[str, ...]]:
        """Users of the array, by customer."""
        return {
            tenant: users_of(self.context, tenant, self.user_classes) for tenant in self.tenants
        }

    @property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """Users of the array and of the small datasets, by customer."""
        special = (
            *(self.context.user(f"u-{name}") for name in SPECIAL_USERS),
            *(self.context.user(name) for name in (LATER_USER, "u-late", "u-edge")),
        )
        return {tenant: (*own, *special) for tenant, own in self.array_users.items()}

    @property
    def long_user(self) -> str:
        """Name of the proxy user with many rows."""
        return self.context.user(LONG)

    @property
    def later_names(self) -> frozenset[str]:
        """Classes of delivery that a later stage repeats."""
        return frozenset(LATER)

    def later(self, name: str) -> Mapping[str, Sequence[Event]]:
        """Return the events that a later stage delivers again, by customer."""
        return {tenant: own.later.get(name, ()) for tenant, own in self.sets.items()}


def _stays_in_its_customer(row: Row) -> bool:
    """A name that only one customer has is not delivered by the other."""
    return (row["user"], row["delivery"]) != ("one-customer", "other-customer")


EVENT_CONSTRAINTS: Final = (Constraint(fields=("user", "delivery"), allows=_stays_in_its_customer),)


def materials(context: CheckContext, depth: Depth, seed: int) -> Materials:
    """Return the arrays of a plan. Equal arguments give equal values."""
    settings = SETTINGS[depth]
    times = moments(context.now, context.late_days)
    factors = {
        each.name: each.reachable(context.level, context.claims, context.hooks)
        for each in table("event")
        if each.name != "day"
    }
    factors["time"] = tuple(name for name in factors["time"] if name in times)
    factors["customer"] = tuple(n for n in factors["customer"] if n in context.customers)
    if len(context.customers) < 2:
        factors["delivery"] = tuple(n for n in factors["delivery"] if n != "other-customer")
    rows = cover(factors, seed=seed, triples=settings.event_triples, constraints=EVENT_CONSTRAINTS)[
        : settings.event_rows
    ]
    paid = payment_rows(
        context, seed=seed, triples=settings.payment_triples, most=settings.payments
    )
    return Materials(
        context=context,
        settings=settings,
        seed=seed,
        event_rows=rows,
        sets={
            tenant: event_set(
                context, tenant, [row for row in rows if row["customer"] == tenant], times
            )
            for tenant in context.customers
        },
        payment_rows=paid,
        payments=payment_plan(context, paid),
        user_classes=factors["user"],
    )


def classes_of(table_name: str, rows: Sequence[Row]) -> frozenset[ClassName]:
    """Return the classes in rows whose columns are dimensions of a table."""
    known = {each.name: set(each.names) for each in table(table_name)}
    return frozenset(
        (table_name, name, value)
        for row in rows
        for name, value in row.items()
        if value in known.get(name, ())
    )
