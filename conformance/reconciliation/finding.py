"""How a judge adds up what it sees: evidence, differences, and answers that could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trueup.conformance.model import Event
from trueup.conformance.observed.observations import Observations, PagedResult
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row
from trueup.reports.journal.records import Exchange
from trueup.reports.results import CheckResult, Counterexample, Difference, Impact, Verdict

__all__ = ["STOP_AT", "Finding", "FindingBuilder"]

STOP_AT: Final = 5
"""Differences that a finding shows at most; more are counted in its reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check's judge says of the facts, before the general rules are applied."""

    verdict: Verdict
    reason: str
    evidence: int = 0
    differences: tuple[Difference, ...] = ()
    events: tuple[Event, ...] = ()
    exchanges: tuple[int, ...] = ()

    def result(self, *, name: str, law: str, title: str, impact: Impact) -> CheckResult:
        """The result of the check `name`; a pass without any observation is inconclusive."""
        verdict, reason = self.verdict, self.reason
        if verdict is Verdict.PASS and not self.evidence:
            verdict, reason = Verdict.INCONCLUSIVE, "nothing was accepted that could be looked for"
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
    """Collects within one judge; `finding` closes it. Nothing else about a judge has state."""

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self._evidence = 0
        self._differences: list[Difference] = []
        self._events: dict[str, Event] = {}
        self._exchanges: dict[int, None] = {}
        self._troubles: dict[str, int] = {}

    @property
    def differences(self) -> int:
        """How many places were found where the law is broken."""
        return len(self._differences)

    def observed(self, amount: int = 1) -> None:
        """Count something that could have refuted the law and did not, or did."""
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
        """Note a place where the law is broken; the first few are kept as the counter-example."""
        self._differences.append(Difference(where=where, expected=str(expected), seen=str(seen)))
        if len(self._differences) <= STOP_AT:
            self._events |= {str(event.get("log_id")): event for event in events[:4]}
            self._exchanges |= dict.fromkeys(exchanges[-6:])

    def unusable(self, what: str, exchange: int = 0) -> None:
        """Note an answer that the law needs and that cannot be used."""
        self._troubles.setdefault(what, exchange)

    def expect_equal(self, where: str, expected: object, seen: object, *exchanges: int) -> bool:
        """Compare one value with what it must be: evidence either way."""
        self.observed()
        if expected != seen:
            self.mismatch(where, expected, seen, exchanges=exchanges)
        return expected == seen

    def rows(self, stage: str, ask: ApiRequest) -> tuple[Row, ...] | None:
        """Rows of a walk; None, and a trouble, where they cannot be used."""
        walk = self.paged_result(stage, ask)
        return None if walk is None else walk.rows

    def paged_result(self, stage: str, ask: ApiRequest) -> PagedResult | None:
        """A walk whose every page is usable; None, and a trouble, otherwise."""
        walk = self.observations.paged_result(stage, ask)
        if walk is None:
            self.unusable(f"{ask.path} was not asked at stage {stage}")
        elif walk.unusable:
            self.unusable(walk.unusable, walk.exchanges[-1].n)
        else:
            return walk
        return None

    def exchange(self, stage: str, ask: ApiRequest) -> Exchange | None:
        """An answer, whatever its status; None, and a trouble, where none came."""
        found = self.observations.answer(stage, ask)
        if found is None:
            self.unusable(f"{ask.path} was not asked at stage {stage}")
        elif found.status is None:
            self.unusable(f"{ask.path}: {found.error}", found.n)
        else:
            return found
        return None

    def finding(self, held: str) -> Finding:
        """The verdict; `held` says in a sentence what was found in order."""
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
