"""Load shapes, and the planned times that follow from them. Pure: reads no clock and does not wait.

A shape is a function from the second of the run to a rate. Planned times come from its integral:
arrival n of an even schedule is due when the integral reaches n + ½; of a Poisson schedule, when it
reaches the n-th partial sum of unit exponentials (a non-homogeneous Poisson process by inversion:
Çinlar 1975, "Introduction to Stochastic Processes", 4.7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["AS_FAST_AS_POSSIBLE", "REPLAY", "SHAPES", "Schedule", "Shape", "ShapeError"]

AS_FAST_AS_POSSIBLE: Final = "as-fast-as-possible"
"""The closed-loop shape: a connection sends when its response has arrived. No planned times."""
REPLAY: Final = "replay"
"""The shape of a log that is sent again: requests are due when the log's were."""
_CELLS_PER_S: Final = 100
_MAX_CELLS: Final = 2_000_000
_CHUNK: Final = 4_096

Floats = npt.NDArray[np.float64]
RateOf = Callable[[Floats, float, Mapping[str, float]], Floats]


class ShapeError(ValueError):
    """A shape that cannot be planned; the message names the value and the remedy."""


def _constant(t: Floats, duration_s: float, options: Mapping[str, float]) -> Floats:
    return np.ones_like(t)


def _ramp(t: Floats, duration_s: float, options: Mapping[str, float]) -> Floats:
    start = options.get("from_share", 0.0)
    return start + (1 - start) * t / duration_s


def _step(t: Floats, duration_s: float, options: Mapping[str, float]) -> Floats:
    steps = options.get("steps", 5.0)
    return (np.floor(t / duration_s * steps).clip(0, steps - 1) + 1) / steps


def _spike(t: Floats, duration_s: float, options: Mapping[str, float]) -> Floats:
    begin, length = options.get("at_share", 0.5), options.get("length_share", 0.1)
    base = options.get("base_share", 0.2)
    inside = (t >= begin * duration_s) & (t < (begin + length) * duration_s)
    return np.where(inside, 1.0, base)


def _daily(t: Floats, duration_s: float, options: Mapping[str, float]) -> Floats:
    """One day in `day_s` seconds: lowest at its start, highest half a day later."""
    low = options.get("low_share", 0.3)
    day_s = options.get("day_s", duration_s)
    return low + (1 - low) * (1 - np.cos(2 * math.pi * t / day_s)) / 2


SHAPES: Final[Mapping[str, tuple[RateOf, frozenset[str]]]] = MappingProxyType(
    {
        "constant": (_constant, frozenset()),
        "ramp": (_ramp, frozenset({"from_share"})),
        "step": (_step, frozenset({"steps"})),
        "spike": (_spike, frozenset({"at_share", "length_share", "base_share"})),
        "daily": (_daily, frozenset({"low_share", "day_s"})),
    }
)
"""Open-loop shapes: share of the highest rate over the run, and the options of each."""
_OPEN: Final[Mapping[str, tuple[RateOf, frozenset[str]]]] = MappingProxyType(
    {**SHAPES, REPLAY: (_constant, frozenset())}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the rate changes over a run. `rate` is the highest rate, in requests per second."""

    kind: str
    rate: float
    duration_s: float
    options: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.kind != AS_FAST_AS_POSSIBLE and self.kind not in _OPEN:
            known = ", ".join([*SHAPES, AS_FAST_AS_POSSIBLE])
            raise ShapeError(f"shape `{self.kind}` is not known; choose one of: {known}")
        if not self.duration_s > 0:
            raise ShapeError(f"a run of {self.duration_s:g} s; expected more than 0")
        if self.kind == AS_FAST_AS_POSSIBLE:
            return
        if not self.rate > 0:
            raise ShapeError(f"a rate of {self.rate:g} a second; expected more than 0")
        if odd := set(self.options) - _OPEN[self.kind][1]:
            allowed = ", ".join(sorted(_OPEN[self.kind][1])) or "none"
            raise ShapeError(f"shape `{self.kind}` has no option {sorted(odd)}; it has: {allowed}")

    @property
    def open(self) -> bool:
        """Return whether requests are due at planned times, whatever the target does."""
        return self.kind != AS_FAST_AS_POSSIBLE

    def rates(self, t: Floats) -> Floats:
        """Return the requests per second at seconds `t` of the run (open-loop shapes)."""
        return self.rate * _OPEN[self.kind][0](t, self.duration_s, self.options)


class Schedule:
    """Planned times of one worker: arrivals `worker`, `worker + workers`, … of the shape."""

    def __init__(
        self,
        shape: Shape,
        *,
        poisson: bool = False,
        seed: int = 0,
        worker: int = 0,
        workers: int = 1,
        per_second: Sequence[float] = (),
    ) -> None:
        """`per_second` replaces the shape's rates: requests due in each second of the run, evenly
        distributed within it (for the fleet's own arrivals, whose times are seconds).
        """
        self.shape = shape
        self._poisson, self._seed = poisson, seed
        self._worker, self._workers = worker, workers
        cells = min(max(math.ceil(shape.duration_s * _CELLS_PER_S), 1), _MAX_CELLS)
        edges = np.linspace(0.0, shape.duration_s, cells + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        self._edges = edges
        if len(per_second):
            last = len(per_second) - 1
            rates = np.asarray(per_second, dtype=np.float64)[middles.astype(int).clip(0, last)]
        else:
            rates = shape.rates(middles)
        self._cumulative = np.concatenate(([0.0], np.cumsum(rates * np.diff(edges))))

    @property
    def total(self) -> float:
        """Return the number of arrivals of all workers over the run; the expected number for
        Poisson.
        """
        return float(self._cumulative[-1])

    def chunks(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield planned times in arrays: nanoseconds since the start of the run, ascending."""
        yield from self._poisson_chunks() if self._poisson else self._even_chunks()

    def _times(self, cumulative: Floats) -> npt.NDArray[np.int64]:
        inside = cumulative[cumulative < self.total]
        seconds = np.interp(inside, self._cumulative, self._edges)
        return np.asarray(seconds * 1e9, dtype=np.int64)

    def _even_chunks(self) -> Iterator[npt.NDArray[np.int64]]:
        number = self._worker
        while number < self.total:
            numbers = number + self._workers * np.arange(_CHUNK)
            yield self._times(np.asarray(numbers + 0.5, dtype=np.float64))
            number += self._workers * _CHUNK

    def _poisson_chunks(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield one worker's process with 1/W of the rate: the union of all has the full rate."""
        words = np.random.Generator(np.random.Philox(key=[self._seed, self._worker]))
        cumulative = 0.0
        while cumulative < self.total:
            sums: Floats = cumulative + np.cumsum(words.exponential(self._workers, _CHUNK))
            cumulative = float(sums[-1])
            yield self._times(sums)
