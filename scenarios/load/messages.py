"""What travels between us and the generators: the plan down, reports up. Values and their JSON.

The plan holds header values, which may be keys: it is handed over in memory, never on a disk, and
to workers it goes over Locust's own connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trueup.reports.journal.records import FleetDeclared, OutcomeRange, ReplayDeclared
from trueup.reports.journal.redaction import Redactor
from trueup.reports.transport.credentials import Credentials
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.proxied.clients import ProxiedForm
from trueup.simulator.delivery import HttpForm, TransportForm
from trueup.simulator.reactor import Second

__all__ = [
    "GeneratorPlan",
    "GeneratorSummary",
    "Line",
    "ReadsFrom",
    "Report",
    "Reserved",
    "batch_of",
    "decode_plan",
    "encode",
    "write_line",
]


def batch_of(plan: LoadPlan, form: HttpForm | TransportForm | ProxiedForm) -> int:
    """Return the events of one request, or message, of a plan in a form."""
    return 1 if form.one_by_one else plan.requests.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadsFrom:
    """Where the plan's read paths stand, and the keys to read with."""

    url: str
    """Base URL and prefix, without a slash at the end."""
    headers: Mapping[str, str]
    unix_socket: str = ""
    """UNIX socket of the server; empty: TCP."""
    credentials: Credentials | None = None


class GeneratorPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a generator needs."""

    plan: LoadPlan
    form: HttpForm | None = None
    """How the load goes in over HTTP; None: through `transport` or `proxied`."""
    transport: TransportForm | None = None
    proxied: ProxiedForm | None = None
    """Clients that send requests through proxies, which report them."""
    fleet: FleetDeclared | None
    """None: ready bodies, for calibration; the target does not count them."""
    replay: ReplayDeclared | None = None
    """A log whose events are sent instead of a fleet's."""
    replay_folder: str = ""
    """Where its recording is."""
    first_event: int = 0
    """Number of the fleet's first event in this run."""
    reads: ReadsFrom | None = None
    """Where the plan's read paths stand. Tokens come by a `TokenFeed`."""
    cpu: int | None = None
    """Pin the generator to this core."""

    @property
    def over_http(self) -> HttpForm:
        """Return how the load goes in over HTTP; there must be such a form."""
        assert self.form is not None, "this load goes through a transport or proxies"
        return self.form

    @property
    def not_over_http(self) -> TransportForm | ProxiedForm | None:
        """Return how the load goes in where it does not go in over HTTP."""
        return self.transport or self.proxied

    @property
    def batch(self) -> int:
        """Return the events of one request, or message."""
        return batch_of(self.plan, self.not_over_http or self.over_http)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the keys to strike from whatever is written."""
        if (other := self.not_over_http) is not None:
            return other.secrets
        return self.over_http.response_rule.secrets

    @property
    def host(self) -> str:
        """Return the address that is loaded, for Locust to show."""
        if (other := self.not_over_http) is not None:
            return other.name
        return "/".join(self.over_http.url.split("/")[:3])


class GeneratorSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last report of a generator: everything it sent is now accounted for."""

    busy_share: float
    cpu_s: float
    elapsed_s: float
    events: int
    """Events that its reports speak of, all together: fewer arrived if a report was lost."""
    ended_s: float = 0.0
    """When it stopped to send anything fresh, in seconds from its start."""
    starved_share: float = 0.0
    """Share of the time in which its loop had work and no processor."""
    backlog_most: int = 0
    unsent: int = 0
    stopped_by: str = ""
    no_access: bool = False
    """It stopped because the target refused the credentials."""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="report"):
    """Finished seconds and settled ranges of one request stream of one worker."""

    worker: int
    lane: str
    seconds: tuple[Second, ...] = ()
    ranges: tuple[OutcomeRange, ...] = ()
    final: GeneratorSummary | None = None


class Reserved(msgspec.Struct, frozen=True, kw_only=True, tag="announced"):
    """Event ranges (first, count) that a worker may send from now on."""

    worker: int
    ranges: tuple[tuple[int, int], ...]


Line = Reserved | Report

_ENCODER: Final = msgspec.json.Encoder(
    enc_hook=lambda value: dict(value) if isinstance(value, Mapping) else _refuse(value)
)


def _refuse(value: object) -> Any:
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def encode(value: GeneratorPlan | Line) -> bytes:
    """Return one line of JSON without its end."""
    return _ENCODER.encode(value)


def write_line(out: int, line: Line, redactor: Redactor) -> None:
    """Write a line to a file's descriptor, all of it: a disk that is nearly full takes a part, and
    then none. Keys are replaced before. Raises OSError."""
    data = redactor.line(encode(line)) + b"\n"
    while data:
        data = data[os.write(out, data) :]


def decode_plan(data: bytes) -> GeneratorPlan:
    """Return the plan as a generator reads it."""
    return msgspec.json.decode(data, type=GeneratorPlan)
