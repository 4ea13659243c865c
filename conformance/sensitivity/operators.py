"""Mutation operators on one JSON value: what a wrong implementation may return instead.

Each operator is a name and a function from the value (and the values around it) to the wrong value,
or to `NOT_APPLICABLE` if the operator has no meaning for that value or would not change it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from trueup.reports.results import Json

__all__ = [
    "ABSENT",
    "ALONE",
    "NOT_APPLICABLE",
    "VALUE_OPERATORS",
    "NoValue",
    "ResponseOperator",
    "Surroundings",
    "mutate_value",
]


class ResponseOperator(StrEnum):
    """Every way in which a recorded response is changed."""

    ONE_MORE = "one more"
    ONE_LESS = "one less"
    ZERO = "zero"
    DOUBLED = "doubled"
    TRUNCATED = "truncated"
    SIGN_FLIPPED = "sign flipped"
    NEGATED = "negated"
    STALE = "stale value"
    NEIGHBOUR = "value of the neighbour row"
    INVENTED = "value invented"
    DAY_SHIFTED = "day shifted"
    HOUR_SHIFTED = "hour shifted"
    CASE = "text case"
    CHARACTER = "one character changed"
    MISSING = "field missing"
    NULL = "null"
    OTHER_TYPE = "other type"
    OTHER_STATUS = "other status"
    ALLOWED = "refusal replaced by data"
    ROW_LOST = "row lost"
    ROW_DOUBLED = "row doubled"
    ROWS_SWAPPED = "rows swapped"
    FOREIGN_ROW = "row of the other customer added"
    EXTRA_ROW = "row of another list added"
    PAGE_BOUNDARY = "page boundary lost"
    TOTAL_OFF = "total_count off by one"


class NoValue(Enum):
    """Constants for the absence of a JSON value."""

    NOT_APPLICABLE = "not applicable"
    ABSENT = "absent"


NOT_APPLICABLE: Final = NoValue.NOT_APPLICABLE
ABSENT: Final = NoValue.ABSENT
"""The field is removed from its object."""

_LOW_32_BITS: Final = 0xFFFF_FFFF
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:([ T])(\d\d:\d\d:\d\d)(.*))?", re.DOTALL)
_COUNTED: Final = ("_ms", "_port", "_code", "_bytes", "_limit", "_requests", "_concurrency")
_FLAGS: Final = ("_enabled", "_routed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Values that an operator may use in place of a value."""

    field: str = ""
    """Dotted name of the field, by which the type of an invented value is chosen."""
    stale: Json | NoValue = NOT_APPLICABLE
    """The latest earlier value of the same datum that differs from the present one."""
    neighbour: Json | NoValue = NOT_APPLICABLE
    """The value of the same field in the next row of the same list."""
    foreign: Json | NoValue = NOT_APPLICABLE
    """An element of the same list of the other customer."""


ALONE: Final = Surroundings()
"""No other value is known."""
_Operation: TypeAlias = Callable[[Json, Surroundings], Json | NoValue]


def mutate_value(
    operator: ResponseOperator, value: Json, around: Surroundings = ALONE
) -> Json | NoValue:
    """Return the wrong value that an operator gives for `value`.

    `ABSENT` means that the field is removed, `NOT_APPLICABLE` that the operator would not change
    the value or has no meaning for it.
    """
    found = VALUE_OPERATORS[operator](value, around)
    same = found == value and type(found) is type(value)
    return NOT_APPLICABLE if same else found


def _number(change: Callable[[int | float], int | float]) -> _Operation:
    def apply(value: Json, _around: Surroundings) -> Json | NoValue:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return NOT_APPLICABLE
        return change(value)

    return apply


def _truncated(value: Json, _around: Surroundings) -> Json | NoValue:
    """Return an integer modulo 2^32, a string without its last character."""
    match value:
        case bool():
            return NOT_APPLICABLE
        case int():
            return (value & _LOW_32_BITS) if abs(value) > _LOW_32_BITS else NOT_APPLICABLE
        case str() if value:
            return value[:-1]
        case _:
            return NOT_APPLICABLE


def _negated(value: Json, _around: Surroundings) -> Json | NoValue:
    return not value if isinstance(value, bool) else NOT_APPLICABLE


def _invented(value: Json, around: Surroundings) -> Json | NoValue:
    """Return a value for an empty one: a number, a flag or a string, by the name of the field."""
    if value is not None:
        return NOT_APPLICABLE
    if around.field.endswith(_COUNTED) or around.field == "service_adjustment_id":
        return 1
    if around.field.endswith(_FLAGS):
        return True
    return "invented"


