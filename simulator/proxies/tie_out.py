"""Compare what clients, proxies and the origin counted of the same requests, one by one. Pure.

Client and proxy are joined by the addresses of their connection and its time, client and origin by
the request's id. For requests that have a connection of their own, as `ProxyClient` sends them.
What a broken connection leaves unread, and what a killed proxy had not written down yet, is
explained, and counted as such; everything else that differs is a difference.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.origin import OriginConnection
from trueup.simulator.proxies.life import RequestState
from trueup.simulator.proxies.records import (
    ClientEnd,
    ClientRecord,
    OpenRequest,
    ProxyRecord,
    RecoveredRecord,
)
from trueup.simulator.proxies.usage import ByteCounting, ByteCounts, counted_bytes

__all__ = ["KilledAt", "ProxiedTieOut", "ProxiedTieOutRow"]

_BROKEN: Final = (RequestState.CUT, RequestState.ABORTED, RequestState.STOPPED)
_ID: Final = "id="


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledAt:
    """A time at which the proxies were killed, by this machine's monotonic clock."""

    before_s: float
    after_s: float


@dataclass(slots=True, kw_only=True)
class ProxiedTieOutRow:
    """One network, of one customer or of all. Bytes are those of the declared count.

    In a tunnel all bytes are equal; a forwarded request's head is rewritten, so its client's side
    and its origin's side are compared apart.
    """

    network: str
    customer_id: int | None = None
    client_requests: int = 0
    proxy_requests: int = 0
    origin_requests: int = 0
    """Connections of proxies that the origin accepted."""
    failed: int = 0
    """Requests that the proxy responded to itself, as the client saw it."""
    client_bytes: int = 0
    proxy_bytes: int = 0
    """On the client's side; of requests that a kill left open, those that their usage has."""
    unread_by_proxy: int = 0
    """Bytes that the client sent, and a proxy whose connection broke did not read."""
    unread_by_client: int = 0
    """The same in the other direction."""
    proxy_origin_bytes: int = 0
    """On the origin's side."""
    origin_bytes: int = 0
    cut_bytes: int = 0
    """Of `origin_bytes` and `proxy_origin_bytes`: what one of them sent and the other one did not
    read, because the proxy ended the connection between them."""
    killed: int = 0
    """Requests that were open when a proxy was killed."""
    killed_bytes: int = 0
    """Bytes of those that their usage does not have: transferred since the last checkpoint."""
    killed_origin_bytes: int = 0
    """Bytes of `origin_bytes` that belong to those."""
    unserved: int = 0
    """Requests that no proxy had read yet when it was killed, or when the client reset the
    connection: they leave no usage."""
    different: int = 0
    """Requests that two places counted differently, without such a reason."""

    @property
    def ties_out(self) -> bool:
        """Return whether all who counted the same counted alike."""
        return (
            self.different == 0
            and self.client_requests == self.proxy_requests + self.unserved
            and self.client_bytes - self.killed_bytes - self.unread_by_proxy
            == self.proxy_bytes - self.unread_by_client
            and abs(self.origin_bytes - self.killed_origin_bytes - self.proxy_origin_bytes)
            <= self.cut_bytes
        )

    def add(self, other: ProxiedTieOutRow) -> None:
        """Add the figures of another row."""
        for each in fields(self):
            if each.name not in ("network", "customer_id"):
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True, kw_only=True)
class ProxiedTieOut:
    """What each place wrote down."""

    counting: ByteCounting = ByteCounting.BOTH
    clients: list[ClientRecord] = field(default_factory=list)
    proxies: list[ProxyRecord] = field(default_factory=list)
    recovered: list[RecoveredRecord] = field(default_factory=list)
    connections: list[OriginConnection] = field(default_factory=list)
    kills: list[KilledAt] = field(default_factory=list)
    usage: Mapping[str, int] | None = None
    """Id and bytes of every usage event that was delivered; None: it is not compared."""

    def rows(self) -> list[ProxiedTieOutRow]:
        """Return a row for each network that was used, and for what has none."""
        found: dict[str, ProxiedTieOutRow] = {}
        for row in self.rows_by_customer():
            found.setdefault(row.network, ProxiedTieOutRow(network=row.network)).add(row)
        return list(found.values())

    def rows_by_customer(self) -> list[ProxiedTieOutRow]:
        """Return a row for each network and customer."""
        found = _Comparison(self).compare()
        order = {network: number for number, network in enumerate(NETWORKS)}
        return sorted(
            found, key=lambda row: (order.get(row.network, len(order)), row.customer_id or 0)
        )


@dataclass(slots=True)
class _Killed:
    """A request that a kill left open: its usage, which may be in parts."""

    request: OpenRequest
    log_ids: set[str] = field(default_factory=set)


