"""Filters and sort orders of a search, with the results that the documents leave open.

A row matches a filter, does not, or *may* (None): where the documents say nothing (`not_` on null,
`like_` without `%`, letter case of an exact filter) either result is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Final

from trueup.conformance.contract.fields import ApiField, FieldKind, same_address
from trueup.conformance.rows import Row, canonical_hostname, parse_time
from trueup.reports.results import Json

__all__ = [
    "OPEN",
    "Open",
    "SearchCondition",
    "SearchRequest",
    "SortOrder",
    "all_of",
    "compare",
    "parse_search",
]

OPERATORS: Final = ("min_", "max_", "like_", "not_")
_SWITCHES: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")


class Open(Enum):
    """The value of a field that is not known: whether it matches is open."""

    OPEN = "open"


OPEN: Final = Open.OPEN


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchCondition:
    """One filter, as asked."""

    field: ApiField
    operator: str
    """Empty for an exact match, else one of `min`, `max`, `like`, `not`."""
    value: str

    @property
    def text(self) -> str:
        """The condition for a person."""
        return f"{self.operator}{'_' if self.operator else ''}{self.field.name}={self.value[:60]}"

    @property
    def is_defined(self) -> bool:
        """Whether the documents say what it means."""
        kind = self.field.kind
        if self.operator in ("min", "max") and kind not in (FieldKind.WHOLE, FieldKind.TIME):
            return False
        if self.operator == "like":
            return kind not in (FieldKind.WHOLE, FieldKind.TIME, FieldKind.SWITCH)
        match kind:
            case FieldKind.WHOLE:
                return _WHOLE.fullmatch(self.value) is not None
            case FieldKind.TIME:
                return parse_time(self.value) is not None
            case FieldKind.SWITCH:
                return self.value.lower() in _SWITCHES
            case _:
                return True

    @property
    def is_user(self) -> bool:
        """Whether it asks for one proxy user by name."""
        return self.field.name == "proxy_user_id" and not self.operator

    def implies(self, other: SearchCondition) -> bool:
        """Return whether a row that meets this condition certainly meets `other`."""
        if self == other:
            return True
        if self.field != other.field or other.operator != "like":
            return False
        if self.operator == "like":
            head = other.value.rstrip("%")
            return "%" not in head and other.value.endswith("%") and self.value.startswith(head)
        return not self.operator and other.holds(self.value) is True

    def holds(self, value: Json | Open) -> bool | None:
        """Return whether a row with this value of the field matches; None if that is open."""
        if isinstance(value, Open):
            return None
        if self.operator == "not":
            same = None if value is None else _equal(self.field.kind, self.value, value)
            return None if same is None else not same
        if value is None:
            empty = self.operator in ("", "like") and not self.value.strip("%")
            return None if empty else False  # nothing may be written as an empty text
        match self.operator:
            case "min":
                return _bound(self.field.kind, value, self.value, at_least=True)
            case "max":
                return _bound(self.field.kind, value, self.value, at_least=False)
            case "like":
                return _like(self.field.kind, value, self.value)
            case _:
                return _equal(self.field.kind, self.value, value)


@dataclass(frozen=True, kw_only=True, slots=True)
class SortOrder:
    """`sort_by`, as asked: a field and a direction."""

    field: ApiField
    descending: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRequest:
    """A search request, read."""

    conditions: tuple[SearchCondition, ...]
    order: SortOrder | None
    page: int | None
    """None if the request names none (or, in a paged search, several)."""
    per_page: int | None
    unusual: tuple[str, ...] = ()
    """What no document defines: unknown names and malformed values. Any response is accepted."""
    unknown: tuple[str, ...] = ()
    """Those of its names that do not even end with the name of a documented field."""

    @property
    def text(self) -> str:
        """The request for a person."""
        parts = [condition.text for condition in self.conditions]
        if self.order is not None:
            suffix = "_desc" if self.order.descending else ""
            parts.append(f"sort_by={self.order.field.name}{suffix}")
        return " · ".join(parts) or "no parameters"

    @property
    def user(self) -> str | None:
        """The proxy user that it asks for by name; None if it names none."""
        return next((c.value for c in self.conditions if c.is_user), None)

    def where(self, path: str) -> str:
        """Return a path with the conditions, for a person."""
        return " · ".join((path, *(condition.text for condition in self.conditions)))

    def narrows(self, other: SearchRequest) -> bool:
        """Return whether every row that this request matches certainly matches `other` too."""
        return all(
            any(own.implies(condition) for own in self.conditions) for condition in other.conditions
        )

    @property
    def of_users(self) -> bool:
        """Whether it asks for everything of one or several proxy users, and for nothing less."""
        return bool(self.conditions) and all(
            c.field.name == "proxy_user_id" and c.operator in ("", "like") for c in self.conditions
        )

    def is_of_user(self, user: str) -> bool:
        """Return whether the conditions on proxy users certainly let this user's rows through."""
        return all(
            c.holds(user) is True for c in self.conditions if c.field.name == "proxy_user_id"
        )

    def matches_row(self, row: Row) -> bool | None:
        """Return whether a shown row matches; None where that is open.

        What a filter on a field does that the target does not show at all is open.
        """
        return all_of(
            condition.holds(row[condition.field.name]) if condition.field.name in row else None
            for condition in self.conditions
        )

    def is_left_out(self, row: Row, sent: Callable[[str], Json]) -> bool:
        """Return whether a row does not match in a field that was sent without a value."""
        return any(
            condition.holds(row[condition.field.name]) is False
            for condition in self.conditions
            if condition.field.name in row and sent(condition.field.name) is None
        )

    def matches(self, value_of: Callable[[str], Json | Open]) -> bool | None:
        """Return whether a row matches every condition; None if that is open."""
        return all_of(c.holds(value_of(c.field.name)) for c in self.conditions)


