"""The life of a proxied request: state → event → state. A table, and nothing else decides.

A request that has ended, in whichever way, leaves one usage event.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["ENDED", "TRANSITIONS", "RequestEvent", "RequestState"]


class RequestState(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    """Its head is complete."""
    IDENTIFIED = "identified"
    """Its user is known, and may use this proxy."""
    CONNECTED = "connected"
    """The origin has accepted a connection."""
    RELAYING = "relaying"
    """The client knows; bytes go both ways."""
    COMPLETE = "complete"
    REFUSED = "refused"
    """By the proxy, because of who sent it or of what it asked for."""
    FAILED = "failed"
    """Nothing was relayed: the origin or the proxy failed."""
    CUT = "cut"
    """It broke while it was relayed, and the client is not the cause."""
    ABORTED = "aborted"
    """The client went away."""
    STOPPED = "stopped"
    """The proxy was stopped."""


class RequestEvent(StrEnum):
    """What happens to a request."""

    IDENTIFY = "identify"
    REFUSE = "refuse"
    CONNECT = "connect"
    FAIL = "fail"
    RELAY = "relay"
    FINISH = "finish"
    CUT = "cut"
    ABORT = "abort"
    STOP = "stop"


_S, _E = RequestState, RequestEvent
_ANY_TIME: Final = {_E.ABORT: _S.ABORTED, _E.STOP: _S.STOPPED}

TRANSITIONS: Final[dict[RequestState, dict[RequestEvent, RequestState]]] = {
    _S.RECEIVED: {_E.IDENTIFY: _S.IDENTIFIED, _E.REFUSE: _S.REFUSED, **_ANY_TIME},
    _S.IDENTIFIED: {
        _E.CONNECT: _S.CONNECTED,
        _E.REFUSE: _S.REFUSED,
        _E.FAIL: _S.FAILED,
        **_ANY_TIME,
    },
    _S.CONNECTED: {_E.RELAY: _S.RELAYING, _E.FAIL: _S.FAILED, **_ANY_TIME},
    _S.RELAYING: {_E.FINISH: _S.COMPLETE, _E.CUT: _S.CUT, **_ANY_TIME},
    _S.COMPLETE: {},
    _S.REFUSED: {},
    _S.FAILED: {},
    _S.CUT: {},
    _S.ABORTED: {},
    _S.STOPPED: {},
}
ENDED: Final = frozenset(state for state, events in TRANSITIONS.items() if not events)
"""States that a request does not leave."""
