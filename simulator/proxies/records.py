"""What each place writes down of a proxied request, so that places can be compared. Values only.

A file of records is JSON lines. Lines are written at once, so that they outlive a killed process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import msgspec

from trueup.reports.results import Json, Outcome
from trueup.simulator.origin import OriginConnection

__all__ = [
    "ClientEnd",
    "ClientRecord",
    "OpenRequest",
    "ProxyRecord",
    "RecordFile",
    "RecoveredRecord",
    "UsageRecord",
    "read_client_records",
    "read_connections",
    "read_proxy_records",
]


class ClientEnd(StrEnum):
    """How a request ended, as its client saw it."""

    COMPLETE = "complete"
    REFUSED = "refused"
    """The proxy responded itself: refused or failed."""
    BROKEN = "broken"
    """The connection ended before the response was complete."""
    ABORTED = "aborted"
    """The client ended the connection, as planned."""
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    """The client was stopped."""


class ClientRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request as its client counted it. Times are of this machine's monotonic clock."""

    id: str
    """The request to the origin has it in its target."""
    network: str
    customer_id: int
    client: str
    """Address and port of the client."""
    proxy: str
    """Address and port of the proxy."""
    began_s: float
    ended_s: float
    handshake_up: int
    """Bytes sent that are not relayed; up is from the client to the proxy."""
    handshake_down: int
    up: int
    down: int
    end: ClientEnd
    reason: str = ""
    """Why it did not end as planned; empty where it did."""


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which request an open usage event belongs to: kept beside it in a spool."""

    network: str
    customer_id: int | None
    client: str
    proxy: str
    began_s: float
    log_ids: tuple[str, ...] = ()
    """Usage events of the same request that were reported before, in parts."""


class ProxyRecord(msgspec.Struct, frozen=True, kw_only=True, tag="request"):
    """One request that has ended, as the proxy counted it."""

    request: OpenRequest
    """Its `log_ids` are all usage events of the request."""
    state: str
    """The final `RequestState`."""
    error: str | None
    handshake_up: int
    handshake_down: int
    up: int
    down: int
    origin_up: int
    origin_down: int
    origin_address: str
    """Address and port from which the proxy connected to the origin; empty: it did not."""


class RecoveredRecord(msgspec.Struct, frozen=True, kw_only=True, tag="recovered"):
    """A request that was open when the process before was killed."""

    request: OpenRequest
    """Its `log_ids` are all usage events of the request; the last one has the bytes of the last
    checkpoint."""


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, tag="usage"):
    """A usage event that was delivered to a target, or given up."""

    event: dict[str, Json]
    outcome: Outcome
    reason: str = ""


_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE_CONNECTION: Final = msgspec.json.Decoder(OriginConnection).decode
_DECODE_CLIENT: Final = msgspec.json.Decoder(ClientRecord).decode
_DECODE_PROXY: Final = msgspec.json.Decoder(ProxyRecord | RecoveredRecord | UsageRecord).decode


class RecordFile:
    """A file to which records are appended."""

    def __init__(self, path: Path) -> None:
        """Create or continue the file. Raises OSError."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, record: msgspec.Struct) -> None:
        """Append a record. Raises OSError."""
        data = _ENCODE(record) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_client_records(path: Path) -> Iterator[ClientRecord]:
    """Yield the records of clients in a file. Raises OSError, msgspec.MsgspecError."""
    return map(_DECODE_CLIENT, _lines(path))


def read_proxy_records(path: Path) -> Iterator[ProxyRecord | RecoveredRecord | UsageRecord]:
    """Yield the records of proxies in a file. Raises OSError, msgspec.MsgspecError."""
    return map(_DECODE_PROXY, _lines(path))


def read_connections(path: Path) -> Iterator[OriginConnection]:
    """Yield what an origin wrote into a file. Raises OSError, msgspec.MsgspecError."""
    return map(_DECODE_CONNECTION, _lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines that are complete: a killed process leaves at most one that is not."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
