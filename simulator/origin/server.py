"""The origin's server: HTTP/1.1 by h11 over counted sockets, plain and TLS."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import h11

from trueup.reports.transport.urls import host_port
from trueup.simulator.origin.certificates import CertificateAuthority
from trueup.simulator.origin.records import OriginConnection, OriginRequest
from trueup.simulator.origin.resources import Ending, RequestedResponse, read_target
from trueup.simulator.origin.tls import TlsServer
from trueup.simulator.sockets import ConnectionServer, CountedSocket
from trueup.simulator.sockets.listening import Handler

__all__ = ["Origin"]

_HEAD_MAX: Final = 65_536
_BLOCK: Final = bytes(range(256)) * 256
"""64 KiB of the counting pattern; every place that is a multiple of 256 begins like the first."""
_TEXT_MAX: Final = 200
_REQUESTS_KEPT: Final = 1000
_GARBAGE: Final = b"\x16\x03\x01\x00\x02not HTTP\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Origin:
    """A server on two ports, plain and TLS. Open it, and run it in a task until `stop` is set."""

    host: str = "127.0.0.1"
    also: tuple[str, ...] = ()
    """Further addresses, at the same plain port."""
    port: int = 0
    tls_port: int | None = 0
    """None: no TLS."""
    idle_s: float = 300.0
    """A connection on which nothing happens for so long is closed; a stall ends then."""
    authority: CertificateAuthority | None = None
    """Made when TLS is opened, unless given."""
    on_end: Callable[[OriginConnection], None] = lambda record: None
    """Called with the record of each connection that has ended."""
    server: ConnectionServer = field(default_factory=ConnectionServer)
    received: int = 0
    """Bytes of TCP, of all connections that have ended."""
    sent: int = 0
    connections: int = 0
    requests: int = 0

    def open(self) -> None:
        """Listen on both ports; `port` and `tls_port` are then the real ones.

        Raises ListenError where an address cannot be listened on.
        """
        self.port = self.server.listen(self.host, self.port, self._handler(None))
        for host in self.also:
            self.server.listen(host, self.port, self._handler(None))
        if self.tls_port is not None:
            self.authority = self.authority or CertificateAuthority()
            context = self.authority.server_context()
            self.tls_port = self.server.listen(self.host, self.tls_port, self._handler(context))

    def close(self) -> None:
        """Close the listening sockets of an origin that is not running."""
        self.server.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then end the connections that are open."""
        await self.server.run(stop)

    def _handler(self, context: ssl.SSLContext | None) -> Handler:
        return lambda sock: self._serve(sock, context)

    async def _serve(self, sock: CountedSocket, context: ssl.SSLContext | None) -> None:
        self.connections += 1
        number, started = self.connections, time.monotonic()
        peer = host_port(*sock.sock.getpeername()[:2])
        stream = sock if context is None else TlsServer(sock, context)
        connection = _Connection(stream=stream, raw=sock, idle_s=self.idle_s)
        ended_by = "stopped"
        try:
            ended_by = await connection.serve()
        except TimeoutError:
            ended_by = "timeout"
        except ConnectionError:
            ended_by = "client reset"
        except (OSError, h11.ProtocolError):
            ended_by = "error"
        finally:
            self.requests += connection.count
            self.received += sock.received
            self.sent += sock.sent
            self.on_end(
                OriginConnection(
                    number=number,
                    peer=peer,
                    port=self.port if context is None else self.tls_port or 0,
                    tls=context is not None,
                    server_name=self._server_name(stream),
                    received_bytes=sock.received,
                    sent_bytes=sock.sent,
                    elapsed_ms=round(1000 * (time.monotonic() - started)),
                    ended_by=ended_by,
                    requests=tuple(connection.requests),
                    request_count=connection.count,
                )
            )

    def _server_name(self, stream: CountedSocket | TlsServer) -> str | None:
        if self.authority is None or not isinstance(stream, TlsServer):
            return None
        return self.authority.name_of(stream.context)


