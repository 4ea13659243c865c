"""Mutation points of age and of processes: retention, consolidation, maintenance and restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from trueup.reference.behaviour import Behaviour, Group, Start
from trueup.reference.mutants.generated.conditions import Memory, Subject, conditions
from trueup.reference.mutants.generated.mutation_point import (
    Alteration,
    Install,
    MutationPoint,
    altering,
)
from trueup.reference.mutants.generated.operators import BYTES, COUNT, ROWS, Operator, adding, named
from trueup.reference.retention import DayRow
from trueup.reference.times import DAY_US, HOUR_US, SECOND_US, day_of

__all__ = ["POINTS"]

_GROUP: Final = conditions("network", "customer", "user", "time", "date", "after=restart")

_NEVER_US: Final = 4000 * DAY_US
_LIFE: Final = (
    adding("second-early", "passes a second early", SECOND_US),
    adding("hour-early", "passes an hour early", HOUR_US),
    adding("day-early", "passes a day early", DAY_US),
    adding("second-late", "passes a second late", -SECOND_US),
    adding("hour-late", "passes an hour late", -HOUR_US),
    adding("day-late", "passes a day late", -DAY_US),
    adding("week-late", "passes a week late", -7 * DAY_US),
    adding("never", "never passes", -_NEVER_US),
)


def _visible(view: str) -> Install:
    def subject(_memory: Memory, now_us: int, name: str, customer_id: int) -> Subject | None:
        return Subject(now_us=now_us, customer_id=customer_id) if name == view else None

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        # What is shown longer must also be kept longer.
        return {
            **altering("visible_from", subject)(change, behaviour),
            "purge_before": lambda now_us: now_us - _NEVER_US,
        }

    return install


def _consolidate(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
    def consolidate_before(now_us: int) -> int:
        right_us = behaviour.consolidate_before(now_us) * DAY_US
        return day_of(change.to(right_us, Subject(now_us=now_us)))

    return {"consolidate_before": consolidate_before}


def _of_round(memory: Memory, _customers: Sequence[int]) -> Subject:
    times, _ = memory.again("round", 0)
    return Subject(seen_before=times)


def _of_group(memory: Memory, group: Group, _rows: Sequence[DayRow]) -> Subject:
    times, _ = memory.again((group.customer_id, group.proxy_user_id, group.network), 0)
    return Subject(
        customer_id=group.customer_id,
        user=group.proxy_user_id,
        network=group.network,
        at_us=group.day * DAY_US,
        seen_before=times,
    )


def _merged_field(name: str) -> Install:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        def merged(group: Group, rows: Sequence[DayRow]) -> Sequence[DayRow]:
            subject = _of_group(change.memory, group, rows)
            return [
                replace(row, **{name: change.to(getattr(row, name), subject, place=group[:3])})
                for row in rows
            ]

        return {"merged": merged}

    return install


# What becomes of stored rows in maintenance and over a restart.

_CHANGES: Final = (
    ("plus-one", "is one too high", "{0} = {0} + 1"),
    ("zero", "is zero", "{0} = 0"),
    ("halved", "is halved", "{0} = {0} / 2"),
)
_AGED: Final = (
    ("7d", "older than a week", 7),
    ("90d", "older than 90 days", 90),
)


def _owned(change: Alteration) -> str:
    """SQL for the rows of the customers that the condition names; every customer's for others."""
    ids = [
        customer_id
        for customer_id in change.memory.customers
        if change.applies(Subject(customer_id=customer_id))
    ]
    return f"customer_id IN ({', '.join(map(str, ids))})"


def _sql(name: str, phrase: str, statement: str) -> Operator:
    """An operator that is a statement on a table's rows; `{where}` is filled in."""
    return Operator(name=name, phrase=phrase, change=lambda where, _: statement.format(where=where))


def _table_operators(table: str, columns: Sequence[str]) -> tuple[Operator, ...]:
    last = f"SELECT MAX(seq) FROM {table} WHERE {{where}}"  # noqa: S608 - our names
    first = f"SELECT MIN(seq) FROM {table} WHERE {{where}}"  # noqa: S608
    changes = [
        _sql(
            f"{column}-{name}",
            f"have a {column} that {phrase}",
            f"UPDATE {table} SET {form.format(column)} WHERE {{where}}",  # noqa: S608
        )
        for column in columns
        for name, phrase, form in _CHANGES
    ]
    return (
        _sql("lose-last", "lose the newest one", f"DELETE FROM {table} WHERE seq IN ({last})"),  # noqa: S608
        _sql("lose-first", "lose the oldest one", f"DELETE FROM {table} WHERE seq IN ({first})"),  # noqa: S608
        *changes,
    )


