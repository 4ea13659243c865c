"""How a target takes events: names, values, time forms, amounts, and the body around them.

A value that target files declare and journals hold, so that evidence repeats what was sent.
`EventFormat.trees` is its only definition: a JSON value with a `Leaf` where a value of the event
stands. Writing one event (`text`) and many at once (`trueup.simulator.encode`) both follow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, TypeAlias

import msgspec

from trueup.reports.results import Json

__all__ = [
    "AMOUNTS",
    "BODY_FORMS",
    "EVENT_KEYS",
    "FIELD_IN_BRACES",
    "TIME_FORMS",
    "BodyForm",
    "EventFormat",
    "FieldFormat",
    "Framing",
    "Leaf",
    "TimeForm",
    "Tree",
    "read_time",
    "show_time",
    "time_form",
    "value_key",
]

_KEYS: Final = """
    log_id customer_id proxy_user_id service_id log_network log_client_ip_address
    log_authentication_type log_smartpath_enabled log_smartpath_routed log_protocol
    log_protocol_version log_transport log_method log_is_tls_enabled log_status_code
    log_error_code log_local_port log_hostname proxy_id log_local_ip_address country_id city_alias
    asn_id log_egress_ip_address log_session_id log_request_datetime log_total_bytes
    log_total_elapsed_ms log_handshake_elapsed_ms log_tunnel_elapsed_ms log_concurrency
"""
EVENT_KEYS: Final = tuple(_KEYS.split())
"""Every field of an event."""
AMOUNTS: Final = (
    "log_total_bytes",
    "log_total_elapsed_ms",
    "log_handshake_elapsed_ms",
    "log_tunnel_elapsed_ms",
    "log_concurrency",
)
"""Fields that can be split and added up."""
_TIME: Final = "log_request_datetime"
_JSON: Final = msgspec.json.Encoder()


# Times


class TimeForm(NamedTuple):
    """How a time is written: a number of units since 1970, or a date and a time of day."""

    units_per_s: int = 0
    """Units in a second; 0: not a number."""
    separator: str = " "
    offset_s: int = 0
    """Seconds that the written time of day is ahead of UTC."""
    zone: str = ""
    """What follows the time of day."""
    decimals: int = 0
    """Decimals of the second that are always written."""


TIME_FORMS: Final[Mapping[str, tuple[TimeForm, str]]] = {
    "space": (TimeForm(), "`2025-04-01 13:00:00`, UTC"),
    "iso": (TimeForm(separator="T"), "`2025-04-01T13:00:00`, UTC"),
    "iso-z": (TimeForm(separator="T", zone="Z"), "`2025-04-01T13:00:00Z`"),
    "iso-ms-z": (TimeForm(separator="T", zone="Z", decimals=3), "`2025-04-01T13:00:00.000Z`"),
    "epoch-s": (TimeForm(units_per_s=1), "seconds since 1970, a whole number"),
    "epoch-ms": (TimeForm(units_per_s=10**3), "milliseconds since 1970"),
    "epoch-us": (TimeForm(units_per_s=10**6), "microseconds since 1970"),
    "epoch-ns": (TimeForm(units_per_s=10**9), "nanoseconds since 1970"),
}
"""Name → form, and what it looks like. `iso+02:00` and the like are forms too: see `time_form`."""
_WITH_OFFSET: Final = re.compile(r"iso([+-])([01]\d|2[0-3]):([0-5]\d)")
_OURS: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
NEEDED_KEYS: Final = frozenset(
    (
        *("log_id", "customer_id", "proxy_user_id", "log_network", "log_hostname"),
        *("log_request_datetime", "log_total_bytes"),
    )
)
"""Fields that arrive at a target in some form, whatever its mapping says."""
FIELD_IN_BRACES: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def time_form(name: str) -> TimeForm | None:
    """Return a form by its name, `iso+02:00` included; None if there is none."""
    if name in TIME_FORMS:
        return TIME_FORMS[name][0]
    found = _WITH_OFFSET.fullmatch(name)
    if found is None:
        return None
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return TimeForm(
        separator="T",
        offset_s=seconds if found[1] == "+" else -seconds,
        zone=name.removeprefix("iso"),
    )


def show_time(value: Json, name: str) -> Json:
    """Return a time of ours (`YYYY-MM-DD HH:MM:SS`, UTC, with or without a fraction) in a form.

    Numbers are rounded down to whole units. Anything that is no such time is returned unchanged,
    so that an impossible event stays one.
    """
    form = time_form(name)
    if form is None or not isinstance(value, str) or _OURS.fullmatch(value) is None:
        return value
    try:
        at = datetime.fromisoformat(value).replace(tzinfo=UTC)
        if form.units_per_s:
            return (at - _EPOCH) // timedelta(microseconds=1) * form.units_per_s // 10**6
        at += timedelta(seconds=form.offset_s)
    except (ValueError, OverflowError):
        return value
    fraction = f"{at.microsecond:06d}".rstrip("0").ljust(form.decimals, "0")
    text = at.strftime(f"%Y-%m-%d{form.separator}%H:%M:%S")
    return f"{text}.{fraction}{form.zone}" if fraction else text + form.zone


def read_time(value: Json, name: str) -> datetime | None:
    """Return the time that a target shows in a form, UTC; None if it is none.

    Every form that is a date is read where one is named: a zone that is written is heeded, and a
    time without one is UTC.
    """
    form = time_form(name)
    if form is None or isinstance(value, bool):
        return None
    try:
        if form.units_per_s:
            if not isinstance(value, int | float | str):
                return None
            return _EPOCH + timedelta(seconds=float(value) / form.units_per_s)
        if not isinstance(value, str):
            return None
        at = datetime.fromisoformat(value.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# One event


class _Missing:
    """The value of a field that an event does not have."""


_MISSING: Final = _Missing()


def value_key(value: Json) -> str:
    """Return the key of a value in a table of values: a string as it is, others as JSON."""
    return value if isinstance(value, str) else _JSON.encode(value).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The place of a value of the event in what is sent."""

    fields: tuple[str, ...]
    """Where the value comes from; the values of several fields are added up."""
    values: Mapping[str, Json] | None = None
    """Value, as `value_key` has it → what is sent for it."""
    time: str = ""
    """Name of a time form."""
    part: tuple[int, int, int] | None = None
    """From which weight to which, of how much weight in all: a part of an amount."""
    attribute: str | None = None
    """Name under which the value is written as an attribute of OpenTelemetry."""
    as_text: bool = False
    """A number is written as a string."""

    def of(self, event: Mapping[str, Json]) -> Json | _Missing:
        """Return what is sent for an event."""
        found = [event[name] for name in self.fields if name in event]
        if not found:
            return _MISSING
        value = found[0] if len(found) == 1 else _sum(found)
        if self.values is not None:
            value = self.values.get(value_key(value), value)
        elif self.time:
            value = show_time(value, self.time)
        elif self.part is not None and isinstance(value, int) and not isinstance(value, bool):
            low, high, weight = self.part
            value = value * high // weight - value * low // weight
        if self.as_text and isinstance(value, int):
            value = str(value)
        return value if self.attribute is None else _attribute(self.attribute, value)


