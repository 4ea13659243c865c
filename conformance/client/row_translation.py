"""Translate rows of responses into the form of the contract, and requests into the target's ids.

A target may show a log under an id of its own, with the id that was sent in another field or
nowhere, and may write times in other forms. Responses are brought into the form of the contract
once, before they are recorded; path and query of a request are brought into the target's.
Everything else works with the ids that were sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from trueup.conformance.model import TARGET_LOG_ID
from trueup.conformance.ports import SentTraffic, Slice
from trueup.conformance.rows import (
    as_row,
    as_str,
    canonical_hostname,
    format_time,
    get_path,
    parse_time,
    rows_of,
)
from trueup.conformance.target.model import GraphShape, RowFormat
from trueup.reports.event_format import read_time
from trueup.reports.journal.records import Delivered, Exchange, Record
from trueup.reports.results import Json

__all__ = ["RowTranslator"]

Row = dict[str, Json]
_ID: Final = "log_id"
_RETRIEVE: Final = "log/retrieve/"
_SAME: Final = ("proxy_user_id", "log_network", "log_client_ip_address", "log_total_bytes")
"""Fields that a log has as they were sent, beside hostname and time."""
_NO_LOG: Final = ("log_id", "customer_id", "log_request_datetime", "log_hostname")


class RowTranslator:
    """Translates rows, and ids of logs: each id of the target belongs to one that was sent.

    It learns from the rows that come in. Where the target shows no id that was sent, a log belongs
    to an event of the customer with the same user, network, client, hostname, bytes and second; of
    several, to the one that agrees in most fields and that no other log belongs to.
    """

    def __init__(
        self,
        rows: RowFormat,
        graph: GraphShape,
        records: list[Record],
        sent: SentTraffic | None = None,
    ) -> None:
        """`records` are those of the run, to which new ones are appended; `sent` has the events
        that are not in the records.
        """
        self._rows, self._graph, self._records, self._sent = rows, graph, records, sent
        self._undrawn: dict[tuple[int, str, str], tuple[str, ...]] | None = None
        """Customer, user and day → ids of that traffic's events that are not known yet; None:
        they were not needed.
        """
        self._read = 0
        """Records that were looked at."""
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        self._events: dict[str, Mapping[str, Json]] = {}
        self._alike: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
        """What logs and events are matched by → ids of events."""

    @property
    def is_plain(self) -> bool:
        """Return whether rows have the form of the contract."""
        return self._rows == RowFormat()

    @property
    def has_own_ids(self) -> bool:
        """Return whether the target shows logs under ids of its own."""
        return self._rows.log_id != _ID

    def body(self, path: str, body: Json, customer: int | None) -> Json:
        """Return the body of a response to a customer in the form of the contract."""
        if self.is_plain or not isinstance(body, dict):
            return body
        body = self._with_times(body)
        if not self.has_own_ids or not path.startswith("log/"):
            return body
        self._catch_up()
        data = body.get("data")
        if not self._rows.log_id and self._sent is not None and customer is not None:
            rows = data if isinstance(data, list) else [data]
            self._draw(self._sent, customer, [row for row in rows if isinstance(row, dict)])
        if isinstance(data, list):
            return {**body, "data": [self._named(row, customer) for row in data]}
        return {**body, "data": self._named(data, customer)} if isinstance(data, dict) else body

    def path(self, path: str) -> str:
        """Return the path of a request with the target's id of a log."""
        if not path.startswith(_RETRIEVE):
            return path
        ours = path.removeprefix(_RETRIEVE)
        return _RETRIEVE + self._theirs.get(ours.lower(), ours)

    def query(self, path: str, query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return the query of a request with the target's ids of logs."""
        if not path.startswith("log/"):
            return query
        return tuple(
            (name, self._theirs.get(value.lower(), value))
            if name.removeprefix("not_") == _ID
            else (name, value)
            for name, value in query
        )

    def unknown_event(self, path: str) -> Mapping[str, Json] | None:
        """Return the event whose log a request retrieves, where the target's id is not known."""
        ours = path.removeprefix(_RETRIEVE).lower()
        if not self.has_own_ids or not path.startswith(_RETRIEVE) or ours in self._theirs:
            return None
        self._catch_up()
        event = self._events.get(ours)
        return event or (self._sent.event(ours) if self._sent is not None else None)

    # --- ids

    def _named(self, row: Json, customer: int | None) -> Json:
        """Return a row under the id that was sent, with the target's id beside."""
        if not isinstance(row, dict) or (theirs := as_str(row, _ID)) is None:
            return row
        if self._rows.log_id:
            shown = get_path(row, self._rows.log_id)
            ours = shown if isinstance(shown, str) else None
        else:
            ours = self._ours.get(theirs) or self._matching(row, customer)
        if ours is None:
            return row
        self._learn(ours, theirs)
        return {**row, _ID: ours, TARGET_LOG_ID: theirs}

    def _learn(self, ours: str, theirs: str) -> None:
        self._theirs.setdefault(ours.lower(), theirs)
        self._ours[theirs] = ours

    def _matching(self, row: Row, customer: int | None) -> str | None:
        """Return the id of the event that a log belongs to; None if it belongs to none."""
        alike = self._alike.get((customer, *_alike(row)), ())
        free = [ours for ours in alike if ours not in self._theirs]
        return max(free, key=lambda ours: _agreement(row, self._events[ours]), default=None)

    def _catch_up(self) -> None:
        """Read the records that are new: events that were delivered, and rows that came in."""
        new, self._read = self._records[self._read :], len(self._records)
        for record in new:
            match record:
                case Delivered():
                    for event in record.events:
                        self._deliver(event)
                case Exchange() if "/log/" in record.path:
                    # Another client may have recorded it.
                    for row in rows_of(record.body) or [as_row(get_path(record.body, "data"))]:
                        ours, theirs = as_str(row, _ID), as_str(row, TARGET_LOG_ID)
                        if ours is not None and theirs is not None:
                            self._learn(ours, theirs)

    def _draw(self, sent: SentTraffic, customer: int, rows: list[Row]) -> None:
        """Learn the events of the users and days of logs that are not known."""
        if self._undrawn is None:
            # All at once: drawing takes about as long for many users as for one.
            cells = dict.fromkeys((*sent.cells(), *sent.slack()))
            days = dict.fromkeys((c.customer_id, c.proxy_user_id, c.day) for c in cells)
            slices = [
                Slice(number, f"{day} 00:00:00", f"{day} 23:59:59", proxy_user_id=user)
                for number, user, day in days
            ]
            self._undrawn = dict(zip(days, map(tuple, sent.ids_in(slices)), strict=True))
        for row in rows:
            at = parse_time(row.get("log_request_datetime"))
            user = as_str(row, "proxy_user_id") or ""
            if at is None or as_str(row, _ID) in self._ours:
                continue
            for ours in self._undrawn.pop((customer, user, format_time(at)[:10]), ()):
                event = sent.event(ours)
                if event is not None:
                    self._deliver(event)

    def _deliver(self, event: Mapping[str, Json]) -> None:
        ours = as_str(event, _ID)
        if ours is not None and ours.lower() not in self._events:
            self._events[ours.lower()] = event
            if not self._rows.log_id:
                self._alike[event.get("customer_id"), *_alike(event)].append(ours.lower())

    # --- times

    def _with_times(self, body: Row) -> Row:
        if not self._rows.times:
            return body
        data = body.get("data")
        changed: Json = data
        if isinstance(data, list):
            changed = [self._timed(row) for row in data]
        elif isinstance(data, dict):
            changed = self._timed(data)
        body = {**body, "data": changed}
        points = get_path(body, self._graph.points)
        if isinstance(points, list) and self._graph.time in self._rows.times:
            timed = [self._timed(point) for point in points]
            return _replaced(body, self._graph.points.split("."), timed)
        return body

    def _timed(self, row: Json) -> Json:
        if not isinstance(row, dict):
            return row
        found = dict(row)
        for name, form in self._rows.times.items():
            at = read_time(row.get(name), form)
            if at is not None:
                shape = "%Y-%m-%d" if name.endswith("_date") else "%Y-%m-%d %H:%M:%S"
                found[name] = at.strftime(shape)
        return found


def _alike(row: Mapping[str, Json]) -> tuple[object, ...]:
    """Return what a log and its event agree in, whatever a target's readings are."""
    host = canonical_hostname(as_str(row, "log_hostname") or "")
    at = parse_time(as_str(row, "log_request_datetime") or "")
    second = at.replace(microsecond=0) if at is not None else None
    return (host, second, *(row.get(name) for name in _SAME))


def _agreement(row: Mapping[str, Json], event: Mapping[str, Json]) -> int:
    return sum(row[name] == event.get(name) for name in row if name not in _NO_LOG)


def _replaced(body: Row, path: list[str], value: Json) -> Row:
    """Return a body with another value at a path, which exists."""
    first, *rest = path
    inner = body[first]
    if not rest or not isinstance(inner, dict):
        return {**body, first: value}
    return {**body, first: _replaced(inner, rest, value)}
