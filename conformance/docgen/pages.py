"""Generated parts of pages, and the comments between which they are inserted.

A test compares the pages in `docs/` with the generated text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BEGIN", "END", "put_between", "table"]

BEGIN: Final = "<!-- made from the tables: begin -->"
END: Final = "<!-- made from the tables: end -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; vertical bars and line breaks in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def put_between(page: str, made: str) -> str:
    """Return the page with the generated text inserted. Raises ValueError without its comments."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{made.strip()}\n\n{END}{after}"
