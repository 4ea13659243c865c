"""The model of one fleet: the tables that its events are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from trueup.simulator.model.arrivals import Arrivals
from trueup.simulator.model.coverage import Coverage
from trueup.simulator.model.geography import Places
from trueup.simulator.model.hostnames import Hosts
from trueup.simulator.model.ids import Ids
from trueup.simulator.model.incidents import Incidents
from trueup.simulator.model.on_off_sources import Channels
from trueup.simulator.model.outcomes import Outcomes
from trueup.simulator.model.population import Senders, build_senders
from trueup.simulator.model.profile import Profile
from trueup.simulator.model.seasonality import SeasonalClock
from trueup.simulator.model.sizes import Sizes
from trueup.simulator.random.random_words import stream_key

__all__ = ["FleetModel"]

_STREAMS: Final = ("arrival", "host", "outcome", "size", "exit", "timing")


@dataclass(frozen=True, kw_only=True)
class FleetModel:
    """The tables of a fleet; the same for all of its events."""

    customers: tuple[int, ...]
    hosts: Hosts
    places: Places
    senders: Senders
    channels: Channels
    incidents: Incidents
    outcomes: Outcomes
    sizes: Sizes
    arrivals: Arrivals
    ids: Ids
    coverage: Coverage
    keys: Mapping[str, int]
    """Stream name → key, for the words of an event."""
    session_key: int

    @classmethod
    def of(
        cls,
        profile: Profile,
        *,
        seed: int,
        customers: tuple[int, ...],
        tag: str,
        clock: SeasonalClock,
        scope: str,
    ) -> Self:
        """Draw and return the model of a fleet.

        `tag` is part of its users' names; `scope` distinguishes its event ids from those of another
        fleet with the same seed. Raises ProfileError for a value that the model cannot use.
        """
        hosts = Hosts.of(profile, seed)
        places = Places.of(profile)
        senders = build_senders(profile, seed, len(customers), places, hosts, tag)
        assert len(senders) < np.iinfo(np.int32).max
        channels = Channels.of(profile, seed, senders)
        incidents = Incidents.of(profile, seed)
        return cls(
            customers=customers,
            hosts=hosts,
            places=places,
            senders=senders,
            channels=channels,
            incidents=incidents,
            outcomes=Outcomes.of(profile),
            sizes=Sizes.of(profile),
            arrivals=Arrivals(clock, channels, incidents),
            ids=Ids(seed, scope),
            coverage=Coverage.of(profile, customers, tag),
            keys={name: stream_key(seed, name) for name in _STREAMS},
            session_key=stream_key(seed, "session"),
        )
