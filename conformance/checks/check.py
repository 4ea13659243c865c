"""What a check is: the requests that it makes and the function that evaluates their responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueup.conformance.checks.finding import Finding
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.reports.results import Impact

__all__ = ["Check"]


def _nothing(_scene: CheckContext, _stage: str) -> Sequence[ApiRequest]:
    return ()


def _no_steps(_scene: CheckContext) -> Sequence[ApiRequest]:
    return ()


def _no_more(_facts: Observations, _stage: str) -> Sequence[ApiRequest]:
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The code that tests one law in one way."""

    name: str
    law: str
    title: str
    """The law in one sentence."""
    judge: Callable[[Observations], Finding]
    """Pure: from what was done and seen to a finding."""
    requests: Callable[[CheckContext, str], Sequence[ApiRequest]] = _nothing
    """What it wants to know at a stage; equal questions of several checks are asked once."""
    follow_ups: Callable[[Observations, str], Sequence[ApiRequest]] = _no_more
    """Questions that arise from the answers of the same stage (ids that only a search tells)."""
    sequence: Callable[[CheckContext], Sequence[ApiRequest]] = _no_steps
    """Requests made one after the other once stage `inject` is read.

    They are recorded as stage `sequence`.
    """
    clauses: tuple[str, ...] = ()
    level: int = 2
    impact: Impact = Impact.COSMETIC
    needed: int = 1
    """Least evidence that could have refuted the law; below it the check says nothing."""
    datasets: tuple[str, ...] = ()
    refusable: bool = False
    """Whether a target does right to refuse every event of the worlds."""
    rests_on: tuple[str, ...] = ()
    """Laws without which this check means nothing: where one fails, this is blocked by it."""
    claim: str = ""
    """Feature that must be claimed."""
    needs_hook: str = ""
    """Hook that the check needs beside those of its level."""
    needs_snapshot: bool = False
    """Needs account figures that are read within a fence: see
    `trueup.conformance.checks.snapshots`."""
    timed: bool = False
    """Whether the target's time plays a part; the evidence is then graded."""
    eventual: bool = True
    """A failure is looked at again after a pause, because views may lag."""
    audit: bool = False
    """Reads what is there already and plants nothing: for level 0."""
