"""The embedded reference, started as a child process and reached over HTTP like any other target.

This is the only place that knows how it is started. It never imports it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import msgspec

from trueup.scenarios.errors import OwnError, UsageProblem

__all__ = [
    "EmbeddedReference",
    "Serving",
    "ServingTenant",
    "die_with_parent",
    "embedded_reference",
    "end_as_interrupted",
    "start_reference",
    "stop",
]

START_LIMIT_S: Final = 30.0
STOP_LIMIT_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class ServingTenant(msgspec.Struct, frozen=True, kw_only=True):
    public_key: str
    private_key: str
    customer_id: int


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a started reference says of itself, on one line."""

    url: str
    ingest_url: str
    tenants: tuple[ServingTenant, ...]
    control_url: str | None = None
    control_key: str | None = None
    ingest_key: str | None = None


def die_with_parent() -> None:
    """Prepare a child process: it ends when its parent does, and SIGINT can end it.

    A shell has background commands ignore SIGINT, and children inherit that: they would not end
    when asked to. That a child ends with its parent works on Linux only.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_as_interrupted() -> None:
    """Let SIGTERM end this process as Ctrl-C does: children stopped, journal sealed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def start_reference(
    *, data: Path | None = None, options: Sequence[str] = (), errors: IO[bytes] | None = None
) -> tuple[subprocess.Popen[bytes], Serving]:
    """Start the reference on a free loopback port and return it once it states its address.

    `options` are further flags of `python -m trueup.reference serve`. What it prints on its
    standard
    error goes to `errors`. Raises UsageProblem when it refuses the flags (its exit status 4),
    OwnError when it does not come up.
    """
    command = [sys.executable, "-m", "trueup.reference", "serve", "--port", "0", "--json", *options]
    if data is not None:
        command += ["--data", str(data)]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if errors is None else errors,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        line = _first_line(child)
        return child, msgspec.json.decode(line, type=Serving)
    except BaseException as error:
        stop(child)
        if isinstance(error, msgspec.MsgspecError):
            raise OwnError(f"unexpected output of the embedded reference: {error}") from error
        raise


def _first_line(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    until = time.monotonic() + START_LIMIT_S
    line = b""
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        ready, _, _ = select.select([child.stdout], [], [], max(left, 0))
        if not ready:
            raise OwnError(f"the embedded reference did not come up within {START_LIMIT_S:.0f} s")
        got = os.read(child.stdout.fileno(), 65536)
        if not got:
            said = child.stderr.read().decode(errors="replace").strip() if child.stderr else ""
            status = child.wait(STOP_LIMIT_S)
            kind = UsageProblem if status == 4 else OwnError
            raise kind(f"the embedded reference ended with status {status}: {said or 'no message'}")
        line += got
    return line


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the child: politely, then for certain."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


class EmbeddedReference:
    """A reference that can be killed and started again at the same address.

    Its data outlive a restart where `data` is a folder. Not for use from two threads at once,
    except `restart`, which is guarded.
    """

    def __init__(self, *, data: Path | None = None, options: Sequence[str] = ()) -> None:
        self._data = data
        self._options = tuple(options)
        self._guard = threading.Lock()
        self._child, self.serving = start_reference(data=data, options=options)

    @property
    def pid(self) -> int:
        return self._child.pid

    def restart(self) -> None:
        """Kill it and start it again on the same port with the same data."""
        port = urlsplit(self.serving.url).port
        with self._guard:
            self._child.kill()
            stop(self._child)
            self._child, again = start_reference(
                data=self._data, options=(*self._options, "--port", str(port))
            )
        if again.tenants != self.serving.tenants:
            raise OwnError("the embedded reference forgot its tenants over a restart")
        self.serving = again

    def stop(self) -> None:
        with self._guard:
            stop(self._child)


@contextlib.contextmanager
def embedded_reference(
    *, data: Path | None = None, options: Sequence[str] = ()
) -> Iterator[EmbeddedReference]:
    """Start a reference for a `with` block and yield it."""
    reference = EmbeddedReference(data=data, options=options)
    try:
        yield reference
    finally:
        reference.stop()
