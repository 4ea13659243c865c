"""Request bodies for the reactor: batches of events, encoded ahead of their planned times, and
reads.

A source returns one batch after another and knows which event numbers each holds. A fleet's events
are drawn in blocks; worker k of W takes blocks k, k+W, …, so no two workers send the same event.
Blocks are reserved before they are drawn: if the generator dies, the events of reserved blocks
without an outcome are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec
import numpy as np

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Json
from trueup.reports.transport.urls import request_target
from trueup.simulator.delivery.forms import Framing, HttpForm, compress, encode_events, event_of
from trueup.simulator.reactor.address import Address, address_of

__all__ = [
    "BodySource",
    "FixedBodies",
    "FleetBodies",
    "PreparedRequest",
    "ReadRequests",
    "request_head",
]

Buffer = bytes | memoryview

Draw = Callable[[int, int, int], Iterator[tuple[int, Buffer] | None]]
"""Draws events as lines: takes the first event, the number of events and the events a piece; yields
each piece in order with its number of events (all pieces are complete but the last), and None after
each step in between.
"""

_NEWLINE: Final = ord("\n")
_END_OF_STEPS: Final = (0, b"")
"""Default of `next` at the end of the steps; compared by identity."""
_RESERVED_BLOCKS: Final = 8
"""Blocks reserved at once."""
_MALFORMED_LINE: Final = b'{"log_id": "broken\n'
"""A line that is not JSON, for NDJSON, whose other lines stay readable."""
_INCOMPLETE_EVENT: Final[Mapping[str, Json]] = {"log_id": "broken"}
"""An event that has only an id, for a list, which one malformed element would make unreadable."""


class PreparedRequest(msgspec.Struct, gc=False):
    """One request's events, and the state of their delivery. Mutable: it belongs to the engine.

    The garbage collector does not track it: after sending, creating one is the most expensive step
    of the loop.
    """

    head: bytes
    body: Buffer
    first: int
    count: int
    size: int
    """Bytes of head and body."""
    attempt: int = 0
    copies: int = 1
    """Requests with this batch that have no response yet; 2 if it was duplicated on purpose."""
    maybe_stored: bool = False
    """An attempt ended without a response: the target may have stored the events."""
    malformed: bool = False
    """A malformed line follows the events."""
    single_outcome: bool = True
    """Neither malformed nor duplicated: one response decides the outcome."""
    first_copy_ranges: tuple[OutcomeRange, ...] | None = None
    """Outcomes of the first copy of a duplicated batch."""
    planned: int = 0
    first_sent: int = 0
    bare: bytes = b""
    """The head without the headers of a `HeadDresser`; empty before it was dressed."""
    redirects: int = 0
    """Redirects that its requests have followed."""

    @property
    def payload(self) -> bytes:
        """Return the body of the request; its start may be at the end of the head."""
        return self.head.partition(b"\r\n\r\n")[2] + self.body

    @property
    def fields(self) -> dict[str, str]:
        """Return the header fields but Host and Content-Length."""
        lines = self.head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        named = (line.partition(": ") for line in lines)
        kept = ((name, value) for name, _, value in named)
        return {name: value for name, value in kept if name not in ("Host", "Content-Length")}


class BodySource(Protocol):
    """Returns batches in order."""

    def take(self) -> PreparedRequest | None:
        """Return the next batch; None if there are no more."""
        ...

    def prepare(self) -> bool:
        """Use idle time for one step (some tenths of a millisecond) of preparing the next batches.

        Returns False if there was nothing to do.
        """
        ...


def request_head(method: str, url: str, fields: Mapping[str, str]) -> tuple[Address, bytes]:
    """Return the address of a URL and the request's head up to the value of Content-Length.

    Raises ValueError for a scheme other than http and https, and for a field that holds a line
    break.
    """
    address, parts = address_of(url), urlsplit(url)
    rows = {"Host": parts.netloc.rpartition("@")[2], **fields}
    for name, value in rows.items():
        if any(c in f"{name}{value}" for c in "\r\n\0"):
            raise ValueError(f"header field `{name}` holds a line break")
    lines = [
        f"{method} {request_target(parts)} HTTP/1.1",
        *(f"{name}: {value}" for name, value in rows.items()),
    ]
    return address, "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


class FixedBodies:
    """The same body for every request; for calibration, where events are not counted."""

    def __init__(self, head: bytes, body: bytes, *, count: int = 1) -> None:
        self._head = head + str(len(body)).encode() + b"\r\n\r\n"
        self._body, self._count, self._next = body, count, 0
        self._size = len(self._head) + len(body)

    def take(self) -> PreparedRequest:
        """Return the next batch; there is always one."""
        first = self._next
        self._next = first + self._count
        return PreparedRequest(self._head, self._body, first, self._count, self._size)

    def prepare(self) -> bool:
        """Return False: nothing is prepared."""
        return False


class ReadRequests:
    """GET requests in turn, for reads beside the load. Their batches hold no events."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        """`requests` are complete requests without a body, as bytes."""
        self._requests, self._next = requests, 0

    def take(self) -> PreparedRequest:
        """Return the next request; there is always one."""
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        return PreparedRequest(request, b"", 0, 0, len(request))

    def prepare(self) -> bool:
        """Return False: nothing is prepared."""
        return False


class FleetBodies:
    """A fleet's events as request bodies of a target's form, each event once.

    `draw(first, count, most)` draws events in steps and encodes them in the target's format: see
    `Draw`. A row of a list ends with blanks, which the end of the list replaces. Where headers are
    made from events, it gives them as they are, and they are encoded one by one. `reserve(ranges)`
    is called before any event of those ranges can be sent. Every `malformed_every`-th batch ends
    with a malformed line, which the target must refuse and nothing else; a form with one event a
    request cannot hold one.
    """

    def __init__(
        self,
        form: HttpForm,
        draw: Draw,
        *,
        batch_events: int,
        block_events: int = 1_000,
        piece_events: int = 1_000,
        first: int = 0,
        worker: int = 0,
        workers: int = 1,
        reserve: Callable[[list[tuple[int, int]]], None] | None = None,
        malformed_every: int = 0,
        limit: int | None = None,
    ) -> None:
        """`block_events` are drawn at once, `piece_events` of them encoded; both are rounded down
        to complete batches. `limit` is the maximum number of events over all workers, best a
        multiple of the block.
        """
        self.form = form
        _, self._head = request_head(form.method, form.url, form.head_fields())
        self._draw, self._reserve = draw, reserve
        self._batch = 1 if form.one_by_one else batch_events
        self._block = max(block_events // self._batch, 1) * self._batch
        self._piece = max(piece_events // self._batch, 1) * self._batch
        self._first, self._worker, self._workers = first, worker, workers
        self._malformed_every, self._limit = malformed_every, limit
        self._reserved: list[tuple[int, int]] = []
        self._blocks = self._numbers()
        self._ready: Iterator[PreparedRequest] = iter(())
        self._ahead: Iterator[PreparedRequest] | None = None
        """Batches of the piece after the current one."""
        self._steps: Iterator[tuple[int, Buffer] | None] = iter(())
        self._at = 0
        """First event of the next piece of the block."""
        self._batches_so_far = 0
        self._last_head = (-1, b"")
        """Body length and head of the last batch."""
        self._list = form.format.framing is Framing.LIST
        self._before, _between, self._after = form.format.frame()
        # What precedes the events of a body is the end of the head, where it is not compressed.
        self._packed = form.compression != "none"
        self._in_head = b"" if self._packed else self._before
        self._lines = form.format.lines_per_event

    def _numbers(self) -> Iterator[tuple[int, int]]:
        block = self._worker
        while self._limit is None or block * self._block < self._limit:
            start = block * self._block
            stop = (
                start + self._block
                if self._limit is None
                else min(start + self._block, self._limit)
            )
            yield self._first + start, stop - start
            block += self._workers

    def take(self) -> PreparedRequest | None:
        """Return the next batch; None if all events were taken."""
        found = next(self._ready, None)
        while found is None:
            while self._ahead is None:
                if not self.prepare():
                    return None
            self._ready, self._ahead = self._ahead, None
            found = next(self._ready, None)
        return found

    def prepare(self) -> bool:
        """Draw or encode one step; returns False if a piece is ready already or none is left."""
        if self._ahead is not None:
            return False
        step = next(self._steps, _END_OF_STEPS)
        if step is _END_OF_STEPS:
            block = self._next_block()
            if block is None:
                return False
            self._at, count = block
            self._steps = self._draw(self._at, count, self._piece)
        elif step is not None:
            count, text = step
            self._ahead = self._split_piece(self._at, count, text)
            self._at += count
        return True

    def _next_block(self) -> tuple[int, int] | None:
        """Reserve blocks if needed, and return the next one of this worker."""
        if not self._reserved:
            self._reserved = list(islice(self._blocks, _RESERVED_BLOCKS))
            if not self._reserved:
                return None
            if self._reserve is not None:
                self._reserve(self._reserved)
            self._reserved.reverse()
        return self._reserved.pop()

    def _split_piece(self, first: int, count: int, text: Buffer) -> Iterator[PreparedRequest]:
        """Split a piece into batches. Work on all of it at once is done here, the rest by batch."""
        offsets = _batch_offsets(text, count, self._batch, self._lines)
        if self.form.event_headers:
            lines = bytes(text).splitlines()
            return (self._request_of(line, first + n) for n, line in enumerate(lines))
        every = self._malformed_every
        before = self._batches_so_far
        self._batches_so_far += len(offsets) - 1
        # Copies of the lines that get a malformed one: arrays are built in place.
        malformed_lines = {
            number: bytes(text[offsets[number] : offsets[number + 1]])
            for number in range(len(offsets) - 1)
            if every and (before + number + 1) % every == 0
        }
        if self._list:
            text = _as_lists(text, offsets, self._after)
        return self._batches(first, count, memoryview(text), offsets, malformed_lines)

    def _batches(
        self,
        first: int,
        count: int,
        view: memoryview,
        offsets: list[int],
        malformed_lines: dict[int, bytes],
    ) -> Iterator[PreparedRequest]:
        for number, (start, stop) in enumerate(pairwise(offsets)):
            at = number * self._batch
            events = min(self._batch, count - at)
            if number in malformed_lines:
                yield self._batch_of(
                    self._with_malformed_line(malformed_lines[number]), first + at, events, True
                )
            else:
                yield self._batch_of(self._body(view, start, stop), first + at, events, False)

    def _body(self, view: memoryview, start: int, stop: int) -> Buffer:
        """Return a batch's lines as a body; what precedes them may be in the head."""
        if self.form.format.framing is Framing.SINGLE:
            stop -= 1  # the line break
        part = view[start:stop]
        return compress(self.form, self._before + part) if self._packed else part

    def _with_malformed_line(self, lines: bytes) -> bytes:
        """Return a body with a malformed line after its events."""
        text = self.form.format.text(_INCOMPLETE_EVENT)
        if self._list:
            body = lines.replace(b"\n", b",") + text + self._after
        else:
            *others, _last = text.split(b"\n")
            body = lines + b"".join(line + b"\n" for line in others) + _MALFORMED_LINE
        return compress(self.form, self._before + body) if self._packed else body

    def _request_of(self, line: bytes, number: int) -> PreparedRequest:
        """Return a request whose header is made from its event, a line of ours."""
        event = event_of(line)
        _, head = request_head(self.form.method, self.form.url, self.form.head_fields(event))
        body = encode_events(self.form, [event])
        head += b"%d\r\n\r\n" % len(body)
        return PreparedRequest(head, body, number, 1, len(head) + len(body))

    def _batch_of(self, body: Buffer, first: int, count: int, malformed: bool) -> PreparedRequest:
        length, head = self._last_head
        if length != len(body):
            size = len(body) + len(self._in_head)
            head = self._head + b"%d\r\n\r\n" % size + self._in_head
            self._last_head = (len(body), head)
        size = len(head) + len(body)
        return PreparedRequest(
            head, body, first, count, size, malformed=malformed, single_outcome=not malformed
        )


