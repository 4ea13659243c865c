"""Depths: how much of the dimension tables a run covers, and how many requests it may make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["SETTINGS", "Depth", "Settings"]


class Depth(StrEnum):
    """How many requests a run may make."""

    QUICK = "quick"
    STANDARD = "standard"
    EXHAUSTIVE = "exhaustive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a plan of one depth consists of. None stands for all that there is."""

    requests: int | None
    """Requests that a run makes at most."""
    event_triples: Sequence[Sequence[str]]
    """Groups of dimensions of events that are covered three at a time."""
    event_rows: int | None
    long_rows: int
    """Logs of the user with many rows, in one delivery: pages are full, and 500 is passed."""
    payment_triples: bool
    payments: int | None
    one_by_one: int | None
    """Proxy users of each customer that are read by themselves; the others are read together."""
    graph_share: int
    """Every so many proxy users' day graphs are read at a stage."""
    snapshots: bool
    """Whether account figures are read before and after the summaries, or once."""
    thorough: bool
    """Whether stages and reads are made that repeat, at another age, what others show."""
    all_filters: bool
    """Whether each field is asked for with every operator and value, each in its own request."""
    pages: int | None
    graphs: int | None
    """Graphs of each age."""
    breakdowns: int | None
    keys: int | None
    paged_lists: int
    """Sorted lists that are read page by page."""
    retrieves: int
    """Logs of each customer that are retrieved by id."""
    days: Sequence[str]
    """Classes of days that the clock is moved to."""


_DAYS: Final = (
    "month-end",
    "29-february",
    "year-end",
    "eu-summer",
    "eu-winter",
    "us-summer",
    "us-winter",
    "same-month",
)
_STRONG: Final = ("network", "outcome", "bytes", "hostname", "user", "delivery")

SETTINGS: Final[Mapping[Depth, Settings]] = {
    Depth.QUICK: Settings(
        requests=450,
        event_triples=(),
        event_rows=130,
        long_rows=120,
        payment_triples=False,
        payments=16,
        one_by_one=1,
        graph_share=10,
        snapshots=False,
        thorough=False,
        all_filters=False,
        pages=24,
        graphs=8,
        breakdowns=3,
        keys=10,
        paged_lists=1,
        retrieves=2,
        days=("month-end", "29-february", "eu-summer"),
    ),
    Depth.STANDARD: Settings(
        requests=1_200,
        event_triples=(("network", "outcome", "bytes"), ("network", "user", "delivery")),
        event_rows=None,
        long_rows=520,
        payment_triples=False,
        payments=None,
        one_by_one=2,
        graph_share=6,
        snapshots=True,
        thorough=True,
        all_filters=False,
        pages=45,
        graphs=16,
        breakdowns=6,
        keys=30,
        paged_lists=2,
        retrieves=4,
        days=_DAYS,
    ),
    Depth.EXHAUSTIVE: Settings(
        requests=None,
        event_triples=(_STRONG,),
        event_rows=None,
        long_rows=1_040,
        payment_triples=True,
        payments=None,
        one_by_one=None,
        graph_share=1,
        snapshots=True,
        thorough=True,
        all_filters=True,
        pages=None,
        graphs=None,
        breakdowns=None,
        keys=None,
        paged_lists=5,
        retrieves=40,
        days=_DAYS,
    ),
}
