"""Ranges of event numbers and their outcomes: which outcome counts, and a sample of the numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome

__all__ = ["Span", "settle", "spread", "unix_second"]

Span: TypeAlias = tuple[int, int, Outcome]
"""Events first … stop-1 and their outcome."""

_STRIDE: Final = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, odd: multiples of it spread evenly over any range
(Knuth, The Art of Computer Programming, vol. 3, 6.4)."""
_STRENGTH: Final = (Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED)


def settle(ranges: Iterable[OutcomeRange]) -> list[Span]:
    """Disjoint spans (first, stop, outcome) in order; the strongest outcome of a number counts."""
    edges: dict[int, Counter[Outcome]] = defaultdict(Counter)
    for given in ranges:
        if given.count > 0:
            edges[given.first][given.outcome] += 1
            edges[given.first + given.count][given.outcome] -= 1
    spans: list[Span] = []
    open_now: Counter[Outcome] = Counter()
    last = 0
    for edge in sorted(edges):
        strongest = next((kind for kind in _STRENGTH if open_now[kind] > 0), None)
        if strongest is not None:
            if spans and spans[-1][1:] == (last, strongest):
                spans[-1] = (spans[-1][0], edge, strongest)
            else:
                spans.append((last, edge, strongest))
        open_now.update(edges[edge])
        last = edge
    return spans


def spread(ranges: Sequence[tuple[int, int]], limit: int) -> list[int]:
    """Return at most `limit` numbers of ranges (first, count), spread evenly over all of them."""
    total = sum(count for _, count in ranges)
    wanted: Iterable[int] = range(total)
    if total > limit:
        wanted = sorted({(k * _STRIDE % 2**64) * total >> 64 for k in range(1, limit + 1)})
    ends: list[int] = []
    for _, count in ranges:
        ends.append((ends[-1] if ends else 0) + count)
    numbers = []
    for nth in wanted:
        at = bisect_right(ends, nth)
        first, count = ranges[at]
        numbers.append(first + nth - (ends[at] - count))
    return numbers


def unix_second(text: str) -> int:
    """Return the Unix second of a time in UTC, `YYYY-MM-DD HH:MM:SS`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
