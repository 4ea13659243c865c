"""The judge's own nouns: what is planted, what is asked, at which stage, and what a check is.

Frozen values only. Nothing here waits, knows the time or is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from reports.facts import Difference, Impact, Json, Verdict

if TYPE_CHECKING:
    from conformance.facts import Facts

__all__ = [
    "Ask",
    "Batch",
    "Check",
    "Event",
    "Finding",
    "Payment",
    "Scene",
    "World",
]

Event = dict[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One question to the target: a request, or a walk over all pages of a search."""

    path: str
    """Below the prefix: `log/search`."""
    query: tuple[tuple[str, str], ...] = ()
    tenant: str = "a"
    keys: str = "own"
    """`own`, `none`, `wrong` (both false) or `crossed` (the other tenant's private key)."""
    walk: bool = False
    per_page: int = 100
    """Rows a page, of a walk."""
    pages: int = 400
    """Pages after which a walk is given up; its rows then cannot be used."""
    again: int = 0
    """Tells repetitions of one question apart."""
    method: str = "GET"
    body: Json = field(default=None, hash=False)

    @property
    def name(self) -> str:
        """Names the question in the journal; equal questions have equal names."""
        walk = f" walk {self.per_page}" if self.walk else ""
        again = f" #{self.again}" if self.again else ""
        verb = "" if self.method == "GET" else f"{self.method} "
        query = urlencode(self.query)
        return f"{verb}{self.tenant}:{self.keys} {self.path}?{query}{walk}{again}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Events handed over in one delivery. Batches of one `together` are sent at the same time."""

    events: tuple[Event, ...]
    together: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """Data bought or given back; `key` makes a repetition recognisable to the target."""

    network: str
    kind: str
    bytes: int
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Where one run of the judge plays: its names and its times."""

    prefix: str
    """Begins every name that is planted; fresh in each run."""
    now: datetime
    """The target's clock when the run began, UTC."""
    level: int
    customers: Mapping[str, int]
    """Tenant letter to customer number."""
    claims: frozenset[str] = frozenset()
    levers: frozenset[str] = frozenset()
    late_days: float = 7.0
    """Events older than this are refused by the target."""
    oldest_day: int = 6
    """How many whole days back the combs reach."""

    def user(self, world: str, n: int = 1) -> str:
        """Name of the n-th proxy user of a world; 10 to 32 characters, as the API wants."""
        return f"{self.prefix}-{world}-{n}"

    def host(self, world: str, n: int = 1) -> str:
        """Name of the n-th host of a world, below a domain that nobody owns."""
        return f"h{n}.{world}.{self.prefix}.conformance.test"


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Events that one or more checks plant together, under names of their own."""

    name: str
    plant: Callable[[Scene], Sequence[Batch]]
    stage: str = "now"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check's judge says of the facts, before the general rules are applied."""

    verdict: Verdict
    reason: str
    evidence: int = 0
    differences: tuple[Difference, ...] = ()
    events: tuple[Event, ...] = ()
    exchanges: tuple[int, ...] = ()


def _nothing(_scene: Scene, _stage: str) -> Sequence[Ask]:
    return ()


def _no_steps(_scene: Scene) -> Sequence[Ask]:
    return ()


def _no_more(_facts: Facts, _stage: str) -> Sequence[Ask]:
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The code that tests one law in one way."""

    name: str
    law: str
    title: str
    """The law in one sentence."""
    judge: Callable[[Facts], Finding]
    """Pure: from what was done and seen to a finding."""
    asks: Callable[[Scene, str], Sequence[Ask]] = _nothing
    """What it wants to know at a stage; equal questions of several checks are asked once."""
    follow: Callable[[Facts, str], Sequence[Ask]] = _no_more
    """Questions that arise from the answers of the same stage (ids that only a search tells)."""
    steps: Callable[[Scene], Sequence[Ask]] = _no_steps
    """Requests made one after the other once stage `now` is read; recorded as stage `steps`."""
    clauses: tuple[str, ...] = ()
    level: int = 2
    impact: Impact = Impact.COSMETIC
    needed: int = 1
    """Least evidence that could have refuted the law; below it the check says nothing."""
    worlds: tuple[str, ...] = ()
    refusable: bool = False
    """Whether a target does right to refuse every event of the worlds."""
    rests_on: tuple[str, ...] = ()
    """Laws without which this check means nothing: where one fails, this is blocked by it."""
    claim: str = ""
    """Feature that must be claimed."""
    lever: str = ""
    """Hook that the check needs beside those of its level."""
    fenced: bool = False
    """Needs account figures that are read within a fence: see `conformance.fences`."""
    timed: bool = False
    """Whether the target's time plays a part; the evidence is then graded."""
    eventual: bool = True
    """A failure is looked at again after a pause, because views may lag."""
    audit: bool = False
    """Reads what is there already and plants nothing: for level 0."""


STOP_AT: Final = 5
"""Differences that a finding shows at most; more are counted in its reason."""
