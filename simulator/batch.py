"""A batch: a run of a fleet's events by number, in any of its forms.

Holds no events: they are drawn when a form is requested, and again for the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from trueup.reports.event_format import EventFormat, Framing
from trueup.reports.results import Json
from trueup.simulator.encode import Encoders
from trueup.simulator.model.draws import BillingColumns, DetailColumns, draw_billing, draw_details
from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.random.random_words import Ints, words

__all__ = ["Batch", "Columns", "event_lines"]

_AS_THEY_ARE: Final = EventFormat()


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Events as arrays of one entry each; the fleet's model explains the codes."""

    number: Ints
    coverage: npt.NDArray[np.bool_]
    """Coverage events: their other columns hold 0, except `number` and `second`."""
    second: Ints
    """Unix seconds, UTC."""
    sender: Ints
    network: Ints
    host: Ints
    outcome: Ints
    failed: Ints
    total_bytes: Ints
    archetype: Ints
    exit: Ints
    static: Ints
    address_index: Ints
    session: npt.NDArray[np.uint64]
    sticky: Ints
    total_ms: Ints
    handshake_ms: Ints
    tunnel_ms: Ints
    concurrency: Ints


class Batch:
    """Events `first … first+count-1` of a fleet."""

    def __init__(self, model: FleetModel, encoders: Encoders, first: int, count: int) -> None:
        self.model = model
        self._encoders = encoders
        self.first = first
        self.count = count

    def __len__(self) -> int:
        return self.count

    def _coverage(self) -> Iterator[dict[str, Json]]:
        """Yield the coverage events in this batch, in order."""
        model = self.model
        stop = min(self.first + self.count, model.coverage.count)
        if stop <= self.first:
            return
        number = self.first
        for first, count in model.arrivals.segments(self.first, stop - self.first):
            word = words(model.keys["arrival"], first, count)
            for second in model.arrivals.draw(first, count, word).second.tolist():
                yield model.coverage.event(number, model.ids.text(number), second)
                number += 1

    def _drawn(self) -> Iterator[tuple[BillingColumns, DetailColumns]]:
        """Yield the columns of the other events, segment by segment."""
        first = max(self.first, self.model.coverage.count)
        count = self.first + self.count - first
        if count > 0:
            for start, size in self.model.arrivals.segments(first, count):
                billing = draw_billing(self.model, start, size)
                yield billing, draw_details(self.model, billing)

    def coverage_rows(self) -> list[dict[str, Json]]:
        """Return the coverage events of this batch only."""
        return list(self._coverage())

    def ndjson(self, *, compact: bool = False) -> bytes:
        r"""Return one JSON object a line, `\n` after each. `compact` omits padding, at some
        cost.
        """
        if not compact:
            return bytes(self.lines())
        encoder = self._encoders.get(compact=compact)
        pieces = [self._covered_lines()]
        for billing, details in self._drawn():
            pieces += encoder.text(billing, details)
        return b"".join(pieces)

    def lines(self, events: EventFormat | None = None) -> memoryview:
        """Return what `ndjson()` returns, without the copy that bytes need.

        `events` is a target's format; pass the same object from one call to the next.
        """
        pieces = (piece for piece in self.pieces(max(self.count, 1), events) if piece is not None)
        _count, text = next(pieces)
        return text

    def pieces(
        self, most: int, events: EventFormat | None = None
    ) -> Iterator[tuple[int, memoryview] | None]:
        """Yield the lines in pieces of `most` events, each with its number of events.

        The first piece may be a multiple of that, the last less. Between pieces, yields None after
        each step of drawing, so that a caller can do other work: a step takes some tenths of a
        millisecond for some thousand events.
        """
        encoder = self._encoders.get(compact=False, events=events)
        stop = self.first + self.count
        begin = min(max(self.first, self.model.coverage.count), stop)
        covered = self._covered_lines(events)
        at = self.first
        end = min(stop, at + max(-(-(begin - at) // most), 1) * most)
        rows = encoder.rows(end - begin)
        filled = 0
        if not len(rows):
            yield end - at, memoryview(covered)
            at, covered = end, b""
        if begin == stop:
            return
        for first, size in self.model.arrivals.segments(begin, stop - begin):
            billing = draw_billing(self.model, first, size)
            yield None
            details = draw_details(self.model, billing)
            yield None
            looked_up = encoder.prepare_rows(billing, details)
            done = 0
            while done < size:
                if filled == len(rows):
                    end = min(stop, at + most)
                    rows, filled = encoder.rows(end - at), 0
                    yield None
                count = min(len(rows) - filled, size - done)
                encoder.write_rows(rows[filled : filled + count], looked_up, done)
                filled, done = filled + count, done + count
                if filled == len(rows):
                    text = rows.data.cast("B")
                    yield end - at, memoryview(covered + text) if covered else text
                    at, covered = end, b""

    def _covered_lines(self, events: EventFormat | None = None) -> bytes:
        return event_lines(events or _AS_THEY_ARE, self._coverage())

    def json_array(self) -> bytes:
        """Return the events as one JSON array, compact."""
        body = self.ndjson(compact=True)[:-1]
        return b"[" + body.replace(b"\n", b",\n") + b"]\n" if body else b"[]\n"

    def rows(self) -> list[dict[str, Json]]:
        """Return the events as dictionaries: the NDJSON, decoded."""
        decode = msgspec.json.Decoder(dict[str, object]).decode
        return [decode(line) for line in self.ndjson().splitlines()]  # type: ignore[misc]

    def log_ids(self) -> list[str]:
        """Return the ids of the events, in order."""
        number = np.arange(self.first, self.first + self.count, dtype=np.uint64)
        return self.model.ids.texts(number)

    def columns(self) -> Columns:
        """Return the events as arrays."""
        parts: list[dict[str, npt.NDArray[np.generic]]] = []
        covered = self.coverage_rows()
        if covered:
            parts.append(_covered(self.model, self.first, len(covered)))
        for billing, details in self._drawn():
            parts.append(_part(self.model, billing, details))
        if not parts:
            parts.append(_covered(self.model, self.first, 0))
        return Columns(
            **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )


def event_lines(form: EventFormat, events: Iterable[Mapping[str, Json]]) -> bytes:
    """Return events in a target's format, each with a line break, as `FleetBodies` takes them."""
    # An array is closed in place of the line break and of what precedes it.
    room = len(form.frame()[2]) - 1 if form.framing is Framing.LIST else 0
    end = b" " * room + b"\n"
    return b"".join(form.text(event) + end for event in events)


def _part(
    model: FleetModel, billing: BillingColumns, details: DetailColumns
) -> dict[str, npt.NDArray[np.generic]]:
    count = len(billing.sender)
    return {
        "number": np.arange(billing.first, billing.first + count, dtype=np.int64),
        "coverage": np.zeros(count, dtype=np.bool_),
        "second": billing.second,
        "sender": billing.sender,
        "network": model.senders.network.take(billing.sender),
        "host": billing.host,
        "outcome": billing.outcome,
        "failed": model.outcomes.failed.take(billing.outcome),
        "total_bytes": billing.total_bytes,
        "archetype": billing.archetype,
        "exit": details.exit,
        "static": details.static,
        "address_index": details.address_index,
        "session": details.session,
        "sticky": details.sticky,
        "total_ms": details.total_ms,
        "handshake_ms": details.handshake_ms,
        "tunnel_ms": details.tunnel_ms,
        "concurrency": details.concurrency,
    }


def _covered(model: FleetModel, first: int, count: int) -> dict[str, npt.NDArray[np.generic]]:
    zero = np.zeros(count, dtype=np.int64)
    names = [name for name in Columns.__dataclass_fields__ if name not in ("number", "coverage")]
    part: dict[str, npt.NDArray[np.generic]] = dict.fromkeys(names, zero)
    part["number"] = np.arange(first, first + count, dtype=np.int64)
    part["coverage"] = np.ones(count, dtype=np.bool_)
    part["session"] = zero.astype(np.uint64)
    seconds = [np.zeros(0, dtype=np.int64)]
    for start, size in model.arrivals.segments(first, count):
        word = words(model.keys["arrival"], start, size)
        seconds.append(model.arrivals.draw(start, size, word).second)
    part["second"] = np.concatenate(seconds)
    return part
