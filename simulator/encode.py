"""Events as NDJSON, a thousand rows at a time: fragments gathered, digits looked up.

Every row has the same width. JSON allows blanks between tokens, so a short value is followed, and
a number led, by blanks; that is what makes a row a handful of copies. The compact form is the
same text without those blanks. Keys stand in the same order in both. A target's own names for the
keys are written into the tables, so they cost nothing an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from reports.facts import Json
from simulator.draws import Core, Rest
from simulator.field_map import EVENT_KEYS, FieldMap
from simulator.ids import Ids
from simulator.outcomes import OUTCOMES, Outcome
from simulator.population import CLIENTS
from simulator.sizes import NETWORKS
from simulator.words import Ints

if TYPE_CHECKING:
    from simulator.fleet import World

__all__ = ["Encoder", "can_lay_out"]

Table: TypeAlias = npt.NDArray[np.uint64]

_ROWS: Final = 2048
"""Rows laid out at once: about what the second-level cache holds."""
_DAY: Final = 86400
_U = np.uint64
_NUMBERS: Final = (
    # key, width to which it is padded with what precedes it, groups of four digits
    ("log_total_bytes", 20, 3),
    ("log_total_elapsed_ms", 24, 2),
    ("log_handshake_elapsed_ms", 32, 2),
    ("log_tunnel_elapsed_ms", 32, 2),
    ("log_concurrency", 20, 1),
)
_FIXED: Final = ("log_id", "log_request_datetime", "log_session_id", "log_egress_ip_address")
"""Keys whose value is a place in the row: they can be renamed, not left out."""
_AS_THEY_ARE: Final = FieldMap()


def can_lay_out(fields: FieldMap) -> bool:
    """Whether rows can be laid out under these names; where not, events are mapped one by one."""
    numbers = {key for key, _width, _groups in _NUMBERS}
    names = [fields.rename.get(key, key) for key in EVENT_KEYS if key not in fields.drop]
    names += fields.extras
    return (
        fields.drop.isdisjoint(_FIXED)
        and not numbers <= fields.drop
        and len(set(names)) == len(names)
    )


def _object(fields: Mapping[str, Json], names: FieldMap) -> bytes:
    """The inside of a JSON object under a target's names, with a comma behind it; or nothing."""
    named = {names.rename.get(key, key): v for key, v in fields.items() if key not in names.drop}
    return json.dumps(named, separators=(",", ":")).encode()[1:-1] + b"," if named else b""


def _quoted(name: str) -> bytes:
    return json.dumps(name).encode()


