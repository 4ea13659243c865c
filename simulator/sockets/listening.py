"""Listen on addresses and serve each connection in a task of its own, up to a limit.

A server that has reached its limit, or whose process has no descriptor left, stops accepting for a
moment: further clients wait in the kernel's queue, and those that are served are not disturbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trueup.reports.transport.urls import host_port
from trueup.simulator.errors import ListenError
from trueup.simulator.sockets.counted import CountedSocket

__all__ = [
    "OUT_OF_DESCRIPTORS",
    "ConnectionServer",
    "Handler",
    "Listener",
    "listen",
    "raise_descriptor_limit",
]

_BACKLOG: Final = 1024
_ACCEPTS: Final = 64
"""Connections accepted before other work gets its turn."""
_PAUSE_S: Final = 0.05
"""How long accepting stops at the limit, or where no descriptor is left."""
OUT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a process, or a machine, that cannot open another socket for now."""
_RESERVE: Final = 64
"""Descriptors that are left to files, to deliveries and to the interpreter."""

Handler: TypeAlias = Callable[[CountedSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening socket, and what serves its connections."""

    sock: socket.socket
    handler: Handler

    @property
    def port(self) -> int:
        """Return the port, which the kernel has chosen where none was asked for."""
        port: int = self.sock.getsockname()[1]
        return port


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an IP address; port 0 is a free one.

    Raises ListenError with the address and the remedy.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        raise ListenError(_explain(host, port, error)) from error
    return sock


def _explain(host: str, port: int, error: OSError | OverflowError) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    remedy = {
        errno.EADDRINUSE: "Another program listens there: choose another port, or 0 for a free one",
        errno.EADDRNOTAVAIL: "This machine does not have that address",
        errno.EACCES: "Ports below 1024 need more rights: choose another one",
    }.get(getattr(error, "errno", None) or 0, "Choose another address or port")
    return f"{host_port(host, port)}: cannot listen: {text}. {remedy}."


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open descriptors as far as it may; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


@dataclass(slots=True, kw_only=True)
class ConnectionServer:
    """Accepts connections at several addresses, and runs the handler of each.

    Let it listen, then run it in a task until `stop` is set; or close it.
    """

    connections_max: int = 0
    """Connections served at once; 0: as many as half of the descriptors that the process has."""
    open: int = 0
    accepted: int = 0
    paused: int = 0
    """How often accepting stopped, at the limit or because no descriptor was left."""
    errors: list[Exception] = field(default_factory=list)
    """The first errors of handlers that they should not have raised; at most ten."""
    _listeners: list[Listener] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def listen(self, host: str, port: int, handler: Handler) -> int:
        """Listen on an IP address; port 0 is a free one. Returns the port.

        Raises ListenError where the address cannot be listened on, after closing all listeners.
        """
        try:
            listener = Listener(sock=listen(host, port), handler=handler)
        except ListenError:
            self.close()
            raise
        self._listeners.append(listener)
        return listener.port

    def close(self) -> None:
        """Close the listening sockets. Running ends by `stop` instead."""
        for listener in self._listeners:
            listener.sock.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then close the listeners and cancel what is served.

        Returns once every handler has ended. Raises the first error that a handler should not have
        raised: it is a fault of this program, and did not disturb the others.
        """
        if self.connections_max <= 0:
            self.connections_max = max(1, (raise_descriptor_limit() - _RESERVE) // 2)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            try:
                for listener in self._listeners:
                    self._watch(loop, group, listener)
                await stop.wait()
            finally:
                for listener in self._listeners:
                    if listener.sock.fileno() >= 0:
                        loop.remove_reader(listener.sock)
                self.close()
                for task in tuple(self._tasks):
                    task.cancel()
        if self.errors:
            raise self.errors[0]

    def _watch(
        self, loop: asyncio.AbstractEventLoop, group: asyncio.TaskGroup, listener: Listener
    ) -> None:
        if listener.sock.fileno() >= 0:
            loop.add_reader(listener.sock, self._accept, loop, group, listener)

    def _accept(
        self, loop: asyncio.AbstractEventLoop, group: asyncio.TaskGroup, listener: Listener
    ) -> None:
        for _ in range(_ACCEPTS):
            if self.open >= self.connections_max:
                return self._pause(loop, group, listener)
            try:
                sock, _peer = listener.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return None
            except OSError as error:
                if error.errno not in OUT_OF_DESCRIPTORS:
                    raise
                return self._pause(loop, group, listener)
            self.accepted += 1
            self.open += 1
            task = group.create_task(self._serve(listener.handler, sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return None

    def _pause(
        self, loop: asyncio.AbstractEventLoop, group: asyncio.TaskGroup, listener: Listener
    ) -> None:
        self.paused += 1
        loop.remove_reader(listener.sock)
        loop.call_later(_PAUSE_S, self._watch, loop, group, listener)

    async def _serve(self, handler: Handler, sock: socket.socket) -> None:
        try:
            await handler(CountedSocket(sock))
        except OSError:
            return  # The connection broke: the handler has recorded what it knows.
        except Exception as error:
            if len(self.errors) < 10:
                self.errors.append(error)
        finally:
            self.open -= 1
            sock.close()