def _as_lists(block: Buffer, offsets: list[int], after: bytes) -> Buffer:
    """Turn lines into lists, except for what precedes them, and return the text.

    Newlines become commas; `after` replaces the last bytes of a batch, which are blanks and a
    newline. Works in place if the memory is writable.
    """
    text = np.frombuffer(block, dtype=np.uint8)
    if not text.flags.writeable:
        text = text.copy()
    text[text == _NEWLINE] = ord(",")
    ends = np.array(offsets[1:])
    for place, byte in enumerate(reversed(after), start=1):
        text[ends - place] = byte
    return text.data


def _batch_offsets(block: Buffer, count: int, batch: int, lines: int = 1) -> list[int]:
    """Return the byte offsets at which batches begin, and the end; an event has so many `lines`.

    Rows of one width need no search. Raises ValueError if the rows are not as many as the events.
    """
    text = np.frombuffer(block, dtype=np.uint8)
    width, odd = divmod(len(block), count)
    if not odd and (text[width - 1 :: width] == _NEWLINE).all():
        return [*range(0, len(block), width * batch), len(block)]
    ends = np.flatnonzero(text == _NEWLINE)[lines - 1 :: lines] + 1
    if len(ends) != count:
        raise ValueError(f"{count} events were drawn, but {len(ends)} lines encoded")
    offsets = [0, *ends[batch - 1 :: batch].tolist()]
    return offsets if offsets[-1] == len(block) else [*offsets, len(block)]