def all_of(results: Iterable[bool | None]) -> bool | None:
    """Return whether all are true: False if one is not, else None if one is open."""
    verdict: bool | None = True
    for result in results:
        if result is False:
            return False
        verdict = None if result is None else verdict
    return verdict


def parse_search(query: Sequence[tuple[str, str]], fields: Mapping[str, ApiField]) -> SearchRequest:
    """Return a search's query, parsed with the documented fields of its resource."""
    conditions: list[SearchCondition] = []
    unusual: list[str] = []
    unknown: list[str] = []
    order: SortOrder | None = None
    numbers: dict[str, int | None] = {"page": None, "per_page": None}
    seen: set[str] = set()
    for name, value in query:
        if name in seen:
            unusual.append(f"{name} twice")
        seen.add(name)
        if name in numbers:
            numbers[name] = int(value) if _WHOLE.fullmatch(value) else None
            if numbers[name] is None or int(value) < 1:
                unusual.append(f"{name}={value}")
        elif name == "sort_by":
            order = _order(value, fields)
            if order is None:
                unusual.append(f"sort_by={value}")
        else:
            condition = _condition(name, value, fields)
            if condition is None:
                unusual.append(name)
                if not any(name.endswith(field) for field in fields):
                    unknown.append(name)
            else:
                conditions.append(condition)
                if not condition.is_defined:
                    unusual.append(f"{name}={value}")
    return SearchRequest(
        conditions=tuple(conditions),
        order=order,
        page=numbers["page"],
        per_page=numbers["per_page"],
        unusual=tuple(unusual),
        unknown=tuple(unknown),
    )


def _order(text: str, fields: Mapping[str, ApiField]) -> SortOrder | None:
    if text in fields:
        return SortOrder(field=fields[text], descending=False)
    name, _, direction = text.rpartition("_")
    if name in fields and direction in ("asc", "desc"):
        return SortOrder(field=fields[name], descending=direction == "desc")
    return None


def _condition(name: str, value: str, fields: Mapping[str, ApiField]) -> SearchCondition | None:
    operator = ""
    if name not in fields:
        operator = next((each for each in OPERATORS if name.startswith(each)), "")
        name = name.removeprefix(operator)
    field = fields.get(name)
    if field is None or not field.filterable:
        return None
    return SearchCondition(field=field, operator=operator.rstrip("_"), value=value)


def _equal(kind: FieldKind, wanted: str, value: Json) -> bool | None:
    match kind:
        case FieldKind.WHOLE:
            return _WHOLE.fullmatch(wanted) is not None and int(wanted) == value
        case FieldKind.SWITCH:
            return _SWITCHES.get(wanted.lower()) is value
        case FieldKind.TIME:
            return _equal_time(wanted, value)
        case FieldKind.HOSTNAME:
            same = wanted == value and canonical_hostname(wanted) == wanted
            alike = canonical_hostname(wanted) == canonical_hostname(str(value))
            return True if same else (None if alike else False)
        case FieldKind.ADDRESS:
            return True if wanted == value else (None if same_address(wanted, value) else False)
        case _:
            text = str(value)
            return True if wanted == text else (None if _fold(wanted) == _fold(text) else False)


