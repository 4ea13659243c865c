"""How the reconciliation collects evidence, differences and unusable responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trueup.conformance.model import Event
from trueup.conformance.observed.observations import Observations, PagedResult
from trueup.conformance.requests import ApiRequest
from trueup.reports.journal.records import Exchange
from trueup.reports.results import CheckResult, Counterexample, Difference, Impact, Verdict

__all__ = ["STOP_AT", "Finding", "FindingBuilder"]

STOP_AT: Final = 5
"""Differences that a finding shows at most; more are counted in its reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one comparison, before it becomes a check result."""

    verdict: Verdict
    reason: str
    evidence: int = 0
    differences: tuple[Difference, ...] = ()
    events: tuple[Event, ...] = ()
    exchanges: tuple[int, ...] = ()

    def result(self, *, name: str, law: str, title: str, impact: Impact) -> CheckResult:
        """Return the result of the check `name`; a pass without evidence is inconclusive."""
        verdict, reason = self.verdict, self.reason
        if verdict is Verdict.PASS and not self.evidence:
            verdict, reason = Verdict.INCONCLUSIVE, "nothing was accepted that could be compared"
        first = self.differences[0] if self.differences else None
        return CheckResult(
            check=name,
            law=law,
            title=title,
            verdict=verdict,
            reason=reason,
            level=2,
            impact=impact,
            evidence=self.evidence,
            expected=first.expected if first else "",
            seen=first.seen if first else "",
            counterexample=Counterexample(
                differences=self.differences, events=self.events, exchanges=self.exchanges
            )
            if self.differences or self.exchanges
            else None,
        )


class FindingBuilder:
    """Collects observations of one comparison; `finding` returns the result."""

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self._evidence = 0
        self._differences: list[Difference] = []
        self._events: dict[str, Event] = {}
        self._exchanges: dict[int, None] = {}
        self._troubles: dict[str, int] = {}

    @property
    def differences(self) -> int:
        """Number of differences."""
        return len(self._differences)

    def observed(self, amount: int = 1) -> None:
        """Count something that could have refuted the law."""
        self._evidence += amount

    def mismatch(
        self,
        where: str,
        expected: object,
        seen: object,
        *,
        events: Sequence[Event] = (),
        exchanges: Sequence[int] = (),
    ) -> None:
        """Record a difference; the first few become the counter-example."""
        self._differences.append(Difference(where=where, expected=str(expected), seen=str(seen)))
        if len(self._differences) <= STOP_AT:
            self._events |= {str(event.get("log_id")): event for event in events[:4]}
            self._exchanges |= dict.fromkeys(exchanges[-6:])

    def unusable(self, what: str, exchange: int = 0) -> None:
        """Record a response that is needed and unusable."""
        self._troubles.setdefault(what, exchange)

    def paged_result(self, stage: str, ask: ApiRequest) -> PagedResult | None:
        """Return a paged search whose every page is usable, or None and record why."""
        search = self.observations.paged_result(stage, ask)
        if search is None:
            self.unusable(f"{ask.path} was not requested at stage {stage}")
        elif search.unusable:
            self.unusable(search.unusable, search.exchanges[-1].n)
        else:
            return search
        return None

    def exchange(self, stage: str, ask: ApiRequest) -> Exchange | None:
        """Return a response of any status, or None and record why there is none."""
        found = self.observations.response(stage, ask)
        if found is None:
            self.unusable(f"{ask.path} was not requested at stage {stage}")
        elif found.status is None:
            self.unusable(f"{ask.path}: {found.error}", found.n)
        else:
            return found
        return None

    def finding(self, held: str) -> Finding:
        """Return the finding; `held` describes what was found correct."""
        exchanges = tuple(number for number in self._exchanges if number)
        if self._differences:
            first = self._differences[0]
            more = len(self._differences) - 1
            also = f", and {more} more" if more else ""
            return Finding(
                verdict=Verdict.FAIL,
                reason=f"{first.where}: expected {first.expected}, saw {first.seen}{also}",
                evidence=max(self._evidence, len(self._differences)),
                differences=tuple(self._differences[:STOP_AT]),
                events=tuple(self._events.values()),
                exchanges=exchanges,
            )
        if self._troubles:
            what = next(iter(self._troubles))
            return Finding(
                verdict=Verdict.INCONCLUSIVE,
                reason=f"could not be judged: {what}",
                evidence=self._evidence,
                exchanges=tuple(n for n in self._troubles.values() if n)[:6],
            )
        return Finding(verdict=Verdict.PASS, reason=held, evidence=self._evidence)
