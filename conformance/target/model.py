"""The implementation under test, as frozen values. Nothing here reads a file or the network.

Above these values nobody knows which implementation is judged. Keys stand only in `Tenant` and in
`headers`, which are left out of every `repr`, and together in `Target.secrets`, so that whoever
writes something down can strike them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from trueup.reports.results import Json

__all__ = [
    "Budget",
    "CommandHook",
    "CommandIngest",
    "GraphShape",
    "HookForm",
    "HttpHook",
    "HttpIngest",
    "IngestForm",
    "RefusedShape",
    "Target",
    "Tenant",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """One customer account."""

    public_key: str = field(repr=False)
    private_key: str = field(repr=False)
    customer_id: int | None = None
    """None: not declared; events can then be injected only if it can be read from the API."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedShape:
    """Where an ingestion answer lists refused events."""

    list: str
    """Dotted path to the list."""
    line: str
    """Key of the event's number within the request."""
    reason: str | None = None
    """Key of the reason; None: none is given."""
    first: int = 1
    """The number that stands for the first event: 1 or 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpIngest:
    """Events go in over HTTP."""

    url: str
    method: str = "POST"
    form: Literal["ndjson", "json-array", "json-object"] = "ndjson"
    gzip: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    field_map: Mapping[str, str] = field(default_factory=dict)
    """Our name → theirs; `""` leaves the field out; a field not named keeps our name."""
    extras: Mapping[str, Json] = field(default_factory=dict)
    """Literal fields added to every event."""
    batch: int = 500
    """Most events in one request; 1 for the form `json-object`."""
    accepted: str | None = None
    """Dotted path to the number accepted; None: 2xx accepts all that is not listed as refused."""
    refused: RefusedShape | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandIngest:
    """Events go in through a program that reads NDJSON; exit status 0 accepts them all."""

    argv: tuple[str, ...]
    timeout_s: float = 30.0
    batch: int = 500
    """Most events for one start of the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpHook:
    """A lever that is pulled with one request; 2xx means that it moved.

    URL, header values and body may hold placeholders: see `trueup.conformance.target.placeholders`.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandHook:
    """A lever that is pulled by a program; exit status 0 means that it moved."""

    argv: tuple[str, ...]
    """May hold placeholders, always filled in as text."""
    timeout_s: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphShape:
    """Where points stand in the answer of `analytics/graph`: the guide leaves it open."""

    points: str = "data.points"
    """Dotted path to the list, from the top of the body."""
    time: str = "datetime"
    requests: str = "requests"
    bytes: str = "bytes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much may be asked of the target."""

    requests_per_s: float | None = 10.0
    """None: as fast as it answers. 10 is the documented limit of a customer."""
    requests: int = 1200
    """Requests in all."""


IngestForm: TypeAlias = HttpIngest | CommandIngest
HookForm: TypeAlias = HttpHook | CommandHook


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One implementation, and everything that it lets us do."""

    name: str
    base_url: str
    """Up to and with the version, without a slash at the end."""
    prefix: str = "/public/user"
    tenants: Mapping[str, Tenant]
    """`a` always; `b` where a second account was given."""
    ingest: IngestForm | None = None
    clock: HookForm | None = None
    maintenance: HookForm | None = None
    money: HookForm | None = None
    restart: CommandHook | None = None
    graph: GraphShape = GraphShape()
    claims: frozenset[str] = frozenset()
    """Names of the table in `trueup.conformance.contract.claims`."""
    readings: Mapping[str, str] = field(default_factory=dict)
    """Declared readings only, as text: names of the table in
    `trueup.conformance.contract.interpretations`."""
    budget: Budget = Budget()
    timeout_s: float = 10.0
    """Longest wait for one answer."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Every key, longest first; struck out of everything that is written down."""
    path: Path
    """The file it was read from."""
