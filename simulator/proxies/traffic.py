"""The requests of a fleet's events, as they can be sent through listening proxies. Pure.

An event says who sends a request, on which network, how, to which host and of what size. What it
says of how the request ended is left to the proxies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trueup.reports.results import Json
from trueup.simulator.fleet import Fleet
from trueup.simulator.proxies.usage import Protocol
from trueup.simulator.proxies.users import FleetUser
from trueup.simulator.random.random_words import stream_key

__all__ = ["PlannedRequest", "RequestShape", "fleet_requests", "planned_request"]

_HEADS: Final = 220
"""Bytes of request and response heads, about: an event's size contains them."""
_BATCH: Final = 1000
_PIECES: Final = 20
"""Pieces of a response that takes its time."""
_WORD: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """A request to send."""

    id: str
    """Of the event."""
    number: int
    """Of the event."""
    user: FleetUser
    network: str
    protocol: Protocol
    hostname: str
    session: str | None
    upload_bytes: int
    download_bytes: int
    options: str = ""
    """Further options of the origin's resource, each after `&`."""
    cut: bool = False
    """The origin ends the connection within the response."""
    abort_after: int | None = None
    """Bytes of the body after which the client ends the connection."""

    @property
    def path(self) -> str:
        """Return the resource of the origin, with its query."""
        resource = "/upload" if self.upload_bytes else f"/bytes/{self.download_bytes}"
        return f"{resource}?id={self.id}{self.options}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShape:
    """What of the events' requests is sent otherwise than the events say."""

    bytes_max: int
    """Most bytes of a body; larger ones are cut to it."""
    protocol: Protocol | None = None
    """None: that of the event."""
    upload_share: float | None = None
    """Share of requests that upload; None: those of the event with POST."""
    cut_share: float = 0.0
    """Share of requests whose response the origin cuts in the middle."""
    abort_share: float = 0.0
    """Share of requests that the client aborts in the middle."""
    response_s: float = 0.0
    """How long a response takes, seconds; 0: as fast as it goes."""


def fleet_requests(
    fleet: Fleet, users: Mapping[str, FleetUser], first: int, count: int, *, shape: RequestShape
) -> Iterator[PlannedRequest]:
    """Yield the requests of events `first …` of a fleet, without its coverage events."""
    first += fleet.model.coverage.count
    for start in range(first, first + count, _BATCH):
        rows = fleet.batch(start, min(_BATCH, first + count - start)).rows()
        for number, row in enumerate(rows, start):
            yield planned_request(row, number, users, shape=shape, seed=fleet.seed)


def planned_request(
    row: Mapping[str, Json],
    number: int,
    users: Mapping[str, FleetUser],
    *,
    shape: RequestShape,
    seed: int,
) -> PlannedRequest:
    """Return the request of an event; which ones are uploads, cut or aborted follows from the seed.

    What is sent to the origin with POST is uploaded, what others transfer is downloaded.
    """
    total, log_id = row["log_total_bytes"], str(row["log_id"])
    assert isinstance(total, int)
    word = stream_key(seed, f"request/{log_id}")
    size = min(shape.bytes_max, max(0, total - _HEADS))
    upload = row["log_method"] == "POST"
    if shape.upload_share is not None:
        upload = _drawn(word, 0, shape.upload_share)
    cut, options = _drawn(word, 1, shape.cut_share), ""
    abort = not cut and _drawn(word, 2, shape.abort_share)
    part = size * (word >> 96) // _WORD
    if cut:
        options += f"&cut={0 if upload else part}&end={'reset' if word & 1 else 'close'}"
    if shape.response_s and not upload:
        size = max(size, _PIECES)
        pause_ms = round(1000 * shape.response_s / _PIECES)
        options += f"&piece={-(-size // _PIECES)}&pause_ms={pause_ms}"
    session = row["log_session_id"]
    return PlannedRequest(
        id=log_id,
        number=number,
        user=users[str(row["proxy_user_id"])],
        network=str(row["log_network"]),
        protocol=shape.protocol or _protocol(row["log_protocol"], row["log_method"]),
        hostname=str(row["log_hostname"]),
        session=None if session is None else str(session),
        upload_bytes=size if upload else 0,
        download_bytes=0 if upload else size,
        options=options,
        cut=cut,
        abort_after=part if abort else None,
    )


def _drawn(word: int, place: int, share: float) -> bool:
    """Return whether a place of a random word falls into a share."""
    return (word >> (32 * place)) % _WORD < share * _WORD


def _protocol(name: object, method: object) -> Protocol:
    if name == "socks":
        return Protocol.SOCKS
    return Protocol.CONNECT if method == "CONNECT" else Protocol.PLAIN
