"""Send prepared requests over many keep-alive connections from one epoll loop, on a schedule.

Measures response times from the planned times, and records for every event whether it was accepted,
refused or left unknown. Imports neither Locust nor gevent: the caller passes in the sockets, the
poller and a function that yields control.
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
from trueup.simulator.reactor.dressing import HeadDresser, with_headers
from trueup.simulator.reactor.driver_engine import DriverEngine
from trueup.simulator.reactor.engine import Engine, Limits, RequestStream, System
from trueup.simulator.reactor.http1 import HttpProtocolError, Response, ResponseParser
from trueup.simulator.reactor.recorder import RequestRecorder, Second
from trueup.simulator.reactor.schedule import (
    AS_FAST_AS_POSSIBLE,
    REPLAY,
    SHAPES,
    Schedule,
    Shape,
    ShapeError,
)

__all__ = [
    "AS_FAST_AS_POSSIBLE",
    "REPLAY",
    "SHAPES",
    "Address",
    "BodySource",
    "DriverEngine",
    "Engine",
    "FixedBodies",
    "FleetBodies",
    "HeadDresser",
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
    "request_head",
    "with_headers",
]
