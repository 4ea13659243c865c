"""What was measured, second by second, and what became of the events. No sockets, no clock.

Values are appended as they come and put into histograms a second at a time; outcomes are kept
as ranges, neighbours merged. `take` hands over what is finished, so that it can travel in
small pieces to whoever collects it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final

import msgspec
import numpy as np

from reports.facts import Outcome
from reports.histogram import Histogram
from reports.records import OutcomeRange

__all__ = ["Recorder", "Second", "merge_ranges"]


class Second(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One lane's second: counts, and sparse histograms in nanoseconds."""

    t: int
    """Second of the run, from 0, in which the answers came."""
    requests: int = 0
    """Answered requests, whatever the answer."""
    events: int = 0
    """Accepted events."""
    refused: int = 0
    unknown: int = 0
    bytes: int = 0
    """Bytes of request bodies that were answered."""
    errors: dict[str, int] = {}
    """Failed attempts by reason, retried ones included."""
    response_ns: dict[str, int] = {}
    service_ns: dict[str, int] = {}
    lateness_ns: dict[str, int] = {}


_MOST_REASONS: Final = 100
_OTHER: Final = "other"


class Recorder:
    """Collects for one lane. The appended arrays are open to the engine: its hottest lines."""

    def __init__(self) -> None:
        self.response: array[int] = array("q")
        self.service: array[int] = array("q")
        self.lateness: array[int] = array("q")
        self.accepted_first: array[int] = array("q")
        self.accepted_count: array[int] = array("q")
        self.bytes = 0
        self._others: list[OutcomeRange] = []
        self._errors: Counter[str] = Counter()
        self._refused = 0
        self._unknown = 0
        self._fresh_errors: Counter[str] = Counter()
        self._watched = False
        self._seen = 0
        self._unseen: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        self._seconds: list[Second] = []
        self._ranges: list[OutcomeRange] = []

    def error(self, reason: str) -> None:
        """Count one failed attempt."""
        known = reason in self._errors or len(self._errors) < _MOST_REASONS
        self._errors[reason if known else _OTHER] += 1
        self._fresh_errors[reason if known else _OTHER] += 1

    def outcome(self, part: OutcomeRange) -> None:
        """Note a range that is not simply a whole accepted batch."""
        if part.outcome is Outcome.ACCEPTED:
            self.accepted_first.append(part.first)
            self.accepted_count.append(part.count)
            return
        self._others.append(part)
        if part.outcome is Outcome.REFUSED:
            self._refused += part.count
        else:
            self._unknown += part.count

    def close_second(self, t: int, *, closed_loop: bool) -> Second | None:
        """Turn what came in since the last call into second `t`; None where nothing came.

        In a closed loop a request is planned when it is sent: response time is service time
        and there is no lateness.
        """
        requests, self.bytes, sent_bytes = len(self.service), 0, self.bytes
        if not (requests or self._others or self._errors or self.accepted_first):
            return None
        if self._watched:
            self._unseen.append(self._tail())
            self._seen = 0
        service = _sparse(self.service)
        second = Second(
            t=t,
            requests=requests,
            events=int(np.sum(np.frombuffer(self.accepted_count, dtype=np.int64)))
            if self.accepted_count
            else 0,
            refused=self._refused,
            unknown=self._unknown,
            bytes=sent_bytes,
            errors=dict(self._errors),
            response_ns=service if closed_loop else _sparse(self.response),
            service_ns=service,
            lateness_ns={} if closed_loop else _sparse(self.lateness),
        )
        accepted = _merge_arrays(self.accepted_first, self.accepted_count)
        self._ranges += [
            OutcomeRange(first=first, count=count, outcome=Outcome.ACCEPTED)
            for first, count in accepted
        ]
        self._ranges += self._others
        self._seconds.append(second)
        self._others, self._errors = [], Counter()
        self._refused = self._unknown = 0
        for held in (
            self.response,
            self.service,
            self.lateness,
            self.accepted_first,
            self.accepted_count,
        ):
            del held[:]
        return second

    def recent(self) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], dict[str, int]]:
        """Response times (ns) and failed attempts by reason since the last call."""
        self._watched = True
        parts, self._unseen = [*self._unseen, self._tail()], []
        failed, self._fresh_errors = dict(self._fresh_errors), Counter()
        return np.concatenate(parts), failed

    def _tail(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        times = self.response or self.service
        found, self._seen = np.array(times[self._seen :], dtype=np.int64), len(times)
        return found

    def take(self) -> tuple[list[Second], list[OutcomeRange]]:
        """Finished seconds and ranges since the last call."""
        taken = self._seconds, self._ranges
        self._seconds, self._ranges = [], []
        return taken


def _sparse(values: array[int]) -> dict[str, int]:
    histogram = Histogram()
    # A copy: the array could not be emptied while a view of it lives.
    histogram.add(np.array(values, dtype=np.int64))
    return histogram.sparse()


def _merge_arrays(firsts: array[int], counts: array[int]) -> list[tuple[int, int]]:
    """Contiguous ranges merged; the arrays hold disjoint ranges in any order."""
    if not firsts:
        return []
    first = np.array(firsts, dtype=np.int64)
    count = np.array(counts, dtype=np.int64)
    order = np.argsort(first, kind="stable")
    first, stop = first[order], (first + count)[order]
    begins = np.concatenate(([True], first[1:] != stop[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    return [(int(a), int(b - a)) for a, b in zip(first[begins], stop[ends], strict=True)]


def merge_ranges(ranges: list[OutcomeRange]) -> tuple[OutcomeRange, ...]:
    """Disjoint ranges in order, neighbours of one outcome and reason merged."""
    merged: list[OutcomeRange] = []
    for part in sorted(ranges, key=lambda one: one.first):
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.first + last.count == part.first
            and (last.outcome, last.reason) == (part.outcome, part.reason)
        ):
            merged[-1] = OutcomeRange(
                first=last.first,
                count=last.count + part.count,
                outcome=part.outcome,
                reason=part.reason,
            )
        else:
            merged.append(part)
    return tuple(merged)
