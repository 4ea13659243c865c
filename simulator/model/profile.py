"""The profile: every parameter of the traffic, with its value, unit, grade and source.

A profile is read from one TOML file and frozen. Modules request a parameter by name. Numbers are
decimals, never floats, so that a profile means the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from trueup.reports.configuration import (
    Mistake,
    TomlFile,
    describe_value,
    load_toml,
    mistakes_text,
    nearest,
)
from trueup.reports.results import Json
from trueup.simulator.errors import ProfileError

__all__ = ["GRADES", "PROFILES", "Parameter", "Profile", "Value", "load_profile", "parse_profile"]

PROFILES: Final = Path(__file__).parents[1] / "profiles"
GRADES: Final = {
    "M": "measured",
    "P": "published",
    "V": "vendor documentation or claim",
    "R": "recalled from the literature",
    "A": "assumption",
    "U": "set by the user",
}
_POSITIVE: Final = (".alpha", "customer_alpha", "fleet.events_per_s")
"""Parameters, by the end of their names, that must not be 0."""
_OPEN: Final = ("auth", "session.ttl_min", "place.")
"""Tables whose keys users choose; all others have the keys of the default profile."""
_KEYS: Final = {"value", "unit", "grade", "source"}
_KIND: Final = "fleet profile"
_PAGE: Final = "docs/fleet.md"
T = TypeVar("T")
Value: TypeAlias = "bool | int | Decimal | str | tuple[tuple[str, int], ...]"
"""A number, a string, or a table of weights: (name, weight) pairs in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter: its value and unit, and how well the value is known."""

    name: str
    value: Value
    unit: str
    grade: str
    """A key of `GRADES`."""
    source: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All parameters of a fleet's traffic, frozen."""

    name: str
    parameters: Mapping[str, Parameter]
    overrides: Mapping[str, Json] = field(default_factory=dict)
    """What replaces values of the file, as given."""

    def __getitem__(self, name: str) -> Value:
        """Return the value of a parameter. Raises KeyError if there is none."""
        return self.parameters[name].value

    def integer(self, name: str) -> int:
        """Return the integer parameter `name`. Raises ProfileError if it is of another kind."""
        value = self[name]
        if isinstance(value, Decimal) and value == value.to_integral():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ProfileError(f"{self.name}: {name} must be a whole number, not {value}")
        return value

    def decimal(self, name: str) -> Decimal:
        """Return the number `name`, exactly as written. Raises ProfileError if it is of another
        kind.
        """
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ProfileError(f"{self.name}: {name} must be a number, not {value}")
        return Decimal(value)

    def weights(self, name: str) -> tuple[tuple[str, int], ...]:
        """Return the table of weights `name`. Raises ProfileError if it is of another kind."""
        value = self[name]
        if not isinstance(value, tuple):
            raise ProfileError(f"{self.name}: {name} must be a table of weights, not {value}")
        return value

    @property
    def sha256(self) -> str:
        """Return a digest of every name and value: profiles with one digest draw the same
        traffic.
        """
        plain = {name: _plain(row.value) for name, row in sorted(self.parameters.items())}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _plain(value: Value) -> Json:
    if isinstance(value, tuple):
        return [[name, weight] for name, weight in value]
    return str(value.normalize()) if isinstance(value, Decimal) else value


def load_profile(name_or_path: str | Path, overrides: Mapping[str, Json] | None = None) -> Profile:
    """Return a profile by the name of a committed one (`default`) or by its path.

    Overrides replace values by parameter name: `{"mix.residential": 60}`.
    Raises ProfileError, which names the file and every wrong parameter with its remedy.
    """
    path = Path(name_or_path)
    if not path.suffix:
        path = PROFILES / f"{name_or_path}.toml"
    parameters = dict(_read(path))
    found: list[Mistake] = []
    for name, given in (overrides or {}).items():
        known = parameters.get(name)
        if known is None:
            found.append(_unknown(name, parameters))
            continue
        value = _checked(name, found, partial(_like, name, known.value, given, known.unit))
        if value is not None:
            parameters[name] = Parameter(
                name=name, value=value, unit=known.unit, grade="U", source="override"
            )
    if found:
        source = f"overrides of profile {name_or_path}"
        file = TomlFile(source=source, text="", kind=_KIND, page=_PAGE)
        raise ProfileError(mistakes_text(file, found))
    return Profile(
        name=str(name_or_path),
        parameters=MappingProxyType(parameters),
        overrides=MappingProxyType(dict(overrides or {})),
    )


def _unknown(name: str, parameters: Mapping[str, Parameter]) -> Mistake:
    near = nearest(name, parameters)
    remedy = near if near.startswith("did you mean") else "see docs/fleet.md for the names"
    return Mistake(key=name, expected="the name of a parameter", found=f'"{name}"', remedy=remedy)


