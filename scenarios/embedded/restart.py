"""Restarting the embedded reference by a command, as a target file asks for it.

The run listens on a Unix socket; `python -m trueup.scenarios.embedded.restart SOCKET` connects to
it and ends once the reference responds again. So the embedded reference is restarted as any other
target is: by a program that its target file names.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["request_restart", "restart_socket"]

LIMIT_S: Final = 60.0
_DONE: Final = b"ok"


@contextlib.contextmanager
def restart_socket(restart: Callable[[], None]) -> Iterator[Path]:
    """Call `restart` for every connection; yields the path of the socket."""
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        path = Path(folder) / "restart"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(4)
            thread = threading.Thread(target=_serve, args=(listener, restart), daemon=True)
            thread.start()
            try:
                yield path
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(LIMIT_S)


def _serve(listener: socket.socket, restart: Callable[[], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                restart()
                response = _DONE
            except Exception as error:
                response = str(error).encode()
            with contextlib.suppress(OSError):
                connection.sendall(response)


def request_restart(path: Path) -> str:
    """Request a restart and wait for it. Returns "" when done, else what went wrong."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT_S)
            connection.connect(os.fspath(path))
            response = connection.recv(65536)
    except OSError as error:
        return f"{path}: cannot connect: {error}"
    return "" if response == _DONE else response.decode(errors="replace") or "no response"


if __name__ == "__main__":
    if trouble := request_restart(Path(sys.argv[1])):
        sys.exit(trouble)