def _rows_after_maintenance(older_days: int, where: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def after_maintenance(connection: sqlite3.Connection, now_us: int) -> None:
            behaviour.after_maintenance(connection, now_us)
            before = day_of(now_us - older_days * DAY_US)
            rows = f"{where} AND day < {before} AND {_owned(change)}"
            connection.execute(change.operator.change(rows, None))

        return {"after_maintenance": after_maintenance}

    return install


def _rows_at_start(where: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def on_start(connection: sqlite3.Connection, start: Start) -> None:
            behaviour.on_start(connection, start)
            if start.restarted:
                rows = f"{where} AND {_owned(change)}"
                connection.execute(change.operator.change(rows, None))

        return {"on_start": on_start}

    return install


_USAGE: Final = "reason = 'usage'"
_PAID: Final = "reason <> 'usage'"


def _aged_rows() -> Iterator[MutationPoint]:
    for name, title, table, where, columns in (
        ("summaries", "summaries", "summary", "1", ("requests", "bytes_low", "successful")),
        ("usage", "usage rows of the ledgers", "ledger", _USAGE, ("requests", "bytes_low")),
        ("payments", "payments in the ledgers", "ledger", _PAID, ("bytes_low",)),
    ):
        for age, phrase, days in _AGED:
            yield MutationPoint(
                id=f"aged-{age}.{name}",
                what=f"Maintained {title} {phrase}",
                operators=_table_operators(table, columns),
                conditions=conditions("customer"),
                install=_rows_after_maintenance(days, where),
                depth=7,
            )


def _restarted_rows() -> Iterator[MutationPoint]:
    for name, title, table, where, columns in (
        ("logs", "logs", "log", "1", ("log_total_bytes",)),
        ("summaries", "summaries", "summary", "1", ("requests", "bytes_low", "error")),
        ("usage", "usage rows of the ledgers", "ledger", _USAGE, ("requests", "bytes_low")),
        ("payments", "payments in the ledgers", "ledger", _PAID, ("bytes_low",)),
        ("users", "proxy users", "proxy_user", "1", ("proxy_user_is_deleted",)),
    ):
        yield MutationPoint(
            id=f"restarted.{name}",
            what=f"Over a restart, {title}",
            operators=_table_operators(table, columns),
            conditions=conditions("customer"),
            install=_rows_at_start(where),
            depth=8,
        )


POINTS: Final = (
    *(
        MutationPoint(
            id=f"life.{view}",
            what=f"The time after which a log is gone from {title}",
            operators=_LIFE,
            conditions=conditions("customer", "after=restart"),
            install=_visible(view),
            depth=8,
        )
        for view, title in (
            ("search", "searches"),
            ("retrieve", "retrieval by its id"),
            ("graph", "the graph"),
        )
    ),
    MutationPoint(
        id="life.hostname",
        what="The time after which a summary loses its hostname",
        operators=_LIFE,
        conditions=conditions("after=restart"),
        install=_consolidate,
        depth=8,
    ),
    MutationPoint(
        id="maintained",
        what="The list of customers that a round of maintenance covers",
        operators=named(ROWS, "drop-last", "drop-first", "empty"),
        conditions=conditions("time", "after"),
        install=altering("maintained", _of_round),
        depth=5,
    ),
    *(
        MutationPoint(
            id=f"consolidated.{name}",
            what=f"The {name} of a consolidated summary",
            operators=BYTES if name == "bytes" else COUNT,
            conditions=_GROUP,
            install=_merged_field(name),
            depth=5,
        )
        for name in ("requests", "successful", "error", "bytes")
    ),
    MutationPoint(
        id="consolidated.rows",
        what="The list of rows that replaces consolidated summaries",
        operators=named(ROWS, "empty"),
        conditions=_GROUP,
        install=altering("merged", _of_group),
        depth=5,
    ),
    *_aged_rows(),
    *_restarted_rows(),
)
"""Every point of age and of processes."""