class _Comparison:
    """Joins the records of one comparison."""

    def __init__(self, records: ProxiedTieOut) -> None:
        self._records = records
        self._rows: dict[tuple[str, int | None], ProxiedTieOutRow] = {}
        self._known_usage: set[str] = set()

    def compare(self) -> Collection[ProxiedTieOutRow]:
        records = self._records
        killed = _killed(records.recovered)
        lost_ids = {log_id for each in killed for log_id in each.log_ids}
        # A request that had ended, but whose event was not written yet, is completed as an open
        # one.
        ended = [each for each in records.proxies if lost_ids.isdisjoint(each.request.log_ids)]
        served: list[ProxyRecord | _Killed] = [*ended, *killed]
        joined = _join(records.clients, [each.request for each in served])
        by_client: dict[int, list[ProxyRecord | _Killed]] = defaultdict(list)
        for proxy, client in zip(served, joined, strict=True):
            if client is None:
                self._count_proxy(proxy)
                self._row(proxy.request.network, proxy.request.customer_id).different += 1
            else:
                by_client[client].append(proxy)
        owner: dict[str, ProxyRecord | _Killed] = {}
        for number, client_record in enumerate(records.clients):
            found = by_client[number]
            self._compare_client(client_record, found)
            if found:
                owner[client_record.id] = found[0]
        self._compare_origin(ended, owner)
        self._compare_usage()
        return self._rows.values()

    def _row(self, network: str, customer_id: int | None) -> ProxiedTieOutRow:
        made = ProxiedTieOutRow(network=network, customer_id=customer_id)
        return self._rows.setdefault((network, customer_id), made)

    # Client and proxy

    def _compare_client(
        self, client: ClientRecord, proxies: Sequence[ProxyRecord | _Killed]
    ) -> None:
        row = self._row(client.network, client.customer_id)
        row.client_requests += 1
        row.failed += client.end is ClientEnd.REFUSED
        for proxy in proxies:
            self._count_proxy(proxy)
        if not proxies:
            counts = _client_counts(client, None)
            row.client_bytes += counted_bytes(counts, self._records.counting)
            self._compare_unserved(client, row, counts)
            return
        proxy = proxies[0]
        row.different += len(proxies) - 1
        counts = _client_counts(client, proxy)
        size = counted_bytes(counts, self._records.counting)
        row.client_bytes += size
        if isinstance(proxy, _Killed):
            row.killed += 1
            missing = size - self._usage_of(proxy.log_ids)
            row.killed_bytes += max(missing, 0)
            row.unread_by_client += max(-missing, 0)
            return
        unread_up, unread_down = counts.up - proxy.up, proxy.down - counts.down
        if self._records.counting is ByteCounting.DOWN:
            unread_up = 0
        if self._records.counting is ByteCounting.WITH_HANDSHAKE:
            unread_up += counts.handshake_up - proxy.handshake_up
            unread_down += proxy.handshake_down - counts.handshake_down
        if (unread_up, unread_down) == (0, 0):
            return
        broken = proxy.state in _BROKEN or client.end in (ClientEnd.ABORTED, ClientEnd.STOPPED)
        if broken and min(unread_up, unread_down) >= 0:
            row.unread_by_proxy += unread_up
            row.unread_by_client += unread_down
        else:
            row.different += 1

    def _compare_unserved(
        self, client: ClientRecord, row: ProxiedTieOutRow, counts: ByteCounts
    ) -> None:
        """Explain a request that no proxy knows of: it was killed before it had read it, or the
        client reset the connection, which discards what was not read.
        """
        killed = any(
            client.began_s <= kill.after_s and client.ended_s >= kill.before_s
            for kill in self._records.kills
        )
        size = counted_bytes(counts, self._records.counting)
        if counts.down or not (killed or client.end is ClientEnd.ABORTED):
            row.different += 1
            return
        row.unserved += 1
        if killed:
            row.killed_bytes += size
        else:
            row.unread_by_proxy += size

    def _count_proxy(self, proxy: ProxyRecord | _Killed) -> None:
        """Add what a proxy counted, and compare it with the usage that it reported."""
        counting = self._records.counting
        row = self._row(proxy.request.network, proxy.request.customer_id)
        row.proxy_requests += 1
        if isinstance(proxy, _Killed):
            row.proxy_bytes += self._usage_of(proxy.log_ids)
            return
        size = counted_bytes(_proxy_counts(proxy), counting)
        row.proxy_bytes += size
        row.proxy_origin_bytes += proxy.origin_up + proxy.origin_down
        log_ids = proxy.request.log_ids
        if self._records.usage is not None and log_ids and self._usage_of(log_ids) != size:
            row.different += 1

    def _usage_of(self, log_ids: Iterable[str]) -> int:
        """Return the bytes of usage events that were delivered."""
        usage = self._records.usage or {}
        found = [log_id for log_id in log_ids if log_id in usage]
        self._known_usage.update(found)
        return sum(usage[log_id] for log_id in found)

    def _compare_usage(self) -> None:
        """Count usage events that belong to no request."""
        unknown = len((self._records.usage or {}).keys() - self._known_usage)
        if unknown:
            self._row("unknown", None).different += unknown

    # Proxy and origin

    def _compare_origin(
        self, ended: Sequence[ProxyRecord], owner: Mapping[str, ProxyRecord | _Killed]
    ) -> None:
        matched: set[int] = set()
        without_id: list[OriginConnection] = []
        for connection in self._records.connections:
            proxy = owner.get(_id_of(connection))
            if proxy is None:
                without_id.append(connection)
                continue
            matched.add(id(proxy))
            self._compare_connection(proxy, connection)
        waiting: dict[str, list[ProxyRecord]] = defaultdict(list)
        for each in ended:
            if each.origin_address and id(each) not in matched:
                waiting[each.origin_address].append(each)
        for connection in without_id:
            if found := waiting[connection.peer]:
                self._compare_connection(found.pop(0), connection)
            elif self._records.kills and not connection.sent_bytes:
                # A killed proxy had connected, and sent no complete request.
                if connection.received_bytes:
                    row = self._row("unknown", None)
                    row.killed_origin_bytes += connection.received_bytes
                    row.origin_bytes += connection.received_bytes
            else:
                row = self._row("unknown", None)
                row.origin_requests += 1
                row.origin_bytes += connection.received_bytes + connection.sent_bytes
                row.different += 1
        for each in (each for rest in waiting.values() for each in rest):
            self._row(each.request.network, each.request.customer_id).different += 1

    def _compare_connection(
        self, proxy: ProxyRecord | _Killed, connection: OriginConnection
    ) -> None:
        """Compare both sides of the connection between proxy and origin."""
        row = self._row(proxy.request.network, proxy.request.customer_id)
        size = connection.received_bytes + connection.sent_bytes
        row.origin_requests += 1
        row.origin_bytes += size
        if isinstance(proxy, _Killed):
            row.killed_origin_bytes += size
            return
        unread = (
            proxy.origin_up - connection.received_bytes,
            connection.sent_bytes - proxy.origin_down,
        )
        if unread == (0, 0):
            return
        if proxy.state in _BROKEN and min(unread) >= 0:
            row.cut_bytes += sum(unread)
        else:
            row.different += 1


