"""The zoo: faults and variants, as overrides of named seams. Reached by --fault and --variant.

Fault A8 of the design (one direction counted) needs real proxies and is not here.
"""

from __future__ import annotations

from typing import Final

from reference.zoo import ageing, books, capture, doors, lists, summaries, views
from reference.zoo.specimen import Specimen
from reference.zoo.variants import VARIANTS

__all__ = ["FAULTS", "VARIANTS", "Specimen"]


def _order(specimen: Specimen) -> tuple[bool, str, int]:
    letter, number = specimen.id[0], int(specimen.id[1:])
    return letter == "N", letter, number


FAULTS: Final[tuple[Specimen, ...]] = tuple(
    sorted(
        (
            *capture.FAULTS,
            *summaries.FAULTS,
            *ageing.FAULTS,
            *books.FAULTS,
            *views.FAULTS,
            *lists.FAULTS,
            *doors.FAULTS,
        ),
        key=_order,
    )
)
"""Every fault: those of the design by their ids, then our own, N1 and on."""