def _whole(size: int) -> int:
    """The next number of bytes that is whole 64-bit words."""
    return -(-size // 8) * 8


class Encoder:
    """The tables of one fleet, one pad character (a blank, or NUL for the compact form) and the
    names that a target has for our keys, which must be ones that `can_lay_out`."""

    def __init__(self, world: World, ids: Ids, pad: bytes, names: FieldMap = _AS_THEY_ARE) -> None:
        self._ids = ids
        self._pad = pad
        self._names = names
        hosts = ({"log_hostname": name} for name in world.hosts.names)
        self._lane = self._table(b'",' + part for part in _lane_fragments(world, names))
        self._outcome = self._table(_outcome_fragment(row, names) for row in OUTCOMES)
        self._host = self._table(_object(host, names) for host in hosts)
        self._exit = self._table(_exit_fragments(world, names), right=True)
        self._numbers = tuple(row for row in _NUMBERS if row[0] not in names.drop)
        self._session_key = self._key("log_session_id")
        self._day_key = self._key("log_request_datetime")
        self._suffix = self._table(_suffixes())
        self._place_offset = len(world.lanes.proxies)
        octets = [row.free_octets for row in world.places.rows]
        self._wide_block = np.array([0] * self._place_offset + [o == 2 for o in octets])
        self._hex = _hex_table()
        self._digits = _digit_table(pad)
        self._time = _time_table()
        self._layout()

    def _table(self, fragments: Iterable[bytes], right: bool = False) -> Table:
        """Fragments as rows of 64-bit words, padded on one side to one width."""
        rows = list(fragments)
        width = _whole(max(map(len, rows)))
        put = bytes.rjust if right else bytes.ljust
        padded = [put(row, width, self._pad) for row in rows]
        return np.frombuffer(b"".join(padded), dtype=np.uint64).reshape(len(rows), width // 8)

    def _key(self, key: str) -> bytes:
        """A key under the target's name, with its colon."""
        return _quoted(self._names.rename.get(key, key)) + b":"

    def _id_head(self) -> bytes:
        """What stands before an id: constants of the target's, and blanks that fill the words."""
        extras = json.dumps(dict(self._names.extras), separators=(",", ":")).encode()[1:-1]
        rest = (extras + b"," if extras else b"") + self._key("log_id") + b'"'
        whole = 1 + len(rest) + 38
        return b"{" + self._pad * max(_whole(whole) - whole - 2, 0) + rest

    def _number_heads(self) -> list[bytes]:
        """What stands before each number, padded to a width of its own."""
        heads = []
        for place, (key, width, _groups) in enumerate(self._numbers):
            text = (b"," if place else b"") + self._key(key)
            heads.append(text.rjust(max(width, len(text)), self._pad))
        return heads

    def _layout(self) -> None:
        """Where each part of a row begins, in bytes; every part is whole 64-bit words."""
        self._head, self._heads = self._id_head(), self._number_heads()
        self._session = self._session_key + b'"------------",'
        parts = {
            "id": _whole(len(self._head) + 38),
            "day": _whole(len(self._day_key) + 12),
            "time": 8,
        }
        parts |= dict.fromkeys(("lane", "outcome", "host", "exit"), 0)
        tables = {"lane": self._lane, "outcome": self._outcome, "host": self._host}
        tables["exit"], tables["suffix"] = self._exit, self._suffix
        parts |= {name: table.shape[1] * 8 for name, table in tables.items()}
        parts["session"] = _whole(len(self._session))
        numbers = sum(map(len, self._heads)) + sum(4 * groups for _, _, groups in self._numbers)
        parts["numbers"] = _whole(numbers + 2)
        self._at: dict[str, int] = {}
        width = 0
        for name, size in parts.items():
            self._at[name] = width
            width += size
        self.width = width
        self._grid = self._blank_grid()
        first, last = self._at["id"] // 8, self._at["day"] // 8
        self._ids_block = self._grid[:, first:last].copy()
        self._numbers_block = self._grid[:, self._at["numbers"] // 8 :].copy()

    def rows(self, count: int) -> Table:
        """Room for the lines of so many events; what it holds before `lay_out` is undefined."""
        return np.empty((count, self.width // 8), dtype=np.uint64)

    def lay_out(self, out: Table, core: Core, rest: Rest) -> None:
        """Write the events as lines, each of `width` bytes, into the rows of `out`."""
        for start in range(0, len(out), _ROWS):
            stop = min(len(out), start + _ROWS)
            self._fill(out[start:stop], core, rest, slice(start, stop))

    def text(self, core: Core, rest: Rest) -> list[bytes]:
        """The events as lines without the pads, some hundred to each piece, in order."""
        count = len(core.lane)
        pieces = []
        for start in range(0, count, _ROWS):
            grid = self._grid[: min(count - start, _ROWS)]
            self._fill(grid, core, rest, slice(start, start + len(grid)))
            pieces.append(grid.tobytes().translate(None, self._pad))
        return pieces

    def _blank_grid(self) -> Table:
        """Rows with everything that never changes: keys, quotes, dashes, the newline."""
        row = bytearray(self._pad * self.width)
        numbers = b"".join(
            head + b"0" * (4 * groups)
            for head, (_key, _width, groups) in zip(self._heads, self._numbers, strict=True)
        )
        for at, part in (
            (self._at["id"], self._head + b"-" * 36 + b'",'),
            (self._at["numbers"], numbers),
        ):
            row[at : at + len(part)] = part
        row[self._at["numbers"] + len(numbers)] = ord("}")
        row[-1] = ord("\n")
        return np.tile(np.frombuffer(bytes(row), dtype=np.uint64), (_ROWS, 1))

    def _fill(self, out: Table, core: Core, rest: Rest, here: slice) -> None:
        lane = (core.lane[here] * CLIENTS + rest.client[here]) * 2 + rest.routed[here]
        day, second = np.divmod(core.second[here], _DAY)
        low_day = int(day.min())
        days = self._table(
            [self._day_key + _day(d) for d in range(low_day, int(day.max()) + 1)], right=True
        )
        static = rest.static[here]
        exit_row = rest.exit[here] + self._place_offset * (1 - static)
        low = rest.low[here]
        suffix = np.where(self._wide_block.take(exit_row) == 1, low, 65536 + (low & 255))
        suffix[static == 1] = 65792
        for name, table, index in (
            ("day", days, day - low_day),
            ("lane", self._lane, lane),
            ("outcome", self._outcome, core.outcome[here]),
            ("host", self._host, core.host[here]),
            ("exit", self._exit, exit_row),
            ("suffix", self._suffix, suffix),
        ):
            at = self._at[name] // 8
            out[:, at : at + table.shape[1]] = table.take(index, axis=0)
        out[:, self._at["time"] // 8] = self._time.take(second)
        self._fill_id(out, core.first + here.start)
        self._fill_session(out, rest, here)
        self._fill_numbers(out, core, rest, here)

    def _fill_id(self, out: Table, first: int) -> None:
        block = self._ids_block[: len(out)]
        number = np.arange(first, first + len(out), dtype=np.uint64)
        for word, places in zip(
            self._ids.words(number), ((0, 4, 9, 14), (19, 24, 28, 32)), strict=True
        ):
            quarters = word.view(np.uint16).reshape(-1, 4)
            for k, place in enumerate(places):
                self._column(block, len(self._head) + place)[...] = self._hex.take(
                    quarters[:, 3 - k]
                )
        at = self._at["id"] // 8
        out[:, at : at + block.shape[1]] = block

    def _fill_session(self, out: Table, rest: Rest, here: slice) -> None:
        first, width = self._at["session"] // 8, _whole(len(self._session))
        none = (self._session_key + b"null,").ljust(width, self._pad)
        out[:, first : first + width // 8] = np.frombuffer(none, np.uint64)
        sticky = np.flatnonzero(rest.sticky[here])
        if not len(sticky):
            return
        block = np.empty((len(sticky), width // 8), dtype=np.uint64)
        block[...] = np.frombuffer(self._session.ljust(width, self._pad), dtype=np.uint64)
        mark, begin = rest.session[here][sticky], len(self._session_key) + 1
        for k in range(3):
            part = ((mark >> _U(32 - 16 * k)) & _U(0xFFFF)).astype(np.int64)
            self._column(block, begin + 4 * k)[...] = self._hex.take(part)
        out[sticky, first : first + width // 8] = block

    def _fill_numbers(self, out: Table, core: Core, rest: Rest, here: slice) -> None:
        block = self._numbers_block[: len(out)]
        at = 0
        values = {
            "log_total_bytes": core.total_bytes,
            "log_total_elapsed_ms": rest.total_ms,
            "log_handshake_elapsed_ms": rest.handshake_ms,
            "log_tunnel_elapsed_ms": rest.tunnel_ms,
            "log_concurrency": rest.concurrency,
        }
        for head, (key, _width, groups) in zip(self._heads, self._numbers, strict=True):
            at += len(head)
            self._fill_digits(block, at, groups, values[key][here])
            at += 4 * groups
        out[:, self._at["numbers"] // 8 :] = block

    def _fill_digits(self, out: Table, at: int, groups: int, value: Ints) -> None:
        """Right-aligned digits, led by pads: groups of four, the leading one without zeros."""
        for group in reversed(range(groups)):
            above = value // 10_000
            digits = value - above * 10_000
            if group:
                digits += 10_000 * (above > 0)
            last = group == groups - 1
            shown = digits + 20_000 if last else digits
            self._column(out, at + 4 * group)[...] = self._digits.take(shown)
            value = above

    @staticmethod
    def _column(out: Table, at: int) -> npt.NDArray[np.uint32]:
        """Four bytes of every row, as one strided column."""
        return np.ndarray(
            (len(out),), dtype=np.uint32, buffer=out.data, offset=at, strides=(out.strides[0],)
        )


def _lane_fragments(world: World, names: FieldMap) -> Iterable[bytes]:
    lanes = world.lanes
    for lane in range(len(lanes)):
        for client in lanes.clients[lane]:
            for routed in (False, True):
                yield _object(
                    {
                        "customer_id": world.customers[int(lanes.customer[lane])],
                        "proxy_user_id": lanes.users[int(lanes.user[lane])],
                        "service_id": lanes.service[lane],
                        "log_network": NETWORKS[int(lanes.network[lane])],
                        "log_client_ip_address": client,
                        "log_authentication_type": int(lanes.authentication[lane]),
                        "log_smartpath_enabled": bool(lanes.smartpath[lane]),
                        "log_smartpath_routed": routed,
                    },
                    names,
                )


def _outcome_fragment(outcome: Outcome, names: FieldMap) -> bytes:
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


def _exit_fragments(world: World, names: FieldMap) -> Iterable[bytes]:
    """Fixed proxies, then places; each ends within the egress address, open for its last part."""
    places = world.places
    last = _quoted(names.rename.get("log_egress_ip_address", "log_egress_ip_address")) + b':"'
    gateways = [k for k, row in enumerate(places.rows) if row.network == 0]
    known: list[tuple[int, str | None, str, str]] = [
        (proxy.place, proxy.proxy_id, address, address)
        for proxy in world.lanes.proxies
        for address in (places.address(proxy.place, proxy.low),)
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
    """What closes an egress address: two octets, one octet, nothing."""
    yield from (f'{low >> 8}.{low & 255}",'.encode() for low in range(65536))
    yield from (f'{low}",'.encode() for low in range(256))
    yield b'",'


@lru_cache(maxsize=4096)
def _day(day: int) -> bytes:
    """The date of a day since 1970, closed by the blank before the time."""
    moment = datetime.fromtimestamp(day * _DAY, UTC)
    return f'"{moment:%Y-%m-%d} '.encode()


@lru_cache(maxsize=1)
def _hex_table() -> npt.NDArray[np.uint32]:
    text = "".join(f"{value:04x}" for value in range(65536))
    return np.frombuffer(text.encode(), dtype=np.uint32)


@lru_cache(maxsize=2)
def _digit_table(pad: bytes) -> npt.NDArray[np.uint32]:
    """Four digits: 0-9,999 led by pads, none for 0; then led by zeros; then led, `0` for 0."""
    blank = pad.decode()
    led = [f"{value:{blank}>4}" if value else blank * 4 for value in range(10_000)]
    zeros = [f"{value:04d}" for value in range(10_000)]
    last = [f"{value:{blank}>4}" for value in range(10_000)]
    return np.frombuffer("".join((*led, *zeros, *last, *zeros)).encode(), dtype=np.uint32)


@lru_cache(maxsize=1)
def _time_table() -> Table:
    text = "".join(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(_DAY))
    return np.frombuffer(text.encode(), dtype=np.uint64)
