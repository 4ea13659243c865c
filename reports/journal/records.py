"""Record types of the journal: everything that one run did and received.

A record is a frozen value with a tag (`kind`), one line of the journal each. New fields have a
default, so that journals of the same schema stay readable. API keys are redacted before a record is
written.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from trueup.reports.event_format import EventFormat
from trueup.reports.results import (
    CheckResult,
    CoverageRow,
    Json,
    LoadThreshold,
    Outcome,
    Reading,
    TieOut,
)

__all__ = [
    "SCHEMA",
    "CapsulePlanted",
    "ContractDeclared",
    "CoverageSeen",
    "Delivered",
    "EventCounts",
    "Exchange",
    "FleetDeclared",
    "Footer",
    "GeneratorUsage",
    "Header",
    "Hook",
    "IngestDeclared",
    "JudgePlan",
    "KneeInterval",
    "KneeStep",
    "LatencyHistograms",
    "LoadResult",
    "LoadTimeline",
    "MachineNoise",
    "OutcomeRange",
    "Phase",
    "PlannedLoad",
    "ProxiedDeclared",
    "ProxiedRequestSeen",
    "ReadingSeen",
    "Record",
    "ReplayDeclared",
    "RequestCounts",
    "Result",
    "TieOutSeen",
]

SCHEMA: Final = 2
"""Version of these record types."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    pass


class Header(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="header"):
    """First record: what is about to run, and every check that has to report a result."""

    trueup: str
    """Version of trueup."""
    schema: int
    run: str
    """Name of the run, also of its folder."""
    seed: int
    started_at: str
    """UTC, ISO 8601 with a `Z`."""
    scenario: str
    target: str
    base_url: str
    level: int
    checks: tuple[str, ...] = ()
    """Every check declared for this run. One without a result is an error of trueup."""
    command: str = ""
    """Command line that repeats the run, where it was started from a shell."""
    only: tuple[str, ...] = ()
    """Names or laws of the checks that the run was limited to; empty: all of its level."""


class IngestDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="ingest"):
    """How events are sent to the target over HTTP, for scripts that repeat a counter-example."""

    url: str
    method: str = "POST"
    headers: tuple[str, ...] = ()
    """Names of the headers that the target file gives. Their values may be keys and are left out.
    """
    compression: str = "none"
    """`none`, `gzip` or `zstd`."""
    event_headers: dict[str, str] = {}
    """Header → template with fields of the event in braces; a request then has one event."""
    format: EventFormat = EventFormat()


class ContractDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="contract"):
    """The clauses that the run's checks test, so that reports can show what they say."""

    clauses: dict[str, str]
    """Id → sentence."""


class Phase(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="phase"):
    """A phase of the run began or ended."""

    name: str
    state: str
    """`begin`, `end` or `interrupted`."""
    at: str


class FleetDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="fleet"):
    """A fleet with everything that is needed to draw its events again."""

    fleet: str
    """Name that `Delivered.fleet` refers to."""
    profile: str
    profile_sha256: str
    model_version: str
    seed: int
    start: str
    """First time of the fleet, UTC, `YYYY-MM-DD HH:MM:SS`."""
    customers: tuple[int, ...]
    parameters: dict[str, Json] = {}


class ReplayDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="replay"):
    """A log whose events are sent again; its recording is in the run's folder."""

    fleet: str
    """Name that `Delivered.fleet` refers to."""
    log: str
    """Name of the file, without its folder."""
    format: str
    read: int
    refused: int
    """Lines that could not be read."""
    events: int
    """Events to be sent: those that were read, up to the end of the run."""
    without_size: int = 0
    """Of those, events whose log has no size; they are sent with 0 bytes."""
    sha256: str
    """Of the recording."""
    seed: int
    namespace: str
    customers: tuple[int, ...]
    shift_s: int
    """Seconds by which the times of the log are moved."""
    speed: float = 1.0
    kept_names: bool = False

    def text(self) -> str:
        """Return in words what is replayed."""
        facts = [
            f"{self.events:,} of {self.read:,} events of {self.log}",
            f"read as {self.format}",
            f"{self.refused:,} lines refused",
            f"{self.speed:g} times their pace",
            f"times moved by {self.shift_s / 86_400:.2f} days",
            f"names {'kept' if self.kept_names else 'replaced'}",
        ]
        if self.without_size:
            facts.insert(3, f"{self.without_size:,} without a size sent as 0 bytes")
        return ", ".join(facts)


class ProxiedDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="proxied"):
    """Usage events of requests that were sent through proxies; a file in the run's folder has
    them.
    """

    fleet: str
    """Name that `Delivered.fleet` refers to; the outcomes number the lines of the file from 0."""
    events: int
    sha256: str
    """Of the file."""
    customers: tuple[int, ...]
    counting: str
    """Which bytes of a request count as its usage."""
    kills: tuple[tuple[float, float], ...] = ()
    """When the proxies were killed: seconds of this machine's monotonic clock before and after."""


class OutcomeRange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One outcome of the events `first … first+count-1` of a delivery or of a fleet."""

    first: int
    count: int
    outcome: Outcome
    reason: str = ""


class Delivered(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="delivered"):
    """Events delivered to the target: injected by a check (in full) or of a fleet (by number)."""

    source: str
    """`probe`, `fleet`, `proxied` or `load`."""
    outcomes: tuple[OutcomeRange, ...]
    at: str
    check: str = ""
    stage: str = ""
    events: tuple[dict[str, Json], ...] = ()
    """For probes: the events in full; the outcomes number them from 0."""
    fleet: str = ""
    """For fleet, proxied and load: the fleet whose event numbers the outcomes use."""
    attempts: int = 1
    elapsed_ms: float = 0.0


class ProxiedRequestSeen(
    _Record, frozen=True, kw_only=True, omit_defaults=True, tag="proxied-request"
):
    """One request through a proxy of the target: what was asked, what client and origin saw."""

    number: int
    """Number of the request, from 1."""
    case: str
    """Name of its case: see `trueup.conformance.datasets.proxied_requests`."""
    outcome: str
    """How it was to end: `complete`, `cut`, `aborted`, `unreachable` or `refused`."""
    tenant: str
    user: str
    """Id of the proxy user in the logs."""
    network: str
    protocol: str
    """`connect`, `forward` or `socks`."""
    hostname: str
    session: str = ""
    client_address: str = ""
    """Address from which the client connected."""
    country: str = ""
    """Where the target file says that the proxy's requests leave the network; empty: not said."""
    city: str = ""
    asn: int | None = None
    began_at: str
    """Our time, UTC, ISO 8601."""
    ended_at: str
    status: int | None = None
    """Status that the proxy responded with: to CONNECT, or to the forwarded request."""
    error: str = ""
    """Why the client did not get what it was to get; empty if it did."""
    handshake_sent: int = 0
    """Bytes that the client sent before the tunnel was open."""
    handshake_received: int = 0
    sent: int = 0
    """Bytes that the client sent after that; of a forwarded request, all."""
    received: int = 0
    origin_received: int | None = None
    """Bytes of the origin's connections that had requests of it; None where there was none."""
    origin_sent: int | None = None


class Exchange(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="exchange"):
    """One request to the target and its response, redacted."""

    n: int
    """Number of the exchange in this journal, from 1."""
    method: str
    path: str
    """Path below the base URL, without the query."""
    at: str
    query: tuple[tuple[str, str], ...] = ()
    sent_path: str = ""
    """The path as it was sent, where the target has ids of its own for logs; empty: `path`."""
    sent_query: tuple[tuple[str, str], ...] = ()
    """The query as it was sent, beside `sent_path`."""
    tenant: str = ""
    """`a`, `b`, `none` (no keys) or `wrong` (bad keys)."""
    check: str = ""
    """The check that made the request; empty where several share the response."""
    stage: str = ""
    request_body: Json = None
    status: int | None = None
    """None where there was no response; `error` has the reason."""
    error: str = ""
    content_type: str = ""
    headers: dict[str, str] = {}
    body: Json = None
    """The body where it was JSON."""
    body_text: str = ""
    """Start of the body where it was not JSON."""
    elapsed_ms: float = 0.0
    ask: str = ""
    """Name of the request; all pages of one paged result share it."""
    attempt: int = 1
    """Counts repetitions of a request within one stage; the last one is evaluated."""


class Hook(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="hook"):
    """One call of a control hook of the target: clock, maintenance, money or restart."""

    hook: str
    at: str
    request: dict[str, Json] = {}
    response: Json = None
    ok: bool = True
    error: str = ""
    check: str = ""
    stage: str = ""


