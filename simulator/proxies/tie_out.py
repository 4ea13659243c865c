"""Compare what clients, proxies and the origin counted of the same requests. Pure.

Client and proxy are compared by network, proxy and origin request by request. For requests that
have an origin's connection of their own, as `ProxyClient` sends them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.origin import OriginConnection
from trueup.simulator.proxies.client import ClientCounts
from trueup.simulator.proxies.life import RequestState
from trueup.simulator.proxies.usage import ProxiedRequest

__all__ = ["ProxiedTieOut", "ProxiedTieOutRow"]

_BROKEN: Final = (RequestState.CUT, RequestState.ABORTED, RequestState.STOPPED)
_NETWORK: Final = re.compile(r"[?&]id=([a-z]+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedTieOutRow:
    """One network. In a tunnel all bytes are equal; a forwarded request's head is rewritten, so
    its client's side and its origin's side are compared apart.
    """

    network: str
    client_requests: int
    proxy_requests: int
    failed: int
    """Requests that the proxy responded to itself, as the client saw it."""
    client_bytes: int
    proxy_bytes: int
    """On the client's side."""
    proxy_origin_bytes: int
    """On the origin's side."""
    origin_bytes: int
    cut_bytes: int
    """Of `origin_bytes` and `proxy_origin_bytes`: what one of them sent and the other one did not
    read, because the proxy ended the connection between them."""
    different: int
    """Requests that the origin counted otherwise than the proxy did, without such a reason."""

    @property
    def ties_out(self) -> bool:
        """Return whether all who counted the same counted alike."""
        return (
            self.client_requests == self.proxy_requests
            and self.client_bytes == self.proxy_bytes
            and self.different == 0
            and abs(self.origin_bytes - self.proxy_origin_bytes) <= self.cut_bytes
        )


@dataclass(slots=True, kw_only=True)
class ProxiedTieOut:
    """Adds up what each place counted."""

    client: ClientCounts
    proxy_requests: Counter[str] = field(default_factory=Counter)
    proxy_bytes: Counter[str] = field(default_factory=Counter)
    proxy_origin_bytes: Counter[str] = field(default_factory=Counter)
    origin_bytes: Counter[str] = field(default_factory=Counter)
    cut_bytes: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    _requests: dict[str, ProxiedRequest] = field(default_factory=dict)
    """By the address from which the proxy connected: those whose connection has not ended yet."""
    _connections: dict[str, OriginConnection] = field(default_factory=dict)
    """The same of connections whose request has not ended yet."""

    def add_request(self, request: ProxiedRequest) -> None:
        """Add a request as a proxy counted it."""
        counts, network = request.counts(), request.network
        self.proxy_requests[network] += 1
        self.proxy_bytes[network] += counts.up + counts.down
        self.proxy_origin_bytes[network] += counts.origin_up + counts.origin_down
        if not request.origin_address:
            return
        record = self._connections.pop(request.origin_address, None)
        if record is None:
            self._requests[request.origin_address] = request
        else:
            self._compare(request, record)

    def add_connection(self, record: OriginConnection) -> None:
        """Add a connection as the origin counted it; its requests name their network."""
        network = _network_of(record)
        self.origin_bytes[network] += record.received_bytes + record.sent_bytes
        request = self._requests.pop(record.peer, None)
        if request is None:
            self._connections[record.peer] = record
        else:
            self._compare(request, record)

    def _compare(self, request: ProxiedRequest, record: OriginConnection) -> None:
        """Compare both sides of the connection between proxy and origin."""
        counts = request.counts()
        unread = (
            counts.origin_up - record.received_bytes,
            record.sent_bytes - counts.origin_down,
        )
        if unread == (0, 0):
            return
        if request.state in _BROKEN and min(unread) >= 0:
            self.cut_bytes[request.network] += sum(unread)
        else:
            self.different[request.network] += 1

    def rows(self) -> list[ProxiedTieOutRow]:
        """Return a row for each network that was used, and for what has none."""
        client = self.client
        used = client.requests.keys() | self.proxy_requests.keys() | self.origin_bytes.keys()
        return [
            ProxiedTieOutRow(
                network=network or "unknown",
                client_requests=client.requests[network],
                proxy_requests=self.proxy_requests[network],
                failed=client.failed[network],
                client_bytes=client.relayed[network],
                proxy_bytes=self.proxy_bytes[network],
                proxy_origin_bytes=self.proxy_origin_bytes[network],
                origin_bytes=self.origin_bytes[network],
                cut_bytes=self.cut_bytes[network],
                different=self.different[network] + self._unmatched(network),
            )
            for network in (*NETWORKS, "")
            if network in used
        ]

    def _unmatched(self, network: str) -> int:
        """Return the requests of a network that only one of proxy and origin has counted."""
        alone = [request.network for request in self._requests.values()]
        alone += [_network_of(record) for record in self._connections.values()]
        return alone.count(network)


def _network_of(record: OriginConnection) -> str:
    found = _NETWORK.search(record.requests[0].target) if record.requests else None
    return found[1] if found else ""
