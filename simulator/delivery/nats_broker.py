"""NATS JetStream as a broker: a message is accepted when its stream has acknowledged it.

Uses nats-py, which the extra `trueup[nats]` installs. Messages carry no `Nats-Msg-Id`: the server
would drop an event that is delivered twice on purpose before the target sees it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, MaxPayloadError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from trueup.reports.results import Outcome
from trueup.reports.transport.credentials import NO_FILES, TlsFiles
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.tls import client_context
from trueup.simulator.delivery.broker import Acknowledgement, Message
from trueup.simulator.errors import TransportMissing, TransportUnreachable

__all__ = ["NatsBroker", "NatsForm"]

_CONNECT_S: Final = 5.0
_RECONNECT_PAUSE_S: Final = 0.2
_ACKNOWLEDGED: Final = Acknowledgement(Outcome.ACCEPTED)
_NO_RESPONDERS: Final = "503"
_TEMPORARY: Final = 500
"""From this code on an error of JetStream is the server's trouble, not the message's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsForm:
    """A JetStream subject and how to connect to its servers. Values may be secret."""

    servers: tuple[str, ...]
    """URLs: `nats://HOST:PORT`, or `tls://HOST:PORT`."""
    subject: str
    stream: str = ""
    """Stream that must take the messages; empty: whichever the subject belongs to."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: str | None = None
    """Path of a credentials file (JWT and seed)."""
    timeout_s: float = 10.0
    """Longest wait for an acknowledgement."""


class _Reply(msgspec.Struct):
    """JetStream's response to a message, as far as it is read."""

    stream: str = ""
    error: dict[str, Any] | None = None


_REPLY: Final = msgspec.json.Decoder(_Reply)


