"""Faults and variants as overrides of named decisions: see `--fault` and `--variant`.

Fault A8 of the design (one direction counted) needs real proxies and is not here.
"""

from __future__ import annotations

from typing import Final

from trueup.reference.mutants import (
    access_faults,
    graph_faults,
    ingestion_faults,
    ledger_faults,
    retention_faults,
    search_faults,
    summary_faults,
)
from trueup.reference.mutants.mutant import Mutant
from trueup.reference.mutants.variants import VARIANTS

__all__ = ["FAULTS", "VARIANTS", "Mutant"]


def _order(mutant: Mutant) -> tuple[bool, str, int]:
    letter, number = mutant.id[0], int(mutant.id[1:])
    return letter == "N", letter, number


FAULTS: Final[tuple[Mutant, ...]] = tuple(
    sorted(
        (
            *ingestion_faults.FAULTS,
            *summary_faults.FAULTS,
            *retention_faults.FAULTS,
            *ledger_faults.FAULTS,
            *graph_faults.FAULTS,
            *search_faults.FAULTS,
            *access_faults.FAULTS,
        ),
        key=_order,
    )
)
"""Every fault: those of the design by their ids, then our own, N1 and on."""
