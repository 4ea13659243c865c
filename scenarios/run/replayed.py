"""Traffic of a replayed log as the checks see it; fills the judge's `SentTraffic`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome
from trueup.scenarios.run.outcome_ranges import settle, spread, unix_second
from trueup.simulator.replay import ReplayTraffic

__all__ = ["DeliveredReplay"]

_BLOCK: Final = 64
"""Events read together when one is asked for: its neighbours are usually asked for next."""
_BLOCKS: Final = 512


class DeliveredReplay:
    """Delivered ranges of one replay. A number that was delivered more than once has the strongest
    of its outcomes.
    """

    def __init__(
        self,
        traffic: ReplayTraffic,
        ranges: Iterable[OutcomeRange],
        beside: Sequence[SentTraffic] = (),
    ) -> None:
        """`beside` is what else the run has sent by the time at which this is reconciled."""
        self.traffic = traffic
        self.beside = tuple(beside)
        self._spans = settle(ranges)
        self._starts = [first for first, _, _ in self._spans]
        self._rows = lru_cache(_BLOCKS)(self._read_rows)

    @property
    def customers(self) -> tuple[int, ...]:
        return self.traffic.customers

    def _ranges(self, outcome: Outcome) -> list[tuple[int, int]]:
        return [(first, stop - first) for first, stop, kind in self._spans if kind is outcome]

    @cached_property
    def _accepted(self) -> tuple[Mapping[CellKey, Counts], Mapping[HourKey, Counts]]:
        return self.traffic.totals(self._ranges(Outcome.ACCEPTED))

    @cached_property
    def _unknown(self) -> tuple[Mapping[CellKey, Counts], Mapping[HourKey, Counts]]:
        return self.traffic.totals(self._ranges(Outcome.UNKNOWN))

    def cells(self) -> Mapping[CellKey, Counts]:
        return self._accepted[0]

    def slack(self) -> Mapping[CellKey, Counts]:
        return self._unknown[0]

    def hours(self) -> Mapping[HourKey, Counts]:
        return self._accepted[1]

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        return self._unknown[1]

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        position = self.traffic.position(log_id)
        if position is None:
            return None
        return self._rows(position // _BLOCK)[position % _BLOCK]

    def _read_rows(self, block: int) -> list[dict[str, Json]]:
        return self.traffic.rows(block * _BLOCK, _BLOCK)

    def outcome(self, log_id: str) -> Outcome | None:
        position = self.traffic.position(log_id)
        if position is None:
            return None
        at = bisect_right(self._starts, position) - 1
        if at < 0 or position >= self._spans[at][1]:
            return None
        return self._spans[at][2]

    def log_ids(self, limit: int) -> Sequence[str]:
        numbers = spread(self._ranges(Outcome.ACCEPTED), limit)
        return [self.traffic.log_ids(number, 1)[0] for number in numbers]

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        return [self._ids_in(each) for each in slices]

    def _ids_in(self, slice_: Slice) -> Mapping[str, Outcome]:
        customer, first, last, network, user, host = slice_
        found: dict[str, Outcome] = {}
        for start, stop, outcome in self._spans:
            if outcome is not Outcome.REFUSED:
                ids = self.traffic.select(
                    start,
                    stop,
                    customer=customer,
                    begin=unix_second(first),
                    end=unix_second(last),
                    network=network,
                    user=user,
                    host=host,
                )
                found |= dict.fromkeys(ids, outcome)
        return found
