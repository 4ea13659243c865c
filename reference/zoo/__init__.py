"""The zoo: faults and variants, as overrides of named seams. Reached by --fault and --variant."""

from __future__ import annotations

from typing import Final

from reference.zoo.specimen import Specimen

__all__ = ["FAULTS", "VARIANTS", "Specimen"]

FAULTS: Final[tuple[Specimen, ...]] = ()
VARIANTS: Final[tuple[Specimen, ...]] = ()
