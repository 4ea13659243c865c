"""Encode events as NDJSON, a thousand rows at a time, by gathering fragments from tables.

Every row has the same width. JSON allows blanks between tokens, so blanks follow a short value and
precede a number: a row is a few copies. The compact form is the same text without those blanks.
Fields are in the same order in both. A target's names of the fields are part of the tables, so they
cost nothing per event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trueup.reports.results import Json
from trueup.simulator.field_map import EVENT_KEYS, FieldMap
from trueup.simulator.model.draws import BillingColumns, DetailColumns
from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.outcomes import OUTCOMES, RequestOutcome
from trueup.simulator.model.population import CLIENTS
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints, Words

__all__ = ["Encoder", "Encoders", "supports_row_layout"]

Table: TypeAlias = npt.NDArray[np.uint64]
Fragments: TypeAlias = npt.NDArray[np.void]

_ROWS: Final = 2048
"""Maximum number of rows written at once, two megabytes: each copy passes over all of them."""
_DAY: Final = 86400
_U = np.uint64
_NUMBERS: Final = (
    # field, width to which it is padded with what precedes it, groups of four digits
    ("log_total_bytes", 20, 3),
    ("log_total_elapsed_ms", 24, 2),
    ("log_handshake_elapsed_ms", 32, 2),
    ("log_tunnel_elapsed_ms", 32, 2),
    ("log_concurrency", 20, 1),
)
_FIXED: Final = ("log_id", "log_request_datetime", "log_session_id", "log_egress_ip_address")
"""Fields whose value has a fixed place in the row: they can be renamed, not dropped."""
_AS_THEY_ARE: Final = FieldMap()
_ID_PARTS: Final = ((0, 8, 0), (8, 4, 9), (12, 4, 14), (16, 4, 19), (20, 12, 24))
"""Hexadecimal digits of an id: where they begin, how many, and their place in its text."""
_OCTETS: Final = (0, 0xFFFF)
_OCTET: Final = (1 << 16, 0xFF)
_NO_OCTET: Final = ((1 << 16) + (1 << 8), 0)
"""Ways to end an egress address: first place in `_suffixes`, and a mask for its number."""


def supports_row_layout(fields: FieldMap) -> bool:
    """Return whether rows can be written under these names; if not, events are mapped one by
    one.
    """
    numbers = {key for key, _width, _groups in _NUMBERS}
    names = [fields.rename.get(key, key) for key in EVENT_KEYS if key not in fields.drop]
    names += fields.extras
    return (
        fields.drop.isdisjoint(_FIXED)
        and not numbers <= fields.drop
        and len(set(names)) == len(names)
    )


def _object(fields: Mapping[str, Json], names: FieldMap) -> bytes:
    """Return the fields of a JSON object under a target's names, with a comma at the end; or
    b"".
    """
    named = {names.rename.get(key, key): v for key, v in fields.items() if key not in names.drop}
    return json.dumps(named, separators=(",", ":")).encode()[1:-1] + b"," if named else b""


def _quoted(name: str) -> bytes:
    return json.dumps(name).encode()


def _round_up(size: int) -> int:
    """Return the next multiple of eight bytes."""
    return -(-size // 8) * 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Events prepared for writing as lines: what is looked up for all of them at once."""

    count: int
    taken: tuple[tuple[str, Fragments, Ints], ...]
    """Part of the row, its table, and the index into it for each event."""
    day: Fragments
    """Date, as text."""
    time: Table
    """Time of day, as text."""
    id_digits: npt.NDArray[np.uint32]
    sticky: Ints
    """Indices of the events that have a session; their session's digits follow."""
    session_digits: npt.NDArray[np.uint32]
    digits: npt.NDArray[np.uint32]
    """The numbers of a row, side by side."""


