"""The requests of a fleet's events, as they can be sent through listening proxies. Pure.

An event says who sends a request, on which network, how, to which host and of what size. What it
says of how the request ended is left to the proxies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trueup.simulator.fleet import Fleet
from trueup.simulator.proxies.usage import Protocol
from trueup.simulator.proxies.users import FleetUser

__all__ = ["PlannedRequest", "fleet_requests"]

_HEADS: Final = 220
"""Bytes of request and response heads, about: an event's size contains them."""
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request to send."""

    number: int
    """Of the event."""
    user: FleetUser
    network: str
    protocol: Protocol
    hostname: str
    session: str | None
    upload_bytes: int
    download_bytes: int


def fleet_requests(
    fleet: Fleet, users: Mapping[str, FleetUser], first: int, count: int, *, bytes_max: int
) -> Iterator[PlannedRequest]:
    """Yield the requests of events `first …` of a fleet, without its coverage events.

    Sizes are cut to `bytes_max`. What is sent to the origin with POST is uploaded, what others
    transfer is downloaded.
    """
    first += fleet.model.coverage.count
    for start in range(first, first + count, _BATCH):
        rows = fleet.batch(start, min(_BATCH, first + count - start)).rows()
        for number, row in enumerate(rows, start):
            total = row["log_total_bytes"]
            assert isinstance(total, int)
            body = min(bytes_max, max(0, total - _HEADS))
            upload = row["log_method"] == "POST"
            session = row["log_session_id"]
            yield PlannedRequest(
                number=number,
                user=users[str(row["proxy_user_id"])],
                network=str(row["log_network"]),
                protocol=_protocol(row["log_protocol"], row["log_method"]),
                hostname=str(row["log_hostname"]),
                session=None if session is None else str(session),
                upload_bytes=body if upload else 0,
                download_bytes=0 if upload else body,
            )


def _protocol(name: object, method: object) -> Protocol:
    if name == "socks":
        return Protocol.SOCKS
    return Protocol.CONNECT if method == "CONNECT" else Protocol.PLAIN
