"""The reactor: many keep-alive connections driven by one plain epoll loop, on a schedule.

It sends prepared bytes as fast as a C tool would, measures from the planned time, and knows
for every event whether it was accepted, refused or left unknown. It imports neither Locust
nor gevent: whoever embeds it hands in the sockets, the poller and a way to yield.
"""

from trueup.simulator.reactor.address import Address, address_of
from trueup.simulator.reactor.bodies import (
    BodySource,
    FixedBodies,
    FleetBodies,
    PreparedRequest,
    ReadRequests,
    request_head,
)
from trueup.simulator.reactor.engine import Engine, Limits, RequestStream, System
from trueup.simulator.reactor.http1 import HttpProtocolError, Response, ResponseParser
from trueup.simulator.reactor.recorder import RequestRecorder, Second, merge_ranges
from trueup.simulator.reactor.schedule import (
    AS_FAST_AS_POSSIBLE,
    SHAPES,
    Schedule,
    Shape,
    ShapeError,
)

__all__ = [
    "AS_FAST_AS_POSSIBLE",
    "SHAPES",
    "Address",
    "BodySource",
    "Engine",
    "FixedBodies",
    "FleetBodies",
    "HttpProtocolError",
    "Limits",
    "PreparedRequest",
    "ReadRequests",
    "RequestRecorder",
    "RequestStream",
    "Response",
    "ResponseParser",
    "Schedule",
    "Second",
    "Shape",
    "ShapeError",
    "System",
    "address_of",
    "merge_ranges",
    "request_head",
]
