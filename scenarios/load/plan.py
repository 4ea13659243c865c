"""A load scenario: what is sent, in which shape, and what must hold. One TOML file, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from trueup.conformance.error_text import describe_value, nearest
from trueup.reports.results import Json
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load.thresholds import THRESHOLDS
from trueup.scenarios.load.validation import PlanMistake, format_error, mistakes
from trueup.simulator.errors import ProfileError
from trueup.simulator.model.profile import load_profile
from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE, SHAPES, Shape, ShapeError

__all__ = ["FaultsPart", "LoadPlan", "ReadsPart", "load_names", "load_plan", "with_changes"]

_CATALOGUE: Final = resources.files("trueup.scenarios").joinpath("catalogue")
_PREFIX: Final = "load-"

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
    """After the end: how long answers and retries may still take."""
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
    """What is done to the target while it is loaded; needs a lever that can do it."""

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
    thresholds: dict[str, float] = {}

    def __post_init__(self) -> None:
        self.curve()
        if self.shape.warmup_s >= self.shape.duration_s:
            raise ValueError("`shape.warmup_s` must be shorter than `shape.duration_s`")
        if self.reads.share >= 1 or bool(self.reads.share) != bool(self.reads.paths):
            raise ValueError("`reads` needs a share below 1 and, with it, at least one path")
        if odd := sorted(set(self.thresholds) - set(THRESHOLDS)):
            raise ValueError(
                f"`thresholds` has no {', '.join(odd)}; it has: {', '.join(THRESHOLDS)}"
            )

    def curve(self) -> Shape:
        """The shape as the reactor plans it."""
        return Shape(
            kind=self.shape.kind,
            rate=self.shape.rate,
            duration_s=self.shape.duration_s,
            options=self.shape.options,
        )

    @property
    def open_loop(self) -> bool:
        return self.shape.kind != AS_FAST_AS_POSSIBLE


def load_names() -> list[str]:
    """Load scenarios of the catalogue."""
    names = (item.name.removesuffix(".toml") for item in _CATALOGUE.iterdir())
    return sorted(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))


def load_plan(name_or_path: str) -> LoadPlan:
    """A load scenario by its name in the catalogue, or from a file.

    Raises UsageProblem that names the file, the key and the remedy.
    """
    if name_or_path in load_names():
        source = f"load scenario {name_or_path}"
        text = _CATALOGUE.joinpath(f"{_PREFIX}{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        source, path = name_or_path, Path(name_or_path)
        if not path.is_file():
            raise UsageProblem(
                f"{path}: no such load scenario. Give a file, or one of: {', '.join(load_names())}."
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageProblem(f"{path}: cannot be read: {error}") from error
    try:
        return _convert(tomllib.loads(text), source, text)
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{source}: not TOML: {error}") from error


def _convert(value: object, source: str, text: str = "") -> LoadPlan:
    """The plan; every mistake at once, then what several keys must fulfil together."""
    if found := [*mistakes(value, LoadPlan), *_unknown_names(value)]:
        raise UsageProblem(format_error(source, text, found, "docs/load.md"))
    try:
        return msgspec.convert(value, LoadPlan)
    except (msgspec.ValidationError, ShapeError) as error:
        said = str(error).removesuffix(" - at `$`")
        raise UsageProblem(f"{source}: {said}. See docs/load.md for the keys.") from error


def _unknown_names(value: object) -> Iterator[PlanMistake]:
    """Names that the types cannot know: of shapes, their options, limits and profiles."""
    if not isinstance(value, Mapping):
        return
    shape, limits, fleet = (
        part if isinstance(part, Mapping) else {}
        for part in (value.get(name) for name in ("shape", "thresholds", "fleet"))
    )
    kinds = (*SHAPES, AS_FAST_AS_POSSIBLE)
    kind, options = shape.get("kind", "constant"), shape.get("options")
    if isinstance(kind, str) and kind not in kinds:
        expected = f"a known shape, choose one of: {', '.join(kinds)}"
        yield PlanMistake("shape.kind", expected, describe_value(kind), nearest(kind, kinds))
    elif isinstance(kind, str) and isinstance(options, Mapping):
        known = sorted(SHAPES[kind][1]) if kind in SHAPES else []
        for name in [name for name in options if name not in known]:
            expected = f'an option of the shape "{kind}": {", ".join(known) or "it has none"}'
            yield PlanMistake(f"shape.options.{name}", expected, f'"{name}"', nearest(name, known))
    for name in [name for name in limits if name not in THRESHOLDS]:
        expected = f"a known limit: {', '.join(THRESHOLDS)}"
        yield PlanMistake(f"thresholds.{name}", expected, f'"{name}"', nearest(name, THRESHOLDS))
    profile, overrides = fleet.get("profile", "default"), fleet.get("overrides")
    if isinstance(profile, str):
        try:
            load_profile(profile, overrides if isinstance(overrides, Mapping) else None)
        except ProfileError as error:
            key = "fleet.overrides" if overrides else "fleet.profile"
            yield PlanMistake(
                key, "what fits a profile of the fleet", describe_value(profile), str(error)
            )


def with_changes(
    plan: LoadPlan,
    *,
    rate: float | None = None,
    duration_s: float | None = None,
    seed: int | None = None,
    **parts: dict[str, Json],
) -> LoadPlan:
    """The plan with some values changed; `parts` are whole keys of one part each.

    A shorter run gets a shorter warm-up. Raises UsageProblem as `load_plan` does.
    """
    value: dict[str, Any] = msgspec.to_builtins(plan)
    if rate is not None:
        value["shape"]["rate"] = rate
    if duration_s is not None:
        value["shape"]["duration_s"] = duration_s
        value["shape"]["warmup_s"] = min(plan.shape.warmup_s, duration_s / 4)
    if seed is not None:
        value["seed"] = seed
    for part, changes in parts.items():
        value[part].update(changes)
    return _convert(value, f"load scenario {plan.name}, as changed")