def _join(clients: Sequence[ClientRecord], requests: Sequence[OpenRequest]) -> list[int | None]:
    """Return, for each request of a proxy, the number of the client's record of it.

    It is the last connection with these addresses that began before the request did.
    """
    by_address: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for number, client in enumerate(clients):
        by_address[client.client, client.proxy].append((client.began_s, number))
    for connections in by_address.values():
        connections.sort()
    found: list[int | None] = []
    for request in requests:
        connections = by_address.get((request.client, request.proxy), [])
        at = bisect_right(connections, (request.began_s, len(clients)))
        found.append(connections[at - 1][1] if at else None)
    return found


def _killed(recovered: Iterable[RecoveredRecord]) -> list[_Killed]:
    """Return the requests that kills left open; each may have left two usage events open."""
    found: dict[tuple[str, str, float], _Killed] = {}
    for each in recovered:
        request = each.request
        key = (request.client, request.proxy, request.began_s)
        found.setdefault(key, _Killed(request)).log_ids.update(request.log_ids)
    return list(found.values())


def _client_counts(client: ClientRecord, proxy: ProxyRecord | _Killed | None) -> ByteCounts:
    """Return what a client counted; a forwarded request that the proxy responded to itself may
    have been relayed before, which the client cannot know.
    """
    counts = ByteCounts(
        handshake_up=client.handshake_up,
        handshake_down=client.handshake_down,
        up=client.up,
        down=client.down,
    )
    if (
        isinstance(proxy, ProxyRecord)
        and client.end is ClientEnd.REFUSED
        and proxy.state == RequestState.CUT
        and proxy.up == client.handshake_up
    ):
        counts.up, counts.handshake_up = counts.handshake_up, 0
    return counts


def _proxy_counts(proxy: ProxyRecord) -> ByteCounts:
    return ByteCounts(
        handshake_up=proxy.handshake_up,
        handshake_down=proxy.handshake_down,
        up=proxy.up,
        down=proxy.down,
    )


def _id_of(connection: OriginConnection) -> str:
    """Return the id in the target of a connection's first request; empty where there is none."""
    target = connection.requests[0].target if connection.requests else ""
    options = target.partition("?")[2].split("&")
    return next((each.removeprefix(_ID) for each in options if each.startswith(_ID)), "")
