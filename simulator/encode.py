"""Encode events as NDJSON, a thousand rows at a time, by gathering fragments from tables.

Every row has the same width. JSON allows blanks between tokens, so blanks follow a short value and
precede a number: a row is a few copies. The compact form is the same text without those blanks.
Fields are in the same order in both. What a target makes of the fields (names, values, times,
amounts, objects around them) is part of the tables and of the constant text of a row, so it costs
nothing, or little, per event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import gcd
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from trueup.reports.event_format import (
    AMOUNTS,
    EVENT_KEYS,
    EventFormat,
    Framing,
    Leaf,
    TimeForm,
    Tree,
    time_form,
)
from trueup.reports.results import Json
from trueup.simulator.model.draws import BillingColumns, DetailColumns
from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.outcomes import HTTP_PORT, OUTCOMES, SOCKS_PORT, RequestOutcome
from trueup.simulator.model.population import CLIENTS
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints, Words

__all__ = ["Encoder", "Encoders"]

Table: TypeAlias = npt.NDArray[np.uint64]
Fragments: TypeAlias = npt.NDArray[np.void]

_ROWS: Final = 2048
"""Maximum number of rows written at once, two megabytes: each copy passes over all of them."""
_DAY: Final = 86400
_TEN_THOUSAND: Final = 10_000
_U = np.uint64
_JSON: Final = msgspec.json.Encoder().encode
_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "sender": (
        "customer_id",
        "proxy_user_id",
        "service_id",
        "log_network",
        "log_client_ip_address",
        "log_authentication_type",
        "log_smartpath_enabled",
        "log_smartpath_routed",
    ),
    "outcome": (
        "log_protocol",
        "log_protocol_version",
        "log_transport",
        "log_method",
        "log_is_tls_enabled",
        "log_status_code",
        "log_error_code",
        "log_local_port",
    ),
    "host": ("log_hostname",),
    "exit": (
        "proxy_id",
        "log_local_ip_address",
        "country_id",
        "city_alias",
        "asn_id",
        "log_egress_ip_address",
    ),
}
"""Table → fields whose values it holds together."""
_GROUPS: Final[Mapping[str, str]] = {
    **{field: table for table, fields in _TABLES.items() for field in fields},
    "log_id": "id",
    "log_request_datetime": "time",
    "log_session_id": "session",
    **dict.fromkeys(AMOUNTS, "number"),
}
_RANKS: Final = {
    name: rank
    for rank, name in enumerate(
        ("id", "time", "sender", "outcome", "host", "exit", "egress", "session", "number")
    )
}
"""Order of the groups of fields in a row."""
_FIRST: Final = (-1, -1)
_EGRESS: Final = "log_egress_ip_address"
"""Its value is in two tables: its last octets follow those of its place."""
_DIGITS: Final[Mapping[str, int]] = {
    "log_total_bytes": 3,
    "log_total_elapsed_ms": 2,
    "log_handshake_elapsed_ms": 2,
    "log_tunnel_elapsed_ms": 2,
    "log_concurrency": 1,
}
"""Amount → groups of four digits that its largest value has."""
_FEW: Final = 0.3
"""Share of the numbers below which their higher digits are written for these numbers only."""
_AS_THEY_ARE: Final = EventFormat()
_END: Final = re.compile(rb"[\]},]*")
_ID_PARTS: Final = ((0, 8, 0), (8, 4, 9), (12, 4, 14), (16, 4, 19), (20, 12, 24))
"""Hexadecimal digits of an id: where they begin, how many, and their place in its text."""
_OCTETS: Final = (0, 0xFFFF)
_OCTET: Final = (1 << 16, 0xFF)
_NO_OCTET: Final = ((1 << 16) + (1 << 8), 0)
"""Ways to end an egress address: first place in `_suffixes`, and a mask for its number."""


def _ordered(tree: Tree) -> tuple[tuple[int, int], Tree]:
    """Return a tree whose parts have the order of the tables, and its own place in it.

    The order of keys has no meaning; one table a group of fields makes rows cheap.
    """
    match tree:
        case Leaf():
            field = tree.fields[0]
            group = "egress" if field == _EGRESS else _group(tree)
            return (_RANKS[group], EVENT_KEYS.index(field)), tree
        case dict():
            named = [(*_ordered(part), key) for key, part in tree.items()]
            named.sort(key=lambda row: row[0])
            rank = named[0][0][0] if named else -1
            # After the fields beside it that have the same table.
            return (rank, len(EVENT_KEYS)), {key: part for _, part, key in named}
        case list():
            rows = [_ordered(part) for part in tree]
            rows.sort(key=lambda row: row[0])
            return rows[0][0] if rows else _FIRST, [part for _, part in rows]
        case _:
            return _FIRST, tree


def _group(leaf: Leaf) -> str:
    """Return the table that holds a leaf's values, or the kind of place that it has in a row."""
    return _GROUPS.get(leaf.fields[0], "number")


