"""How many bytes a proxied request has, by what its client and the origin saw.

A reading says which bytes count. Of a request that was broken off, not all are known to both sides:
what may have been on its way widens the count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from trueup.reports.journal.records import ProxiedRequestSeen

__all__ = [
    "COUNTINGS",
    "PROBED",
    "CountRange",
    "counted",
    "describe_count",
    "probe_counting",
]

COUNTINGS: Final = ("both", "with-handshake", "origin", "down", "down-with-handshake")
"""Values of the reading `proxied-bytes`."""
PROBED: Final = ("both", "with-handshake", "origin")
"""Those that a probe may find: a count of one direction alone must be declared."""
_HEADS_MAX: Final = 4096
"""Bytes of heads by which the origin's side of a forwarded request may differ."""


class CountRange(NamedTuple):
    """The least and the most that a count may be."""

    least: int
    most: int

    def holds(self, value: int, tolerance: int = 0) -> bool:
        """Return whether a value is within it, or as near as the tolerance."""
        return self.least - tolerance <= value <= self.most + tolerance

    def __str__(self) -> str:
        return f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"


def counted(request: ProxiedRequestSeen, counting: str) -> CountRange | None:
    """Return the bytes of a request by a counting; None where they are not known."""
    handshake = request.handshake_sent + request.handshake_received
    match counting:
        case "both":
            return _relayed(request, request.sent, request.received)
        case "with-handshake":
            return _with_handshake(request, handshake + request.sent + request.received)
        case "down":
            return _relayed(request, 0, request.received)
        case "down-with-handshake":
            return _with_handshake(request, request.handshake_received + request.received)
        case _:
            if request.origin_sent is None or request.origin_received is None:
                is_known = request.outcome in ("refused", "unreachable")
                return CountRange(0, 0) if is_known else None
            # A client that left may have ended the connection before all of it was read.
            whole = request.origin_sent + request.origin_received
            aborted = request.outcome == "aborted"
            return CountRange(request.received if aborted else whole, whole)


def _with_handshake(request: ProxiedRequestSeen, seen: int) -> CountRange:
    """All that the client saw; any part of it where the proxy itself refused or failed."""
    least = 0 if request.outcome in ("refused", "unreachable") else seen
    return CountRange(least, seen + _underway(request))


def _relayed(request: ProxiedRequestSeen, sent: int, received: int) -> CountRange:
    """What was relayed: nothing of a refused request, and any part of one that failed."""
    if request.outcome == "refused":
        return CountRange(0, 0)
    handshake = request.handshake_sent + request.handshake_received
    if request.outcome == "unreachable":
        return CountRange(0, handshake + request.sent + request.received)
    least = sent + received
    if request.protocol == "forward" and request.outcome == "cut" and request.status is not None:
        # The proxy may have responded itself, as nothing came from the origin.
        least = min(least, sent) if (request.origin_sent or 0) == 0 else least
    return CountRange(least, sent + received + _underway(request))


def _underway(request: ProxiedRequestSeen) -> int:
    """Bytes that a proxy may have sent to a client that did not read them any more."""
    if request.outcome != "aborted":
        return 0
    if request.origin_sent is None:
        return 1 << 40
    heads = _HEADS_MAX if request.protocol == "forward" else 0
    return max(0, request.origin_sent + heads - request.received)


def describe_count(request: ProxiedRequestSeen, seen: int) -> str:
    """Return the bytes that a log shows, and what else they are the count of, if anything."""
    sides = {
        "what the client received, and nothing that it sent": (
            request.received,
            request.received + request.handshake_received,
        ),
        "what the client sent, and nothing that it received": (
            request.sent,
            request.sent + request.handshake_sent,
        ),
    }
    for text, values in sides.items():
        if seen in values and seen:
            return f"{seen:,}: {text}"
    return f"{seen:,}"


def probe_counting(pairs: Iterable[tuple[ProxiedRequestSeen, int]]) -> tuple[str, int, int]:
    """Return the counting that the logs of complete requests agree with best.

    `pairs`: requests with the bytes of their logs. Returns the counting, how many agree with it,
    and how many there were; the first counting where none agrees with most of them.
    """
    complete = [(request, seen) for request, seen in pairs if request.outcome == "complete"]
    fits = {
        counting: sum(
            (expected := counted(request, counting)) is not None and expected.holds(seen)
            for request, seen in complete
        )
        for counting in PROBED
    }
    best = max(PROBED, key=lambda counting: fits[counting])
    if 2 * fits[best] <= len(complete):
        best = PROBED[0]
    return best, fits[best], len(complete)
