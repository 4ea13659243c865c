"""One connection of a client that speaks HTTP: CONNECT, and requests that are forwarded.

h11 reads and writes both sides, so that framing which two programs could read differently
(several lengths, odd chunk sizes, folded fields) is refused and never passed on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

from trueup.reports.transport.urls import bracketed, request_target
from trueup.simulator.proxies.destinations import Destination, read_authority
from trueup.simulator.proxies.engine import ProxyEndpoint, ProxyEngine
from trueup.simulator.proxies.failures import RequestFailed
from trueup.simulator.proxies.life import RequestEvent, RequestState
from trueup.simulator.proxies.planner import RequestPlan
from trueup.simulator.proxies.usage import Protocol, ProxiedRequest
from trueup.simulator.sockets import CountedSocket

__all__ = ["HttpConnection"]

Headers = Iterable[tuple[bytes, bytes]]

_TEXT_MAX: Final = 200
_VIA: Final = (b"via", b"1.1 trueup")
_HOP_BY_HOP: Final = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings"),
        *(b"proxy-authorization", b"proxy-authenticate", b"proxy-authentication-info"),
    )
)
"""Fields of one connection (RFC 9110, section 7.6.1). Framing is h11's."""
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"host"))
"""Fields that a Connection field cannot take away."""
_UNSAFE: Final = re.compile(r'[^ -~]|["\\]')


class _Cut(Exception):
    """The request is cut as planned."""