def _shifted(by: timedelta) -> _Operation:
    def apply(value: Json, _around: Surroundings) -> Json | NoValue:
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return NOT_APPLICABLE
        day, between, time, rest = found.groups()
        if time is None and by < timedelta(days=1):
            return NOT_APPLICABLE
        try:
            moved = datetime.fromisoformat(f"{day}T{time or '00:00:00'}") + by
        except (ValueError, OverflowError):
            return NOT_APPLICABLE
        text = moved.strftime("%Y-%m-%d")
        return text if time is None else f"{text}{between}{moved.strftime('%H:%M:%S')}{rest}"

    return apply


def _case(value: Json, _around: Surroundings) -> Json | NoValue:
    return value.swapcase() if isinstance(value, str) else NOT_APPLICABLE


def _character(value: Json, _around: Surroundings) -> Json | NoValue:
    """Return the string with its middle letter or digit replaced by the next one."""
    if not isinstance(value, str):
        return NOT_APPLICABLE
    places = [n for n, character in enumerate(value) if character.isascii() and character.isalnum()]
    if not places:
        return NOT_APPLICABLE
    place = places[len(places) // 2]
    old = value[place]
    new = {"9": "0", "z": "a", "Z": "A"}.get(old) or chr(ord(old) + 1)
    return value[:place] + new + value[place + 1 :]


def _missing(value: Json, _around: Surroundings) -> Json | NoValue:
    """Return ABSENT, except for null, which means the same as an absent field."""
    return NOT_APPLICABLE if value is None else ABSENT


def _null(_value: Json, _around: Surroundings) -> Json | NoValue:
    return None


def _other_type(value: Json, _around: Surroundings) -> Json | NoValue:
    """Return a number or flag as a string, a string in a list, a list or object as a string."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return [value]
        case list() | dict():
            return "other type"
        case _:
            return NOT_APPLICABLE


def _list(change: Callable[[list[Json]], list[Json]], least: int) -> _Operation:
    def apply(value: Json, _around: Surroundings) -> Json | NoValue:
        if not isinstance(value, list) or len(value) < least:
            return NOT_APPLICABLE
        return change(value)

    return apply


def _foreign(value: Json, around: Surroundings) -> Json | NoValue:
    if not isinstance(value, list) or around.foreign is NOT_APPLICABLE:
        return NOT_APPLICABLE
    assert not isinstance(around.foreign, NoValue), "an element is a value"
    return [*value, around.foreign]


VALUE_OPERATORS: Final[Mapping[ResponseOperator, _Operation]] = MappingProxyType(
    {
        ResponseOperator.ONE_MORE: _number(lambda value: value + 1),
        ResponseOperator.ONE_LESS: _number(lambda value: value - 1),
        ResponseOperator.ZERO: _number(lambda _value: 0),
        ResponseOperator.DOUBLED: _number(lambda value: value * 2),
        ResponseOperator.TRUNCATED: _truncated,
        ResponseOperator.SIGN_FLIPPED: _number(lambda value: -value),
        ResponseOperator.NEGATED: _negated,
        ResponseOperator.STALE: lambda _value, around: around.stale,
        ResponseOperator.NEIGHBOUR: lambda _value, around: around.neighbour,
        ResponseOperator.INVENTED: _invented,
        ResponseOperator.DAY_SHIFTED: _shifted(timedelta(days=1)),
        ResponseOperator.HOUR_SHIFTED: _shifted(timedelta(hours=1)),
        ResponseOperator.CASE: _case,
        ResponseOperator.CHARACTER: _character,
        ResponseOperator.MISSING: _missing,
        ResponseOperator.NULL: _null,
        ResponseOperator.OTHER_TYPE: _other_type,
        ResponseOperator.TOTAL_OFF: _number(lambda value: value + 1),
        ResponseOperator.ROW_LOST: _list(lambda value: value[:-1], 1),
        ResponseOperator.ROW_DOUBLED: _list(lambda value: [*value, value[-1]], 1),
        ResponseOperator.ROWS_SWAPPED: _list(lambda value: [*value[:-2], value[-1], value[-2]], 2),
        ResponseOperator.FOREIGN_ROW: _foreign,
    }
)
"""Operators on one value; those on rows apply to a field that is a list."""