class _WrongValueError(Exception):
    """A value that a parameter cannot have: what was expected, and what was found."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected)
        self.expected, self.found = expected, found


def _checked(key: str, found: list[Mistake], make: Callable[[], T]) -> T | None:
    """Return what `make` returns; where the value is wrong, None, with a mistake added."""
    try:
        return make()
    except _WrongValueError as error:
        found.append(Mistake(key=key, expected=error.expected, found=describe_value(error.found)))
        return None


def _like(name: str, known: Value, given: Json, unit: str) -> Value:
    """Return the given value in the type of the known one. Raises _WrongValueError."""
    if isinstance(known, bool):
        words: dict[object, bool] = {"true": True, "false": False, True: True, False: False}
        if isinstance(given, bool | str) and given in words:
            return words[given]
        raise _WrongValueError("true or false", given)
    if isinstance(known, tuple):
        weights = _weights(given, unit)
        names = [key for key, _weight in known]
        for key, _weight in weights:
            if key not in names and not any(part in name for part in _OPEN):
                raise _WrongValueError(f"weights of {', '.join(names)}", key)
        return weights
    if isinstance(known, str):
        if isinstance(given, str):
            return given
        raise _WrongValueError("a string, in quotes", given)
    return _number(name, known, given)


def _number(name: str, known: int | Decimal, given: Json) -> int | Decimal:
    """Return the given number in the type of the known one. Raises _WrongValueError."""
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(given, bool) or not number.is_finite() or number < 0:
        raise _WrongValueError("a number of at least 0", given)
    if number == 0 and name.endswith(_POSITIVE):
        raise _WrongValueError("a number above 0", given)
    if isinstance(known, int) and number != number.to_integral():
        raise _WrongValueError("a whole number", given)
    return int(number) if isinstance(known, int) else number


def _weights(given: Json, unit: str) -> tuple[tuple[str, int], ...]:
    """Return a table of whole numbers; one of rates (`per …`) may be all zero, one of weights not.

    Raises _WrongValueError.
    """
    table = given
    if isinstance(given, str):
        try:
            table = json.loads(given)
        except json.JSONDecodeError:
            table = None
    if not isinstance(table, dict) or not table:
        raise _WrongValueError('weights such as {"us": 60, "de": 40}', given)
    rows: list[tuple[str, int]] = []
    for key, weight in table.items():
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            raise _WrongValueError(f'a whole number of at least 0 as the weight of "{key}"', weight)
        rows.append((key, weight))
    if not unit.startswith("per ") and not any(weight for _key, weight in rows):
        raise _WrongValueError("at least one weight above 0", given)
    return tuple(rows)


def parse_profile(text: str, name: str) -> Profile:
    """Return the profile of a TOML text; `name` is for messages.

    Raises ProfileError, which names every wrong parameter with its remedy.
    """
    file = TomlFile(source=name, text=text, kind=_KIND, page=_PAGE)
    found = load_toml(file, _parameters, error=ProfileError, parse_float=Decimal)
    return Profile(name=name, parameters=found)


@cache
def _read(path: Path) -> Mapping[str, Parameter]:
    """Return the parameters of a profile's file. Raises ProfileError with all its mistakes."""
    known = sorted(found.stem for found in PROFILES.glob("*.toml"))
    file = TomlFile.read(path, kind=_KIND, page=_PAGE, known=known, error=ProfileError)
    return load_toml(file, _parameters, error=ProfileError, parse_float=Decimal)


def _parameters(
    content: dict[str, Any],
) -> tuple[Mapping[str, Parameter] | None, list[Mistake]]:
    """Return the parameters of a document, or every mistake."""
    base: dict[str, Parameter] = {}
    if "based_on" in content:
        base = dict(_read(PROFILES / f"{content['based_on']}.toml"))
    found: list[Mistake] = []
    rows = content.get("parameters", {})
    if not isinstance(rows, dict) or not (rows or base):
        wrong = describe_value(rows) if rows else "nothing"
        return None, [Mistake(key="parameters", expected="a [parameters] table", found=wrong)]
    for name, row in rows.items():
        key = f"parameters.{name}"
        if not isinstance(row, dict) or not row.keys() >= _KEYS:
            missing = ", ".join(sorted(_KEYS - set(row))) if isinstance(row, dict) else ""
            seen = f"no {missing}" if missing else describe_value(row)
            expected = "a table with value, unit, grade and source"
            found.append(Mistake(key=key, expected=expected, found=seen))
            continue
        if row["grade"] not in GRADES:
            expected = f"one of {', '.join(GRADES)}"
            wrong = describe_value(row["grade"])
            found.append(Mistake(key=f"{key}.grade", expected=expected, found=wrong))
        value = _checked(f"{key}.value", found, partial(_value, name, base.get(name), row))
        if value is not None:
            base[name] = Parameter(
                name=name, value=value, unit=row["unit"], grade=row["grade"], source=row["source"]
            )
    return (None, found) if found else (MappingProxyType(base), [])


def _value(name: str, known: Parameter | None, row: Mapping[str, Any]) -> Value:
    """Return the value of a parameter's row. Raises _WrongValueError."""
    if known is not None:
        return _like(name, known.value, row["value"], row["unit"])
    value = row["value"]
    made: Value = _weights(value, row["unit"]) if isinstance(value, dict) else value
    return made
