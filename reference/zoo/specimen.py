"""One named way to be wrong, or to be different and right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reference.seams import Seams

__all__ = ["Specimen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A fault or a variant: its id, what it does in one sentence, and which seams it replaces.

    It does not say which law it breaks: that stands with whoever judges it.
    """

    id: str
    what: str
    apply: Callable[[Seams], Seams]
