"""Restarting the embedded reference by a command, as a target file asks for it.

The run listens on a socket file in its folder; `python -m trueup.scenarios.embedded.restart
SOCKET` knocks there
and ends once the reference answers again. So the restart of level 4 works for the embedded
reference just as for any other target: through a program named in the target file.
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
    """Call `restart` for every knock; gives the socket file to knock at."""
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        door = Path(folder) / "restart"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(door))
            listener.listen(4)
            porter = threading.Thread(target=_serve, args=(listener, restart), daemon=True)
            porter.start()
            try:
                yield door
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                porter.join(LIMIT_S)


def _serve(listener: socket.socket, restart: Callable[[], None]) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return
        with visitor:
            try:
                restart()
                answer = _DONE
            except Exception as error:
                answer = str(error).encode()
            with contextlib.suppress(OSError):
                visitor.sendall(answer)


def request_restart(door: Path) -> str:
    """Ask for a restart and wait for it. Gives "" when done, else what went wrong."""
    try:
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(LIMIT_S)
            visitor.connect(os.fspath(door))
            answer = visitor.recv(65536)
    except OSError as error:
        return f"{door}: nobody answers: {error}"
    return "" if answer == _DONE else answer.decode(errors="replace") or "no answer"


if __name__ == "__main__":
    if trouble := request_restart(Path(sys.argv[1])):
        sys.exit(trouble)
