"""A load scenario: what is sent, in which shape, and what must hold. One TOML file, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from trueup.reports.configuration import (
    Mistake,
    TomlFile,
    describe_value,
    load_toml,
    mistakes_text,
    nearest,
    struct_mistakes,
)
from trueup.reports.errors import ConfigurationError
from trueup.reports.results import Json
from trueup.scenarios.load.thresholds import THRESHOLDS
from trueup.scenarios.proxied.plan import RESTART_PROXIES, ProxiedPlan
from trueup.simulator.errors import ProfileError
from trueup.simulator.model.profile import load_profile
from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE, SHAPES, Shape, ShapeError

__all__ = [
    "FaultsPart",
    "LoadPlan",
    "ReadsPart",
    "load_names",
    "load_plan",
    "plan_values",
    "with_changes",
]

_CATALOGUE: Final = resources.files("trueup.scenarios").joinpath("catalogue")
_PREFIX: Final = "load-"
_KIND: Final = "load scenario"
_PAGE: Final = "docs/load.md"
RENAMED: Final[Mapping[str, str]] = {
    "twin_every": "duplicate_every",
    "poison_every": "malformed_every",
}
"""Keys of earlier versions, and what they are called now."""
RENAMED_SCENARIOS: Final[Mapping[str, str]] = {"poison-lines": "malformed-lines"}
"""Load scenarios of earlier versions, and what they are called now."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Every = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class _PlanPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ShapePart(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When requests are due."""

    kind: str = "constant"
    rate: Annotated[float, msgspec.Meta(ge=0, le=10_000_000)] = 0.0
    """Highest rate, requests per second; of no meaning where the kind is as-fast-as-possible."""
    duration_s: Seconds = 15.0
    warmup_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    arrivals: Literal["even", "poisson", "fleet"] = "even"
    """How requests are spread: evenly, as a Poisson process, or as the fleet's own events fall."""
    options: dict[str, float] = {}


