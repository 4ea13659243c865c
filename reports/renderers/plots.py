"""Plots as inline SVG: a percentile curve, figures second by second, and steps of a search.

Only numbers and fixed words are inserted; colours and fonts come from the page's style sheet, so
that a plot follows light, dark and print. Each plot has a title for each axis and describes itself
in words (`aria-label`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from trueup.reports.formatting import milliseconds
from trueup.reports.metrics.load_metrics import Latency

__all__ = [
    "Band",
    "Limit",
    "Points",
    "RateStep",
    "RunPoint",
    "axis_count",
    "axis_ms",
    "percentile_plot",
    "rate_steps_plot",
    "runs_plot",
    "thinned",
    "ticks",
    "time_plot",
]

_WIDTH: Final = 480
_LEFT: Final = 58
_RIGHT: Final = 12
_TOP: Final = 24
_BOTTOM: Final = 40
_LEAST_MS: Final = 0.001
"""A latency below a microsecond is drawn as one."""
_MOST_WORDS: Final = 8
"""Up to so many marks have a word each; more have only their lines."""
_STRETCHES: Final = 200
"""Stretches into which a long series is divided; each is drawn by its lowest and its highest."""
_NINES: Final = ((0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"))

Points = Sequence[tuple[float, float | None]]
"""(Second, value); None leaves a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A horizontal line: what was planned, or a threshold."""

    value: float
    word: str
    below: bool = False
    """Whether the word is below the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Seconds with a background of their own: `warmup`, or `silent` without any response."""

    start: float
    end: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStep:
    """A step of a search for the limit: a rate, and whether it is within the limits."""

    rate: float
    kind: str
    """`met`, `missed` or `open`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """A value of one run, None where it has none, and how the run ended."""

    value: float | None
    kind: str
    """`met`, `missed` or `open`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Coordinates of values: x and y grow to the right and upwards; y is logarithmic if `log`."""

    height: int
    x_max: float
    y_min: float
    y_max: float
    x_min: float = 0.0
    log: bool = False

    def x(self, value: float) -> float:
        share = (value - self.x_min) / ((self.x_max - self.x_min) or 1)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

    def y(self, value: float) -> float:
        span = self.height - _TOP - _BOTTOM
        low, high, at = self.y_min, self.y_max, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, low))
        return _TOP + span * (1 - (at - low) / ((high - low) or 1))


def ticks(highest: float, count: int = 4) -> tuple[float, ...]:
    """Return round values from 0 up to the first that is not below `highest` (above 0)."""
    if not math.isfinite(highest) or highest < 1e-300:
        return (0.0, 1.0)
    rough = highest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * (1 - 1e-9)), rough)
    made = tuple(step * n for n in range(math.ceil(highest / step - 1e-9) + 1))
    return made if math.isfinite(made[-1]) else (0.0, highest)


def axis_ms(ms: float) -> str:
    """Return a round number of milliseconds as an axis label: `0`, `50 µs`, `20 ms`."""
    if ms == 0:
        return "0"
    if ms < 0.1:
        return f"{ms * 1000:.4g} µs"
    return f"{ms:.4g} ms" if ms < 1000 else f"{ms / 1000:.4g} s"