Tree: TypeAlias = "Leaf | dict[str, Tree] | list[Tree] | bool | int | float | str | None"


def _sum(values: Sequence[Json]) -> Json:
    numbers = [v for v in values if isinstance(v, int) and not isinstance(v, bool)]
    return sum(numbers) if numbers else values[0]


def _attribute(name: str, value: Json) -> dict[str, Json]:
    """Return an attribute as OpenTelemetry's JSON has it; null has no value there."""
    match value:
        case None:
            typed: dict[str, Json] = {}
        case bool():
            typed = {"boolValue": value}
        case int():
            typed = {"intValue": value}
        case float():
            typed = {"doubleValue": value}
        case str():
            typed = {"stringValue": value}
        case _:
            typed = {"stringValue": _JSON.encode(value).decode()}
    return {"key": name, "value": typed}


def _fill(tree: Tree, event: Mapping[str, Json]) -> Json | _Missing:
    """Return a tree with the values of an event; objects whose values are all missing are too."""
    match tree:
        case Leaf():
            return tree.of(event)
        case dict():
            filled = {key: _fill(part, event) for key, part in tree.items()}
            found = {key: v for key, v in filled.items() if not isinstance(v, _Missing)}
            return found if found or not tree else _MISSING
        case list():
            rows = [_fill(part, event) for part in tree]
            return [row for row in rows if not isinstance(row, _Missing)]
        case _:
            return tree


# The format


class Framing(StrEnum):
    """How the events of a request follow each other in its body."""

    LINES = "lines"
    LIST = "list"
    SINGLE = "single"
    """One event a request."""


class BodyForm(StrEnum):
    """The form of a request body."""

    NDJSON = "ndjson"
    JSON_ARRAY = "json-array"
    JSON_OBJECT = "json-object"
    CLOUDEVENT = "cloudevent"
    CLOUDEVENTS_BATCH = "cloudevents-batch"
    OTLP_LOGS = "otlp-logs"
    ELASTICSEARCH_BULK = "elasticsearch-bulk"


