"""READING: an open point may be read in any way, but a declared reading binds its target.

Only declared readings are looked at; those that were probed are what the target showed. Readings
with numbers are bounds that the laws on time use, and are held to there.
"""

from __future__ import annotations

from typing import Final

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.contract.interpretations import READINGS
from trueup.conformance.datasets.interpretation_probes import PROBES
from trueup.conformance.observed.observations import Observations
from trueup.reports.results import Impact, Verdict

__all__ = ["CHECKS"]


def _readings_hold(observations: Observations) -> Finding:
    """What the target shows of each declared reading is what was declared."""
    builder = FindingBuilder(observations)
    shown = 0
    for name, probe in PROBES.items():
        if not observations.declared(name) or not READINGS[name].values:
            continue
        value = probe(observations)
        if value is not None:
            shown += 1
            builder.expect_equal(f"reading {name}", observations.reading(name), value)
    if not shown:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="the target file declares no reading that showed itself in this run",
        )
    return builder.finding("every declared reading that showed itself is as declared")


CHECKS: Final = (
    Check(
        name="readings-are-as-declared",
        law="READING",
        title="The target reads open points as its target file declares.",
        judge=_readings_hold,
        level=0,
        impact=Impact.COSMETIC,
        rests_on=("AUTH",),
        clauses=("READ-1",),
        eventual=False,
    ),
)