class JudgePlan(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="judge-plan"):
    """The context in which checks run: with the records that follow, enough to evaluate again."""

    prefix: str
    """Begins every name that the run injects; unique to the run."""
    now: str
    """The target's clock when the run began, UTC, `YYYY-MM-DD HH:MM:SS`."""
    level: int
    customers: dict[str, int] = {}
    """Tenant (`a`, `b`) to customer number, where known."""
    claims: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    """What the target offers: `proxies`, `ingest`, `clock`, `maintenance`, `money`, `restart`."""
    graph: dict[str, str] = {}
    """Where a response has its graph points: `points`, `time`, `requests`, `bytes`."""
    part: str = ""
    """The traffic that is reconciled, one of `Delivered.source`; empty for events of the checks."""
    unsent: tuple[str, ...] = ()
    """Fields of events whose values do not arrive at the target, by its mapping."""
    requests: int = 0
    """Requests that the target allows in total, which bounds the sample of a reconciliation; 0:
    unknown."""


class CapsulePlanted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="capsule"):
    """What follows was sent and read by an earlier run, as its manifest says; then the capsule is
    harvested."""

    at: str
    """Our time when the capsule was planted, UTC, ISO 8601 with a `Z`."""
    now: str
    """The target's time then, UTC, `YYYY-MM-DD HH:MM:SS`."""
    run: str
    """Name of the run that planted it."""
    trueup: str
    """Version of trueup that planted it."""
    sha256: str
    """Digest of the manifest."""
    signature: str
    """`verified`, `not verified` (no key at hand) or `none`."""
    opened_at: str
    """Our time when the harvest began; records of an earlier time are those of the planting."""


class ReadingSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="reading"):
    """An interpretation that was declared or probed."""

    reading: Reading


class TieOutSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="tie-out"):
    """One row of the tie-out table; `part` names the traffic."""

    part: str
    row: TieOut


class CoverageSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="coverage"):
    """Which classes of the contract's dimensions the run reached; rows in the order of the tables.

    A run may write several; a class that any of them reached was reached.
    """

    rows: tuple[CoverageRow, ...]