@dataclass(slots=True, kw_only=True)
class _OriginConnection:
    """A connection to the origin that may serve several forwarded requests."""

    sock: CountedSocket
    address: Destination
    http: h11.Connection

    def is_alive(self) -> bool:
        """Return whether nothing has arrived since the last response, not even its end."""
        if self.http.our_state is not h11.IDLE:
            return False
        try:
            self.sock.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class HttpConnection:
    """Serves one connection."""

    def __init__(
        self, engine: ProxyEngine, endpoint: ProxyEndpoint, client: CountedSocket, first: bytes
    ) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._client = client
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=engine.limits.head_bytes)
        self._http.receive_data(first)
        self._origin: _OriginConnection | None = None
        self._client_gone = False

    async def serve(self) -> None:
        """Serve requests until the connection ends. Raises OSError where the client went away."""
        try:
            wait_s = self._engine.limits.handshake_s
            while await self._serve_one(wait_s):
                self._http.start_next_cycle()
                wait_s = self._engine.limits.idle_s
        finally:
            self._close_origin()

    # Reading the client

    def _unread(self) -> int:
        return len(self._http.trailing_data[0])

    def _consumed(self) -> int:
        """Return the bytes of the client that belong to what was read up to now."""
        return self._client.received - self._unread()

    async def _next(self, wait_s: float) -> h11.Event:
        """Return the next event of the client. Raises TimeoutError, RemoteProtocolError, OSError.

        `wait_s` limits the time until it is complete, however slowly its bytes arrive.
        """
        event = self._http.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(wait_s):
                while event is h11.NEED_DATA:
                    self._http.receive_data(await self._client.receive())
                    event = self._http.next_event()
        assert event is not h11.PAUSED
        return event  # type: ignore[return-value]  # neither of the sentinels

    async def _serve_one(self, wait_s: float) -> bool:
        """Serve a request; returns whether there may be another one."""
        received, sent = self._consumed(), self._client.sent
        try:
            head = await self._next(wait_s)
        except TimeoutError:
            if self._client.received > received:
                await self._respond_malformed(408, "the request head did not arrive in time")
            return False
        except h11.RemoteProtocolError as error:
            await self._respond_malformed(error.error_status_hint, str(error))
            return False
        if not isinstance(head, h11.Request):
            return False
        request = ProxiedRequest(
            protocol=Protocol.CONNECT if head.method == b"CONNECT" else Protocol.PLAIN,
            client=self._client,
            peer=self._client.sock.getpeername()[:2],
            local=self._client.sock.getsockname()[:2],
            network=self._endpoint.network,
            client_received_before=received,
            client_sent_before=sent,
            method=head.method.decode("ascii"),
            version=head.http_version.decode("ascii"),
            tls=False if head.method != b"CONNECT" else None,
            clock=self._engine.clock,
        )
        request.read_ahead(self._unread)
        try:
            return await self._serve_request(request, head)
        except RequestFailed as failed:
            return await self._refuse(request, failed)
        except (OSError, h11.RemoteProtocolError):
            request.abort()
            return False
        except asyncio.CancelledError:
            request.stop()
            raise
        finally:
            self._engine.finish(request)

    async def _serve_request(self, request: ProxiedRequest, head: h11.Request) -> bool:
        has_body = _has_body(head.headers)
        if not has_body:
            end = self._http.next_event()
            assert isinstance(end, h11.EndOfMessage), end
        target = head.target.decode("ascii", "replace")
        if request.protocol is Protocol.CONNECT:
            request.destination = read_authority(target)
            path = b""
            if has_body:
                raise RequestFailed("http_request_error", "CONNECT has no body")
        else:
            request.destination, path = _read_url(target)
        name, password = _credentials(head.headers)
        self._engine.identify(request, self._endpoint, name, password)
        plan = self._engine.plan(request)
        if request.protocol is Protocol.CONNECT:
            return await self._tunnel(request, plan)
        return await self._forward(request, head, path, plan, has_body=has_body)

    # Responses of the proxy itself

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            await self._client.send(data)

    async def _respond_malformed(self, status: int, text: str) -> None:
        """Say what is wrong with what is no request, and end the connection."""
        self._engine.malformed += 1
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        await self._respond(status, "http_request_error", text, close=True)
        await self._client.finish()

    async def _respond(self, status: int, error: str, text: str, *, close: bool) -> None:
        text = _UNSAFE.sub("?", text)[:_TEXT_MAX]
        body = f"{error}: {text}\n".encode()
        headers = [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
            ("Proxy-Status", f'trueup; error={error}; details="{text}"'),
        ]
        if status == 407:
            headers.append(("Proxy-Authenticate", 'Basic realm="trueup", charset="UTF-8"'))
        if close:
            headers.append(("Connection", "close"))
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _refuse(self, request: ProxiedRequest, failed: RequestFailed) -> bool:
        """Tell the client why its request failed; returns whether there may be another one."""
        http = self._http
        close = http.their_state in (h11.SEND_BODY, h11.ERROR, h11.CLOSED)
        if request.state is RequestState.RELAYING:
            request.respond_itself()
        try:
            await self._respond(failed.status, failed.error, failed.detail, close=close)
        except OSError:
            request.error = failed.error
            request.abort()
            return False
        request.status, request.error = failed.status, failed.error
        if request.state is RequestState.RELAYING:
            request.happen(RequestEvent.CUT)
        else:
            self._engine.refuse(request, failed)
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            return True
        await self._client.finish()
        return False

    # CONNECT

    async def _tunnel(self, request: ProxiedRequest, plan: RequestPlan) -> bool:
        self._close_origin()
        origin = await self._engine.connect(request, plan)
        try:
            head = h11.Response(status_code=200, headers=[], reason=b"Connection established")
            await self._send(head)
            request.status = 200
            early = self._http.trailing_data[0]
            request.read_ahead(lambda: 0)
            request.relay(early=len(early))
            await self._engine.tunnel(request, origin, plan, early)
        finally:
            origin.close()
        return False

    # Forwarding

    async def _forward(
        self,
        request: ProxiedRequest,
        head: h11.Request,
        path: bytes,
        plan: RequestPlan,
        *,
        has_body: bool,
    ) -> bool:
        """Forward a request and its response; returns whether there may be another one."""
        assert request.destination is not None
        origin = await self._origin_for(request, plan)
        request.relay_all()
        host = _host_field(request.destination)
        headers = [(b"host", host), *_end_to_end(head.headers, without=b"host"), _VIA]
        try:
            await _to_origin(origin, h11.Request(method=head.method, target=path, headers=headers))
            if not has_body:
                await _to_origin(origin, h11.EndOfMessage())
        except OSError as error:
            self._close_origin()
            raise RequestFailed(
                "connection_terminated", "the origin ended the connection"
            ) from error
        failure: Exception | None
        async with asyncio.TaskGroup() as group:
            upload = group.create_task(self._upload(origin)) if has_body else None
            failure = await self._download(request, origin, plan)
            if upload is not None:
                upload.cancel()
        if failure is not None:
            self._close_origin()
            return await self._broken(request, failure)
        request.happen(RequestEvent.FINISH)
        if origin.http.our_state is h11.DONE and origin.http.their_state is h11.DONE:
            origin.http.start_next_cycle()
        else:
            self._close_origin()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            return True
        await self._client.finish()
        return False

    async def _origin_for(self, request: ProxiedRequest, plan: RequestPlan) -> _OriginConnection:
        """Return a connection to where a request leads: the one before, if it can be used."""
        assert request.destination is not None
        known = self._origin
        if known is not None and known.address == request.destination and known.is_alive():
            await self._engine.delay(plan)
            request.connect(known.sock)
            return known
        self._close_origin()
        sock = await self._engine.connect(request, plan)
        self._origin = _OriginConnection(
            sock=sock,
            address=request.destination,
            http=h11.Connection(
                h11.CLIENT, max_incomplete_event_size=4 * self._engine.limits.head_bytes
            ),
        )
        return self._origin

    def _close_origin(self) -> None:
        if self._origin is not None:
            self._origin.sock.close()
            self._origin = None

    async def _upload(self, origin: _OriginConnection) -> None:
        """Pass the request's body on. Where the client goes away, end the origin's connection."""
        while True:
            try:
                event = await self._next(self._engine.limits.idle_s)
            except (OSError, h11.RemoteProtocolError):
                self._client_gone = True
                with contextlib.suppress(OSError):
                    origin.sock.sock.shutdown(socket.SHUT_RDWR)
                return
            try:
                await _to_origin(origin, event)
            except (OSError, h11.LocalProtocolError):
                return  # The origin takes no more; what it responds, if anything, is passed on.
            if isinstance(event, h11.EndOfMessage):
                return

    async def _download(
        self, request: ProxiedRequest, origin: _OriginConnection, plan: RequestPlan
    ) -> Exception | None:
        """Pass the response on; returns what broke it, if anything did."""
        try:
            async for event in self._responses(origin):
                match event:
                    case h11.InformationalResponse():
                        if event.status_code != 101:
                            headers = list(_end_to_end(event.headers))
                            await self._send(
                                h11.InformationalResponse(
                                    status_code=event.status_code, headers=headers
                                )
                            )
                    case h11.Response():
                        request.status = event.status_code
                        await self._send(
                            h11.Response(
                                status_code=event.status_code,
                                reason=event.reason,
                                headers=[*_end_to_end(event.headers), _VIA],
                            )
                        )
                    case h11.Data():
                        await self._send(h11.Data(data=bytes(event.data)))
                        await _keep_to_line_rate(request, plan, len(event.data))
                    case _:
                        await self._send(h11.EndOfMessage())
                        return None
        except (OSError, h11.ProtocolError, RequestFailed, _Cut) as error:
            return error
        return h11.RemoteProtocolError("the response is incomplete")

    async def _responses(self, origin: _OriginConnection) -> AsyncIterator[h11.Event]:
        """Yield what the origin sends, to the end of its response."""
        while True:
            event = origin.http.next_event()
            if event is h11.NEED_DATA:
                try:
                    async with asyncio.timeout(self._engine.limits.idle_s):
                        data = await origin.sock.receive()
                except TimeoutError as error:
                    raise RequestFailed(
                        "http_response_timeout", "the origin did not respond in time"
                    ) from error
                except OSError as error:
                    raise RequestFailed(
                        "connection_terminated", "the origin reset the connection"
                    ) from error
                origin.http.receive_data(data)
                continue
            if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return
            yield event  # type: ignore[misc]  # neither of the sentinels
            if isinstance(event, h11.EndOfMessage):
                return

    async def _broken(self, request: ProxiedRequest, failure: Exception) -> bool:
        """Note how a forwarded request broke; respond where no response had begun."""
        if self._client_gone or (
            isinstance(failure, OSError) and not isinstance(failure, TimeoutError)
        ):
            request.abort()
            return False
        if isinstance(failure, _Cut):
            failure = RequestFailed("connection_terminated", "a failure of the simulated fleet")
        elif not isinstance(failure, RequestFailed):
            error = "http_protocol_error"
            if request.status is not None:
                error = "http_response_incomplete"
            elif not request.counts().origin_down:
                error = "connection_terminated"
            failure = RequestFailed(error, str(failure))
        if request.status is None:
            raise failure
        request.error = failure.error
        request.happen(RequestEvent.CUT)
        if request.version == "1.0":
            # There the end of the connection may be that of the response.
            self._client.reset()
        else:
            await self._client.finish()
        return False


