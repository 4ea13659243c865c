"""Words and figures as a person reads them: numbers, durations, text that came from outside.

Everything that a target says is hostile input here: control characters are made visible,
long text is cut with a note. Escaping for one format is the renderer's own business.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

__all__ = [
    "amount",
    "between",
    "cut",
    "duration",
    "figure",
    "milliseconds",
    "moment",
    "one_line",
    "plural",
    "rate",
    "signed",
    "visible",
]

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_KEEP: Final = frozenset("\t\n")
_BIDI: Final = frozenset(
    "\N{LEFT-TO-RIGHT EMBEDDING}\N{RIGHT-TO-LEFT EMBEDDING}\N{POP DIRECTIONAL FORMATTING}"
    "\N{LEFT-TO-RIGHT OVERRIDE}\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}"
    "\N{RIGHT-TO-LEFT ISOLATE}\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"
)


def visible(text: str) -> str:
    """The text with control, surrogate and direction-turning characters replaced.

    Terminals obey control characters, XML forbids them, and direction marks can make a line
    say the reverse of what it holds. Tabs and line ends stay.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(
        _REPLACEMENT
        if (unicodedata.category(c) in {"Cc", "Cs"} and c not in _KEEP)
        or c in _BIDI
        or c in "\ufffe\uffff"
        else c
        for c in text
    )


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of the text, made visible, with a note of what was left out."""
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])} … ({amount(len(text) - limit)} more characters)"


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters; the end is cut with an ellipsis."""
    line = " ".join(visible(text[: limit * 4]).split())
    return line if len(line) <= limit else f"{line[: max(0, limit - 1)].rstrip()}…"


def amount(number: float) -> str:
    """A whole number with separators, exact whatever its size; 1234567 → `1,234,567`."""
    return f"{number:,d}" if isinstance(number, int) else f"{number:,.0f}"


def between(low: int, high: int) -> str:
    """A whole number, or the range that it lies in: `6,154`, `6,154 … 13,154`."""
    return amount(low) if low == high else f"{amount(low)} … {amount(high)}"


def signed(number: int) -> str:
    """A difference with its sign; a true minus, so that it lines up: `+3`, `−12`."""
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "0"


def rate(per_s: float | None) -> str:
    """A rate with three significant digits at least: `12,345`, `12.3`, `0.25`; None is a dash."""
    if per_s is None:
        return "–"
    if per_s >= 100 or per_s == 0:
        return amount(per_s)
    return f"{per_s:.1f}" if per_s >= 10 else f"{per_s:.2f}"


def figure(value: float) -> str:
    """A measured value with three digits, or all its whole ones: `21.6`, `0.0042`, `250,000`."""
    return amount(value) if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def milliseconds(ms: float | None) -> str:
    """A latency given in milliseconds with the unit that reads best; None is a dash."""
    if ms is None:
        return "–"
    if ms >= 10_000:
        return f"{ms / 1000:,.1f} s"
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    if ms >= 100:
        return f"{ms:.0f} ms"
    if ms >= 1:
        return f"{ms:.1f} ms"
    if ms >= 0.1 or ms == 0:
        return f"{ms:.2f} ms"
    return f"{ms * 1000:.3g} µs"


def duration(seconds: float | None) -> str:
    """A stretch of time in seconds, for a person: `0.4 s`, `52 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(at: str) -> str:
    """A moment as journals write it (ISO 8601, UTC) for a person, to the minute; else as it is."""
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}"
    except ValueError:
        return one_line(at, 40)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 event`, `2 events`."""
    return f"{amount(count)} {noun if count == 1 else nouns or noun + 's'}"