class NatsBroker:
    """Implement `Broker` for NATS JetStream."""

    def __init__(self, form: NatsForm, *, tls: TlsFiles = NO_FILES) -> None:
        """`tls`: certificates; given, or with a server `tls://…`, the connection uses TLS."""
        self.form, self._tls = form, tls
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._inbox = ""
        self._number = 0
        self._waiting: dict[str, asyncio.Future[Acknowledgement]] = {}
        """Messages without an acknowledgement, by the last token of their reply subject."""
        self._headers = {"Nats-Expected-Stream": form.stream} if form.stream else None
        self._last_error = ""
        """The error that the client last reported."""

    async def open(self) -> None:
        """Connect and find the stream. Raises TransportUnreachable."""
        async with self._opening:
            if self._client is not None:
                return
            client = await self._connect()
            try:
                await self._find_stream(client)
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
            except BaseException:
                await client.close()
                raise
            self._client = client

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledgement]:
        """Publish messages and wait for the stream's acknowledgements."""
        await self.open()
        loop = asyncio.get_running_loop()
        tokens, futures = [], []
        for message in messages:
            self._number += 1
            token = str(self._number)
            future: asyncio.Future[Acknowledgement] = loop.create_future()
            self._waiting[token] = future
            tokens.append(token)
            futures.append(future)
            if (failed := await self._hand_over(message, token)) is not None:
                future.set_result(failed)
        try:
            if futures:
                await asyncio.wait(futures, timeout=self.form.timeout_s)
        finally:
            for token in tokens:
                self._waiting.pop(token, None)
        why = f"no acknowledgement within {self.form.timeout_s:g} s"
        if self._last_error:
            why += f" ({self._last_error})"
        lost = Acknowledgement(Outcome.UNKNOWN, why, again=True)
        return [future.result() if future.done() else lost for future in futures]

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _hand_over(self, message: Message, token: str) -> Acknowledgement | None:
        """Give a message to the client; returns what is known at once, None if a reply follows."""
        assert self._client is not None
        reply = f"{self._inbox}.{token}"
        try:
            await self._client.publish(
                self.form.subject, message.payload, reply=reply, headers=self._headers
            )
        except MaxPayloadError:
            most = self._client.max_payload
            why = f"the message has {len(message.payload)} bytes, the server takes {most}"
            return Acknowledgement(Outcome.REFUSED, why)
        except (OutboundBufferLimitError, ConnectionClosedError) as error:
            return Acknowledgement(Outcome.REFUSED, f"not delivered: {_text_of(error)}", again=True)
        except (NatsError, OSError) as error:
            return Acknowledgement(
                Outcome.UNKNOWN, f"connection lost: {_text_of(error)}", again=True
            )
        return None

    async def _on_reply(self, reply: Msg) -> None:
        future = self._waiting.get(reply.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(self._read(reply))

    def _read(self, reply: Msg) -> Acknowledgement:
        if reply.headers and reply.headers.get("Status") == _NO_RESPONDERS:
            why = f"no stream takes messages on {self.form.subject}"
            return Acknowledgement(Outcome.REFUSED, why, again=True)
        try:
            found = _REPLY.decode(reply.data)
        except msgspec.MsgspecError:
            return Acknowledgement(Outcome.UNKNOWN, "the acknowledgement cannot be read")
        if found.error is None:
            return _ACKNOWLEDGED
        code = found.error.get("code")
        text = foreign_text(str(found.error.get("description", "error")))
        temporary = isinstance(code, int) and code >= _TEMPORARY
        return Acknowledgement(Outcome.REFUSED, f"the stream refused: {text}", again=temporary)

    # Opening

    async def _connect(self) -> Client:
        form, client = self.form, Client()
        named = {urlsplit(url).netloc.rpartition("@")[2] for url in form.servers}

        def known(servers: list[Any], info: dict[str, Any]) -> tuple[Any, float]:
            # A server may announce others: only those of the target file are connected to.
            ours = (server for server in servers if server.uri.netloc in named)
            return min(ours, key=lambda server: server.reconnects), _RECONNECT_PAUSE_S

        try:
            async with asyncio.timeout(_CONNECT_S):
                await client.connect(
                    servers=list(form.servers),
                    name="trueup",
                    user=form.user,
                    password=form.password,
                    token=form.token,
                    user_credentials=form.credentials,
                    tls=self._context(),
                    connect_timeout=int(_CONNECT_S),
                    # Each server is tried twice; once connected, for as long as it takes.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    reconnect_to_server_handler=known,
                    error_cb=self._on_error,
                )
        except ImportError as error:
            raise TransportMissing(
                "ingest.credentials: a credentials file needs the package nkeys\n"
                "  remedy: pip install 'nats-py[nkeys]'"
            ) from error
        except (NatsError, OSError, TimeoutError, ValueError) as error:
            await client.close()
            raise self._unreachable(self._last_error or _text_of(error)) from error
        if not client.is_connected:
            # The client takes a connection that ends during its handshake for one that works.
            await client.close()
            raise self._unreachable(self._last_error or "the server closed the connection")
        client.options["max_reconnect_attempts"] = -1
        self._last_error = ""
        return client

    def _unreachable(self, text: str) -> TransportUnreachable:
        servers = ", ".join(self.form.servers)
        return TransportUnreachable(
            f"{servers}: cannot connect to NATS\n  found:  {text}\n  remedy: {_remedy(text)}"
        )

    def _context(self) -> ssl.SSLContext | None:
        """Return the TLS context; None: no TLS, unless a server insists. Raises OSError."""
        secure = any(url.startswith("tls://") for url in self.form.servers)
        given = self._tls != NO_FILES
        return client_context(self._tls, protocol="") if secure or given else None

    async def _on_error(self, error: Exception) -> None:
        if not _is_refusal(self._last_error):
            self._last_error = _text_of(error)

    async def _find_stream(self, client: Client) -> None:
        """Raise TransportUnreachable unless a stream takes the subject.

        Where the account may not ask, the first message shows it.
        """
        subject = self.form.subject
        try:
            found = await client.jetstream(timeout=_CONNECT_S).find_stream_name_by_subject(subject)
        except NotFoundError as error:
            name = self.form.stream or "EVENTS"
            raise TransportUnreachable(
                f"ingest.subject: no stream takes messages on {subject}\n"
                f"  remedy: create one, as by `nats stream add {name} --subjects '{subject}'`, or "
                "correct the subject"
            ) from error
        except ServiceUnavailableError as error:
            raise TransportUnreachable(
                f"{', '.join(self.form.servers)}: the server has no JetStream: {_text_of(error)}\n"
                "  remedy: enable it (`nats-server -js`): without it no message is acknowledged"
            ) from error
        except (APIError, NatsError, TimeoutError):
            return
        if self.form.stream and found != self.form.stream:
            raise TransportUnreachable(
                f"ingest.stream: {subject} belongs to the stream {found}, not to "
                f"{self.form.stream}\n  remedy: correct the stream or the subject"
            )


def _text_of(error: BaseException) -> str:
    """Return the message of an error, without the client's own prefix."""
    if isinstance(error, TimeoutError):
        return f"no response within {_CONNECT_S:g} s"
    text = foreign_text(str(error)).removeprefix("nats: ").strip("'\" ")
    return text or type(error).__name__


def _is_refusal(text: str) -> bool:
    """Return whether an error is about who connects."""
    return "uthorization" in text or "uthentication" in text


def _remedy(text: str) -> str:
    credentials = "correct user, password, token or credentials of [ingest]"
    if _is_refusal(text):
        return credentials
    if "reset" in text or "closed" in text:
        # A server that refuses credentials can close the connection before its words are read.
        return f"see the server's log, or {credentials}"
    return "start the server, or correct ingest.servers"
