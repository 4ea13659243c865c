"""Squid and Dante, started for a test with logs of their own; Debian has both (`make tools`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "word-of-kim"
USER = "kim"
ADDRESS = "127.96.0.77"
"""Address of the client that Dante knows its user by."""
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_HELPERS = ("/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid", "/usr/local/libexec/squid")
_START_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A proxy that runs, and its log."""

    port: int
    log: Path


def found(program: str) -> str:
    """Return the path of a program; skips the test where it is not installed."""
    path = shutil.which(program, path=_PATH)
    if path is None:
        pytest.skip(f"{program} is not installed: make tools installs it on Debian")
    return path


@contextlib.contextmanager
def running_squid(log_options: str) -> Iterator[Peer]:
    """Run Squid with users by password; `log_options` name its `access_log` `{log}`."""
    program = found("squid")
    helper = shutil.which("basic_ncsa_auth", path=os.pathsep.join(_HELPERS))
    if helper is None:
        pytest.skip("Squid's helper basic_ncsa_auth is not installed")
    with _folder() as folder:
        log, port = folder / "access.log", _free_port()
        digest = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()
        (folder / "users").write_text(f"{USER}:{digest}\n")
        (folder / "squid.conf").write_text(
            f"http_port 127.0.0.1:{port}\n"
            f"pid_filename {folder}/squid.pid\n"
            f"cache_log {folder}/cache.log\n"
            f"coredump_dir {folder}\n"
            "cache deny all\n"
            "pinger_enable off\n"
            "shutdown_lifetime 0 seconds\n"
            f"auth_param basic program {helper} {folder}/users\n"
            "acl known proxy_auth REQUIRED\n"
            "acl here dst 127.0.0.0/8\n"
            "http_access deny !here\n"
            "http_access allow known\n"
            "http_access deny all\n"
            f"{log_options.format(log=log)}\n"
        )
        with _running([program, "-N", "-f", str(folder / "squid.conf")], port, folder):
            yield Peer(port=port, log=log)


@contextlib.contextmanager
def running_dante() -> Iterator[Peer]:
    """Run Dante as a SOCKS5 server that asks for no user name."""
    program = found("danted")
    with _folder() as folder:
        log, port = folder / "dante.log", _free_port()
        (folder / "danted.conf").write_text(
            f"logoutput: {log}\n"
            f"internal: 127.0.0.1 port = {port}\n"
            "external: lo\n"
            "clientmethod: none\n"
            "socksmethod: none\n"
            "client pass { from: 127.0.0.0/8 to: 0/0 }\n"
            "socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 log: disconnect }\n"
        )
        command = [program, "-f", str(folder / "danted.conf"), "-p", str(folder / "pid")]
        with _running(command, port, folder):
            yield Peer(port=port, log=log)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that a server may use which gives its rights up."""
    with tempfile.TemporaryDirectory(prefix="trueup-peer-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until = time.monotonic() + _START_S
        while not _listens(port):
            assert child.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < until, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(_START_S)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
