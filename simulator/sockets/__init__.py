"""Non-blocking TCP sockets that count their bytes, and listening on addresses.

The origin and the listening proxies share them. Nothing here knows HTTP, SOCKS or TLS.
"""

from trueup.simulator.sockets.counted import CHUNK, CountedSocket
from trueup.simulator.sockets.listening import (
    OUT_OF_DESCRIPTORS,
    ConnectionServer,
    listen,
    raise_descriptor_limit,
)

__all__ = [
    "CHUNK",
    "OUT_OF_DESCRIPTORS",
    "ConnectionServer",
    "CountedSocket",
    "listen",
    "raise_descriptor_limit",
]
