"""What a package needs to add a law: a check of its own, with clauses of its own.

A law is registered by an entry point of the group `trueup.laws`, whose object is a `Law`.
`docs/laws.md` has a complete example.
"""

from __future__ import annotations

from trueup.conformance.checks.law import Comparison, Law, RecordedRun
from trueup.conformance.observed.observations import InjectedEvent
from trueup.reports.journal.records import Exchange, Hook
from trueup.reports.results import Impact, Outcome

__all__ = [
    "Comparison",
    "Exchange",
    "Hook",
    "Impact",
    "InjectedEvent",
    "Law",
    "Outcome",
    "RecordedRun",
]
