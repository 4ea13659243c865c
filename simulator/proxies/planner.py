"""How the proxies behave: failures, delays and line rates of the fleet's model, or none of them.

Drawn by request, from streams keyed by the seed. Outcomes that follow from who asks (credentials,
malformed requests) are not drawn: a listening proxy has real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np

from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.outcomes import KINDS, OUTCOMES, SLOTS, TIMEOUTS_MS
from trueup.simulator.model.sizes import NETWORKS, TIME_CELLS
from trueup.simulator.random.random_words import stream_words

__all__ = ["NO_FAULTS", "FleetPlanner", "NoFaults", "RequestPlan", "RequestPlanner"]

_OF_THE_CLIENT: Final = frozenset(("http_request_error", "http_request_denied"))
_CUT: Final = "connection_terminated"


class RequestPlan(NamedTuple):
    """What happens to a request besides what it asks for."""

    delay_s: float = 0.0
    """Before the connection to the origin."""
    bytes_per_s: int = 0
    """Line rate, in each direction; 0: none."""
    failure: str = ""
    """Error name; the request fails after the delay."""
    cut_after: int | None = None
    """Bytes after which the connection is cut."""


NO_FAULTS: Final = RequestPlan()


class RequestPlanner(Protocol):
    """Plans each request."""

    def plan(self, network: str, kind: str) -> RequestPlan:
        """Return the plan of the next request; `kind` is `connect`, `plain` or `socks`."""
        ...


class NoFaults:
    """Neither failures nor delays: as fast as the machine allows."""

    def plan(self, network: str, kind: str) -> RequestPlan:
        """Return a plan without anything."""
        del network, kind
        return NO_FAULTS


class FleetPlanner:
    """The failures, delays and line rates of a fleet's profile."""

    def __init__(self, model: FleetModel, seed: int, *, delay_factor: float = 1.0) -> None:
        """`delay_factor` shortens (or lengthens) delays; line rates stay."""
        self._slots = model.outcomes.slots
        networks, kinds = np.arange(len(NETWORKS))[:, None], np.arange(len(KINDS))
        no = np.zeros(1, dtype=np.int64)
        # Configured well, outside an incident, to a host that does not block.
        self._conditions = model.outcomes.condition(no, no, networks, kinds, no).tolist()
        self._handshake = model.sizes.handshake
        self._rates = [2**30 * 1000 // max(1, int(ms)) for ms in model.sizes.ms_per_gib]
        self._factor = delay_factor
        self._numbers: dict[str, Iterator[int]] = {
            network: stream_words(seed, f"behaviour/{network}") for network in NETWORKS
        }

    def plan(self, network: str, kind: str) -> RequestPlan:
        """Return the plan of the network's next request."""
        number, word = NETWORKS.index(network), next(self._numbers[network])
        condition = self._conditions[number][KINDS.index(kind)]
        outcome = OUTCOMES[int(self._slots[condition * SLOTS + word % SLOTS])]
        delay_ms = int(self._handshake[number * TIME_CELLS + (word >> 12) % TIME_CELLS])
        delay_s, rate = delay_ms * self._factor / 1000, self._rates[number]
        if outcome.error is None or outcome.error in _OF_THE_CLIENT:
            return RequestPlan(delay_s, rate)
        if outcome.timeout:
            delay_s = TIMEOUTS_MS[(word >> 22) & 3] * self._factor / 1000
        if outcome.error == _CUT:
            cut = outcome.bytes_low + (((word >> 24) & 0xFFFF) * outcome.bytes_span >> 16)
            return RequestPlan(delay_s, rate, "", cut)
        return RequestPlan(delay_s, rate, outcome.error)
