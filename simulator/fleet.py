"""A fleet: profile, seed, start, tenants and rate; and from them, any of its events.

Holds no events and no position: every batch is a pure function of its event numbers. Does not
deliver anything.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, Self

from trueup.reports.journal.records import FleetDeclared
from trueup.reports.results import Json
from trueup.simulator.batch import Batch
from trueup.simulator.encode import Encoders
from trueup.simulator.errors import FleetError
from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.population import user_tag
from trueup.simulator.model.profile import Profile, load_profile
from trueup.simulator.model.seasonality import FRAME_S, SeasonalClock
from trueup.simulator.random.random_words import MODEL_VERSION

__all__ = ["EVENTS_MAX", "Fleet"]

EVENTS_MAX: Final = 1 << 48
"""Event numbers are below this: reached after nine years at a million events a second."""
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_LAST_SECOND: Final = 253_402_214_400
"""9999-12-31 in Unix seconds."""
_CUSTOMER_MAX: Final = 2**63 - 1


class Fleet:
    """The events of a simulated proxy fleet, by number.

    `events_per_s` is the mean over a week. Event `i` happens at or after `start`, never later than
    `start + (i+1)/events_per_s`, and on average close to it; so N events at N / (6 * 86400) events
    a second from six days ago are all in the past. Times are whole seconds, UTC.

    Raises FleetError for a start without a time zone or outside 1970 … 2200, for no or invalid
    customers, and for an invalid rate.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int,
        start: datetime,
        customers: tuple[int, ...],
        events_per_s: float,
        namespace: str = "",
    ) -> None:
        """`namespace`, any text, gives the fleet's users names that fleets of other namespaces do
        not have; nothing else of an event depends on it but its id.
        """
        if start.tzinfo is None:
            raise FleetError("the fleet's start needs a time zone: use datetime(…, tzinfo=UTC)")
        if not _EARLIEST <= start < _LATEST:
            raise FleetError(
                f"the fleet's start must be between {_EARLIEST:%Y-%m-%d} and "
                f"{_LATEST:%Y-%m-%d}, not on {start.date().isoformat()}"
            )
        if not customers or len(set(customers)) != len(customers):
            raise FleetError("a fleet needs at least one customer id, each only once")
        if odd := [number for number in customers if not 0 <= number <= _CUSTOMER_MAX]:
            raise FleetError(f"a customer id must be between 0 and 2^63-1, not {str(odd[0])[:40]}")
        if not 0.000_001 <= events_per_s <= 10_000_000:
            raise FleetError(
                f"events_per_s must be above 0, from 10^-6 to 10^7, not {events_per_s}"
            )
        self.profile = profile
        self.seed = seed
        self.start = start.astimezone(UTC).replace(microsecond=0)
        self.customers = tuple(customers)
        self.events_per_s = float(events_per_s)
        begin = int((self.start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
        self.clock = SeasonalClock.of(profile, begin, Fraction(self.events_per_s))
        self.namespace = namespace
        self.model = FleetModel.of(
            profile,
            seed=seed,
            customers=self.customers,
            tag=user_tag(seed, namespace),
            clock=self.clock,
            scope=self._scope(),
        )
        self._encoders = Encoders(self.model)

    def _scope(self) -> str:
        """Return what else distinguishes fleets of one seed: their ids must differ."""
        parts = f"{self.profile.sha256}/{self.clock.start}/{self.customers}/{self.events_per_s!r}"
        parts += f"/{self.namespace}" if self.namespace else ""
        return hashlib.sha256(parts.encode()).hexdigest()

    def batch(self, first: int, count: int) -> Batch:
        """Return events first … first+count-1. Raises FleetError for numbers that no event has."""
        self.check(first, count)
        return Batch(self.model, self._encoders, first, count)

    def check(self, first: int, count: int) -> None:
        """Raise FleetError if any of events first … first+count-1 does not exist; draws nothing."""
        if first < 0 or count < 0 or first + count > EVENTS_MAX:
            raise FleetError(
                f"events {first} to {first + count - 1} do not exist: numbers run from 0 to 2^48-1"
            )
        if self.clock.start + (first + count) / self.events_per_s > _LAST_SECOND:
            raise FleetError(
                f"event {first + count - 1} would happen after the year 9999 at "
                f"{self.events_per_s} events a second: ask for an earlier one"
            )

    def row(self, position: int) -> dict[str, Json]:
        """Return one complete event."""
        return self.batch(position, 1).rows()[0]

    def log_id(self, position: int) -> str:
        """Return the id of one event."""
        return self.model.ids.text(position)

    def position(self, log_id: str) -> int | None:
        """Return the number of the event with this id; None if the id is not of this fleet."""
        number = self.model.ids.number(log_id.lower())
        return number if number is not None and number < EVENTS_MAX else None

    def window(self, t0: datetime, t1: datetime) -> tuple[int, int]:
        """Return (first, count) of a run of events that holds all events with t0 <= time < t1.

        It also holds others: it begins and ends at frames of 4,096 s. Raises FleetError for times
        without a time zone.
        """
        begin = max(0, _seconds(t0) - self.clock.start)
        end = max(begin, _seconds(t1) - self.clock.start)
        first = self.clock.frame_first(begin // FRAME_S)
        return first, self.clock.frame_first(-(-end // FRAME_S)) - first if end > begin else 0

    def latest(self, position: int) -> datetime:
        """Return the latest time that event `position` can have."""
        seconds = (position + 1) / self.clock.rate
        return self.start + timedelta(seconds=int(seconds))

    def identity(self, name: str = "fleet") -> FleetDeclared:
        """Return the record that `from_identity` builds this fleet from again."""
        return FleetDeclared(
            fleet=name,
            profile=self.profile.name,
            profile_sha256=self.profile.sha256,
            model_version=MODEL_VERSION,
            seed=self.seed,
            start=self.start.strftime("%Y-%m-%d %H:%M:%S"),
            customers=self.customers,
            parameters={
                "events_per_s": self.events_per_s,
                "overrides": dict(self.profile.overrides),
                "namespace": self.namespace,
            },
        )

    @classmethod
    def from_identity(cls, declared: FleetDeclared) -> Self:
        """Return the fleet that `identity` described.

        Raises FleetError if the profile or the traffic model has changed since.
        """
        overrides = declared.parameters.get("overrides")
        rate = declared.parameters.get("events_per_s")
        namespace = declared.parameters.get("namespace", "")
        if not (
            isinstance(overrides, dict)
            and isinstance(rate, int | float)
            and isinstance(namespace, str)
        ):
            raise FleetError(f"fleet {declared.fleet!r}: invalid parameters in the journal")
        if declared.model_version != MODEL_VERSION:
            raise FleetError(
                f"fleet {declared.fleet!r} was drawn with traffic model {declared.model_version}; "
                f"this trueup has model {MODEL_VERSION}: use the version that wrote the journal"
            )
        profile = load_profile(declared.profile, overrides)
        if profile.sha256 != declared.profile_sha256:
            raise FleetError(
                f"profile {declared.profile!r} has changed since fleet {declared.fleet!r} was drawn"
            )
        start = datetime.strptime(declared.start, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        return cls(
            profile,
            seed=declared.seed,
            start=start,
            customers=declared.customers,
            events_per_s=float(rate),
            namespace=namespace,
        )


def _seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise FleetError("the times of a window need a time zone")
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
