"""A scenario: what one run shall do. One TOML file, read once into a frozen value."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec

from trueup.scenarios.errors import UsageProblem

__all__ = [
    "ChecksPart",
    "FleetPart",
    "HistoriesPart",
    "LoadPart",
    "Scenario",
    "load_scenario",
    "scenario_names",
]

_CATALOGUE: Final = resources.files("trueup.scenarios").joinpath("catalogue")
_LOAD_PREFIX: Final = "load-"

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FleetPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traffic sent before the checks."""

    profile: str = "default"
    events: Count = 6000
    days: Annotated[float, msgspec.Meta(gt=0, le=6.5)] = 6.0
    """How far back the events reach. Below 7, because older ones may rightly be refused."""
    batch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500


class ChecksPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 3
    only: tuple[str, ...] = ()
    """Names or laws of checks; empty: all."""


class LoadPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load scenario of the catalogue, and what of it is changed here."""

    scenario: str
    duration_s: Seconds | None = None
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    web_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    """Show Locust's own web page on this port of the loopback."""
    master_bind: str | None = None
    """Be Locust's master on this address for `workers` workers on other hosts."""
    workers: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    locustfile: str = ""
    """A locustfile with users of your own, instead of the reactor; one process."""
    calibrate: bool = False
    """Measure the null sink of the machine first."""
    find_limit: bool = False
    """Search for the highest rate that keeps the thresholds, instead of one run."""

    def __post_init__(self) -> None:
        if self.find_limit and self.master_bind is not None:
            raise ValueError(
                "`load.find_limit` cannot be used with `load.master_bind`: workers on other hosts "
                "end with the first step; leave one of the two out"
            )


class HistoriesPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Random histories."""

    examples: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 30
    """How many are acted out at most, before one that fails is shrunk."""
    replay: str = ""
    """A file with one history, to act out only that."""


class Scenario(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,40}$")]
    what: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 7
    fleet: FleetPart | None = None
    checks: ChecksPart | None = None
    histories: HistoriesPart | None = None
    load: LoadPart | None = None


def scenario_names() -> list[str]:
    """Scenarios of the catalogue that `trueup run` takes."""
    names = (item.name.removesuffix(".toml") for item in _CATALOGUE.iterdir())
    return sorted(name for name in names if not name.startswith((_LOAD_PREFIX, "_")))


def load_scenario(name_or_path: str) -> Scenario:
    """A scenario by its name in the catalogue, or from a file.

    Raises UsageProblem that names the file, the key and the remedy.
    """
    if name_or_path in scenario_names():
        source = f"scenario {name_or_path}"
        text = _CATALOGUE.joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        source = name_or_path
        text = _read(Path(name_or_path))
    try:
        return msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{source}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UsageProblem(f"{source}: {error}. See docs/scenarios.md for the keys.") from error


def _read(path: Path) -> str:
    if not path.is_file():
        raise UsageProblem(
            f"{path}: no such scenario. Give a file, or one of: {', '.join(scenario_names())}."
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: cannot be read: {error}") from error
