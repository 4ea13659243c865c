"""What a generated mutant does to a value, by the type of the value. Pure.

An operator changes one value. `before` is the value of the same place one row, event
or request earlier, or None where there was none; only `neighbour` and `stale` look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from trueup.reference.mutants.values import as_float32, as_int31
from trueup.reference.networks import POOLS
from trueup.reference.times import (
    DAY_US,
    HOUR_US,
    SECOND_US,
    format_date,
    format_instant,
    parse_instant,
)

__all__ = [
    "BOOLEAN",
    "BYTES",
    "CODE",
    "COUNT",
    "DATE",
    "DAY",
    "DROPPED",
    "INSTANT",
    "INSTANT_TEXT",
    "OTHER_POOL",
    "ROWS",
    "SHOWN",
    "TEXT",
    "Operator",
    "adding",
    "named",
    "only_named",
    "replacing",
    "shown_operators",
]


class _Dropped:
    """Type of DROPPED."""


DROPPED: Final = _Dropped()
"""Result of an operator that leaves the value out of its object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One way to change a value. `phrase` completes the sentence "the value …"."""

    name: str
    phrase: str
    change: Callable[[Any, Any], Any]


def _operators(*rows: tuple[str, str, Callable[[Any, Any], Any]]) -> tuple[Operator, ...]:
    return tuple(Operator(name=name, phrase=phrase, change=change) for name, phrase, change in rows)


def replacing(name: str, phrase: str, instead: Any) -> Operator:
    """Return an operator that puts one value in place of all."""
    return Operator(name=name, phrase=phrase, change=lambda _value, _: instead)


def adding(name: str, phrase: str, step: int | timedelta) -> Operator:
    """Return an operator that adds to a number or a date-time."""
    return Operator(name=name, phrase=phrase, change=lambda value, _: value + step)


def only_named(name: str, phrase: str) -> Operator:
    """Return an operator that changes nothing, for a point that is itself the mistake."""
    return Operator(name=name, phrase=phrase, change=lambda value, _: value)


def named(operators: Iterable[Operator], *names: str) -> tuple[Operator, ...]:
    """Return the operators of these names, in their order. Raises KeyError for an unknown name."""
    by_name = {each.name: each for each in operators}
    return tuple(by_name[name] for name in names)


def _before_or_same(value: Any, before: Any) -> Any:
    return value if before is None else before


COUNT: Final = (
    adding("plus-one", "is one too high", 1),
    adding("minus-one", "is one too low", -1),
    replacing("zero", "is zero", 0),
    *_operators(("doubled", "is doubled", lambda value, _: value * 2)),
)
"""Operators of a number of things."""

BYTES: Final = (
    *COUNT,
    *_operators(
        ("int32", "is cut to 31 bits", lambda value, _: as_int31(value)),
        (
            "float32",
            "is rounded to a 32-bit floating-point number",
            lambda value, _: as_float32(value),
        ),
        ("negated", "has the other sign", lambda value, _: -value),
    ),
)
"""Operators of an amount of bytes."""

_NEIGHBOUR: Final = Operator(
    name="neighbour", phrase="is that of the one before", change=_before_or_same
)

CODE: Final = (*named(COUNT, "plus-one", "zero"), _NEIGHBOUR)
"""Operators of a number that is a name."""

TEXT: Final = (
    *_operators(
        ("upper", "is in upper case", lambda value, _: value.upper()),
        ("cut", "lacks its last character", lambda value, _: value[:-1]),
    ),
    replacing("empty", "is empty", ""),
    _NEIGHBOUR,
)
"""Operators of a text."""

BOOLEAN: Final = _operators(("inverted", "is inverted", lambda value, _: not value))

_STEPS: Final = (
    ("plus-second", "is a second late", SECOND_US),
    ("minus-second", "is a second early", -SECOND_US),
    ("plus-hour", "is an hour late", HOUR_US),
    ("minus-hour", "is an hour early", -HOUR_US),
    ("plus-day", "is a day late", DAY_US),
    ("minus-day", "is a day early", -DAY_US),
)


def _moved(step_us: int) -> Callable[[Any, Any], Any]:
    def change(value: str, _before: Any) -> str:
        return format_instant(parse_instant(value)[0] + step_us)

    return change


def _moved_date(step_us: int) -> Callable[[Any, Any], Any]:
    def change(value: str, _before: Any) -> str:
        return format_date((parse_instant(value)[0] + step_us) // DAY_US)

    return change


INSTANT: Final = tuple(
    adding(name, phrase, timedelta(microseconds=step)) for name, phrase, step in _STEPS
)
"""Operators of a date-time."""

INSTANT_TEXT: Final = _operators(*((name, phrase, _moved(step)) for name, phrase, step in _STEPS))
"""Operators of a date-time as it is shown."""

DATE: Final = _operators(
    *((name, phrase, _moved_date(step)) for name, phrase, step in _STEPS if name.endswith("day"))
)
"""Operators of a date as it is shown."""

DAY: Final = (
    adding("plus-day", "is the day after", 1),
    adding("minus-day", "is the day before", -1),
)
"""Operators of a day as a number."""

OTHER_POOL: Final = _operators(
    (
        "other",
        "is the other pool's",
        lambda pool, _: next(each for each in POOLS if each != pool),
    )
)
"""Operator of the name of a data pool."""

_ABSENCE: Final = (
    replacing("missing", "is missing", DROPPED),
    replacing("null", "is null", None),
    *_operators(("stale", "stays as it was first shown", _before_or_same)),
)

SHOWN: Final[Mapping[str, tuple[Operator, ...]]] = {
    "text": (*TEXT, *_ABSENCE),
    "integer": (*COUNT, *_ABSENCE),
    "code": (*CODE, *_ABSENCE),
    "amount": (*BYTES, *_ABSENCE),
    "boolean": (*BOOLEAN, *_ABSENCE),
    "date-time": (*INSTANT_TEXT, *_ABSENCE),
    "day as date-time": (*named(INSTANT_TEXT, "plus-day", "minus-day"), *_ABSENCE),
    "date": (*DATE, *_ABSENCE),
}
"""Operators of a field in a response, by the kind of the field."""


def shown_operators(kind: str) -> tuple[Operator, ...]:
    """Return the operators of a shown field; a kind without its own has those of absence."""
    return SHOWN.get(kind, named(_ABSENCE, "missing", "null"))


def _swapped(rows: Sequence[Any]) -> list[Any]:
    return [*rows[1:2], *rows[:1], *rows[2:]]


ROWS: Final = _operators(
    ("drop-last", "lacks its last entry", lambda rows, _: list(rows[:-1])),
    ("drop-first", "lacks its first entry", lambda rows, _: list(rows[1:])),
    ("double-last", "has its last entry twice", lambda rows, _: [*rows, *rows[-1:]]),
    ("swap-first", "has its first two entries in the other order", lambda rows, _: _swapped(rows)),
    ("reverse", "is in reverse order", lambda rows, _: list(rows[::-1])),
    ("empty", "is empty", lambda _rows, _: []),
)
"""Operators of a list."""
