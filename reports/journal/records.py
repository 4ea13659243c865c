"""The journal's record types: everything that one run did and saw.

A record is a frozen value with a tag (`kind`); one line of the journal each.
Fields are only ever added, with a default, so that an older journal stays readable.
Keys never stand in a record: whoever writes one strikes them out first.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

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
    "CoverageSeen",
    "Delivered",
    "Exchange",
    "FleetDeclared",
    "Footer",
    "Header",
    "Hook",
    "JudgePlan",
    "LoadResult",
    "OutcomeRange",
    "Phase",
    "ReadingSeen",
    "Record",
    "Result",
    "TieOutSeen",
]

SCHEMA: Final = 2
"""Version of these record types."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    pass


class Header(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="header"):
    """First line: what is about to run, and every check that must report."""

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
    """Every check declared for this run; one that reports nothing is our own error."""
    command: str = ""
    """What to type to do the same again, where the run was started by hand."""
    only: tuple[str, ...] = ()
    """Names or laws of the checks that the run was limited to; empty: all of its level."""


class Phase(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="phase"):
    """A stage of the run began or ended."""

    name: str
    state: str
    """`begin`, `end` or `interrupted`."""
    at: str


class FleetDeclared(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="fleet"):
    """A fleet, named so that its events can be drawn again."""

    fleet: str
    """Name that `Delivered.fleet` refers to."""
    profile: str
    profile_sha256: str
    model_version: str
    seed: int
    start: str
    """First moment of the fleet's time, UTC, `YYYY-MM-DD HH:MM:SS`."""
    customers: tuple[int, ...]
    parameters: dict[str, Json] = {}


class OutcomeRange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events `first … first+count-1` of a delivery (or of a fleet) shared one outcome."""

    first: int
    count: int
    outcome: Outcome
    reason: str = ""


class Delivered(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="delivered"):
    """Events handed to the target: planted by a check (in full) or fleet ranges (by number)."""

    source: str
    """`probe`, `fleet` or `load`."""
    outcomes: tuple[OutcomeRange, ...]
    at: str
    check: str = ""
    stage: str = ""
    events: tuple[dict[str, Json], ...] = ()
    """For probes: the events in full; the outcomes number them from 0."""
    fleet: str = ""
    """For fleet and load: the fleet whose event numbers the outcomes use."""
    attempts: int = 1
    elapsed_ms: float = 0.0


class Exchange(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="exchange"):
    """One request to the target and what came back, redacted."""

    n: int
    """Number of the exchange in this journal, from 1."""
    method: str
    path: str
    """Path below the base URL, without the query."""
    at: str
    query: tuple[tuple[str, str], ...] = ()
    tenant: str = ""
    """`a`, `b`, `none` (no keys) or `wrong` (bad keys)."""
    check: str = ""
    """The check that asked, or `` where the answer is shared."""
    stage: str = ""
    request_body: Json = None
    status: int | None = None
    """None: no answer came; `error` says why."""
    error: str = ""
    content_type: str = ""
    headers: dict[str, str] = {}
    body: Json = None
    """The body where it was JSON."""
    body_text: str = ""
    """Start of the body where it was not JSON."""
    elapsed_ms: float = 0.0
    ask: str = ""
    """Name of the question; all pages of one walk share it."""
    attempt: int = 1
    """A question asked again in one stage, after a pause, counts up; the last is judged."""


class Hook(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="hook"):
    """A lever of the target that was pulled: clock, maintenance, money, restart."""

    hook: str
    at: str
    request: dict[str, Json] = {}
    response: Json = None
    ok: bool = True
    error: str = ""
    check: str = ""
    stage: str = ""


class JudgePlan(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="judge-plan"):
    """What the judge set out with: enough, with the records below it, to judge again."""

    prefix: str
    """Every name that the judge plants begins with it; fresh in each run."""
    now: str
    """The target's clock when the run began, UTC, `YYYY-MM-DD HH:MM:SS`."""
    level: int
    customers: dict[str, int] = {}
    """Tenant (`a`, `b`) to customer number, where known."""
    claims: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    """Hooks that the target offers: `ingest`, `clock`, `maintenance`, `money`, `restart`."""
    graph: dict[str, str] = {}
    """Where graph points sit in an answer: `points`, `time`, `requests`, `bytes`."""
    part: str = ""
    """Empty for the checks' own plantings; else the traffic that is reconciled: `fleet`, `load`."""
    requests: int = 0
    """Of traffic: requests that the target allows in all; samples are sized by it; 0: unknown."""


class ReadingSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="reading"):
    reading: Reading


class TieOutSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="tie-out"):
    """One row of the tie-out table; `part` says of which traffic."""

    part: str
    row: TieOut


class CoverageSeen(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="coverage"):
    """Which classes of the contract's dimensions the run reached; rows in the order of the tables.

    A run may write several; a class that any of them reached was reached.
    """

    rows: tuple[CoverageRow, ...]


class LoadResult(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="load"):
    """One load run, as measured. Histograms are sparse: bucket number → count."""

    scenario: str
    engine: str
    shape: str
    duration_s: float
    warmup_s: float = 0.0
    planned_rps: float | None = None
    requests: int = 0
    events_sent: int = 0
    events_accepted: int = 0
    events_refused: int = 0
    events_unknown: int = 0
    correct_events: int | None = None
    """Events whose every view ties out; None until reconciled."""
    bytes_sent: int = 0
    errors: dict[str, int] = {}
    """Failed attempts by reason, of requests and reads, retried ones included."""
    unanswered: int = 0
    """Of these, attempts without a whole answer, which `requests` and `reads` do not count;
    acknowledged probe events that never showed are counted here too."""
    response_ns: dict[str, int] = {}
    """From the planned time to the answer."""
    service_ns: dict[str, int] = {}
    """From the first byte sent to the answer."""
    lateness_ns: dict[str, int] = {}
    """From the moment at which a request could have gone (its planned time or, if later, the
    first free connection) to its first byte: our own lateness. Waiting for a connection is the
    target's, and stands in `response_ns`."""
    freshness_ns: dict[str, int] = {}
    """From the acknowledgement to visibility in a summary."""
    seconds: tuple[dict[str, float], ...] = ()
    """Per second in which anything came: t, requests, events, errors, p50_ms, p99_ms. What the
    seconds without a row amount to: `trueup.reports.metrics.measurement_window`."""
    generator_cpu_share: float | None = None
    """Share of the time in which the generator's loop was not waiting; the busiest worker's."""
    generator_cpu_s: float | None = None
    """Processor time of all generators, user and system, for the whole run."""
    generator_limited: bool = False
    machine_lost_share: float | None = None
    """Share of a spinning core that the machine took away, before or after the run: the worse."""
    machine_noisy: bool = False
    stopped_by: str = ""
    """Why the run ended before its time; empty when it did not."""
    ended_s: float | None = None
    """Where a run that was cut short stopped to send, in seconds from its start; None where it was
    not cut, or where nobody said."""
    unsent: int = 0
    """Planned requests that were never sent: the run's rate was not reached."""
    workers: int = 1
    batch: int = 1
    """Events in a request."""
    reads: int = 0
    """Read requests that were mixed in."""
    reads_ns: dict[str, int] = {}
    """Their response time from the planned moment."""
    knee_low_rps: float | None = None
    """After a search: highest rate, requests per second, known to keep the thresholds."""
    knee_high_rps: float | None = None
    """After a search: lowest rate above it known to miss one."""
    knee_why: str = ""
    comparable: str = ""
    """Digest of all that must be equal for two runs to be compared."""
    null_sink_rps: float | None = None
    """What this generator reaches against a sink that does nothing, where calibrated."""
    thresholds: tuple[LoadThreshold, ...] = ()
    reconcile_s: float | None = None
    began_at: str = ""
    """Moment of the run's first second, UTC, ISO 8601, to about a second; empty where unknown."""
    malformed_every: int = 0
    """Every so many batches one had a broken line at its end; 0: none."""
    duplicate_every: int = 0
    """Every so many batches one was sent twice at the same time; 0: none."""


class Result(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    result: CheckResult


class Footer(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="footer"):
    """Last line. Without it the run was cut short."""

    finished_at: str
    records: int
    """Lines before this one."""
    sha256: str
    """Of all bytes before this line."""
    exit_status: int
    interrupted: bool = False
    stopped_by: str = ""
    """In words, what ended the run before its end; empty where it went to its end."""


Record: TypeAlias = (
    Header
    | Phase
    | FleetDeclared
    | Delivered
    | Exchange
    | Hook
    | JudgePlan
    | ReadingSeen
    | TieOutSeen
    | CoverageSeen
    | LoadResult
    | Result
    | Footer
)
