"""The far end of proxied requests: an HTTP/1.1 server, plain and TLS, that knows what it sent.

It sends and takes exact numbers of bytes, fails in every way that a request asks for, and records
each connection with the bytes that its socket sent and received.
"""

from trueup.simulator.origin.certificates import CertificateAuthority
from trueup.simulator.origin.records import OriginConnection, OriginRequest
from trueup.simulator.origin.resources import Ending, RequestedResponse, read_target
from trueup.simulator.origin.server import Origin

__all__ = [
    "CertificateAuthority",
    "Ending",
    "Origin",
    "OriginConnection",
    "OriginRequest",
    "RequestedResponse",
    "read_target",
]
