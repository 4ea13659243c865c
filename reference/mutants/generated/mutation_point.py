"""A point with its operators and conditions, and the mutant of one of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trueup.reference.behaviour import Behaviour, Delivery, Start
from trueup.reference.mutants.generated.conditions import Condition, Memory, Subject
from trueup.reference.mutants.generated.operators import Operator
from trueup.reference.mutants.mutant import Mutant

__all__ = ["Alteration", "MutationPoint", "mutant_of"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationPoint:
    """A place where the reference decides or shows something, and how it can be wrong there."""

    id: str
    what: str
    """What is decided or shown, as the subject of a sentence."""
    operators: tuple[Operator, ...]
    conditions: tuple[Condition, ...]
    install: Callable[[Alteration, Behaviour], dict[str, Any]]
    """The fields of the behaviour that hold the change."""
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
        _note_limit(connection, customer_id, user, memory)
        behaviour.on_create(connection, customer_id, user)

    def on_edit(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
        memory.edited.add((customer_id, user))
        _note_limit(connection, customer_id, user, memory)
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


def _note_limit(
    connection: sqlite3.Connection, customer_id: int, user: str, memory: Memory
) -> None:
    has_limit = connection.execute(
        "SELECT 1 FROM proxy_user WHERE customer_id = ? AND proxy_user_id = ? AND "
        "(proxy_user_residential_bytes_limit IS NOT NULL "
        "OR proxy_user_mobile_bytes_limit IS NOT NULL)",
        (customer_id, user),
    ).fetchone()
    if has_limit:
        memory.limited.add((customer_id, user))
    else:
        memory.limited.discard((customer_id, user))