class Encoder:
    """The tables of one fleet, one pad character (a blank, or NUL for the compact form) and a
    target's field names, for which `supports_row_layout` must be true.
    """

    def __init__(self, model: FleetModel, pad: bytes, names: FieldMap = _AS_THEY_ARE) -> None:
        self._ids = model.ids
        self._pad = pad
        self._names = names
        hosts = ({"log_hostname": name} for name in model.hosts.names)
        self._sender = _table((b'",' + part for part in _sender_fragments(model, names)), pad)
        self._outcome = _table((_outcome_fragment(row, names) for row in OUTCOMES), pad)
        self._host = _table((_object(host, names) for host in hosts), pad)
        self._exit = _table(_exit_fragments(model, names), pad, right=True)
        self._numbers = tuple(row for row in _NUMBERS if row[0] not in names.drop)
        self._session_key = self._key("log_session_id")
        self._day_key = self._key("log_request_datetime")
        self._suffix = _table(_suffixes(), pad)
        self._place_offset = len(model.senders.proxies)
        spans = [_NO_OCTET] * self._place_offset
        spans += [_OCTETS if row.free_octets == 2 else _OCTET for row in model.places.rows]
        self._suffix_first, self._suffix_mask = np.array(spans, dtype=np.int64).T.copy()
        self._hex = _hex_table()
        self._digits = _digit_table(pad)
        self._time = _time_table()
        self._layout()

    def _key(self, key: str) -> bytes:
        """Return a field's name of the target, quoted, with its colon."""
        return _quoted(self._names.rename.get(key, key)) + b":"

    def _id_head(self) -> bytes:
        """Return what precedes an id: the target's constants, and blanks that complete a word."""
        extras = json.dumps(dict(self._names.extras), separators=(",", ":")).encode()[1:-1]
        start = (extras + b"," if extras else b"") + self._key("log_id") + b'"'
        width = 1 + len(start) + 38
        return b"{" + self._pad * max(_round_up(width) - width - 2, 0) + start

    def _number_heads(self) -> list[bytes]:
        """Return what precedes each number, padded to a width of its own."""
        heads = []
        for place, (key, width, _groups) in enumerate(self._numbers):
            text = (b"," if place else b"") + self._key(key)
            heads.append(text.rjust(max(width, len(text)), self._pad))
        return heads

    def _layout(self) -> None:
        """Compute where each part of a row begins, in bytes; each part is a multiple of 8 bytes."""
        self._head, self._heads = self._id_head(), self._number_heads()
        self._session = self._session_key + b'"------------",'
        parts = {
            "id": _round_up(len(self._head) + 38),
            "day": _round_up(len(self._day_key) + 12),
            "time": 8,
        }
        parts |= dict.fromkeys(("sender", "outcome", "host", "exit"), 0)
        tables = {"sender": self._sender, "outcome": self._outcome, "host": self._host}
        tables["exit"], tables["suffix"] = self._exit, self._suffix
        parts |= {name: table.itemsize for name, table in tables.items()}
        parts["session"] = _round_up(len(self._session))
        numbers = sum(map(len, self._heads)) + sum(4 * groups for _, _, groups in self._numbers)
        parts["numbers"] = _round_up(numbers + 2)
        self._at: dict[str, int] = {}
        width = 0
        for name, size in parts.items():
            self._at[name] = width
            width += size
        self.width = width
        places, at = [], self._at["numbers"]
        for head, (key, _width, groups) in zip(self._heads, self._numbers, strict=True):
            at += len(head)
            places.append((key, at, groups))
            at += 4 * groups
        self._digit_places = sorted(places, key=lambda place: -place[2])
        blank = self._blank_row()
        self._row_start = blank[: self._at["sender"] // 8]
        self._row_end = blank[self._at["session"] // 8 :]

    def rows(self, count: int) -> Table:
        """Return room for the lines of so many events; undefined until `write_rows`."""
        return np.empty((count, self.width // 8), dtype=np.uint64)

    def prepare_rows(self, billing: BillingColumns, details: DetailColumns) -> Rows:
        """Return everything about the lines of these events but the bytes that tables hold."""
        sender = (billing.sender * CLIENTS + details.client) * 2 + details.routed
        exit_row = details.exit + self._place_offset * (1 - details.static)
        suffix = self._suffix_mask.take(exit_row)
        suffix &= details.address_index
        suffix += self._suffix_first.take(exit_row)
        day, time = _days(billing.second)
        number = np.arange(billing.first, billing.first + len(sender), dtype=np.uint64)
        sticky = np.flatnonzero(details.sticky)
        return Rows(
            count=len(sender),
            taken=(
                ("sender", self._sender, sender),
                ("outcome", self._outcome, billing.outcome),
                ("host", self._host, billing.host),
                ("exit", self._exit, exit_row),
                ("suffix", self._suffix, suffix),
            ),
            day=day,
            time=self._time.take(time),
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

    def _blank_row(self) -> Table:
        """Return a row with everything constant: names, quotes, dashes, newline; and no session,
        which most rows lack.
        """
        row = bytearray(self._pad * self.width)
        numbers = b"".join(
            head + b"0" * (4 * groups)
            for head, (_key, _width, groups) in zip(self._heads, self._numbers, strict=True)
        )
        for name, part in (
            ("id", self._head + b"-" * 36 + b'",'),
            ("day", self._day_key.rjust(self._at["time"] - self._at["day"] - 12, self._pad)),
            ("session", self._session_key + b"null,"),
            ("numbers", numbers + b"}"),
        ):
            row[self._at[name] : self._at[name] + len(part)] = part
        row[-1] = ord("\n")
        return np.frombuffer(bytes(row), dtype=np.uint64)

    def _fill(self, out: Table, rows: Rows, here: slice) -> None:
        """Write rows, few enough to stay in the processor's cache until the last copy."""
        out[:, : len(self._row_start)] = self._row_start
        out[:, -len(self._row_end) :] = self._row_end
        for name, table, index in rows.taken:
            _byte_column(out, self._at[name], table.itemsize)[...] = table.take(index[here])
        _byte_column(out, self._at["time"] - 12, 12)[...] = rows.day[here]
        out[:, self._at["time"] // 8] = rows.time[here]
        at = self._at["id"] + len(self._head)
        for digits, size, place in _ID_PARTS:
            _byte_column(out, at + place, size)[...] = _byte_column(rows.id_digits, digits, size)[
                here
            ]
        begin = 0
        for _key, at, groups in self._digit_places:
            _byte_column(out, at, 4 * groups)[...] = _byte_column(rows.digits, begin, 4 * groups)[
                here
            ]
            begin += 4 * groups
        low, high = np.searchsorted(rows.sticky, (here.start, here.stop))
        if low < high:
            where, at = rows.sticky[low:high] - here.start, self._at["session"]
            _byte_column(out, at, len(self._session))[where] = np.void(self._session)
            marks = _byte_column(rows.session_digits, 0, 12)[low:high]
            _byte_column(out, at + len(self._session_key) + 1, 12)[where] = marks

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
        values = {
            "log_total_bytes": billing.total_bytes,
            "log_total_elapsed_ms": details.total_ms,
            "log_handshake_elapsed_ms": details.handshake_ms,
            "log_tunnel_elapsed_ms": details.tunnel_ms,
            "log_concurrency": details.concurrency,
        }
        places = self._digit_places
        left = np.stack([values[key] for key, _at, _groups in places])
        text = np.empty((left.shape[1], sum(groups for _, _, groups in places)), dtype=np.uint32)
        level = 0
        while len(left):
            above = left // 10_000
            digits = left - above * 10_000
            digits += (above > 0) * 10_000
            if level == 0:
                digits += 20_000
            shown = self._digits.take(digits)
            end = 0
            for row, (_key, _at, groups) in zip(shown, places, strict=False):
                end += groups
                text[:, end - 1 - level] = row
            level += 1
            left = above[: sum(groups > level for _, _, groups in places)]
        return text


class Encoders:
    """The encoders of one fleet; the tables of each are made when first used."""

    def __init__(self, model: FleetModel) -> None:
        self._model = model
        self._made: dict[tuple[bool, int], Encoder] = {}

    def get(self, *, compact: bool, names: FieldMap | None = None) -> Encoder:
        """Return the encoder for the compact or padded form under a target's names for the keys.

        `names` must be the same object from one call to the next for an encoder to be used again.
        """
        key = (compact, id(names))
        if key not in self._made:
            pad = b"\0" if compact else b" "
            self._made[key] = Encoder(self._model, pad, names or FieldMap())
        return self._made[key]


def _days(second: Ints) -> tuple[Fragments, Ints]:
    """Return (date as text, seconds of the day) for Unix seconds."""
    low, high = int(second.min()) // _DAY, int(second.max()) // _DAY
    text = np.array([_day(day) for day in range(low, high + 1)], dtype="V12")
    if low == high:
        return np.broadcast_to(text, second.shape), second - low * _DAY
    day, into = np.divmod(second, _DAY)
    return text.take(day - low), into


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


def _sender_fragments(model: FleetModel, names: FieldMap) -> Iterable[bytes]:
    senders = model.senders
    for sender in range(len(senders)):
        for client in senders.clients[sender]:
            for routed in (False, True):
                yield _object(
                    {
                        "customer_id": model.customers[int(senders.customer[sender])],
                        "proxy_user_id": senders.users[int(senders.user[sender])],
                        "service_id": senders.service[sender],
                        "log_network": NETWORKS[int(senders.network[sender])],
                        "log_client_ip_address": client,
                        "log_authentication_type": int(senders.authentication[sender]),
                        "log_smartpath_enabled": bool(senders.smartpath[sender]),
                        "log_smartpath_routed": routed,
                    },
                    names,
                )


def _outcome_fragment(outcome: RequestOutcome, names: FieldMap) -> bytes:
    socks = outcome.kind == "socks"
    return _object(
        {
            "log_protocol": "socks" if socks else "http",
            "log_protocol_version": "5" if socks else "1.1",
            "log_transport": outcome.transport,
            "log_method": outcome.method,
            "log_is_tls_enabled": outcome.kind != "plain",
            "log_status_code": outcome.status,
            "log_error_code": outcome.error,
            "log_local_port": 1080 if socks else 8080,
        },
        names,
    )


def _exit_fragments(model: FleetModel, names: FieldMap) -> Iterable[bytes]:
    """Yield fixed proxies, then places; each ends within the egress address, before its last
    part.
    """
    places = model.places
    last = _quoted(names.rename.get("log_egress_ip_address", "log_egress_ip_address")) + b':"'
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
        yield (
            _object(
                {
                    "proxy_id": proxy_id,
                    "log_local_ip_address": local,
                    "country_id": place.country,
                    "city_alias": place.city,
                    "asn_id": place.asn,
                },
                names,
            )
            + last
            + egress.encode()
        )


def _suffixes() -> Iterable[bytes]:
    """Yield the ends of an egress address: two octets, one octet, none."""
    yield from (f'{low >> 8}.{low & 255}",'.encode() for low in range(65536))
    yield from (f'{low}",'.encode() for low in range(256))
    yield b'",'


@lru_cache(maxsize=4096)
def _day(day: int) -> bytes:
    """Return the date of a day since 1970, with a quote before it and a blank after it."""
    moment = datetime.fromtimestamp(day * _DAY, UTC)
    return f'"{moment:%Y-%m-%d} '.encode()


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
