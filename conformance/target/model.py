"""The implementation under test as frozen values. No file or network access.

Keys are in `Tenant` and in `headers`, which every `repr` leaves out, and together in
`Target.secrets`, from which they are redacted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeAlias

from trueup.reports.event_format import EventFormat, show_time
from trueup.reports.results import Json
from trueup.reports.transport.credentials import NO_FILES, Credentials, TlsFiles
from trueup.reports.transport.redirects import origin_of

__all__ = [
    "Budget",
    "ClockRead",
    "CommandHook",
    "CommandIngest",
    "GraphShape",
    "HookForm",
    "HttpHook",
    "HttpIngest",
    "IngestForm",
    "ProxyAccess",
    "ProxyTraffic",
    "RefusedShape",
    "RowFormat",
    "ShownValues",
    "Target",
    "Tenant",
    "TransportIngest",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """One customer account."""

    public_key: str = field(repr=False)
    private_key: str = field(repr=False)
    credentials: Credentials | None = None
    """What its requests carry besides the keys."""
    customer_id: int | None = None
    """None: not declared. Events can then be injected only if the API returns it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedShape:
    """Where a response of the ingestion endpoint lists refused events."""

    list: str
    """Dotted path to the list."""
    line: str
    """Key of the event's number within the request."""
    reason: str | None = None
    """Key of the reason; None if there is none."""
    first: int = 1
    """The number of the first event: 1 or 0."""
    count: str | None = None
    """Dotted path to the number of refused events; None if the list has them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpIngest:
    """Ingestion over HTTP."""

    reports_refusals: ClassVar[bool] = True
    """Whether an event that comes back as accepted was accepted by the target itself."""

    url: str
    method: str = "POST"
    format: EventFormat = field(default_factory=EventFormat)
    compression: str = "none"
    """`none`, `gzip` or `zstd`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    event_headers: Mapping[str, str] = field(default_factory=dict)
    """Header → template with fields of the event in braces."""
    credentials: Credentials | None = None
    """A token or a signature besides the headers."""
    batch: int = 500
    """Most events in one request; 1 for a body form that holds one."""
    accepted: str | None = None
    """Dotted path to the number of accepted events; None: 2xx accepts all that are not listed as
    refused."""
    refused: RefusedShape | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandIngest:
    """Ingestion by a program that reads NDJSON; exit status 0 accepts all events."""

    reports_refusals: ClassVar[bool] = False
    argv: tuple[str, ...]
    format: EventFormat = field(default_factory=EventFormat)
    timeout_s: float = 30.0
    batch: int = 500
    """Maximum number of events for one start of the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransportIngest:
    """Ingestion through a message broker, or through a transport of an installed package."""

    reports_refusals: ClassVar[bool] = False
    name: str
    """`nats`, `kafka`, or the name of an installed transport."""
    options: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """The transport's own keys, with values from the environment filled in. May hold secrets."""
    servers: tuple[str, ...] = ()
    """Servers to connect to, as URLs or `HOST:PORT`; also in the options."""
    format: EventFormat = field(default_factory=EventFormat)
    batch: int = 500
    """Most events that the transport gets at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownValues:
    """What a target makes of the values of placeholders."""

    values: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """Placeholder → value of trueup → value at the target."""
    time: str = "space"
    """Time form of `{now}`."""

    def of(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Return the values of a call as the target takes them."""
        return {
            name: show_time(value, self.time)
            if name == "now"
            else self.values.get(name, {}).get(str(value), value)
            for name, value in values.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpHook:
    """A control hook that is one request; it succeeds with 2xx.

    URL, header values and body may contain placeholders: see
    `trueup.conformance.target.placeholders`.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None
    body: Mapping[str, Json] = field(default_factory=dict)
    shown: ShownValues = ShownValues()


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandHook:
    """A control hook that is a program; it succeeds with exit status 0."""

    argv: tuple[str, ...]
    """May contain placeholders, which are filled in as text."""
    timeout_s: float = 30.0
    shown: ShownValues = ShownValues()


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphShape:
    """Where a response of `analytics/graph` contains the points, which the guide leaves open."""

    points: str = "data.points"
    """Dotted path to the list, from the top of the body."""
    time: str = "datetime"
    requests: str = "requests"
    bytes: str = "bytes"


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFormat:
    """Where the rows of a target differ from those of the contract."""

    log_id: str = "log_id"
    """Dotted path to the id which was sent in a log; empty: none has it."""
    times: Mapping[str, str] = field(default_factory=dict)
    """Field of a row → its time form; other fields are in the contract's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many requests may be sent to the target."""

    requests_per_s: float | None = 10.0
    """None: no limit. 10 is the documented limit for a customer."""
    requests: int = 1200
    """Requests in all."""
    minutes: float | None = None
    """Longest time of a whole run; None: 60, and the planned length of a load besides."""
    journal_mb: int = 512
    """Most megabytes of the journal of one run."""


IngestForm: TypeAlias = HttpIngest | CommandIngest | TransportIngest
HookForm: TypeAlias = HttpHook | CommandHook


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockRead:
    """A request or a program that tells the target's time."""

    form: HookForm
    at: str = ""
    """Dotted path to the time in what comes back; empty: all of it."""
    time: str = "space"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyAccess:
    """One proxy of the target, and a user who may use it."""

    network: str
    host: str
    port: int
    protocols: tuple[str, ...]
    """`connect`, `forward`, `socks`."""
    tenant: str
    user: str
    """Name of the user."""
    user_name: str = "{user}"
    """Template of the user name that a client gives: `{user}`, `{session}`."""
    password: str = field(default="", repr=False)
    """Empty: the proxy knows its users by their addresses."""
    proxy_user_id: str
    """Id of the user in the logs."""
    client_address: str = ""
    """Address of this machine from which the client connects; empty: any."""
    country: str = ""
    """Where its requests leave the network, as the logs have it; empty: not declared."""
    city: str = ""
    asn: int | None = None

    @property
    def server(self) -> tuple[str, int]:
        """Host and port of the proxy."""
        return (self.host, self.port)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyTraffic:
    """The target's own proxies, and the origin that requests through them are made to."""

    access: tuple[ProxyAccess, ...]
    hostname: str
    """Template of the names by which the proxies reach the origin; `{n}` is a number."""
    listen: str = "127.0.0.1"
    """Address at which the origin listens, unless hostnames are addresses of this machine."""
    port: int = 0
    """Port of the origin; 0: a free one."""
    ipv6: str = ""
    """IPv6 address at which the origin listens as well and the proxies reach it; empty: none."""
    unreachable: str = ""
    """HOST:PORT that the proxies may try to reach and where nothing listens; empty: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One implementation, and everything that trueup may do with it."""

    name: str
    base_url: str
    """URL including the version, without a slash at its end."""
    unix_socket: str = ""
    """Path of a UNIX socket on which the server of `base_url` listens; empty: it listens on TCP."""
    prefix: str = "/public/user"
    disposable: bool = False
    """Whether runs that name no level may move its clock by months and restart it."""
    tenants: Mapping[str, Tenant]
    """`a`, and `b` if there is a second account."""
    proxies: ProxyTraffic | None = None
    ingest: IngestForm | None = None
    clock: HookForm | None = None
    clock_read: ClockRead | None = None
    maintenance: HookForm | None = None
    money: HookForm | None = None
    restart: HookForm | None = None
    graph: GraphShape = GraphShape()
    rows: RowFormat = RowFormat()
    claims: frozenset[str] = frozenset()
    """Names of the table in `trueup.conformance.contract.claims`."""
    readings: Mapping[str, str] = field(default_factory=dict)
    """Declared readings only, as text: names of the table in
    `trueup.conformance.contract.interpretations`."""
    budget: Budget = Budget()
    tls: TlsFiles = NO_FILES
    """Certificates for TLS connections to any of its servers."""
    timeout_s: float = 10.0
    """Longest wait for one response, in seconds."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Every key, longest first, to be redacted in everything that is written."""
    path: Path
    """The file it was read from."""

    @property
    def unsent(self) -> tuple[str, ...]:
        """Fields of events whose values do not arrive at it, by the mapping."""
        if self.ingest is None:
            return ()
        headers = self.ingest.event_headers if isinstance(self.ingest, HttpIngest) else {}
        return self.ingest.format.unsent(headers.values())

    def socket_of(self, url: str) -> str:
        """Return the UNIX socket through which a URL is reached; empty for TCP."""
        same = self.unix_socket and origin_of(url) == origin_of(self.base_url)
        return self.unix_socket if same else ""
