"""Compile a search to SQL with bound values. Pure: text and tuples in, text and tuples out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias, assert_never

from trueup.reference.amounts import split
from trueup.reference.query import Between, Condition, Equal, HasKey, Like, Sort
from trueup.reference.resources import Field, Resource, ResourceKind

__all__ = ["Clause", "columns", "order_by", "where"]

Clause: TypeAlias = tuple[str, tuple[object, ...]]
"""SQL and the values bound in it, in order."""

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1


def columns(resource: Resource) -> str:
    """Return the select list: one column for a field, two for an amount, in field order."""
    parts: list[str] = []
    for field in resource.fields:
        if field.kind is ResourceKind.AMOUNT:
            parts += [f"{field.column}_high", f"{field.column}_low"]
        else:
            parts.append(field.column)
    return ", ".join(parts)


def where(
    resource: Resource,
    customers: Sequence[int],
    conditions: Iterable[Condition],
    *,
    escape_like: bool = True,
) -> Clause:
    """Return the condition for rows of these customers that meet every filter."""
    texts, values = _customers(customers)
    texts.append(resource.where)
    for condition in conditions:
        text, bound = _condition(condition, escape_like)
        texts.append(text)
        values += bound
    return " AND ".join(texts), tuple(values)


def _customers(customers: Sequence[int]) -> tuple[list[str], list[object]]:
    if len(customers) == 1:
        return ["customer_id = ?"], [customers[0]]
    return [f"customer_id IN ({', '.join('?' * len(customers))})"], list(customers)


def order_by(resource: Resource, sort: Sort, *, stable: bool = True) -> str:
    """Return the order of rows; ties are in order of arrival, so that pages never overlap."""
    if sort.random:
        return "random()"
    direction = " DESC" if sort.descending else ""
    parts = [f"{resource.order}{direction}"]
    if sort.field is not None and sort.field.kind is ResourceKind.AMOUNT:
        parts = [f"{sort.field.column}_{limb}{direction}" for limb in ("high", "low")]
    elif sort.field is not None:
        parts = [f"{sort.field.column}{direction}"]
    return ", ".join([*parts, resource.tie if stable else "random()"])


def _condition(condition: Condition, escape_like: bool) -> Clause:
    match condition:
        case Equal(field=field, value=value, negated=False):
            # With IS, SQLite would expect more than one row from the index of a unique column.
            return f"{field.column} = ?", (value,)
        case Equal(field=field, value=value):
            return f"{field.column} IS NOT ?", (value,)
        case Like(field=field, pattern=pattern):
            escaped = pattern.replace("\\", "\\\\")
            if escape_like:
                escaped = escaped.replace("_", "\\_")
            return f"{field.column} LIKE ? ESCAPE '\\'", (escaped,)
        case HasKey(field=field, key=key, value=value, negated=negated):
            text = f"EXISTS (SELECT 1 FROM json_each({field.column}) WHERE key = ?"  # noqa: S608
            bound: tuple[object, ...] = (key,)
            if value is not None:
                text += " AND CAST(value AS TEXT) = ?"
                bound = (key, value)
            return f"{'NOT ' if negated else ''}{text})", bound
        case Between():
            return _between(condition)
    assert_never(condition)


def _between(condition: Between) -> Clause:
    compare = _compare_amount if condition.field.kind is ResourceKind.AMOUNT else _compare_integer
    texts: list[str] = []
    values: list[object] = []
    for sign, bound in ((">=", condition.low), ("<", condition.high)):
        if bound is not None:
            text, bound_values = compare(condition.field, sign, bound)
            texts.append(text)
            values += bound_values
    inside = " AND ".join(texts) or "1"
    return (f"NOT COALESCE({inside}, 0)" if condition.negated else inside), tuple(values)


def _compare_integer(field: Field, sign: str, bound: int) -> Clause:
    """A bound outside 64 bits is replaced by its meaning for every 64-bit value."""
    if bound > _LARGEST:
        return ("0" if sign == ">=" else f"{field.column} IS NOT NULL"), ()
    return f"{field.column} {sign} ?", (max(bound, _SMALLEST),)


def _compare_amount(field: Field, sign: str, bound: int) -> Clause:
    return f"({field.column}_high, {field.column}_low) {sign} (?, ?)", split(bound)
