"""The sensitivity of one run: the share of changed responses that its verdicts would have noticed.

A mutant is one consistent change of the recorded responses, judged again without a target. What no
verdict notices is a blind spot: explained by a sentence of the contract, or not explained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from trueup.reports.errors import ReportError

__all__ = [
    "SENSITIVITY_NAME",
    "BlindSpot",
    "Sensitivity",
    "Share",
    "read_sensitivity",
    "sensitivity_json",
]

SENSITIVITY_NAME: Final = "sensitivity.json"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Mutants of one kind, and how many of them were noticed."""

    view: str
    """What was changed: `log`, `residential_ledger usage`, `graph`, `envelope`, …"""
    by: str
    """The stage from which on it was changed, or the field."""
    noticed: int
    mutants: int


class BlindSpot(msgspec.Struct, frozen=True, kw_only=True):
    """Mutants of one field and operator that no verdict noticed."""

    view: str
    field: str
    operator: str
    stages: tuple[str, ...]
    customers: tuple[str, ...]
    mutants: int
    """How many were not noticed."""
    tried: int
    """How many of the same field and operator were tried."""
    example: str
    """One of them, in a sentence."""
    why: str = ""
    """Why it cannot be judged; empty: not explained."""
    source: str = ""
    """Where that is said."""


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on one run."""

    run: str
    seed: int
    enumerated: int
    """Mutants that the run's responses allow, one for each view, field, operator, stage and
    customer."""
    mutants: int
    """Mutants that were judged."""
    noticed: int
    """A verdict became worse: fail, or warn where it passed."""
    doubted: int
    """No verdict failed, but one became inconclusive. They count as not noticed."""
    explained: int
    """Not noticed, and a sentence of the contract says why that cannot be judged."""
    stages: tuple[Share, ...] = ()
    fields: tuple[Share, ...] = ()
    laws: dict[str, int] = {}
    """Law to the number of mutants for which it was the first to be worse."""
    blind_spots: tuple[BlindSpot, ...] = ()
    """The unexplained first, the largest first."""
    broken: tuple[str, ...] = ()
    """Mutants on which the judge itself failed: our own errors."""

    @property
    def unexplained(self) -> int:
        """Mutants that were not noticed though no sentence says that they cannot be judged."""
        return self.mutants - self.noticed - self.explained

    @property
    def share(self) -> float:
        """Noticed of all that can be judged, 0 to 1; 1 where nothing can."""
        judgeable = self.mutants - self.explained
        return self.noticed / judgeable if judgeable else 1.0


def sensitivity_json(found: Sensitivity) -> str:
    """Return the value as JSON text that `read_sensitivity` reads."""
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    return text + "\n"


def read_sensitivity(folder: Path) -> Sensitivity | None:
    """Return what was measured on the run in a folder, or None.

    Raises ReportError where the file cannot be read or is not one of ours.
    """
    path = folder / SENSITIVITY_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sensitivity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ReportError(
            f"{path}: cannot be read: {error}. Measure again with: trueup sensitivity {folder}"
        ) from error
