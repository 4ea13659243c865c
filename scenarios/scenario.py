"""A scenario: what one run shall do. One TOML file, read once into a frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from trueup.conformance.datasets.depth import Depth
from trueup.reports.configuration import Mistake, TomlFile, load_toml, struct_mistakes
from trueup.scenarios.proxied.plan import ProxiedPlan

__all__ = [
    "CapsulePart",
    "ChecksPart",
    "FleetPart",
    "LoadPart",
    "NetworkName",
    "ProxiedPart",
    "ReplayPart",
    "Scenario",
    "StatefulPart",
    "load_scenario",
    "scenario_names",
]

_CATALOGUE: Final = resources.files("trueup.scenarios").joinpath("catalogue")
_LOAD_PREFIX: Final = "load-"
_KIND: Final = "scenario"
_PAGE: Final = "docs/scenarios.md"
RENAMED: Final[Mapping[str, str]] = {"histories": "stateful"}
"""Keys of earlier versions, and what they are called now."""

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]
NetworkName = Literal["datacenter", "isp", "residential", "mobile"]
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


class ProxiedPart(ProxiedPlan, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests through the fleet's proxies, sent before the checks."""

    profile: str = "default"
    requests: Count = 600
    connections: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 16
    """How many requests are sent at once."""


class ChecksPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 3
    only: tuple[str, ...] = ()
    """Names or laws of checks; empty: all."""
    depth: Depth = Depth.STANDARD
    """How many requests the checks may make: `quick`, `standard` or `exhaustive`."""


class ReplayPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log whose events are sent instead of a fleet's."""

    file: str
    speed: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 1.0
    """How many times faster than they came."""
    keep_names: bool = False
    """Send names and addresses as the log has them."""
    format: str = ""
    """Name of the log's format, with a colon and a template where it takes one; empty: guess."""
    zone: str = "UTC"
    """Zone of times that are written without one."""
    fields: tuple[str, ...] = ()
    """Columns that hold a value, such as `bytes=sent+received`."""
    network: NetworkName = "residential"
    """Network of requests whose log names none."""


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
    replay: ReplayPart | None = None
    """A log to send, at its own times."""


class StatefulPart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stateful property-based tests."""

    level: Annotated[int, msgspec.Meta(ge=2, le=4)] = 4
    """2 leaves the target's clock alone."""
    examples: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 30
    """Sequences to run at most, before one that fails is shrunk."""
    replay: str = ""
    """A file with one sequence, to run only that."""


class CapsulePart(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time capsule to plant or to harvest."""

    manifest: str
    """File with its manifest: written by a planting, read by a harvest."""
    harvest: bool = False
    """Judge what an earlier run has planted, instead of planting."""
    moved: bool = False
    """At a harvest: the target has another address than at the planting."""


class Scenario(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,40}$")]
    what: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 7
    fleet: FleetPart | None = None
    proxied: ProxiedPart | None = None
    checks: ChecksPart | None = None
    stateful: StatefulPart | None = None
    load: LoadPart | None = None
    capsule: CapsulePart | None = None


def scenario_names() -> list[str]:
    """Return the scenarios of the catalogue that `trueup run` takes."""
    names = (item.name.removesuffix(".toml") for item in _CATALOGUE.iterdir())
    return sorted(name for name in names if not name.startswith((_LOAD_PREFIX, "_")))


def load_scenario(name_or_path: str) -> Scenario:
    """Return a scenario by its name in the catalogue, or from a file.

    Raises ConfigurationError, which names the file and every wrong key with its remedy.
    """
    if name_or_path in scenario_names():
        text = _CATALOGUE.joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        file = TomlFile(source=f"{_KIND} {name_or_path}", text=text, kind=_KIND, page=_PAGE)
    else:
        file = TomlFile.read(Path(name_or_path), kind=_KIND, page=_PAGE, known=scenario_names())
    return load_toml(file, _build)


def _build(document: dict[str, Any]) -> tuple[Scenario | None, list[Mistake]]:
    """Return the scenario, or every mistake."""
    found = [
        *struct_mistakes(document, Scenario, renamed=RENAMED),
        *_conflicts(document.get("load")),
        *_beside_capsule(document),
    ]
    return (None, found) if found else (msgspec.convert(document, Scenario), [])


def _beside_capsule(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield a mistake for each part beside [capsule]: a capsule's run is judged by itself."""
    if "capsule" in document:
        for part in ("fleet", "proxied", "checks", "stateful", "load"):
            if part in document:
                yield Mistake(
                    key=part,
                    expected="no other part beside [capsule]",
                    found="both",
                    remedy="write a scenario of its own for the capsule",
                )


def _conflicts(load: object) -> Iterator[Mistake]:
    """Yield what is wrong with several keys of [load] together."""
    if isinstance(load, Mapping) and load.get("find_limit") and "master_bind" in load:
        yield Mistake(
            key="load.find_limit",
            expected="not together with `load.master_bind`",
            found="both",
            remedy="leave one out: workers on other hosts end with the first step of a search",
        )
