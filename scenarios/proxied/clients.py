"""Clients of proxies as a transport of the load: each event of the fleet is sent as its request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from trueup.reports.event_format import BodyForm, EventFormat
from trueup.reports.journal.records import FleetDeclared
from trueup.reports.results import Outcome
from trueup.simulator.delivery import BatchOutcome
from trueup.simulator.fleet import Fleet
from trueup.simulator.proxies import (
    ClientEnd,
    ClientRecord,
    ProxyAddress,
    ProxyClient,
    RecordFile,
    RequestShape,
    UserNameSyntax,
    fleet_users,
    planned_request,
    read_client_records,
)

__all__ = ["ProxiedClients", "ProxiedForm", "all_client_records"]

_FILE: Final = "clients-{}.ndjson"
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedForm:
    """What clients need to send a fleet's requests through its proxies."""

    proxies: tuple[ProxyAddress, ...]
    shape: RequestShape
    folder: str
    """Where each process writes what its clients counted."""
    timeout_s: float = 60.0
    connect_s: float = 30.0
    """How long proxies that refuse connections are tried again: they may be restarted."""

    @property
    def name(self) -> str:
        """Return what a load through it is called."""
        return "proxies"

    @property
    def one_by_one(self) -> bool:
        """Return that a request is one event."""
        return True

    @property
    def format(self) -> EventFormat:
        """Return the form of the events from which requests are planned."""
        return EventFormat(form=BodyForm.JSON_OBJECT)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return no keys: the users of the fleet are made for the run."""
        return ()

    def records(self, worker: int) -> Path:
        """Return the file of one process."""
        return Path(self.folder) / _FILE.format(worker)

    def client(self, on_end: Callable[[ClientRecord], None]) -> ProxyClient:
        """Return a client; `on_end` is called with each request that has ended."""
        return ProxyClient(
            proxies=self.proxies,
            syntax=UserNameSyntax(),
            on_end=on_end,
            timeout_s=self.timeout_s,
            connect_s=self.connect_s,
        )


def all_client_records(folder: Path) -> Iterator[ClientRecord]:
    """Yield what the clients of all processes counted. Raises OSError, msgspec.MsgspecError."""
    for path in sorted(folder.glob(_FILE.format("*"))):
        yield from read_client_records(path)


class ProxiedClients:
    """Sends requests of a fleet's events; implements `Transport`."""

    def __init__(self, form: ProxiedForm, declared: FleetDeclared, *, worker: int) -> None:
        """`worker` numbers this process. Raises OSError where its records cannot be written."""
        self._fleet = Fleet.from_identity(declared)
        self._users = {user.name: user for user in fleet_users(self._fleet)}
        self._shape = form.shape
        self._file = RecordFile(form.records(worker))
        self._client = form.client(self._file.write)

    async def check(self) -> None:
        """Do nothing: a proxy that does not listen is tried again when it is needed."""

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Send the request of one event, a line of JSON; return how it ended."""
        assert count == 1, "one event is one request"
        row = _DECODE(body)
        number = self._fleet.position(row["log_id"]) or 0
        request = planned_request(
            row, number, self._users, shape=self._shape, seed=self._fleet.seed
        )
        try:
            record = await self._client.send(request)
        except OSError as error:
            why = f"the proxy cannot be connected to: {error.strerror or error}"
            return BatchOutcome.of(1, Outcome.REFUSED, why)
        if not record.reason:
            return BatchOutcome.of(1, Outcome.ACCEPTED)
        refused = record.end is ClientEnd.REFUSED
        return BatchOutcome.of(1, Outcome.REFUSED if refused else Outcome.UNKNOWN, record.reason)

    async def close(self) -> None:
        """Close the file of records."""
        self._file.close()
