"""What a package needs to add a transport: a way for events to get to a target.

A transport is registered by an entry point of the group `trueup.transports`, whose object is a
function from the keys of `[ingest]` to a `Transport`. `docs/brokers.md` has a complete example.
"""

from __future__ import annotations

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome
from trueup.simulator.delivery.outcomes import BatchOutcome
from trueup.simulator.delivery.transport import Transport
from trueup.simulator.errors import TransportUnreachable

__all__ = ["BatchOutcome", "Outcome", "OutcomeRange", "Transport", "TransportUnreachable"]
