"""Plots as inline SVG: a percentile curve, and figures second by second.

Only numbers and fixed words are inserted; colours and fonts come from the page's style sheet, so
that a plot follows light, dark and print. Each plot describes itself in words (`aria-label`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from trueup.reports.formatting import milliseconds
from trueup.reports.metrics.load_metrics import Latency

__all__ = ["axis_count", "axis_ms", "percentile_plot", "seconds_plot", "ticks"]

_WIDTH: Final = 480
_LEFT: Final = 58
_RIGHT: Final = 12
_TOP: Final = 10
_BOTTOM: Final = 26
_LEAST_MS: Final = 0.001
"""A latency below a microsecond is drawn as one."""
_MOST_WORDS: Final = 8
"""Up to so many marks have a word each; more have only their lines."""
_NINES: Final = ((0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Coordinates of values: x and y grow to the right and upwards; y is logarithmic if `log`."""

    height: int
    x_max: float
    y_min: float
    y_max: float
    log: bool = False

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / (self.x_max or 1)

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


def percentile_plot(latencies: Sequence[Latency]) -> Markup:
    """Return latency over the share of requests that were faster; x in nines, y logarithmic.

    Empty where none of the distributions holds a value.
    """
    held = [one for one in latencies if one.curve]
    values = [ms for one in held for _, ms in one.curve if ms > 0]
    if not values:
        return Markup("")
    low = max(_LEAST_MS, 10.0 ** math.floor(math.log10(min(values))))
    high = 10.0 ** math.ceil(math.log10(max(values)) + 1e-9)
    frame = _Frame(height=240, x_max=4.0, y_min=low, y_max=max(high, low * 10), log=True)
    decades = range(round(math.log10(frame.y_min)), round(math.log10(frame.y_max)) + 1)
    body = _grid(frame, [(10.0**power, axis_ms(10.0**power)) for power in decades])
    body += "".join(_label_x(frame, nines, text) for nines, text in _NINES)
    for number, one in enumerate(held):
        points = [(-math.log10(1 - share), ms) for share, ms in one.curve]
        body += _line(frame, points, f"series s{number}")
    words = "; ".join(f"{one.name} {_in_words(one.quantiles)}" for one in held)
    return _svg(frame, body, f"Latency by percentile. {words}")


def seconds_plot(
    seconds: Sequence[Mapping[str, float]],
    names: Sequence[str],
    *,
    label: str,
    show: Callable[[float], str] = axis_count,
    marks: Sequence[tuple[float, str]] = (),
    height: int = 150,
) -> Markup:
    """Return the values of one or more series, second by second, from 0; `label` names them.

    A long run is drawn with as many points as the picture is wide, each the highest of its
    seconds, so that no slow second is smoothed away. Empty where no second was measured. A
    value that is not finite leaves a gap. `marks` are times (second, fixed word) that get a
    vertical line each.
    """
    seconds = _stretches(seconds, names)
    kept = [name for name in names if any(name in second for second in seconds)]
    if not kept:
        return Markup("")
    start = min(second.get("t", 0.0) for second in seconds)
    end = max(second.get("t", 0.0) for second in seconds)
    highest = max(
        (s[name] for s in seconds for name in kept if name in s and math.isfinite(s[name])),
        default=0.0,
    )
    steps = ticks(highest, 3)
    frame = _Frame(height=height, x_max=max(end - start, 1.0), y_min=0.0, y_max=steps[-1])
    body = _grid(frame, [(step, show(step)) for step in steps])
    for step in ticks(frame.x_max, 5):
        if step <= frame.x_max:
            body += _label_x(frame, step, f"{step:g} s")
    # A second is drawn where it begins; marks within the last second are drawn at its end.
    shown = [(at - start, word) for at, word in marks if 0 <= at - start < frame.x_max + 1]
    crowded = len(shown) > _MOST_WORDS
    body += "".join(
        _mark(frame, min(at, frame.x_max), "" if crowded else word, number)
        for number, (at, word) in enumerate(shown)
    )
    for number, name in enumerate(kept):
        points = [
            (second.get("t", 0.0) - start, second[name])
            for second in seconds
            if name in second and math.isfinite(second[name])
        ]
        body += _line(frame, points, f"series s{number}")
    words = "".join(f"; {escape(word)} at {at:.0f} s" for at, word in shown)
    return _svg(frame, body, f"{label}; highest {show(highest)}{words}")


def _stretches(
    seconds: Sequence[Mapping[str, float]], names: Sequence[str]
) -> Sequence[Mapping[str, float]]:
    """At most one entry for each point of the picture: first second's time, highest values."""
    size = -(-len(seconds) // _WIDTH)
    if size <= 1:
        return seconds
    runs = (seconds[at : at + size] for at in range(0, len(seconds), size))
    return [
        {"t": run[0].get("t", 0.0)}
        | {
            name: max(s[name] for s in run if name in s)
            for name in names
            if any(name in s for s in run)
        }
        for run in runs
    ]


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
    return f'<text x="{x:.1f}" y="{frame.height - 8}" text-anchor="{anchor}">{text}</text>'


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
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
    return f'<polyline class="{style}" points="{path}"/>'


def _svg(frame: _Frame, body: str, label: str) -> Markup:
    return Markup(  # noqa: S704 — numbers and fixed words only
        f'<svg viewBox="0 0 {_WIDTH} {frame.height}" role="img" aria-label="{label}">{body}</svg>'
    )
