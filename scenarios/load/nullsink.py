"""The null sink: takes requests and stores nothing, so that the generator alone is measured.

nginx where it is installed, on a free port of the loopback with a configuration of its own;
otherwise a small epoll server of ours: `limit` says which one it was. Ours is slower than nginx
with small requests, and needs far less of a processor with large ones, because it has the kernel
throw bodies away unread (MSG_TRUNC). Run as a module it is that server.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trueup.scenarios.embedded.process import die_with_parent, stop
from trueup.scenarios.errors import OwnError

__all__ = ["NullSink", "null_sink"]

_START_S: Final = 10.0
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_HEAD: Final = 4_096
"""Bytes read of a request before the rest of its body is thrown away."""
_CONF: Final = """worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 4m;
  client_max_body_size 64m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NullSink:
    """A running sink."""

    url: str
    kind: str
    """`nginx` or `own`."""
    limit: str
    """In words, what it is the measure of."""
    pid: int


@contextlib.contextmanager
def null_sink(*, cpu: int | None = None, own: bool = False) -> Iterator[NullSink]:
    """Start a null sink for a `with` block and yield it; it is pinned to core `cpu` if given.

    Raises OwnError when it does not come up.
    """
    nginx = None if own else shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        probe.close()
        if nginx is not None:
            conf = Path(folder) / "nginx.conf"
            conf.write_text(_CONF.format(folder=folder, port=port), encoding="utf-8")
            Path(folder).chmod(0o755)
            command = [nginx, "-e", f"{folder}/error.log", "-c", str(conf)]
        else:
            command = [sys.executable, "-m", "trueup.scenarios.load.nullsink", str(port)]

        def before() -> None:
            die_with_parent()
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})

        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=before,
        )
        try:
            _await(child, port)
            yield NullSink(
                url=f"http://127.0.0.1:{port}/ingest",
                kind="nginx" if nginx else "own",
                limit="one core of nginx" if nginx else "one core of our own epoll server",
                pid=child.pid,
            )
        finally:
            stop(child)


def _await(child: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise OwnError(f"the null sink `{child.args!r}` did not come up on port {port}")


def _serve(port: int) -> None:
    """Respond to everything with 204. Reads heads and lengths, skips bodies."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    open_now: dict[int, socket.socket] = {}
    left: dict[int, int] = {}
    heads: dict[int, bytes] = {}
    bin_ = bytearray(4 << 20)
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                connection, _address = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_now[connection.fileno()] = connection
                left[connection.fileno()], heads[connection.fileno()] = 0, b""
                poller.register(connection.fileno(), select.EPOLLIN)
                continue
            connection = open_now[fd]
            try:
                if left[fd]:
                    dropped = connection.recv_into(bin_, min(left[fd], len(bin_)), socket.MSG_TRUNC)
                    if not dropped:
                        raise ConnectionResetError
                    left[fd] -= dropped
                    if not left[fd]:
                        connection.send(_ANSWER)
                    continue
                data = connection.recv(_HEAD)
                if not data:
                    raise ConnectionResetError
                left[fd], heads[fd], done = _skip(0, heads[fd], data)
                if done:
                    connection.send(_ANSWER * done)
            except BlockingIOError:
                continue
            except OSError:
                open_now.pop(fd).close()


def _skip(left: int, head: bytes, data: bytes) -> tuple[int, bytes, int]:
    """(bytes of body still to come, bytes of a head so far, requests that are whole now)."""
    if left:
        if len(data) < left:
            return left - len(data), b"", 0
        data = data[left:]
        rest = _skip(0, b"", data) if data else (0, b"", 0)
        return rest[0], rest[1], rest[2] + 1
    data = head + data
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0, data, 0
    at = data.lower().find(b"content-length:", 0, end)
    length = int(data[at + 15 : data.find(b"\r\n", at)]) if at >= 0 else 0
    body = len(data) - end - 4
    if body < length:
        return length - body, b"", 0
    rest = _skip(0, b"", data[end + 4 + length :]) if body > length else (0, b"", 0)
    return rest[0], rest[1], rest[2] + 1


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
