"""Text of a target as it enters messages and records: visible characters, bounded length. Pure.

Applied where the text comes in (headers, reasons, error messages), so that no way out has to
remember it. Bodies are recorded as they came: they are evidence, and renderers make them visible.
"""

from __future__ import annotations

from trueup.reports.formatting import visible
from trueup.reports.transport.limits import TEXT_MOST

__all__ = ["foreign_text"]


def foreign_text(text: str | bytes, most: int = TEXT_MOST) -> str:
    """Return at most `most` characters of a text on one line, with control characters replaced.

    Bytes are read as UTF-8; bytes that are none, and surrogates, become the replacement character.
    """
    if isinstance(text, bytes):
        text = text[: most * 4].decode("utf-8", "replace")
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    return " ".join(visible(text[: most * 4]).split())[:most]