def _equal_time(wanted: str, value: Json) -> bool | None:
    one, two = parse_time(wanted), parse_time(value)
    if one is None or two is None:
        return None
    if one == two:
        return True if len(wanted) > 10 else None
    if len(wanted) == 10:  # a bare date: its midnight, or the whole day
        return None if one.date() == two.date() else False
    return None if one.replace(microsecond=0) == two.replace(microsecond=0) else False


def _bound(kind: FieldKind, value: Json, wanted: str, *, at_least: bool) -> bool | None:
    if kind is FieldKind.WHOLE and _WHOLE.fullmatch(wanted) and isinstance(value, int):
        return value >= int(wanted) if at_least else value <= int(wanted)
    if kind is not FieldKind.TIME:
        return None
    limit, at = parse_time(wanted), parse_time(value)
    if limit is None or at is None:
        return None
    if len(wanted) == 10 and not at_least and limit.date() == at.date():
        return True if limit == at else None  # up to the midnight, or the whole day
    if not at_least and at.replace(microsecond=0) == limit.replace(microsecond=0):
        return True if at <= limit else None  # the second, or its very start
    return at >= limit if at_least else at <= limit


def _like(kind: FieldKind, value: Json, pattern: str) -> bool | None:
    if kind in (FieldKind.WHOLE, FieldKind.TIME, FieldKind.SWITCH):
        return None
    text = str(value)
    answers = {
        expression.search(each) is not None
        for expression in _patterns(pattern)
        for each in ({text, canonical_hostname(text)} if kind is FieldKind.HOSTNAME else {text})
    }
    return answers.pop() if len(answers) == 1 else None


@lru_cache(maxsize=512)
def _patterns(pattern: str) -> tuple[re.Pattern[str], ...]:
    """Every sense that a `like_` value may have: whole value or substring, `_` a letter or any."""
    made = []
    for any_letter in {"_", "."} if "_" in pattern else {"_"}:
        body = "".join(
            ".*" if c == "%" else (any_letter if c == "_" else re.escape(c)) for c in pattern
        )
        made += [body, rf"\A(?:{body})\Z"]
    return tuple(re.compile(each, re.IGNORECASE | re.DOTALL) for each in made)


def _fold(text: str) -> str:
    return text.casefold()


def compare(kind: FieldKind, one: Json, two: Json) -> int | None:
    """Return -1, 0 or 1 as one value sorts before, with or after another; None if that is open.

    Null values and letters whose order depends on the collation are open.
    """
    if one is None or two is None:
        return None
    if kind in (FieldKind.WHOLE, FieldKind.SWITCH):
        if isinstance(one, int) and isinstance(two, int):
            return (one > two) - (one < two)
        return None
    if kind is FieldKind.TIME:
        first, second = parse_time(one), parse_time(two)
        if first is None or second is None:
            return None
        return _sign(first, second)
    a, b = str(one), str(two)
    if kind is FieldKind.HOSTNAME:
        if not (a.isascii() and b.isascii()):
            return None  # sorted as written, or as DNS writes it
        if a != canonical_hostname(a) or b != canonical_hostname(b):
            return None
    plain = a.isascii() and b.isascii() and a.isalnum() and b.isalnum()
    exact, folded = (a > b) - (a < b), (_fold(a) > _fold(b)) - (_fold(a) < _fold(b))
    if exact == folded and (plain or _differ_plainly(a, b)):
        return exact
    return None


def _differ_plainly(a: str, b: str) -> bool:
    """Whether the first letters that differ are of one kind, so that every collation agrees."""
    for x, y in zip(a, b, strict=False):
        if x != y:
            return (
                x.isascii()
                and y.isascii()
                and x.isalnum()
                and y.isalnum()
                and (x.isdigit() == y.isdigit())
            )
    return len(a) == len(b) or a[: min(len(a), len(b))].isascii()


def _sign(one: datetime, two: datetime) -> int:
    return (one > two) - (one < two)