class RequestsPart(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one request carries, and over how many connections."""

    batch: Count = 100
    connections: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 16
    timeout_s: Seconds = 10.0
    drain_s: Seconds = 30.0
    """After the end: how long responses and retries may still take."""
    most_backlog: Count = 100_000
    """Planned requests that may wait; more of them end the run."""
    duplicate_every: Every = 0
    """Every so many batches one is sent twice at the same time; 0: none."""
    malformed_every: Every = 0
    """Every so many batches one gets a broken line at its end; 0: none."""
    retry_first_s: Annotated[float, msgspec.Meta(gt=0)] = 0.05
    retry_most_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class LoadFleet(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose traffic it is."""

    profile: str = "default"
    overrides: dict[str, Any] = {}
    """Parameters of the profile that this scenario changes."""
    start: Literal["now", "before-midnight"] = "now"
    """Where the fleet's time begins: at the target's present, or so that the target's next
    midnight falls into the middle of the run's events."""


class ReadsPart(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read traffic mixed in."""

    share: Share = 0.0
    """Of all requests."""
    paths: tuple[str, ...] = ()
    """Below the target's base URL and prefix, with their query: `log_summary/search?page=1`."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4


class FaultsPart(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to the target while it is loaded; needs a control hook that can do it."""

    restart_at_share: tuple[Share, ...] = ()
    """Moments of the run, as shares of its length, at which the target is killed and restarted."""
    maintenance_at_share: tuple[Share, ...] = ()
    """Moments at which the target's retention and consolidation are run."""


class LoadPlan(_PlanPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load scenario, whole."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,40}$")]
    what: str
    breaks: str
    """In one line: what it is meant to break."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 7
    shape: ShapePart = ShapePart()
    requests: RequestsPart = RequestsPart()
    fleet: LoadFleet = LoadFleet()
    reads: ReadsPart = ReadsPart()
    faults: FaultsPart = FaultsPart()
    proxied: ProxiedPlan | None = None
    """Send requests through the fleet's proxies, which report them, instead of events."""
    thresholds: dict[str, float] = {}

    def curve(self) -> Shape:
        """Return the shape as the reactor plans it."""
        return Shape(
            kind=self.shape.kind,
            rate=self.shape.rate,
            duration_s=self.shape.duration_s,
            options=self.shape.options,
        )

    @property
    def open_loop(self) -> bool:
        return self.shape.kind != AS_FAST_AS_POSSIBLE

    @property
    def fault_shares(self) -> Mapping[str, Sequence[float]]:
        """Control hook → moments at which it is called, as shares of the run's length."""
        return {
            "restart": self.faults.restart_at_share,
            "maintenance": self.faults.maintenance_at_share,
        }

    @property
    def proxy_shares(self) -> Mapping[str, Sequence[float]]:
        """Return the same of what is done to the proxies."""
        return {RESTART_PROXIES: self.proxied.restart_at_share} if self.proxied else {}


def load_names() -> list[str]:
    """Return the load scenarios of the catalogue."""
    names = (item.name.removesuffix(".toml") for item in _CATALOGUE.iterdir())
    return sorted(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))


def load_plan(name_or_path: str) -> LoadPlan:
    """Return a load scenario by its name in the catalogue, or from a file.

    Raises ConfigurationError, which names the file and every wrong key with its remedy.
    """
    if name_or_path in RENAMED_SCENARIOS:
        new = RENAMED_SCENARIOS[name_or_path]
        raise ConfigurationError(f"{_KIND} {name_or_path}: it is called {new} since trueup 0.2")
    if name_or_path in load_names():
        text = _CATALOGUE.joinpath(f"{_PREFIX}{name_or_path}.toml").read_text(encoding="utf-8")
        file = TomlFile(source=f"{_KIND} {name_or_path}", text=text, kind=_KIND, page=_PAGE)
    else:
        file = TomlFile.read(Path(name_or_path), kind=_KIND, page=_PAGE, known=load_names())
    return load_toml(file, _build)


def _build(value: object) -> tuple[LoadPlan | None, list[Mistake]]:
    """Return the plan, or every mistake: of single values, of names, and of keys together."""
    found = [
        *struct_mistakes(value, LoadPlan, renamed=RENAMED),
        *_unknown_names(value),
        *_conflicts(value),
        *_beside_proxied(value),
    ]
    if found:
        return None, found
    plan = msgspec.convert(value, LoadPlan)
    try:
        plan.curve()
    except ShapeError as error:
        return None, [Mistake(key="shape", expected=str(error), found=plan.shape.kind)]
    return plan, []


def _tables(value: object, *names: str) -> Iterator[Mapping[str, Any]]:
    """Yield tables of a document; an empty one where there is none."""
    for name in names:
        part = value.get(name) if isinstance(value, Mapping) else None
        yield part if isinstance(part, Mapping) else {}


def _conflicts(value: object) -> Iterator[Mistake]:
    """Yield what is wrong with several keys together; single values are checked elsewhere."""
    shape, reads = _tables(value, "shape", "reads")
    warmup, duration = shape.get("warmup_s", 2.0), shape.get("duration_s", 15.0)
    if isinstance(warmup, int | float) and isinstance(duration, int | float) and warmup >= duration:
        yield Mistake(
            key="shape.warmup_s",
            expected=f"less than `shape.duration_s`, which is {duration:g}",
            found=describe_value(warmup),
        )
    share, paths = reads.get("share", 0), reads.get("paths", [])
    if share == 1:
        yield Mistake(key="reads.share", expected="a share below 1", found=describe_value(share))
    if bool(share) != bool(paths):
        yield Mistake(
            key="reads",
            expected="a share above 0 and at least one path, or neither",
            found=f"share {share}, {describe_value(paths)}",
        )


def _beside_proxied(value: object) -> Iterator[Mistake]:
    """Yield what does not go with [proxied]: there, a request is one event, and events are not
    sent.
    """
    if not isinstance(value, Mapping) or value.get("proxied") is None:
        return
    requests, reads, fleet = _tables(value, "requests", "reads", "fleet")
    allowed: tuple[tuple[str, object, object], ...] = (
        ("requests.batch", requests.get("batch", 100), 1),
        ("requests.duplicate_every", requests.get("duplicate_every", 0), 0),
        ("requests.malformed_every", requests.get("malformed_every", 0), 0),
        ("reads.share", reads.get("share", 0), 0),
        ("fleet.overrides", fleet.get("overrides", {}), {}),
    )
    for key, found, wanted in allowed:
        if found != wanted:
            shown = describe_value(wanted) if wanted else "left out"
            yield Mistake(
                key=key, expected=f"{shown} beside [proxied]", found=describe_value(found)
            )


def _unknown_names(value: object) -> Iterator[Mistake]:
    """Yield unknown names that types cannot know: shapes, their options, thresholds, profiles."""
    shape, limits, fleet = _tables(value, "shape", "thresholds", "fleet")
    kinds = (*SHAPES, AS_FAST_AS_POSSIBLE)
    kind, options = shape.get("kind", "constant"), shape.get("options")
    if isinstance(kind, str) and kind not in kinds:
        expected = f"a known shape, choose one of: {', '.join(kinds)}"
        yield Mistake(
            key="shape.kind",
            expected=expected,
            found=describe_value(kind),
            remedy=nearest(kind, kinds),
        )
    elif isinstance(kind, str) and isinstance(options, Mapping):
        known = sorted(SHAPES[kind][1]) if kind in SHAPES else []
        for name in [name for name in options if name not in known]:
            expected = f'an option of the shape "{kind}": {", ".join(known) or "it has none"}'
            yield Mistake(
                key=f"shape.options.{name}",
                expected=expected,
                found=f'"{name}"',
                remedy=nearest(name, known),
            )
    for name in [name for name in limits if name not in THRESHOLDS]:
        yield Mistake(
            key=f"thresholds.{name}",
            expected=f"a known threshold: {', '.join(THRESHOLDS)}",
            found=f'"{name}"',
            remedy=nearest(name, THRESHOLDS),
        )
    profile, overrides = fleet.get("profile", "default"), fleet.get("overrides")
    if isinstance(profile, str):
        try:
            load_profile(profile, overrides if isinstance(overrides, Mapping) else None)
        except ProfileError as error:
            key = "fleet.overrides" if overrides else "fleet.profile"
            yield Mistake(
                key=key,
                expected="what fits a profile of the fleet",
                found=describe_value(profile),
                remedy=str(error).replace("\n", "\n      "),
            )


def plan_values(plan: LoadPlan) -> dict[str, Any]:
    """Return a plan as its file could have it; without [proxied] where it sends events."""
    value: dict[str, Any] = msgspec.to_builtins(plan)
    if plan.proxied is None:
        del value["proxied"]
    return value


def with_changes(
    plan: LoadPlan,
    *,
    rate: float | None = None,
    duration_s: float | None = None,
    seed: int | None = None,
    **parts: dict[str, Json],
) -> LoadPlan:
    """Return the plan with some values changed; `parts` are whole keys of one part each.

    A shorter run gets a shorter warm-up. Raises ConfigurationError as `load_plan` does.
    """
    value = plan_values(plan)
    if rate is not None:
        value["shape"]["rate"] = rate
    if duration_s is not None:
        value["shape"]["duration_s"] = duration_s
        value["shape"]["warmup_s"] = min(plan.shape.warmup_s, duration_s / 4)
    if seed is not None:
        value["seed"] = seed
    for part, changes in parts.items():
        value[part].update(changes)
    changed, found = _build(value)
    if changed is None:
        source = f"{_KIND} {plan.name}, as changed"
        file = TomlFile(source=source, text="", kind=_KIND, page=_PAGE)
        raise ConfigurationError(mistakes_text(file, found))
    return changed
