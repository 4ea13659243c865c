"""Format numbers, durations and untrusted text for people, and values as JSON text.

Everything that a target sends is untrusted input: control characters are replaced and long text is
truncated with a note. Escaping for one output format (HTML, XML, Markdown) is left to its renderer.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from trueup.reports.results import Json

__all__ = [
    "amount",
    "between",
    "cut",
    "duration",
    "figure",
    "json_document",
    "json_text",
    "milliseconds",
    "moment",
    "one_line",
    "plural",
    "quantity",
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
    "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"
)
_LINE_SEPARATORS: Final = "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
_NONCHARACTERS: Final = "\ufffe\uffff"
_REPLACED_CATEGORIES: Final = frozenset({"Cc", "Cs"})
"""Unicode categories of control characters and surrogates."""
_UNSAFE_IN_JSON: Final = re.compile(
    f"[\x7f-\x9f\ufffe\uffff{''.join(sorted(_BIDI))}{_LINE_SEPARATORS}]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNPRINTABLE: Final = "(nested too deeply, or a number too long, to be shown)"
_NOT_MEASURED: Final = "–"


def visible(text: str) -> str:
    """Return the text with control, surrogate and bidirectional formatting characters replaced.

    Terminals interpret control characters, XML forbids them, and bidirectional formatting can
    make a line read differently from what it contains. Tabs and line feeds are kept.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(_REPLACEMENT if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    if character in _KEEP:
        return False
    return (
        unicodedata.category(character) in _REPLACED_CATEGORIES
        or character in _BIDI
        or character in _LINE_SEPARATORS
        or character in _NONCHARACTERS
    )


def json_text(value: Json) -> str:
    """Return a JSON value of a target on one line, for people: not necessarily valid JSON.

    A value that cannot be serialized (nested too deeply, an integer of thousands of digits)
    gives a note instead of an exception.
    """
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, UnicodeError):
        return _UNPRINTABLE


def json_document(document: Mapping[str, Json]) -> str:
    """Return the document as indented JSON that any parser and any terminal can take.

    Keys keep their order and the text ends with a line feed. Numbers that are not finite become
    null, lone surrogates the replacement character; control and bidirectional formatting
    characters are written as escapes.
    """
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    text = _SURROGATE.sub(_REPLACEMENT, text)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _finite(value: object) -> object:
    """The value with null in place of every number that is not finite."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text, made visible, and a note of what is left."""
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])} … ({amount(len(text) - limit)} more characters)"


def one_line(text: str, limit: int) -> str:
    """Return the text on one line of at most `limit` characters, cut with an ellipsis."""
    line = " ".join(visible(text[: limit * 4]).split())
    return line if len(line) <= limit else f"{line[: max(0, limit - 1)].rstrip()}…"


def amount(number: float) -> str:
    """Return a whole number with separators, exact at any size: 1234567 gives `1,234,567`."""
    return f"{number:,d}" if isinstance(number, int) else f"{number:,.0f}"


def between(low: int, high: int) -> str:
    """Return a whole number, or the range that it is in: `6,154`, `6,154 … 13,154`."""
    return amount(low) if low == high else f"{amount(low)} … {amount(high)}"


def signed(number: int) -> str:
    """Return a difference with its sign, typographic minus included: `+3`, `−12`, `0`."""
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "0"


def rate(per_s: float | None) -> str:
    """Return a rate per second with at least three significant digits; None gives a dash.

    Examples: `12,345`, `12.3`, `0.25`.
    """
    if per_s is None or not math.isfinite(per_s):
        return _NOT_MEASURED
    if per_s >= 100 or per_s == 0:
        return amount(per_s)
    return f"{per_s:.1f}" if per_s >= 10 else f"{per_s:.2f}"


def figure(value: float) -> str:
    """Return a value with three significant digits, or all of its integer part.

    Examples: `21.6`, `0.0042`, `250,000`.
    """
    return amount(value) if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """Return a value of a threshold with its unit: `25 ms`, `150,000/s`, `1 %`, `4 events`."""
    match unit:
        case "1/s":
            return f"{figure(value)}/s"
        case "share":
            return f"{figure(value * 100)} %"
        case _:
            return f"{figure(value)} {unit}".rstrip()


def milliseconds(ms: float | None) -> str:
    """Return a latency in the most readable of s, ms and µs; None gives a dash."""
    if ms is None or not math.isfinite(ms):
        return _NOT_MEASURED
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
    """Return a length of time for people: `0.4 s`, `52 s`, `2 min 5 s`, `1 h 3 min`.

    None, and a number that is not finite, give a dash.
    """
    if seconds is None or not math.isfinite(seconds):
        return _NOT_MEASURED
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(at: str) -> str:
    """Return an ISO 8601 time of a journal (UTC) to the minute.

    Text that is no time is made visible and cut to 40 characters.
    """
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}"
    except ValueError:
        return one_line(at, 40)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: `1 event`, `2 events`."""
    return f"{amount(count)} {noun if count == 1 else nouns or noun + 's'}"