async def _to_origin(origin: _OriginConnection, event: h11.Event) -> None:
    if data := origin.http.send(event):
        await origin.sock.send(data)


async def _keep_to_line_rate(request: ProxiedRequest, plan: RequestPlan, count: int) -> None:
    """Wait as the line rate asks. Raises _Cut after as many bytes as are planned."""
    if plan.cut_after is not None and request.counts().down >= plan.cut_after:
        raise _Cut
    if plan.bytes_per_s:
        await asyncio.sleep(count / plan.bytes_per_s)


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in headers
    )


def _end_to_end(headers: Headers, *, without: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields that are not of one connection only."""
    pairs = list(headers)
    named = {
        token.strip().lower()
        for name, value in pairs
        if name == b"connection"
        for token in value.split(b",")
    }
    for name, value in pairs:
        if name not in _HOP_BY_HOP and name != without and name not in named - _FRAMING:
            yield name, value


def _host_field(destination: Destination) -> bytes:
    host = bracketed(destination.host) if destination.port == 80 else str(destination)
    return host.encode("ascii")


def _read_url(target: str) -> tuple[Destination, bytes]:
    """Return the destination and the origin form of an absolute URL.

    Raises RequestFailed for what is none.
    """
    try:
        parts = urlsplit(target)
    except ValueError as error:
        raise RequestFailed("http_request_error", f"invalid URL: {error}") from error
    if parts.scheme != "http" or not parts.netloc:
        raise RequestFailed(
            "http_request_error",
            "this is a proxy: expected CONNECT HOST:PORT, or the absolute URL of an http resource",
        )
    authority = parts.netloc.rpartition("@")[2]
    return read_authority(authority, 80), request_target(parts).encode("ascii", "replace")


def _credentials(headers: Headers) -> tuple[str | None, str | None]:
    """Return the user name and password of a request; None where there are none.

    Raises RequestFailed for a Proxy-Authorization field that is not Basic, or occurs twice.
    """
    found = [value for name, value in headers if name == b"proxy-authorization"]
    if not found:
        return None, None
    scheme, _, encoded = found[0].partition(b" ")
    if len(found) > 1 or scheme.lower() != b"basic":
        raise RequestFailed(
            "http_request_denied", "expected one Proxy-Authorization: Basic", status=407
        )
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise RequestFailed(
            "http_request_denied", "Proxy-Authorization is not base64 of UTF-8", status=407
        ) from None
    name, colon, password = text.partition(":")
    return name, password if colon else None
