"""A proxied request and its bytes, and the usage event that it leaves."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from trueup.reports.results import Json
from trueup.reports.transport.urls import host_port
from trueup.simulator.proxies.destinations import Destination
from trueup.simulator.proxies.exits import ProxyExit
from trueup.simulator.proxies.life import ENDED, TRANSITIONS, RequestEvent, RequestState
from trueup.simulator.proxies.records import OpenRequest, ProxyRecord
from trueup.simulator.proxies.users import Identified
from trueup.simulator.sockets import CountedSocket

__all__ = [
    "ByteCounting",
    "ByteCounts",
    "Protocol",
    "ProxiedRequest",
    "counted_bytes",
    "utc_now",
]


class ByteCounting(StrEnum):
    """Which bytes of a request its usage event has."""

    BOTH = "both"
    """What was relayed, in both directions, on the client's side. For a tunnel: after the
    handshake. For a forwarded request: request and response with their heads. Requests that the
    proxy itself responds to: 0."""
    DOWN = "down"
    """The same, to the client only."""
    WITH_HANDSHAKE = "with-handshake"
    """Every byte of the client's connection that belongs to the request."""


class Protocol(StrEnum):
    """How a client speaks to a proxy; the kinds of the fleet's outcomes."""

    CONNECT = "connect"
    PLAIN = "plain"
    SOCKS = "socks"


@dataclass(slots=True, kw_only=True)
class ByteCounts:
    """The bytes of one request. Up is from the client to the origin."""

    handshake_up: int = 0
    """On the client's side: what the proxy read itself and did not relay."""
    handshake_down: int = 0
    up: int = 0
    """On the client's side, relayed."""
    down: int = 0
    origin_up: int = 0
    """On the origin's side."""
    origin_down: int = 0


def counted_bytes(counts: ByteCounts, counting: ByteCounting) -> int:
    """Return the bytes that a usage event has."""
    match counting:
        case ByteCounting.BOTH:
            return counts.up + counts.down
        case ByteCounting.DOWN:
            return counts.down
        case ByteCounting.WITH_HANDSHAKE:
            return counts.up + counts.down + counts.handshake_up + counts.handshake_down


def new_id() -> str:
    """Return a new random UUID, version 4."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def utc_now() -> datetime:
    """Return the time of this machine's clock, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True, eq=False)