class BodyRow(NamedTuple):
    """What a body form is."""

    framing: Framing
    content_type: str
    sentence: str


BODY_FORMS: Final[Mapping[BodyForm, BodyRow]] = {
    BodyForm.NDJSON: BodyRow(
        Framing.LINES,
        "application/x-ndjson",
        "One event a line; ClickHouse calls it `JSONEachRow`.",
    ),
    BodyForm.JSON_ARRAY: BodyRow(
        Framing.LIST, "application/json", "A list of events, under `key` if there is one."
    ),
    BodyForm.JSON_OBJECT: BodyRow(Framing.SINGLE, "application/json", "One event a request."),
    BodyForm.CLOUDEVENT: BodyRow(
        Framing.SINGLE,
        "application/cloudevents+json",
        "One CloudEvent a request (structured mode); the event is its `data`.",
    ),
    BodyForm.CLOUDEVENTS_BATCH: BodyRow(
        Framing.LIST, "application/cloudevents-batch+json", "A list of CloudEvents."
    ),
    BodyForm.OTLP_LOGS: BodyRow(
        Framing.LIST,
        "application/json",
        "Log records of OTLP/HTTP in JSON; the fields of an event are attributes.",
    ),
    BodyForm.ELASTICSEARCH_BULK: BodyRow(
        Framing.LINES,
        "application/x-ndjson",
        "`_bulk` of Elasticsearch and OpenSearch: a line with the action and the event's id, and "
        "one with the event.",
    ),
}


class FieldFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a field of ours is sent."""

    name: str | None = None
    """Dotted name at the target; None: ours (or none, where the field is split); empty: left out.
    """
    values: dict[str, Json] | None = None
    time: str = ""
    split: dict[str, int] = {}
    """Dotted name of a part → its weight."""


class EventFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """How a target takes events. Fields without an entry keep their names and values."""

    fields: dict[str, FieldFormat] = {}
    constants: dict[str, Json] = {}
    """Dotted name → value that is added to every event."""
    sums: dict[str, tuple[str, ...]] = {}
    """Dotted name → fields whose amounts are added up there."""
    form: BodyForm = BodyForm.NDJSON
    key: str = ""
    """Dotted name in the body under which a list of events stands."""
    body: dict[str, Json] = {}
    """Constants of the body beside that list."""
    attributes: dict[str, str] = {}
    """Attributes that every CloudEvent has, such as `source`; for `elasticsearch-bulk` its
    `action`.
    """

    @property
    def framing(self) -> Framing:
        """Return how events follow each other in a body."""
        return BODY_FORMS[self.form].framing

    @property
    def is_plain(self) -> bool:
        """Return whether an event is sent as it is."""
        wrapped = (*_WITH_DATA, BodyForm.OTLP_LOGS, BodyForm.ELASTICSEARCH_BULK)
        return not (self.fields or self.constants or self.sums) and self.form not in wrapped

    @property
    def lines_per_event(self) -> int:
        """Return the lines that `text` has."""
        return 2 if self.form is BodyForm.ELASTICSEARCH_BULK else 1

    def leaves(self) -> Iterator[tuple[str, str, Leaf]]:
        """Yield (key in the target file, dotted name, place) of everything that comes from the
        event.
        """
        for field in EVENT_KEYS:
            rule = self.fields.get(field, FieldFormat())
            name = rule.name if rule.name is not None else ("" if rule.split else field)
            if name:
                yield field, name, Leaf(fields=(field,), values=rule.values, time=rule.time)
            weight, low = sum(rule.split.values()), 0
            for part, share in rule.split.items():
                leaf = Leaf(fields=(field,), part=(low, low + share, weight))
                yield f"{field}.split.{part}", part, leaf
                low += share
        for name, fields in self.sums.items():
            yield f"sums.{name}", name, Leaf(fields=fields)

    def unsent(self, headers: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the fields whose own values do not arrive: left out, or only part of a sum.

        `headers`: templates of headers that carry fields besides.
        """
        sent = {leaf.fields[0] for _, _, leaf in self.leaves() if len(leaf.fields) == 1}
        sent |= {name for text in headers for name in FIELD_IN_BRACES.findall(text)}
        return tuple(name for name in EVENT_KEYS if name not in sent | NEEDED_KEYS)

    @cached_property
    def trees(self) -> tuple[Tree, ...]:
        """Return what is sent for one event, a tree for each line of it."""
        match self.form:
            case BodyForm.CLOUDEVENT | BodyForm.CLOUDEVENTS_BATCH:
                return (self._cloudevent(),)
            case BodyForm.OTLP_LOGS:
                return (self._log_record(),)
            case BodyForm.ELASTICSEARCH_BULK:
                action = self.attributes.get("action", "index")
                return {action: {"_id": Leaf(fields=("log_id",))}}, self._own()
            case _:
                return (self._own(),)

    def _own(self) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        for name, value in self.constants.items():
            _put(tree, name, value)
        for _key, name, leaf in self.leaves():
            _put(tree, name, leaf)
        return tree

    def _cloudevent(self) -> Tree:
        return {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": "/trueup",
            "type": "trueup.request",
            **self.attributes,
            "id": Leaf(fields=("log_id",)),
            "time": Leaf(fields=(_TIME,), time="iso-z"),
            "data": self._own(),
        }

    def _log_record(self) -> Tree:
        constants: list[Tree] = [dict(_attribute(name, v)) for name, v in self.constants.items()]  # type: ignore[arg-type]
        leaves: list[Tree] = [replace(leaf, attribute=name) for _, name, leaf in self.leaves()]
        return {
            "timeUnixNano": Leaf(fields=(_TIME,), time="epoch-ns", as_text=True),
            "attributes": [*constants, *leaves],
        }

    def text(self, event: Mapping[str, Json]) -> bytes:
        """Return what is sent for one event: JSON, without a line break at its end."""
        return b"\n".join(map(_JSON.encode, self.rows(event)))

    def rows(self, event: Mapping[str, Json]) -> list[Json]:
        """Return what is sent for one event, a value for each line of it.

        Fields that are not ours keep their names; those that the event lacks are left out.
        """
        if self.is_plain:
            return [dict(event)]
        filled = [_fill(tree, event) for tree in self.trees]
        others = {key: v for key, v in event.items() if key not in _OUR_KEYS}
        rows: list[Json] = [{} if isinstance(row, _Missing) else row for row in filled]
        own = rows[-1]
        if others and isinstance(own, dict):
            data = own.get("data") if self.form in _WITH_DATA else own
            if isinstance(data, dict) and self.form is not BodyForm.OTLP_LOGS:
                data |= others
        return rows

    def fill_text(self, text: str, event: Mapping[str, Json]) -> str:
        """Return a text with the fields in braces filled in, in the values and time forms of the
        mapping; a field that the event lacks becomes nothing.
        """

        def value(found: re.Match[str]) -> str:
            field = found[1]
            if field not in _OUR_KEYS:
                return found[0]
            rule = self.fields.get(field, FieldFormat())
            shown = Leaf(fields=(field,), values=rule.values, time=rule.time).of(event)
            return "" if shown is None or isinstance(shown, _Missing) else value_key(shown)

        return FIELD_IN_BRACES.sub(value, text)

    def frame(self) -> tuple[bytes, bytes, bytes]:
        """Return what stands before the events of a body, between them and after them."""
        match self.framing:
            case Framing.LINES:
                return b"", b"\n", b"\n"
            case Framing.SINGLE:
                return b"", b"", b""
        mark = "\0events\0"
        around: Tree = mark
        if self.form is BodyForm.OTLP_LOGS:
            scope: dict[str, Tree] = {"scope": {"name": "trueup"}, "logRecords": mark}
            around = {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [scope]}]}
        elif self.key:
            outer: dict[str, Tree] = {}
            for name, value in self.body.items():
                _put(outer, name, value)
            _put(outer, self.key, mark)
            around = outer
        before, _, after = _JSON.encode(around).partition(_JSON.encode(mark))
        return before + b"[", b",", b"]" + after

    def encode(self, events: Sequence[Mapping[str, Json]]) -> bytes:
        """Return the body of one request with these events, not compressed."""
        before, between, after = self.frame()
        return before + between.join(self.text(event) for event in events) + after


_OUR_KEYS: Final = frozenset(EVENT_KEYS)
_WITH_DATA: Final = (BodyForm.CLOUDEVENT, BodyForm.CLOUDEVENTS_BATCH)


def _put(tree: dict[str, Tree], name: str, value: object) -> None:
    """Put a value at a dotted name. The names must not collide."""
    *outer, last = name.split(".")
    for key in outer:
        inner = tree.setdefault(key, {})
        assert isinstance(inner, dict), f"{name} stands below a value"
        tree = inner
    tree[last] = value  # type: ignore[assignment]  # constants are Json, whose parts are trees