def _tokens(tree: Tree) -> Iterator[bytes | Leaf]:
    """Yield the JSON text of a tree, piece by piece, with its leaves between."""
    match tree:
        case Leaf():
            yield tree
        case dict():
            yield b"{"
            for number, (key, part) in enumerate(tree.items()):
                yield (b"," if number else b"") + _JSON(key) + b":"
                yield from _tokens(part)
            yield b"}"
        case list():
            yield b"["
            for number, part in enumerate(tree):
                if number:
                    yield b","
                yield from _tokens(part)
            yield b"]"
        case _:
            yield _JSON(tree)


def _around(leaf: Leaf, kind: str) -> tuple[bytes, bytes]:
    """Return what stands before and after a value that is not null; `kind` is its JSON type."""
    if leaf.attribute is None:
        return b"", b""
    return b'{"key":' + _JSON(leaf.attribute) + b',"value":{"%sValue":' % kind.encode(), b"}}"


def _round_up(size: int) -> int:
    """Return the next multiple of eight bytes."""
    return -(-size // 8) * 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Events prepared for writing as lines: what is looked up for all of them at once."""

    count: int
    taken: tuple[tuple[int, Fragments, Ints], ...]
    """Place in the row, the table, and the index into it for each event."""
    times: tuple[tuple[int, Fragments, int, Table], ...]
    """Place and text of the first digits (the date), and of the last (the time of day)."""
    id_digits: npt.NDArray[np.uint32]
    sticky: Ints
    """Indices of the events that have a session; their session's digits follow."""
    session_digits: npt.NDArray[np.uint32]
    digits: npt.NDArray[np.uint32]
    """The numbers of a row, side by side."""


class _RowText:
    """The constant text of a row while its parts are put down one after the other.

    Each part is a multiple of eight bytes. JSON allows blanks between tokens, so parts are padded
    there. `pending` is text that precedes the next part; `closing` ends the part before it, and no
    blank may stand between the two.
    """

    def __init__(self, pad: bytes, tokens: Sequence[bytes | Leaf]) -> None:
        self._pad = pad
        self._tokens = list(reversed(tokens))
        self._text = bytearray()
        self.pending = b""
        self.closing = b""
        self._take_text()

    def _take_text(self) -> None:
        """Move the text up to the next leaf to `pending`."""
        while self._tokens and isinstance(self._tokens[-1], bytes):
            text = self._tokens.pop()
            assert isinstance(text, bytes)
            self.pending += text

    def next_leaf(self) -> Leaf | None:
        """Return the next leaf; None at the end. The text before it is pending."""
        self._take_text()
        leaf = self._tokens.pop() if self._tokens else None
        assert not isinstance(leaf, bytes)
        return leaf

    def take_run(
        self, leaf: Leaf, belongs: Callable[[Leaf], bool]
    ) -> tuple[list[bytes | Leaf], bool]:
        """Return the text and leaves of a table that begins with a leaf, and whether it ends with
        an egress address.
        """
        run: list[bytes | Leaf] = [self.closing + self.pending, leaf]
        begins_in_string = bool(self.closing)
        closing, pending, self.closing, self.pending = self.closing, self.pending, b"", b""
        while leaf.fields[0] != _EGRESS:
            self._take_text()
            following = self._tokens[-1] if self._tokens else None
            if not isinstance(following, Leaf) or not belongs(following):
                break
            leaf = following
            run += [self.pending, leaf]
            self.pending = b""
            self._tokens.pop()
        egress = leaf.fields[0] == _EGRESS
        if egress and begins_in_string:
            # Fragments are padded on the left.
            rest, self.pending, self.closing = self.pending, pending, closing
            self._close()
            run[0], self.pending = self.pending, rest
        return run, egress

    def take_end(self) -> bytes:
        """Return the brackets and the comma that follow the value of the last leaf: its part can
        end with them.
        """
        if not self._tokens or isinstance(self._tokens[-1], Leaf):
            return b""
        end, rest = _split_end(self._tokens[-1])
        self._tokens[-1] = rest
        return end

    def put(self, value: bytes) -> int:
        """Put down the pending text and a value whose end is that of a word; returns where the
        value begins.
        """
        self._close()
        head, self.pending = self.pending, b""
        pads = self._pad * (-(len(self._text) + len(head) + len(value)) % 8)
        self._text += b"{" + pads + head[1:] if head[:1] == b"{" else pads + head
        begin = len(self._text)
        self._text += value
        return begin

    def reserve(self, width: int) -> int:
        """Leave room for a table; returns where it begins."""
        begin = len(self._text)
        self._text += self._pad * width
        return begin

    def _close(self) -> None:
        """Put down the end of the part before, where no table takes it."""
        if self.closing:
            end, self.pending = _split_end(self.pending)
            text = self.closing + end
            self._text += text.ljust(_round_up(len(text)), self._pad)
            self.closing = b""

    def finish(self, reserve: int) -> bytes:
        """Return the text of the row, ended by a line break with room for so many bytes, it
        included.
        """
        self._close()
        width = _round_up(len(self.pending) + max(reserve, 1))
        self._text += self.pending.ljust(width - 1, self._pad) + b"\n"
        return bytes(self._text)


def _split_end(text: bytes) -> tuple[bytes, bytes]:
    """Return the brackets and commas at the start of a text, and the rest."""
    found = _END.match(text)
    assert found is not None, "it matches nothing, too"
    return found[0], text[found.end() :]


@dataclass(frozen=True, kw_only=True, slots=True)
class _TimeText:
    """The text of a time: first digits, which many events share, and eight bytes."""

    form: TimeForm
    quoted: bool
    pad: bytes

    @property
    def unit_s(self) -> int:
        """Return the seconds that share their first digits."""
        return _TEN_THOUSAND if self.form.units_per_s else _DAY

    def head(self, number: int) -> bytes:
        """Return the first digits of a unit since 1970: the date, or all but the last four."""
        return _time_head(self.form, self.quoted, number)

    @property
    def words(self) -> Table:
        """Return the eight bytes of each second of a unit."""
        if not self.form.units_per_s:
            return _time_table()
        return _epoch_table(self._end[:4].ljust(4, self.pad))

    @property
    def closing(self) -> bytes:
        """Return what follows those eight bytes at once."""
        return self._end[4:] if self.form.units_per_s else self._end

    @property
    def _end(self) -> bytes:
        zeros = str(self.form.units_per_s)[1:] if self.form.units_per_s else ""
        decimals = "." + "0" * self.form.decimals if self.form.decimals else ""
        return f"{zeros}{decimals}{self.form.zone}".encode() + (b'"' if self.quoted else b"")


@dataclass(frozen=True, kw_only=True, slots=True)
class _TimePlace:
    at: int
    words_at: int
    text: _TimeText


class Encoder:
    """The tables of one fleet, one pad character (a blank, or NUL for the compact form) and a
    target's format.

    If the form is a list, a row has blanks before its line break, which the end of a list replaces.
    """

    def __init__(self, model: FleetModel, pad: bytes, events: EventFormat = _AS_THEY_ARE) -> None:
        self._model = model
        self._ids = model.ids
        self._pad = pad
        self._place_offset = len(model.senders.proxies)
        spans = [_NO_OCTET] * self._place_offset
        spans += [_OCTETS if row.free_octets == 2 else _OCTET for row in model.places.rows]
        self._suffix_first, self._suffix_mask = np.array(spans, dtype=np.int64).T.copy()
        self._hex = _hex_table()
        self._digits = _digit_table(pad)
        self._tables: list[tuple[int, str, Fragments]] = []
        """Place in the row, the index into it (`sender`, …), and the table."""
        self._id_places: list[int] = []
        self._times: list[_TimePlace] = []
        self._sessions: list[tuple[int, bytes, int]] = []
        """Place and text of a session that is not null, and the place of its digits."""
        self._numbers: list[tuple[Leaf, int, int]] = []
        """Leaf, place of its digits, groups of four digits; the longest first."""
        text = self._lay_out(events)
        self.width = len(text)
        self._numbers.sort(key=lambda place: -place[2])
        self._constant = self._constant_parts(text)
        """Bytes of the row that no table fills: place, and one value with all of them."""

    def _lay_out(self, events: EventFormat) -> bytes:
        """Place every part of a row in order; returns its constant text."""
        tokens: list[bytes | Leaf] = []
        for number, tree in enumerate(events.trees):
            tokens += [b"\n"] if number else []
            tokens += _tokens(_ordered(tree)[1])
        row = _RowText(self._pad, tokens)
        while (leaf := row.next_leaf()) is not None:
            match _group(leaf):
                case "id":
                    self._put_id(row, leaf)
                case "time":
                    self._put_time(row, leaf)
                case "session":
                    self._put_session(row, leaf)
                case "number":
                    self._put_number(row, leaf)
                case table:
                    self._put_table(row, table, leaf)
        after = events.frame()[2] if events.framing is Framing.LIST else b""
        return row.finish(reserve=len(after))

    def _put_id(self, row: _RowText, leaf: Leaf) -> None:
        before, after = _around(leaf, "string")
        row.pending += before + b'"'
        at = row.put(b"-" * 36 + b'"' + after + row.take_end())
        self._id_places.append(at)

    def _put_time(self, row: _RowText, leaf: Leaf) -> None:
        form = time_form(leaf.time or "space")
        assert form is not None, "the format is checked when it is read"
        text = _TimeText(form=form, quoted=leaf.as_text or not form.units_per_s, pad=self._pad)
        before, after = _around(leaf, "string" if text.quoted else "int")
        row.pending += before
        width = len(text.head(0))
        at = row.put(b"-" * width)
        words_at = row.put(b"-" * 8)
        self._times.append(_TimePlace(at=at, words_at=words_at, text=text))
        if text.closing:
            row.closing = text.closing + after
        else:
            row.pending = after

    def _put_session(self, row: _RowText, leaf: Leaf) -> None:
        before, after = _around(leaf, "string")
        end = row.take_end()
        null = _JSON(leaf.of({"log_session_id": None})) + end
        text = before + b'"' + b"-" * 12 + b'"' + after + end
        at = row.put(null.ljust(len(text), self._pad))
        self._sessions.append((at, text, at + len(before) + 1))

    def _put_number(self, row: _RowText, leaf: Leaf) -> None:
        before, after = _around(leaf, "int")
        groups = max(_DIGITS[field] for field in leaf.fields) + (len(leaf.fields) > 1)
        row.pending += before
        at = row.put(b"0" * (4 * groups))
        row.pending = after
        self._numbers.append((leaf, at, groups))

    def _put_table(self, row: _RowText, table: str, leaf: Leaf) -> None:
        """Put down the table of this leaf and of those of its group that follow."""
        run, egress = row.take_run(leaf, lambda other: _group(other) == table)
        fragments = (_fragment(run, values) for values in _values(self._model, table))
        self._add_table(row, table, _table(fragments, self._pad, right=egress))
        if not egress:
            return
        _, after = _around(run[-1], "string") if isinstance(run[-1], Leaf) else (b"", b"")
        end = b'"' + after + row.take_end()
        self._add_table(row, "suffix", _table((part + end for part in _suffixes()), self._pad))

    def _add_table(self, row: _RowText, index: str, table: Fragments) -> None:
        self._tables.append((row.reserve(table.itemsize), index, table))

    def _constant_parts(self, text: bytes) -> list[tuple[int, Fragments]]:
        filled = np.zeros(len(text) // 8, dtype=np.int8)
        for at, _index, table in self._tables:
            filled[at // 8 : (at + table.itemsize) // 8] = 1
        edges = np.flatnonzero(np.diff(np.concatenate(([1], filled, [1])))).tolist()
        return [
            (8 * start, np.frombuffer(text[8 * start : 8 * stop], dtype=f"V{8 * (stop - start)}"))
            for start, stop in zip(edges[::2], edges[1::2], strict=True)
        ]

    def rows(self, count: int) -> Table:
        """Return room for the lines of so many events; undefined until `write_rows`."""
        return np.empty((count, self.width // 8), dtype=np.uint64)

    def prepare_rows(self, billing: BillingColumns, details: DetailColumns) -> Rows:
        """Return everything about the lines of these events but the bytes that tables hold."""
        exit_row = details.exit + self._place_offset * (1 - details.static)
        suffix = self._suffix_mask.take(exit_row)
        suffix &= details.address_index
        suffix += self._suffix_first.take(exit_row)
        indices = {
            "sender": (billing.sender * CLIENTS + details.client) * 2 + details.routed,
            "outcome": billing.outcome,
            "host": billing.host,
            "exit": exit_row,
            "suffix": suffix,
        }
        number = np.arange(billing.first, billing.first + len(billing.sender), dtype=np.uint64)
        sticky = np.flatnonzero(details.sticky)
        return Rows(
            count=len(billing.sender),
            taken=tuple((at, table, indices[index]) for at, index, table in self._tables),
            times=tuple(_time_columns(billing.second, place) for place in self._times),
            id_digits=self._hex_of(*self._ids.words(number)),
            sticky=sticky,
            session_digits=self._hex_of(details.session[sticky] << _U(16)),
            digits=self._digits_of(billing, details),
        )

    def write_rows(self, out: Table, rows: Rows, first: int = 0) -> None:
        """Write events `first …` of the prepared ones as lines of `width` bytes into `out`."""
        for start in range(0, len(out), _ROWS):
            part = out[start : start + _ROWS]
            self._fill(part, rows, slice(first + start, first + start + len(part)))

    def text(self, billing: BillingColumns, details: DetailColumns) -> list[bytes]:
        """Return the events as lines without padding, some thousand a piece, in order."""
        rows, pieces = self.prepare_rows(billing, details), []
        grid = self.rows(min(rows.count, _ROWS))
        for start in range(0, rows.count, _ROWS):
            part = grid[: rows.count - start]
            self.write_rows(part, rows, start)
            pieces.append(part.tobytes().translate(None, self._pad))
        return pieces

    def _fill(self, out: Table, rows: Rows, here: slice) -> None:
        """Write rows, few enough to stay in the processor's cache until the last copy."""
        for at, constant in self._constant:
            _byte_column(out, at, constant.itemsize)[...] = constant
        for at, table, index in rows.taken:
            _byte_column(out, at, table.itemsize)[...] = table.take(index[here])
        for at, heads, words_at, words in rows.times:
            _byte_column(out, at, heads.itemsize)[...] = heads[here]
            out[:, words_at // 8] = words[here]
        for at in self._id_places:
            for digits, size, place in _ID_PARTS:
                column = _byte_column(rows.id_digits, digits, size)
                _byte_column(out, at + place, size)[...] = column[here]
        begin = 0
        for _leaf, at, groups in self._numbers:
            column = _byte_column(rows.digits, begin, 4 * groups)
            _byte_column(out, at, 4 * groups)[...] = column[here]
            begin += 4 * groups
        low, high = np.searchsorted(rows.sticky, (here.start, here.stop))
        if low < high:
            where = rows.sticky[low:high] - here.start
            marks = _byte_column(rows.session_digits, 0, 12)[low:high]
            for at, text, digits_at in self._sessions:
                _byte_column(out, at, len(text))[where] = np.void(text)
                _byte_column(out, digits_at, 12)[where] = marks

    def _hex_of(self, *words: Words) -> npt.NDArray[np.uint32]:
        """Return hexadecimal digits of words side by side: four groups of four a word."""
        whole = np.empty((len(words[0]), len(words)), dtype=">u8")
        for column, word in enumerate(words):
            whole[:, column] = word
        return self._hex.take(whole.view("<u2"))

    def _digits_of(self, billing: BillingColumns, details: DetailColumns) -> npt.NDArray[np.uint32]:
        """Return right-aligned digits after padding: groups of four, the first without zeros; the
        numbers of a row side by side.
        """
        places = self._numbers
        text = np.empty(
            (len(billing.sender), sum(groups for _, _, groups in places)), dtype=np.uint32
        )
        if not places:
            return text
        text.fill(self._digits[0])
        end = 0
        amounts = _amounts([leaf for leaf, _, _ in places], billing, details)
        for left, (_leaf, _at, groups) in zip(amounts, places, strict=True):
            end += groups
            self._write_digits(text, end - 1, end - groups, left)
        return text

    def _write_digits(
        self, text: npt.NDArray[np.uint32], column: int, first: int, left: Ints
    ) -> None:
        """Write the digits of numbers, those of the last group into a column, down to `first`."""
        last, where = 20_000, None
        while True:
            above = left // 10_000
            more = above > 0
            digits = left - above * 10_000
            digits += more * 10_000
            digits += last
            text[slice(None) if where is None else where, column] = self._digits.take(digits)
            column, last = column - 1, 0
            if column < first or not (count := np.count_nonzero(more)):
                return
            # Few numbers have more than four digits, except for bytes.
            if where is not None or count < _FEW * len(more):
                where = np.flatnonzero(more) if where is None else where[more]
                left = above[more]
            else:
                left = above


def _amounts(leaves: Sequence[Leaf], billing: BillingColumns, details: DetailColumns) -> list[Ints]:
    """Return the numbers of each leaf."""
    whole = {
        "log_total_bytes": billing.total_bytes,
        "log_total_elapsed_ms": details.total_ms,
        "log_handshake_elapsed_ms": details.handshake_ms,
        "log_tunnel_elapsed_ms": details.tunnel_ms,
        "log_concurrency": details.concurrency,
    }
    cuts: dict[tuple[str, int, int], Ints] = {}

    def cut(field: str, share: int, weight: int) -> Ints:
        """Return the share of an amount, rounded down."""
        if share == weight:
            return whole[field]
        if (field, share, weight) not in cuts:
            common = gcd(share, weight)
            cuts[field, share, weight] = whole[field] * (share // common) // (weight // common)
        return cuts[field, share, weight]

    found: list[Ints] = []
    for leaf in leaves:
        first, *others = leaf.fields
        if leaf.part is not None:
            low, high, weight = leaf.part
            part = cut(first, high, weight)
            found.append(part - cut(first, low, weight) if low else part)
        else:
            found.append(sum((whole[field] for field in others), whole[first]))
    return found


class Encoders:
    """The encoders of one fleet; the tables of each are made when first used."""

    def __init__(self, model: FleetModel) -> None:
        self._model = model
        self._made: dict[tuple[bool, int], tuple[EventFormat | None, Encoder]] = {}

    def get(self, *, compact: bool, events: EventFormat | None = None) -> Encoder:
        """Return the encoder for the compact or padded form of a target's format.

        `events` must be the same object from one call to the next for an encoder to be used again.
        """
        key = (compact, id(events))
        if key not in self._made:
            pad = b"\0" if compact else b" "
            self._made[key] = events, Encoder(self._model, pad, events or _AS_THEY_ARE)
        return self._made[key][1]


def _time_columns(second: Ints, place: _TimePlace) -> tuple[int, Fragments, int, Table]:
    """Return where and what the first digits of times are, and the last ones."""
    text = place.text
    unit_s, words = text.unit_s, text.words
    if text.form.offset_s:
        second = second + text.form.offset_s
    low, high = int(second.min()) // unit_s, int(second.max()) // unit_s
    heads = np.array(
        [text.head(number) for number in range(low, high + 1)], dtype=f"V{len(text.head(low))}"
    )
    if low == high:
        shared = np.broadcast_to(heads, second.shape)
        return place.at, shared, place.words_at, words.take(second - low * unit_s)
    number, rest = np.divmod(second, unit_s)
    return place.at, heads.take(number - low), place.words_at, words.take(rest)


def _table(fragments: Iterable[bytes], pad: bytes, right: bool = False) -> Fragments:
    """Return fragments as values of one width, a multiple of 8 bytes, padded on one side; an empty
    table holds blanks, because a value cannot have zero bytes.
    """
    rows = list(fragments)
    width = _round_up(max(1, *map(len, rows)))
    put = bytes.rjust if right else bytes.ljust
    return np.frombuffer(b"".join(put(row, width, pad) for row in rows), dtype=f"V{width}")


def _byte_column(rows: npt.NDArray[Any], at: int, size: int) -> Fragments:
    """Return `size` bytes of every row from byte `at` on, as one strided column of opaque values:
    numpy copies those in half the time that it takes for rows of words.
    """
    return np.ndarray(
        (len(rows),), dtype=f"V{size}", buffer=rows.data, offset=at, strides=(rows.strides[0],)
    )


def _fragment(run: Sequence[bytes | Leaf], values: Mapping[str, Json]) -> bytes:
    """Return the text of a row of a table. An egress address at its end is left open."""
    text = b"".join(
        part if isinstance(part, bytes) else _JSON(part.of(values)) for part in run[:-1]
    )
    last = run[-1]
    assert isinstance(last, Leaf)
    value = _JSON(last.of(values))
    if last.fields[0] != _EGRESS:
        return text + value
    _, after = _around(last, "string")
    return text + value.removesuffix(b'"' + after)


def _values(model: FleetModel, table: str) -> Iterable[Mapping[str, Json]]:
    """Yield the values of each row of a table, in the order of its index."""
    match table:
        case "sender":
            return _senders(model)
        case "outcome":
            return map(_outcome, OUTCOMES)
        case "host":
            return ({"log_hostname": name} for name in model.hosts.names)
        case _:
            return _exits(model)


def _senders(model: FleetModel) -> Iterable[dict[str, Json]]:
    senders = model.senders
    for sender in range(len(senders)):
        for client in senders.clients[sender]:
            for routed in (False, True):
                yield {
                    "customer_id": model.customers[int(senders.customer[sender])],
                    "proxy_user_id": senders.users[int(senders.user[sender])],
                    "service_id": senders.service[sender],
                    "log_network": NETWORKS[int(senders.network[sender])],
                    "log_client_ip_address": client,
                    "log_authentication_type": int(senders.authentication[sender]),
                    "log_smartpath_enabled": bool(senders.smartpath[sender]),
                    "log_smartpath_routed": routed,
                }


def _outcome(outcome: RequestOutcome) -> dict[str, Json]:
    socks = outcome.kind == "socks"
    return {
        "log_protocol": "socks" if socks else "http",
        "log_protocol_version": "5" if socks else "1.1",
        "log_transport": outcome.transport,
        "log_method": outcome.method,
        "log_is_tls_enabled": outcome.kind != "plain",
        "log_status_code": outcome.status,
        "log_error_code": outcome.error,
        "log_local_port": SOCKS_PORT if socks else HTTP_PORT,
    }


def _exits(model: FleetModel) -> Iterable[dict[str, Json]]:
    """Yield fixed proxies, then places; the egress address lacks its last part."""
    places = model.places
    gateways = [k for k, row in enumerate(places.rows) if row.network == 0]
    known: list[tuple[int, str | None, str, str]] = [
        (proxy.place, proxy.proxy_id, address, address)
        for proxy in model.senders.proxies
        for address in (places.address(proxy.place, proxy.address_index),)
    ]
    known += [
        (k, None, places.address(gateways[k * 31 % len(gateways)], k), row.prefix)
        for k, row in enumerate(places.rows)
    ]
    for number, proxy_id, local, egress in known:
        place = places.rows[number]
        yield {
            "proxy_id": proxy_id,
            "log_local_ip_address": local,
            "country_id": place.country,
            "city_alias": place.city,
            "asn_id": place.asn,
            "log_egress_ip_address": egress,
        }


def _suffixes() -> Iterable[bytes]:
    """Yield the ends of an egress address: two octets, one octet, none."""
    yield from (f"{low >> 8}.{low & 255}".encode() for low in range(65536))
    yield from (f"{low}".encode() for low in range(256))
    yield b""


@lru_cache(maxsize=4096)
def _time_head(form: TimeForm, quoted: bool, number: int) -> bytes:
    """Return the first digits of a day since 1970, or of ten thousand seconds; with the quote."""
    if form.units_per_s:
        # Six digits from 2001 to 2286.
        return (b'"' if quoted else b"") + f"{number:06d}".encode()
    moment = datetime.fromtimestamp(number * _DAY, UTC)
    return f'"{moment:%Y-%m-%d}{form.separator}'.encode()


@lru_cache(maxsize=1)
def _hex_table() -> npt.NDArray[np.uint32]:
    """Return the four digits of two bytes in memory order, read as a little-endian number."""
    text = "".join(f"{value & 255:02x}{value >> 8:02x}" for value in range(65536))
    return np.frombuffer(text.encode(), dtype=np.uint32)


@lru_cache(maxsize=2)
def _digit_table(pad: bytes) -> npt.NDArray[np.uint32]:
    """Return four digits: 0-9,999 with leading padding, all padding for 0; then with leading zeros;
    then with leading padding, `0` for 0; then with leading zeros.
    """
    blank = pad.decode()
    led = [f"{value:{blank}>4}" if value else blank * 4 for value in range(10_000)]
    zeros = [f"{value:04d}" for value in range(10_000)]
    last = [f"{value:{blank}>4}" for value in range(10_000)]
    return np.frombuffer("".join((*led, *zeros, *last, *zeros)).encode(), dtype=np.uint32)


@lru_cache(maxsize=1)
def _time_table() -> Table:
    text = "".join(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(_DAY))
    return np.frombuffer(text.encode(), dtype=np.uint64)


@lru_cache(maxsize=8)
def _epoch_table(end: bytes) -> Table:
    """Return the last four digits of seconds since 1970, and four bytes that follow them."""
    text = b"".join(b"%04d" % second + end for second in range(_TEN_THOUSAND))
    return np.frombuffer(text, dtype=np.uint64)