class ProxiedRequest:
    """One request from its head to its end. `counts` is exact at any time."""

    protocol: Protocol
    client: CountedSocket
    peer: tuple[str, int]
    """Address and port of the client."""
    local: tuple[str, int]
    """Address and port of the proxy that the client connected to."""
    network: str
    client_received_before: int
    """Bytes of the client's connection that belong to earlier requests."""
    client_sent_before: int
    method: str | None = None
    version: str = "1.1"
    id: str = field(default_factory=new_id)
    """Of the next usage event; a request has more than one where it is reported in parts."""
    clock: Callable[[], datetime] = utc_now
    """The proxy's time, UTC."""
    at: datetime = field(init=False)
    """When the next usage event begins, by the proxy's clock."""
    state: RequestState = RequestState.RECEIVED
    who: Identified | None = None
    exit: ProxyExit | None = None
    destination: Destination | None = None
    origin: CountedSocket | None = None
    origin_received_before: int = 0
    origin_sent_before: int = 0
    origin_address: str = ""
    """Address and port from which the proxy connected to the origin: the origin records it."""
    status: int | None = None
    """Status of the response that the client was sent, or began to be sent."""
    error: str | None = None
    tls: bool | None = None
    concurrency: int = 1
    reported: ByteCounts = field(default_factory=ByteCounts)
    """What earlier usage events of this request have."""
    reported_ids: tuple[str, ...] = ()
    """Of earlier usage events of this request."""
    _relay: tuple[int, int] | None = None
    """Received and sent on the client's side when relaying began."""
    _own_response: int | None = None
    """Bytes sent to the client when the proxy began to respond itself, after relaying."""
    _unread: Callable[[], int] = lambda: 0
    _started: float = field(default_factory=time.monotonic)
    _connected: float | None = None
    _relaying: float | None = None
    _ended: ByteCounts | None = None

    def __post_init__(self) -> None:
        self.at = self.clock()

    def happen(self, event: RequestEvent) -> None:
        """Move to the next state. Raises KeyError for what cannot happen in this one."""
        self.state = TRANSITIONS[self.state][event]
        if self.state in ENDED:
            self._ended = self.counts()

    def abort(self) -> None:
        """Note that the client went away, unless the request has ended."""
        if not self.has_ended:
            self.happen(RequestEvent.ABORT)

    def stop(self) -> None:
        """Note that the proxy was stopped, unless the request has ended."""
        if not self.has_ended:
            self.error = self.error or "connection_terminated"
            self.happen(RequestEvent.STOP)

    @property
    def client_address(self) -> str:
        """Return the client's IP address."""
        return self.peer[0]

    @property
    def has_ended(self) -> bool:
        """Return whether the request is in a final state."""
        return self.state in ENDED

    def read_ahead(self, unread: Callable[[], int]) -> None:
        """Say how many bytes were received that belong to a later request."""
        self._unread = unread

    def connect(self, origin: CountedSocket) -> None:
        """Note the connection to the origin."""
        self.origin = origin
        self.origin_received_before, self.origin_sent_before = origin.received, origin.sent
        self.origin_address = host_port(*origin.sock.getsockname()[:2])
        self._connected = time.monotonic()
        self.happen(RequestEvent.CONNECT)

    def relay(self, *, early: int = 0) -> None:
        """Note that relaying begins; `early` bytes to relay came with the handshake."""
        self._begin_relaying(self.client.received - early, self.client.sent)

    def relay_all(self) -> None:
        """Note that relaying begins, and that no byte of the request is handshake."""
        self._begin_relaying(self.client_received_before, self.client_sent_before)

    def _begin_relaying(self, received: int, sent: int) -> None:
        """`received` and `sent`: bytes of the client's connection that come before."""
        self._relaying = time.monotonic()
        self._relay = (received, sent)
        self.happen(RequestEvent.RELAY)

    def respond_itself(self) -> None:
        """Note that the proxy itself responds from now on: the origin failed."""
        self._own_response = self.client.sent

    def counts(self) -> ByteCounts:
        """Return the bytes up to now; final once the request has ended."""
        if self._ended is not None:
            return self._ended
        received = self.client.received - self._unread()
        relay_received, relay_sent = self._relay or (received, self.client.sent)
        own = 0 if self._own_response is None else self.client.sent - self._own_response
        origin = self.origin
        return ByteCounts(
            handshake_up=relay_received - self.client_received_before,
            handshake_down=relay_sent - self.client_sent_before + own,
            up=received - relay_received,
            down=self.client.sent - relay_sent - own,
            origin_up=origin.sent - self.origin_sent_before if origin else 0,
            origin_down=origin.received - self.origin_received_before if origin else 0,
        )

    def record(self) -> ProxyRecord:
        """Return what a request that has ended is compared by."""
        known, counts = self.describe(), self.counts()
        last = (self.id,) if self.is_attributed else ()
        return ProxyRecord(
            request=msgspec.structs.replace(known, log_ids=known.log_ids + last),
            state=self.state,
            error=self.error,
            handshake_up=counts.handshake_up,
            handshake_down=counts.handshake_down,
            up=counts.up,
            down=counts.down,
            origin_up=counts.origin_up,
            origin_down=counts.origin_down,
            origin_address=self.origin_address,
        )

    def unreported(self, counting: ByteCounting) -> int:
        """Return the bytes of a usage event of what was not reported before."""
        return counted_bytes(self.counts(), counting) - counted_bytes(self.reported, counting)

    @property
    def is_attributed(self) -> bool:
        """Return whether user and destination are known: else it belongs to no customer."""
        return self.who is not None and self.destination is not None

    def event(self, counting: ByteCounting) -> dict[str, Json] | None:
        """Return the usage event of what was not reported before.

        None where the user or the destination is not known: it belongs to no customer then.
        """
        if self.who is None or self.destination is None:
            return None
        now = time.monotonic()
        handshake = (self._relaying or now) - self._started
        tunnel = now - self._relaying if self._relaying is not None else 0.0
        exit_ = self.exit
        user, membership, _targeting = self.who
        return {
            "log_id": self.id,
            "log_request_datetime": f"{self.at:%Y-%m-%d %H:%M:%S}",
            "customer_id": user.customer_id,
            "proxy_user_id": user.name,
            "service_id": membership.service_id or None,
            "log_network": self.network,
            "log_client_ip_address": self.client_address,
            "log_authentication_type": int(membership.authentication),
            "log_smartpath_enabled": membership.smartpath,
            "log_smartpath_routed": False,
            "log_protocol": "socks" if self.protocol is Protocol.SOCKS else "http",
            "log_protocol_version": self.version,
            "log_transport": "tcp",
            "log_method": self.method,
            "log_is_tls_enabled": bool(self.tls),
            "log_status_code": self.status,
            "log_error_code": self.error,
            "log_local_port": self.local[1],
            "log_hostname": self.destination.host,
            "proxy_id": exit_.proxy_id if exit_ else None,
            "log_local_ip_address": self.local[0],
            "country_id": exit_.country if exit_ else "",
            "city_alias": exit_.city if exit_ else "",
            "asn_id": exit_.asn if exit_ else 0,
            "log_egress_ip_address": exit_.address if exit_ else None,
            "log_session_id": exit_.session if exit_ else None,
            "log_total_bytes": self.unreported(counting),
            "log_total_elapsed_ms": round(1000 * (now - self._started)),
            "log_handshake_elapsed_ms": round(1000 * handshake),
            "log_tunnel_elapsed_ms": round(1000 * tunnel),
            "log_concurrency": self.concurrency,
        }

    def take_part(self, counting: ByteCounting) -> dict[str, Json] | None:
        """Return a usage event of what was not reported before, while the request goes on.

        None where no byte was counted since.
        """
        if not self.unreported(counting):
            return None
        event = self.event(counting)
        self.reported = self.counts()
        self.reported_ids += (self.id,)
        self.id, self.at = new_id(), self.clock()
        return event

    def describe(self) -> OpenRequest:
        """Return which request this is, with the usage events that it has left before."""
        return OpenRequest(
            network=self.network,
            customer_id=self.who.user.customer_id if self.who is not None else None,
            client=host_port(*self.peer),
            proxy=host_port(*self.local),
            began_s=self._started,
            log_ids=self.reported_ids,
        )