@dataclass(slots=True, kw_only=True)
class _Connection:
    """One connection: requests are read and responded to, one after the other."""

    stream: CountedSocket | TlsServer
    raw: CountedSocket
    idle_s: float
    requests: list[OriginRequest] = field(default_factory=list)
    count: int = 0
    http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_MAX)
    )
    method: str = ""
    body_received: int = 0
    body_sent: int = 0

    async def serve(self) -> str:
        """Serve until the connection ends; returns who ended it."""
        if isinstance(self.stream, TlsServer):
            async with asyncio.timeout(self.idle_s):
                await self.stream.handshake()
        while True:
            event = await self._next()
            if isinstance(event, h11.ConnectionClosed):
                await self._end()
                return "client"
            assert isinstance(event, h11.Request)
            if ended_by := await self._respond(event):
                return ended_by
            self.http.start_next_cycle()

    async def _next(self) -> h11.Event:
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error)
                raise
            if event is not h11.NEED_DATA:
                assert event is not h11.PAUSED
                return event  # type: ignore[return-value]  # neither of the sentinels
            async with asyncio.timeout(self.idle_s):
                data = await self.stream.receive()
            self.http.receive_data(data)

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say what is wrong with a request that is not HTTP."""
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = f"{error}"[:_TEXT_MAX].encode() + b"\n"
            headers = [
                ("Content-Length", str(len(text))),
                ("Content-Type", "text/plain"),
                ("Connection", "close"),
            ]
            await self._send(h11.Response(status_code=error.error_status_hint, headers=headers))
            await self._send(h11.Data(data=text))
            await self._send(h11.EndOfMessage())
            await self._end()

    async def _send(self, event: h11.Event) -> None:
        if data := self.http.send(event):
            await self.stream.send(data)

    async def _respond(self, request: h11.Request) -> str:
        """Respond to a request; returns who ended the connection, "" where it goes on."""
        self.count += 1
        self.body_received = self.body_sent = 0
        self.method = request.method.decode("ascii")
        target = request.target.decode("ascii", "replace")
        try:
            wanted = read_target(target)
        except ValueError as error:
            text = f"{error}\n".encode()
            wanted = RequestedResponse(
                status=404, size=len(text), content=text, content_type="text/plain; charset=utf-8"
            )
        complete, status = False, None
        try:
            if not wanted.early:
                await self._read_body()
            if wanted.delay_ms:
                await asyncio.sleep(wanted.delay_ms / 1000)
            if wanted.report:
                text = b'{"received": %d}\n' % self.body_received
                wanted = replace(wanted, content=text, size=len(text))
            status = None if wanted.silent or wanted.garbage else wanted.status
            complete = await self._send_response(wanted)
        finally:
            if len(self.requests) < _REQUESTS_KEPT:
                self.requests.append(
                    OriginRequest(
                        method=self.method,
                        target=target,
                        host=_host(request),
                        status=status,
                        request_body_bytes=self.body_received,
                        response_body_bytes=self.body_sent,
                        complete=complete,
                    )
                )
        ended = await self._after(wanted)
        if ended or (self.http.our_state is h11.DONE and self.http.their_state is h11.DONE):
            return ended
        await self._end()
        return "origin"

    async def _read_body(self) -> None:
        if self.http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        while True:
            match await self._next():
                case h11.Data(data=data):
                    self.body_received += len(data)
                case _:
                    return

    async def _send_response(self, wanted: RequestedResponse) -> bool:
        """Send a response as far as it goes; returns whether it is complete."""
        if wanted.silent:
            return False
        if wanted.garbage:
            await self.stream.send(_GARBAGE)
            return False
        headers = [("Content-Type", wanted.content_type)]
        if wanted.chunk:
            headers.append(("Transfer-Encoding", "chunked"))
        else:
            headers.append(("Content-Length", str(wanted.size)))
        if wanted.location:
            headers.append(("Location", wanted.location))
        if wanted.head_bytes:
            headers.append(("X-Padding", "x" * wanted.head_bytes))
        if wanted.end is Ending.CLOSE and wanted.cut is None:
            headers.append(("Connection", "close"))
        bodiless = wanted.status in (204, 304)
        if bodiless:
            headers = [pair for pair in headers if pair[0] in ("Location", "X-Padding")]
        await self._send(h11.Response(status_code=wanted.status, headers=headers))
        if not (bodiless or self.method == "HEAD"):
            for piece in _pieces(wanted):
                await self._send(h11.Data(data=piece))
                self.body_sent += len(piece)
                if wanted.pause_ms:
                    await asyncio.sleep(wanted.pause_ms / 1000)
            if wanted.sent_size < wanted.size or (wanted.cut is not None and wanted.chunk):
                return False
        await self._send(h11.EndOfMessage())
        return True

    async def _after(self, wanted: RequestedResponse) -> str:
        """Do what was asked for after the response; returns who ended the connection."""
        match wanted.end:
            case Ending.RESET:
                self.raw.reset()
                return "origin reset"
            case Ending.STALL:
                async with asyncio.timeout(self.idle_s):
                    while await self.stream.receive():
                        pass
                return "client"
            case Ending.CLOSE:
                await self._end()
                return "origin"
            case _:
                return ""

    async def _end(self) -> None:
        """End our side, and close."""
        if isinstance(self.stream, TlsServer):
            await self.stream.end()
        await self.raw.finish()


def _host(request: h11.Request) -> str:
    return next((v.decode("latin-1") for k, v in request.headers if k == b"host"), "")


def _pieces(wanted: RequestedResponse) -> Iterator[bytes]:
    """Yield the body that is sent, in the pieces that were asked for."""
    left, at = wanted.sent_size, 0
    most = min(wanted.chunk or len(_BLOCK), wanted.piece or len(_BLOCK), len(_BLOCK))
    while left:
        size = min(most, left)
        if wanted.content is not None:
            yield wanted.content[at : at + size]
        else:
            begin = at & 255
            yield (
                _BLOCK[begin : begin + size]
                if begin + size <= len(_BLOCK)
                else (_BLOCK[begin:] + _BLOCK[: begin + size - len(_BLOCK)])
            )
        at += size
        left -= size