class PlannedLoad(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was planned."""

    scenario: str
    shape: str
    duration_s: float
    warmup_s: float = 0.0
    rate_rps: float | None = None
    """Requests per second; None where requests are sent as fast as possible."""
    batch: int = 1
    """Events in a request."""
    replay: str = ""
    """What was replayed, in words; empty for a fleet's traffic."""
    malformed_every: int = 0
    """One batch in so many had a malformed line at its end; 0: none."""
    duplicate_every: int = 0
    """One batch in so many was sent twice at the same time; 0: none."""
    digest: str = ""
    """Digest of everything that has to be equal for two runs to be compared."""
    settings: dict[str, str] = {}
    """The same key by key, dotted, with its value as JSON text."""


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Requests by what became of them."""

    completed: int = 0
    """Requests with events that got a response of any status."""
    reads: int = 0
    """Read requests that were mixed in and got a response of any status."""
    errors: dict[str, int] = {}
    """Failed attempts by reason, of requests and reads, retried ones included."""
    unanswered: int = 0
    """Of these, attempts without a complete response, which `completed` and `reads` do not count,
    and freshness probes that were acknowledged and never became visible."""
    unsent: int = 0
    """Planned requests that were never sent: the planned rate was not reached."""
    bytes_sent: int = 0

    @property
    def attempts(self) -> int:
        """Attempts with a response of any status, and without one."""
        return self.completed + self.reads + self.unanswered

    @property
    def failed(self) -> int:
        """Failed attempts, for whatever reason."""
        return sum(self.errors.values())


class EventCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events by outcome."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    correct: int | None = None
    """Events that every view shows correctly; None until reconciled."""


class LatencyHistograms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Distributions of times, nanoseconds. Histograms are sparse: bucket number → count."""

    response_ns: dict[str, int] = {}
    """From the planned time to the response."""
    service_ns: dict[str, int] = {}
    """From the first byte sent to the response."""
    lateness_ns: dict[str, int] = {}
    """Lateness of the generator: from the time at which a request could have been sent (its planned
    time or, if later, the first free connection) to its first byte. Waiting for a connection is
    caused by the target and is part of `response_ns`."""
    freshness_ns: dict[str, int] = {}
    """From the acknowledgement of a freshness probe until a summary shows it."""
    reads_ns: dict[str, int] = {}
    """Of reads that were mixed in: from the planned time to the response."""


class LoadTimeline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a load began, what happened in each second, and why it ended early."""

    began_at: str = ""
    """Time of the run's first second, UTC, ISO 8601, accurate to about a second; empty where
    unknown."""
    seconds: tuple[dict[str, float], ...] = ()
    """One row for each second with a response or an error: t, requests, events, errors, p50_ms,
    p90_ms, p99_ms, p999_ms. For seconds without a row see
    `trueup.reports.metrics.measurement_window`."""
    planned: tuple[tuple[float, float], ...] = ()
    """(Second, requests with events that are due per second from then on), where that changes;
    empty where there is no plan by rate."""
    errors: dict[str, tuple[tuple[int, int], ...]] = {}
    """Reason → (second, failed attempts), of requests and reads; rare reasons share one row."""
    ended_s: float | None = None
    """Seconds from its start to the last request of a run that was cut short; None where it was
    not, or where this is not known."""
    stopped_by: str = ""
    """Why the run ended early; empty where it did not."""
    no_access: bool = False
    """It ended early because the target refused the credentials."""


class GeneratorUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The load generator, and how busy it was."""

    engine: str
    workers: int = 1
    cpu_share: float | None = None
    """Share of the time in which the generator's loop was not waiting; the busiest worker's."""
    cpu_s: float | None = None
    """Processor time of all generators, user and system, for the whole run."""
    limited: bool = False
    """The generator was the limit, so that the figures say nothing about the target."""
    null_sink_rps: float | None = None
    """Requests per second of this generator against a null sink, where calibrated."""


class MachineNoise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much other processes disturbed the generator's machine."""

    lost_share: float | None = None
    """Share of a busy core that other processes took, before or after the run: the larger."""
    noisy: bool = False


class KneeStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measurement of a search for the limit."""

    rate_rps: float
    """Planned requests per second."""
    seen: str
    """`met`, `missed`, `generator limited` or `disturbed`."""
    events_per_s: float | None = None
    """Accepted."""
    p99_ms: float | None = None
    """Of the response times."""
    failed: int = 0
    """Failed attempts."""
    unsent: int = 0
    """Planned requests that were never sent."""
    missed: tuple[LoadThreshold, ...] = ()
    """Thresholds that were not met, those without a value included."""


class KneeInterval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a search found that thresholds stop being met, requests per second."""

    low_rps: float | None = None
    """Highest rate at which all thresholds were met; None where there was none."""
    high_rps: float | None = None
    """Lowest rate above it at which a threshold was missed; None where there was none."""
    why: str
    """What the interval is based on, in words."""
    steps: tuple[KneeStep, ...] = ()
    """Every measurement, in order."""


class LoadResult(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="load"):
    """One load run, as measured."""

    plan: PlannedLoad
    generator: GeneratorUsage
    requests: RequestCounts = RequestCounts()
    events: EventCounts = EventCounts()
    latency: LatencyHistograms = LatencyHistograms()
    timeline: LoadTimeline = LoadTimeline()
    machine: MachineNoise = MachineNoise()
    thresholds: tuple[LoadThreshold, ...] = ()
    knee: KneeInterval | None = None
    """After a search for the limit; None where none was made."""
    reconcile_s: float | None = None
    """How long the reconciliation took, seconds; None where there was none."""


class Result(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """The result of one check."""

    result: CheckResult


class Footer(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="footer"):
    """Last record. A journal without it was cut short."""

    finished_at: str
    records: int
    """Number of records before this one."""
    sha256: str
    """Of all bytes before this line."""
    exit_status: int
    interrupted: bool = False
    stopped_by: str = ""
    """What ended the run early, in words; empty where it completed."""


Record: TypeAlias = (
    Header
    | Phase
    | IngestDeclared
    | ContractDeclared
    | FleetDeclared
    | ReplayDeclared
    | ProxiedDeclared
    | Delivered
    | ProxiedRequestSeen
    | Exchange
    | Hook
    | JudgePlan
    | CapsulePlanted
    | ReadingSeen
    | TieOutSeen
    | CoverageSeen
    | LoadResult
    | Result
    | Footer
)