def axis_count(count: float) -> str:
    """Return a round count as an axis label: `0`, `250`, `40k`, `1.5M`."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{letter}"
    return f"{count:.4g}"


def percentile_plot(latencies: Sequence[Latency], *, limits: Sequence[Limit] = ()) -> Markup:
    """Return latency over the share of requests that were faster; x in nines, y logarithmic.

    Empty where none of the distributions holds a value. `limits` are in milliseconds.
    """
    held = [one for one in latencies if one.curve]
    values = [ms for one in held for _, ms in one.curve if ms > 0]
    if not values:
        return Markup("")
    frame = _log_frame([*values, *(limit.value for limit in limits)], x_max=4.0, height=260)
    body = _decades(frame) + _titles(frame, "time", "share of requests that were faster")
    body += "".join(_label_x(frame, nines, text) for nines, text in _NINES)
    for number, one in enumerate(held):
        points = [(-math.log10(1 - share), ms) for share, ms in one.curve]
        body += _line(frame, points, f"series s{number}")
    body += _limits(frame, limits)
    words = "; ".join(f"{one.name} {_in_words(one.quantiles)}" for one in held)
    return _svg(frame, body, f"Latency by percentile. {words}")


def time_plot(
    series: Sequence[Points],
    *,
    label: str,
    title: str,
    end_s: float,
    show: Callable[[float], str] | None = None,
    log: bool = False,
    limits: Sequence[Limit] = (),
    steps: Sequence[tuple[float, float]] = (),
    bands: Sequence[Band] = (),
    marks: Sequence[tuple[float, str]] = (),
    height: int = 180,
) -> Markup:
    """Return series second by second, from the start of a run to its end.

    `label` describes the plot, `title` names the y axis with its unit. A value stands for the
    second that begins at its time. A long series is drawn by the lowest and the highest value of
    each stretch, so that neither a slow second nor one without a response is smoothed away.
    `limits` are horizontal lines, `steps` a planned rate: (second, value from then on), `bands`
    seconds with a background, `marks` times (second, fixed word) with a vertical line each. Empty
    where no value was measured.
    """
    show = show or axis_count
    cleaned = [_finite(points) for points in series]
    values = [value for points in cleaned for _, value in points if value is not None]
    if not values or end_s <= 0:
        return Markup("")
    highest = max([*values, *(limit.value for limit in limits), *(rate for _, rate in steps)])
    if log:
        above = [value for value in values if value > 0] or [_LEAST_MS]
        levels = [*above, *(limit.value for limit in limits)]
        frame = _log_frame(levels, x_max=end_s, height=height)
        grid = _decades(frame)
    else:
        axis = ticks(highest, 3)
        frame = _Frame(height=height, x_max=end_s, y_min=0.0, y_max=axis[-1])
        grid = _grid(frame, [(step, show(step)) for step in axis])
    body = _bands(frame, bands) + grid + _titles(frame, title, "seconds from the start")
    for step in ticks(end_s, 5):
        if step <= end_s:
            body += _label_x(frame, step, f"{step:g}")
    # A mark within the last second, or right after it, is drawn at the end.
    shown = [(at, word) for at, word in marks if 0 <= at < end_s + 1]
    crowded = len(shown) > _MOST_WORDS
    body += "".join(
        _mark(frame, min(at, frame.x_max), "" if crowded else word, number)
        for number, (at, word) in enumerate(shown)
    )
    if steps:
        body += _line(frame, list(_staircase(steps, end_s)), "planned")
    for number, points in reversed(list(enumerate(cleaned))):
        for part in thinned([(t + 0.5, value) for t, value in points]):
            inside = [(min(t, end_s), value) for t, value in part]
            body += _line(frame, inside, f"series s{number}")
    body += _limits(frame, limits)
    words = "".join(f"; {escape(word)} at {at:.0f} s" for at, word in shown)
    silent = sum(band.end - band.start for band in bands if band.kind == "silent")
    words += f"; {silent:.0f} s without a response" if silent else ""
    return _svg(frame, body, f"{label}; highest {show(max(values))}{words}")


def rate_steps_plot(steps: Sequence[RateStep], *, low: float | None, high: float | None) -> Markup:
    """Return the rates that a search tried, in order, and the interval that it ended with.

    Empty where no step was made.
    """
    if not steps:
        return Markup("")
    axis = ticks(max(step.rate for step in steps), 4)
    frame = _Frame(height=200, x_min=0.5, x_max=len(steps) + 0.5, y_min=0.0, y_max=axis[-1] or 1.0)
    body = _grid(frame, [(step, axis_count(step)) for step in axis])
    body += _titles(frame, "requests/s", "step of the search")
    every = max(1, -(-len(steps) // 12))
    for number in range(1, len(steps) + 1, every):
        body += _label_x(frame, number, str(number))
    body += _line(frame, [(n, step.rate) for n, step in enumerate(steps, start=1)], "path")
    ends = ((low, "within the limits", True), (high, "beyond them", False))
    body += _limits(
        frame, [Limit(value=rate, word=word, below=below) for rate, word, below in ends if rate]
    )
    for number, step in enumerate(steps, start=1):
        x, y = frame.x(number), frame.y(step.rate)
        body += f'<circle class="step {step.kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    met = sum(step.kind == "met" for step in steps)
    return _svg(frame, body, f"Rates that a search tried: {len(steps)} steps, {met} met the limits")


def runs_plot(
    points: Sequence[RunPoint], *, title: str, label: str, show: Callable[[float], str]
) -> Markup:
    """Return a value of each run, in order, from 0; empty where no run has one.

    A run without a value leaves a gap. `title` names the y axis, `label` describes the plot.
    """
    held = [
        (number, point.value)
        for number, point in enumerate(points, start=1)
        if point.value is not None and math.isfinite(point.value)
    ]
    if not held:
        return Markup("")
    axis = ticks(max(value for _, value in held), 3)
    frame = _Frame(height=180, x_min=0.5, x_max=len(points) + 0.5, y_min=0.0, y_max=axis[-1])
    body = _grid(frame, [(step, show(step)) for step in axis]) + _titles(frame, title, "run")
    for number in range(1, len(points) + 1, max(1, -(-len(points) // 12))):
        body += _label_x(frame, number, str(number))
    body += _line(frame, held, "path")
    radius = 4.5 if len(points) <= 40 else 2
    for number, value in held:
        x, y = frame.x(number), frame.y(value)
        kind = points[number - 1].kind
        body += f'<circle class="step {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
    last = show(held[-1][1])
    return _svg(frame, body, f"{label}: {len(held)} runs, the last {last}")


def thinned(points: Points) -> Iterator[list[tuple[float, float]]]:
    """Yield the parts of a series between its gaps, with at most two points for each stretch.

    A stretch is an even part of the whole series; its lowest and its highest value stay, at their
    times. A stretch with a gap keeps its values; one without any value ends a part.
    """
    size = -(-len(points) // _STRETCHES)
    part: list[tuple[float, float]] = []
    for at in range(0, len(points), max(size, 1)):
        held = [(t, value) for t, value in points[at : at + size] if value is not None]
        if not held:
            if part:
                yield part
            part = []
            continue
        ends = {min(held, key=lambda one: one[1]), max(held, key=lambda one: one[1])}
        part += sorted(ends)
    if part:
        yield part


def _finite(points: Points) -> list[tuple[float, float | None]]:
    return [
        (t, value if value is not None and math.isfinite(value) else None) for t, value in points
    ]


def _log_frame(values: Sequence[float], *, x_max: float, height: int) -> _Frame:
    """A frame of whole decades around values in milliseconds."""
    low = max(_LEAST_MS, 10.0 ** math.floor(math.log10(max(min(values), _LEAST_MS))))
    high = 10.0 ** math.ceil(math.log10(max(*values, low)) + 1e-9)
    return _Frame(height=height, x_max=x_max, y_min=low, y_max=max(high, low * 10), log=True)


def _decades(frame: _Frame) -> str:
    """The horizontal lines of a logarithmic frame; of more than six decades every other one."""
    first, last = round(math.log10(frame.y_min)), round(math.log10(frame.y_max))
    every = 1 if last - first <= 6 else 2
    powers = range(first, last + 1, every)
    return _grid(frame, [(10.0**power, axis_ms(10.0**power)) for power in powers])


def _staircase(steps: Sequence[tuple[float, float]], end_s: float) -> Iterator[tuple[float, float]]:
    """The corners of a rate that changes in steps."""
    for number, (t, value) in enumerate(steps):
        after = steps[number + 1][0] if number + 1 < len(steps) else end_s
        yield min(t, end_s), value
        yield min(after, end_s), value


def _bands(frame: _Frame, bands: Sequence[Band]) -> str:
    """Backgrounds over the height of the frame, at least as wide as can be seen."""
    made = ""
    for band in bands:
        left, right = frame.x(band.start), frame.x(min(band.end, frame.x_max))
        made += (
            f'<rect class="{band.kind}" x="{left:.1f}" y="{_TOP}" '
            f'width="{max(right - left, 1.5):.1f}" height="{frame.height - _TOP - _BOTTOM}"/>'
        )
    return made


def _limits(frame: _Frame, limits: Sequence[Limit]) -> str:
    """Horizontal lines with their words at the right."""
    made = ""
    for limit in limits:
        y = frame.y(limit.value)
        word_y = y + 13 if limit.below else max(y - 4, 10)
        made += (
            f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="limit" x="{_WIDTH - _RIGHT}" y="{word_y:.1f}" '
            f'text-anchor="end">{escape(limit.word)}</text>'
        )
    return made


def _titles(frame: _Frame, y: str, x: str) -> str:
    """What the axes show: of y above the frame, of x below it."""
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return (
        f'<text class="title" x="2" y="12">{escape(y)}</text>'
        f'<text class="title" x="{middle:.0f}" y="{frame.height - 6}" '
        f'text-anchor="middle">{escape(x)}</text>'
    )


def _in_words(quantiles: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {milliseconds(ms)}" for name, ms in quantiles.items())


def _grid(frame: _Frame, marks: Sequence[tuple[float, str]]) -> str:
    lines = []
    for value, text in marks:
        y = frame.y(value)
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    return "".join(lines)


def _label_x(frame: _Frame, value: float, text: str) -> str:
    x = frame.x(value)
    anchor = "end" if x > _WIDTH - 40 else "middle"
    return f'<text x="{x:.1f}" y="{frame.height - 24}" text-anchor="{anchor}">{text}</text>'


def _mark(frame: _Frame, at: float, word: str, number: int) -> str:
    """A vertical line at a second, with its word beside it; neighbours differ in height."""
    x, right = frame.x(at), frame.x(at) > _WIDTH - 90
    y = _TOP + 10 + 13 * (number % 3)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{frame.height - _BOTTOM}"/>'
        f'<text class="mark" x="{x + (-4 if right else 4):.1f}" y="{y}" '
        f'text-anchor="{"end" if right else "start"}">{escape(word)}</text>'
    )


def _line(frame: _Frame, points: Sequence[tuple[float, float]], style: str) -> str:
    # A line from a point to itself is drawn as a dot; a single point is not drawn at all.
    drawn = [*points, *points] if len(points) == 1 else points
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in drawn)
    return f'<polyline class="{style}" points="{path}"/>'


def _svg(frame: _Frame, body: str, label: str) -> Markup:
    return Markup(  # noqa: S704 — numbers and fixed words only
        f'<svg viewBox="0 0 {_WIDTH} {frame.height}" role="img" aria-label="{label}">{body}</svg>'
    )
