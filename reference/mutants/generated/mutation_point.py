"""A point with its operators and conditions, and the mutant of one of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from trueup.reference.behaviour import Behaviour, Delivery, Start
from trueup.reference.mutants.generated.conditions import Condition, Memory, Subject
from trueup.reference.mutants.generated.operators import Operator
from trueup.reference.mutants.mutant import Mutant
from trueup.reference.networks import POOLS

__all__ = ["Alteration", "Install", "MutationPoint", "altering", "mutant_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """An operator under a condition, in one process."""

    operator: Operator
    condition: Condition
    memory: Memory

    def applies(self, subject: Subject) -> bool:
        """Return whether the condition holds."""
        return self.condition.holds(subject, self.memory)

    def to(self, value: Any, subject: Subject, *, place: Any = "", thing: Any = "") -> Any:
        """Return the value as the mutant has it; unchanged if the condition does not hold.

        `place` names where the value stands, so that the next one there has a neighbour; `thing`
        names what it is a value of, so that it can stay as it was first.
        """
        if self.operator.name == "stale":
            before = self.memory.before.setdefault((thing, place), value)
        else:
            before = self.memory.before.get(place)
            self.memory.before[place] = value
        return self.operator.change(value, before) if self.applies(subject) else value


Install: TypeAlias = Callable[[Alteration, Behaviour], dict[str, Any]]
"""Returns the fields of the behaviour that hold the change."""


def altering(
    hook: str,
    subject_of: Callable[..., Subject | None],
    *,
    field: str | None = None,
    place_of: Callable[..., Any] | None = None,
) -> Install:
    """Return the installation of a change to what one function of the behaviour returns.

    `hook` is the field of the behaviour that holds the function. `subject_of` takes the memory and
    the function's arguments; where it returns None, the result stays right. With `field`, only this
    field of the result is changed. A value of None stays. `place_of` takes the function's arguments
    and returns where the value stands; by default all values share one place.
    """

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        earlier = getattr(behaviour, hook)

        def altered(*given: Any) -> Any:
            right = earlier(*given)
            value = _read(right, field)
            subject = None if value is None else subject_of(change.memory, *given)
            if subject is None:
                return right
            place = "" if place_of is None else place_of(*given)
            return _written(right, field, change.to(value, subject, place=place))

        return {hook: altered}

    return install


def _read(whole: Any, field: str | None) -> Any:
    if whole is None or field is None:
        return whole
    return whole.get(field) if isinstance(whole, Mapping) else getattr(whole, field)


def _written(whole: Any, field: str | None, value: Any) -> Any:
    if field is None:
        return value
    if isinstance(whole, Mapping):
        return {**whole, field: value}
    if hasattr(whole, "_replace"):
        return whole._replace(**{field: value})
    return replace(whole, **{field: value})


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationPoint:
    """A place where the reference decides or shows something, and how it can be wrong there."""

    id: str
    what: str
    """What is decided or shown, as the subject of a sentence."""
    operators: tuple[Operator, ...]
    conditions: tuple[Condition, ...]
    install: Install
    depth: int = 6
    """Most of its mutants in the standard set."""


def mutant_of(point: MutationPoint, operator: Operator, condition: Condition) -> Mutant:
    """Return the mutant of a point whose operator applies while the condition holds."""
    suffix = "" if condition.name == "always" else f"@{condition.name}"
    when = f", {condition.phrase}" if condition.phrase else ""

    def apply(behaviour: Behaviour) -> Behaviour:
        change = Alteration(operator=operator, condition=condition, memory=Memory())
        changed = replace(behaviour, **point.install(change, behaviour))
        return _observed(changed, change.memory)

    return Mutant(
        id=f"{point.id}:{operator.name}{suffix}",
        what=f"{point.what} {operator.phrase}{when}.",
        apply=apply,
    )


def _observed(behaviour: Behaviour, memory: Memory) -> Behaviour:
    """The behaviour, with a memory that records what happens."""

    def on_start(connection: sqlite3.Connection, start: Start) -> None:
        memory.customers, memory.restarted = start.customers, start.restarted
        behaviour.on_start(connection, start)

    def on_delivery(delivery: Delivery) -> None:
        memory.now_us, memory.batch, memory.refused = delivery
        behaviour.on_delivery(delivery)

    def after_maintenance(connection: sqlite3.Connection, now_us: int) -> None:
        behaviour.after_maintenance(connection, now_us)
        memory.rounds += 1

    def on_create(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
        _note_limits(connection, customer_id, user, memory)
        behaviour.on_create(connection, customer_id, user)

    def on_edit(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
        memory.edited.add((customer_id, user))
        _note_limits(connection, customer_id, user, memory)
        behaviour.on_edit(connection, customer_id, user)

    def on_delete(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
        memory.deleted.add((customer_id, user))
        behaviour.on_delete(connection, customer_id, user)

    return replace(
        behaviour,
        on_start=on_start,
        on_delivery=on_delivery,
        after_maintenance=after_maintenance,
        on_create=on_create,
        on_edit=on_edit,
        on_delete=on_delete,
    )


def _note_limits(
    connection: sqlite3.Connection, customer_id: int, user: str, memory: Memory
) -> None:
    """Note the limits of a proxy user that was created or edited."""
    limits = connection.execute(
        "SELECT proxy_user_residential_bytes_limit, proxy_user_mobile_bytes_limit "
        "FROM proxy_user WHERE customer_id = ? AND proxy_user_id = ?",
        (customer_id, user),
    ).fetchone()
    memory.limits[customer_id, user] = {
        pool: limit for pool, limit in zip(POOLS, limits, strict=True) if limit is not None
    }
