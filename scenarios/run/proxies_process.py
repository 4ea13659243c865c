"""The fleet's proxies as a child process, `trueup proxies`, which can be killed and started again.

Its usage goes to the run's target; what it counts and delivers is read from its files of records.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from trueup.conformance.target.load import outside_hosts
from trueup.conformance.target.model import Target
from trueup.scenarios.embedded.process import die_with_parent
from trueup.scenarios.errors import CouldNotTell, OwnError
from trueup.scenarios.proxied.plan import ProxiedPlan
from trueup.simulator.fleet import Fleet
from trueup.simulator.proxies import (
    KilledAt,
    ProxyAddress,
    ProxyRecord,
    RecoveredRecord,
    UsageRecord,
    read_proxy_records,
)

__all__ = ["ProxiesProcess", "all_proxy_records"]

_START_S: Final = 60.0
_FLUSH_S: Final = 30.0
"""How long the last delivery may take."""
_STOP_S: Final = 60.0
_LINE_MAX: Final = 1 << 26
_RECORDS: Final = "proxies-{}.ndjson"
_LOG: Final = "proxies.log"
_SPOOL: Final = "spool"
_ENDED_WELL: Final = (0, 2)
"""Exit statuses: 2 where some usage was refused, which the records show."""


class _Listening(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy as `trueup proxies --json` announces it."""

    network: str
    customer_id: int | None
    host: str
    http_port: int
    socks_port: int

    def address(self) -> ProxyAddress:
        return ProxyAddress(
            network=self.network,
            customer_id=self.customer_id,
            host=self.host,
            http_port=self.http_port,
            socks_port=self.socks_port,
        )


class _Announcement(msgspec.Struct, frozen=True, kw_only=True):
    proxies: tuple[_Listening, ...]


@dataclass(slots=True, kw_only=True)
class ProxiesProcess:
    """The proxies of a fleet. Start them, and stop or end them."""

    fleet: Fleet
    profile: str
    """Name or file of the fleet's profile."""
    plan: ProxiedPlan
    target: Target
    environment: Mapping[str, str]
    """Further variables: the keys of the target, where this process does not have them."""
    folder: Path
    """Where spool, records and messages go."""
    origin: str
    """Host and port to which all requests lead."""
    clock_ahead_s: float = 0.0
    clock_starts: datetime | None = None
    """Time of the first request by the proxies' clock, UTC; None: `clock_ahead_s` sets it."""
    addresses: tuple[ProxyAddress, ...] = ()
    kills: list[KilledAt] = field(default_factory=list)
    _port: int = 0
    _child: asyncio.subprocess.Process | None = None
    _starts: int = 0

    async def start(self) -> None:
        """Start the proxies and wait until they listen. Raises OwnError where they do not."""
        self._port = self._port or _free_port()
        self._starts += 1
        with (self.folder / _LOG).open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environment},
                limit=_LINE_MAX,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        assert self._child.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                line = await self._child.stdout.readline()
        try:
            announced = msgspec.json.decode(line, type=_Announcement)
        except msgspec.MsgspecError as error:
            await self.end()
            raise OwnError(f"the proxies did not start: {self._last_message()}") from error
        self.addresses = tuple(each.address() for each in announced.proxies)

    async def restart(self) -> None:
        """Kill the proxies and start them again at the same addresses, with the same spool."""
        assert self._child is not None
        before = time.monotonic()
        self._child.kill()
        await self._child.wait()
        self.kills.append(KilledAt(before_s=before, after_s=time.monotonic()))
        await self.start()

    async def stop(self) -> None:
        """End the proxies in order, when they have delivered their usage.

        Raises OwnError where they failed, CouldNotTell where the target did not take their usage.
        """
        assert self._child is not None
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._child.wait()
        status = self._child.returncode
        await self.end()
        if status not in _ENDED_WELL:
            raise OwnError(f"the proxies ended with status {status}: {self._last_message()}")
        if any((self.folder / _SPOOL).glob("*.ndjson")):
            raise CouldNotTell(
                f"{self.target.path}: not all usage of the proxies could be delivered: "
                f"{self._last_message()}"
            )

    async def end(self) -> None:
        """End the proxies at once, if they run."""
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    def _command(self) -> Sequence[str]:
        fleet, plan = self.fleet, self.plan
        options: dict[str, Any] = {
            "seed": fleet.seed,
            "profile": self.profile,
            "customers": ",".join(map(str, fleet.customers)),
            "namespace": fleet.namespace,
            "proxies": plan.static_proxies,
            "port": self._port,
            "behaviour": plan.behaviour,
            "delay-factor": plan.delay_factor,
            "counting": plan.counting,
            "origin": self.origin,
            "target": self.target.path,
            "spool": self.folder / _SPOOL,
            "records": self.folder / _RECORDS.format(self._starts),
            "checkpoint-s": plan.checkpoint_s,
            "report-every-s": plan.report_every_s,
            "flush-s": _FLUSH_S,
            **self._clock(),
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        flags += [f"--allow-host={host}" for host in outside_hosts(self.target)]
        return [sys.executable, "-P", "-m", "trueup", "proxies", "--json", *flags]

    def _clock(self) -> dict[str, str | float]:
        """Return the options of the proxies' clock, which goes on over a restart."""
        if self.clock_starts is None:
            return {"clock-ahead-s": self.clock_ahead_s}
        known = (r for r in all_proxy_records(self.folder) if isinstance(r, ProxyRecord))
        first_s = min((record.request.began_s for record in known), default=None)
        if first_s is None:
            return {"clock-starts": f"{self.clock_starts:%Y-%m-%d %H:%M:%S}"}
        first = datetime.now(UTC) - timedelta(seconds=time.monotonic() - first_s)
        return {"clock-ahead-s": (self.clock_starts - first).total_seconds()}

    def _last_message(self) -> str:
        text = (self.folder / _LOG).read_text(encoding="utf-8", errors="replace").strip()
        return text.splitlines()[-1] if text else "no message"


def all_proxy_records(
    folder: Path,
) -> Iterator[ProxyRecord | RecoveredRecord | UsageRecord]:
    """Yield what all processes wrote down. Raises OSError, msgspec.MsgspecError."""
    for path in sorted(folder.glob(_RECORDS.format("*"))):
        yield from read_proxy_records(path)


def _free_port() -> int:
    """Return a port that nothing listens on; each proxy has it at an address of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
