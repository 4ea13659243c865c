"""Parse the query string of a search into typed conditions. Pure.

Prefixes on a field's name: none (exact), `min_` and `max_` (inclusive; numbers, dates and
date-times), `like_` (text), `not_` (all). Readings where the documents are silent:

- a date-time without a fraction means that whole second, a bare date that whole day;
- `like_` without `%` looks for a substring; with `%` the whole value must match the pattern;
- `not_` lets null through; conditions are joined by AND; a parameter given twice is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from trueup.reference.amounts import LIMIT
from trueup.reference.errors import ApiProblem
from trueup.reference.resources import Field, Resource, ResourceKind
from trueup.reference.times import DAY_US, parse_instant

__all__ = [
    "FILTERS_LIMIT",
    "PAGE_LIMIT",
    "PATTERN_LIMIT",
    "PER_PAGE_LIMIT",
    "Between",
    "Condition",
    "Equal",
    "HasKey",
    "Like",
    "Query",
    "Sort",
    "page_size",
    "parse_flag",
    "parse_query",
]

PER_PAGE_LIMIT: Final = 100
PAGE_LIMIT: Final = 2**40
FILTERS_LIMIT: Final = 200
"""Most filters of a search; SQLite takes a thousand conditions."""
PATTERN_LIMIT: Final = 1000
"""Most characters of a `like_` filter."""
_PREFIXES: Final = ("min_", "max_", "like_", "not_")
_FLAGS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """An integer column is in [low, high); None is no bound. `negated`: it is not."""

    field: Field
    low: int | None = None
    high: int | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """A text column is exactly this text."""

    field: Field
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """A text column matches, ignoring case; `%` stands for any text."""

    field: Field
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HasKey:
    """A document column has this key and, where `value` is given, that value as text."""

    field: Field
    key: str
    value: str | None = None
    negated: bool = False


Condition: TypeAlias = Between | Equal | Like | HasKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """Order by a field; None: the default order of the resource, oldest first."""

    field: Field | None = None
    descending: bool = False
    random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    conditions: tuple[Condition, ...]
    sort: Sort
    page: int
    per_page: int


def page_size(requested: int) -> int:
    """Return the page size, 1 to 100. Raises ApiProblem (400) for any other."""
    if not 1 <= requested <= PER_PAGE_LIMIT:
        raise ApiProblem(400, f"per_page must be from 1 to {PER_PAGE_LIMIT}, not {requested}.")
    return requested


def parse_query(
    resource: Resource,
    parameters: Sequence[tuple[str, str]],
    *,
    per_page: Callable[[int], int] = page_size,
    ignore_unknown: bool = False,
) -> Query:
    """Return the query of a search. Raises ApiProblem (400), naming the wrong parameter."""
    given: dict[str, str] = {}
    for name, text in parameters:
        if name in given:
            raise ApiProblem(400, f"The parameter {name} was given more than once; give it once.")
        given[name] = text
    page = _integer("page", given.pop("page", "1"))
    if not 1 <= page <= PAGE_LIMIT:
        raise ApiProblem(400, f"page must be 1 or more, not {page}.")
    size = per_page(_integer("per_page", given.pop("per_page", str(PER_PAGE_LIMIT))))
    sort = _sort(resource, given.pop("sort_by", ""))
    if len(given) > FILTERS_LIMIT:
        raise ApiProblem(400, f"A search takes at most {FILTERS_LIMIT} filters, not {len(given)}.")
    conditions = []
    for name, text in given.items():
        condition = _condition(resource, name, text)
        if condition is None and not ignore_unknown:
            raise ApiProblem(
                400,
                f"Unknown parameter {name}. {resource.title} search takes page, per_page, "
                f"sort_by and its own fields, bare or with min_, max_, like_, not_.",
            )
        if condition is not None:
            conditions.append(condition)
    return Query(conditions=tuple(conditions), sort=sort, page=page, per_page=size)


def _sort(resource: Resource, text: str) -> Sort:
    if not text:
        return Sort()
    if text == "random":
        return Sort(random=True)
    name, descending = text, False
    for suffix in ("_asc", "_desc"):
        if resource.field(text) is None and text.endswith(suffix):
            name, descending = text.removesuffix(suffix), suffix == "_desc"
    field = resource.field(name)
    if field is None or field.kind is ResourceKind.DOCUMENT:
        raise ApiProblem(
            400,
            f"Cannot sort by {text}: expected a field of {resource.title}, alone or followed "
            f"by _asc or _desc, or random.",
        )
    return Sort(field=field, descending=descending)


def _condition(resource: Resource, name: str, text: str) -> Condition | None:
    field, prefix = resource.field(name), ""
    for candidate in _PREFIXES:
        if field is None and name.startswith(candidate):
            field, prefix = resource.field(name.removeprefix(candidate)), candidate
    if field is None:
        return _document_condition(resource, name, text)
    if field.kind is ResourceKind.DOCUMENT:
        return None
    if field.kind is ResourceKind.TEXT:
        return _text_condition(field, prefix, name, text)
    if prefix == "like_":
        raise ApiProblem(400, f"{name}: like_ works on text, and {field.name} is {field.kind}.")
    low, high = _READERS[field.kind](name, text)
    match prefix:
        case "min_":
            return Between(field=field, low=low)
        case "max_":
            return Between(field=field, high=high)
        case _:
            return Between(field=field, low=low, high=high, negated=prefix == "not_")


def _text_condition(field: Field, prefix: str, name: str, text: str) -> Condition:
    if prefix in ("min_", "max_"):
        raise ApiProblem(
            400, f"{name}: {prefix} works on numbers and dates, and {field.name} is text."
        )
    if prefix == "like_" and len(text) > PATTERN_LIMIT:
        raise ApiProblem(400, f"{name} takes at most {PATTERN_LIMIT} characters.")
    if prefix == "like_":
        return Like(field=field, pattern=text if "%" in text else f"%{text}%")
    if field.values and text not in field.values:
        raise ApiProblem(400, f"{name} must be one of {', '.join(field.values)}, not {text!r}.")
    return Equal(field=field, value=text, negated=prefix == "not_")


def _document_condition(resource: Resource, name: str, text: str) -> Condition | None:
    column, _, key = name.partition(".")
    negated = column.startswith("not_")
    field = resource.field(column.removeprefix("not_"))
    if field is None or field.kind is not ResourceKind.DOCUMENT or not key:
        return None
    if key.startswith("exists_"):
        wanted = parse_flag(name, text)
        return HasKey(field=field, key=key.removeprefix("exists_"), negated=not wanted)
    return HasKey(field=field, key=key, value=text, negated=negated)


def parse_flag(name: str, text: str) -> bool:
    """Return the value of `true`, `True`, `1` and their opposites. Raises ApiProblem (400)."""
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise ApiProblem(400, f"{name} must be true or false, not {text!r}.")
    return bool(flag)


def _integer(name: str, text: str, limit: int = 2**63) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
        raise ApiProblem(400, f"{name} must be an integer, not {text[:60]!r}.")
    value = int(text)
    if not -limit <= value < limit:
        raise ApiProblem(400, f"{name} must lie in -{limit} … {limit - 1}, not {value}.")
    return value


def _read_integer(name: str, text: str) -> tuple[int, int]:
    value = _integer(name, text)
    return value, value + 1


def _read_amount(name: str, text: str) -> tuple[int, int]:
    value = _integer(name, text, LIMIT)
    return value, value + 1


def _read_boolean(name: str, text: str) -> tuple[int, int]:
    value = int(parse_flag(name, text))
    return value, value + 1


def _read_instant(name: str, text: str) -> tuple[int, int]:
    try:
        at_us, unit_us = parse_instant(text)
    except ValueError:
        raise ApiProblem(
            400, f"{name} must be YYYY-MM-DD HH:MM:SS (UTC) or YYYY-MM-DD, not {text[:60]!r}."
        ) from None
    return at_us, at_us + unit_us


def _read_day(name: str, text: str) -> tuple[int, int]:
    low, high = _read_instant(name, text)
    return -(-low // DAY_US), -(-high // DAY_US)


_READERS: Final[dict[ResourceKind, Callable[[str, str], tuple[int, int]]]] = {
    ResourceKind.INTEGER: _read_integer,
    ResourceKind.AMOUNT: _read_amount,
    ResourceKind.BOOLEAN: _read_boolean,
    ResourceKind.INSTANT: _read_instant,
    ResourceKind.MIDNIGHT: _read_day,
    ResourceKind.DATE: _read_day,
}
"""The integers [low, high) that a text stands for, by the kind of its field."""
