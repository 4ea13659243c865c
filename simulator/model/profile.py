"""The profile: every parameter of the traffic, with its value, unit, grade and source.

A profile is read from one TOML file and frozen. Modules request a parameter by name. Numbers are
decimals, never floats, so that a profile means the same on every machine.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from trueup.reports.results import Json
from trueup.simulator.errors import ProfileError

__all__ = ["GRADES", "PROFILES", "Parameter", "Profile", "Value", "load_profile"]

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

    Overrides replace values by parameter name: `{"mix.residential": 60}`. Raises ProfileError,
    which names file, parameter and remedy.
    """
    path = Path(name_or_path)
    if not path.suffix:
        path = PROFILES / f"{name_or_path}.toml"
    parameters = dict(_read(path))
    for name, given in (overrides or {}).items():
        known = parameters.get(name)
        if known is None:
            raise ProfileError(_unknown(name, parameters))
        value = _like(name, known.value, given, known.unit)
        parameters[name] = Parameter(
            name=name, value=value, unit=known.unit, grade="U", source="override"
        )
    return Profile(
        name=str(name_or_path),
        parameters=MappingProxyType(parameters),
        overrides=MappingProxyType(dict(overrides or {})),
    )


def _unknown(name: str, parameters: Mapping[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, parameters, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see docs/fleet.md for the names"
    return f"no parameter is called {name!r}; {hint}"


def _like(name: str, known: Value, given: Json, unit: str) -> Value:
    """Return the given value in the type of the known one."""
    if isinstance(known, bool):
        words: dict[object, bool] = {"true": True, "false": False, True: True, False: False}
        if isinstance(given, bool | str) and given in words:
            return words[given]
        raise ProfileError(f"{name}: expected true or false, not {given!r}")
    if isinstance(known, tuple):
        weights = _weights(name, given, unit)
        names = [key for key, _weight in known]
        for key, _weight in weights:
            if key not in names and not any(part in name for part in _OPEN):
                raise ProfileError(f"{name} has {', '.join(names)}, not {key!r}")
        return weights
    if isinstance(known, str):
        if isinstance(given, str):
            return given
        raise ProfileError(f"{name}: expected text, not {given!r}")
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(given, bool) or not number.is_finite() or number < 0:
        raise ProfileError(f"{name}: expected a number of at least 0, not {given!r}")
    if number == 0 and name.endswith(_POSITIVE):
        raise ProfileError(f"{name}: expected a number above 0")
    if isinstance(known, int) and number != number.to_integral():
        raise ProfileError(f"{name}: expected a whole number, not {given!r}")
    return int(number) if isinstance(known, int) else number


def _weights(name: str, given: Json, unit: str) -> tuple[tuple[str, int], ...]:
    """Return a table of integers; rates (`per …`) may be all zero, weights may not."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            given = None
    if not isinstance(given, dict) or not given:
        raise ProfileError(f'{name}: expected weights such as {{"us": 60, "de": 40}}')
    rows: list[tuple[str, int]] = []
    for key, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            raise ProfileError(f"{name}: weight of {key!r}: expected a whole number of at least 0")
        rows.append((key, weight))
    if not unit.startswith("per ") and not any(weight for _key, weight in rows):
        raise ProfileError(f"{name}: at least one weight must be above 0")
    return tuple(rows)


@cache
def _read(path: Path) -> Mapping[str, Parameter]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file, parse_float=Decimal)
    except FileNotFoundError as error:
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.toml")))
        raise ProfileError(f"{path}: no such profile; the committed ones are: {known}") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read as TOML: {error}") from error
    base: dict[str, Parameter] = {}
    if "based_on" in content:
        base = dict(_read(PROFILES / f"{content['based_on']}.toml"))
    for name, row in content.get("parameters", {}).items():
        base[name] = _parameter(path, name, row, base.get(name))
    if not base:
        raise ProfileError(f"{path}: expected a [parameters] table")
    return MappingProxyType(base)


def _parameter(path: Path, name: str, row: object, known: Parameter | None) -> Parameter:
    if not isinstance(row, dict) or not {"value", "unit", "grade", "source"} <= row.keys():
        raise ProfileError(f"{path}: {name} needs value, unit, grade and source")
    if row["grade"] not in GRADES:
        raise ProfileError(f"{path}: {name}: grade must be one of {', '.join(GRADES)}")
    value = row["value"]
    if known is None and isinstance(value, dict):
        value = _weights(f"{path}: {name}", value, row["unit"])
    elif known is not None:
        value = _like(f"{path}: {name}", known.value, value, row["unit"])
    return Parameter(
        name=name, value=value, unit=row["unit"], grade=row["grade"], source=row["source"]
    )
