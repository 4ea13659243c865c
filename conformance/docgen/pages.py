"""Pages that are made from tables, and the marks between which they stand in hand-written ones.

A test compares what stands in `docs/` with what is made here, so that neither drifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BEGIN", "END", "put_between", "table"]

BEGIN: Final = "<!-- made from the tables: begin -->"
END: Final = "<!-- made from the tables: end -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def put_between(page: str, made: str) -> str:
    """The page with what was made between its marks. Raises ValueError where it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{made.strip()}\n\n{END}{after}"
