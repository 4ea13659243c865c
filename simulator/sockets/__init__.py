"""Non-blocking TCP sockets that count their bytes, and listening on addresses.

The origin and the listening proxies share them. Nothing here knows HTTP, SOCKS or TLS.
"""

from trueup.simulator.sockets.counted import CountedSocket
from trueup.simulator.sockets.listening import (
    ConnectionServer,
    Listener,
    listen,
    raise_descriptor_limit,
)

__all__ = [
    "ConnectionServer",
    "CountedSocket",
    "Listener",
    "listen",
    "raise_descriptor_limit",
]
