"""Measurements by second, and the outcomes of events. Uses no socket and no clock.

Values are appended one by one and added to histograms some thousand at a time (`absorb`): adding
all of a second at once would delay the loop for milliseconds. Outcomes are kept as ranges, adjacent
ones merged. `take` returns what is finished, so that it can be sent on in small pieces.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.results import Outcome
from trueup.reports.transport.foreign_text import foreign_text

__all__ = ["RequestRecorder", "Second"]

Ints = npt.NDArray[np.int64]


class Second(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One second of one request stream: counts, and sparse histograms in nanoseconds."""

    t: int
    """Second of the run, from 0, in which the responses came."""
    requests: int = 0
    """Requests that got a response, whatever its status."""
    events: int = 0
    """Accepted events."""
    refused: int = 0
    unknown: int = 0
    bytes: int = 0
    """Bytes of request bodies that got a response."""
    errors: dict[str, int] = {}
    """Failed attempts by reason, retried ones included."""
    response_ns: dict[str, int] = {}
    service_ns: dict[str, int] = {}
    lateness_ns: dict[str, int] = {}


_MAX_REASONS: Final = 100
_OTHER_REASONS: Final = "other"


class RequestRecorder:
    """Measurements of one request stream. The engine appends to the arrays directly, in its hot
    path.
    """

    def __init__(self, clean: Callable[[str], str] = foreign_text) -> None:
        """`clean` makes a reason fit to be shown and kept."""
        self._clean = clean
        self.response: array[int] = array("q")
        """Response times (ns): one a batch, from the planned time to the last attempt's response.
        """
        self.service: array[int] = array("q")
        """Service times (ns): one a response, from the first byte of its attempt."""
        self.lateness: array[int] = array("q")
        """Lateness (ns): one a planned batch, from when it could have been sent to its first byte.
        """
        self.accepted_first: array[int] = array("q")
        self.accepted_count: array[int] = array("q")
        self.bytes = 0
        self._arrays = (
            self.response,
            self.service,
            self.lateness,
            self.accepted_first,
            self.accepted_count,
        )
        self._response, self._service, self._lateness = Histogram(), Histogram(), Histogram()
        """Histograms of the second that is not closed yet."""
        self._earlier = Histogram()
        """Response times of all closed seconds."""
        self._reported = Histogram()
        """What `recent` has returned so far."""
        self._requests = self._events = 0
        self._accepted: list[tuple[int, int]] = []
        self._others: list[OutcomeRange] = []
        self._errors: Counter[str] = Counter()
        self._refused = 0
        self._unknown = 0
        self._unreported_errors: Counter[str] = Counter()
        self._seconds: list[Second] = []
        self._ranges: list[OutcomeRange] = []

    def error(self, reason: str) -> None:
        """Count one failed attempt."""
        reason = self._clean(reason)
        known = reason in self._errors or len(self._errors) < _MAX_REASONS
        self._errors[reason if known else _OTHER_REASONS] += 1
        self._unreported_errors[reason if known else _OTHER_REASONS] += 1

    def outcome(self, part: OutcomeRange) -> None:
        """Add a range with its outcome."""
        if part.outcome is Outcome.ACCEPTED:
            self.accepted_first.append(part.first)
            self.accepted_count.append(part.count)
            return
        self._others.append(msgspec.structs.replace(part, reason=self._clean(part.reason)))
        if part.outcome is Outcome.REFUSED:
            self._refused += part.count
        else:
            self._unknown += part.count

    def absorb(self, *, least: int = 0) -> None:
        """Add appended values to histograms and ranges, if there are at least `least` responses."""
        if len(self.service) < least:
            return
        self._requests += len(self.service)
        self._service.add(_values(self.service))
        self._response.add(_values(self.response))
        self._lateness.add(_values(self.lateness))
        if self.accepted_first:
            count = _values(self.accepted_count)
            self._events += int(count.sum())
            self._accepted += _merged(_values(self.accepted_first), count)
        for held in self._arrays:
            del held[:]

    def close_second(self, t: int) -> Second | None:
        """Return second `t`: everything since the last call; None if there is nothing."""
        self.absorb()
        sent_bytes, self.bytes = self.bytes, 0
        if not (self._requests or self._others or self._errors or self._accepted):
            return None
        second = Second(
            t=t,
            requests=self._requests,
            events=self._events,
            refused=self._refused,
            unknown=self._unknown,
            bytes=sent_bytes,
            errors=dict(self._errors),
            response_ns=self._response.sparse(),
            service_ns=self._service.sparse(),
            lateness_ns=self._lateness.sparse(),
        )
        self._earlier.merge(self._response)
        if self._accepted:
            first, count = np.array(self._accepted, dtype=np.int64).T
            self._ranges += [
                OutcomeRange(first=first, count=count, outcome=Outcome.ACCEPTED)
                for first, count in _merged(first, count)
            ]
        self._ranges += self._others
        self._seconds.append(second)
        self._response, self._service, self._lateness = Histogram(), Histogram(), Histogram()
        self._accepted, self._others, self._errors = [], [], Counter()
        self._requests = self._events = self._refused = self._unknown = 0
        return second

    def recent(self) -> tuple[Histogram, dict[str, int]]:
        """Return response times (ns) and failed attempts by reason since the last call."""
        whole = Histogram()
        whole.merge(self._earlier)
        whole.merge(self._response)
        fresh, self._reported = whole.minus(self._reported), whole
        failed, self._unreported_errors = dict(self._unreported_errors), Counter()
        return fresh, failed

    def take(self) -> tuple[list[Second], list[OutcomeRange]]:
        """Return the seconds and ranges that were finished since the last call."""
        taken = self._seconds, self._ranges
        self._seconds, self._ranges = [], []
        return taken


def _values(values: array[int]) -> Ints:
    # A copy: the array could not be emptied while a view of it lives.
    return np.array(values, dtype=np.int64)


def _merged(first: Ints, count: Ints) -> list[tuple[int, int]]:
    """Return contiguous ranges merged, as (first, count); the arrays hold disjoint ranges in any
    order.
    """
    order = np.argsort(first, kind="stable")
    first, stop = first[order], (first + count)[order]
    begins = np.concatenate(([True], first[1:] != stop[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    first = first[begins]
    return list(zip(first.tolist(), (stop[ends] - first).tolist(), strict=True))
