"""Events of a recorded log, by number: their content, ids, due times and totals.

The times of the events are those of the log, moved by one constant. They are due when they
happened, counted from the first, or sooner by the factor of the speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from trueup.reports.event_format import EVENT_KEYS, EventFormat, value_key
from trueup.reports.journal.records import ReplayDeclared
from trueup.reports.results import CellKey, Counts, HourKey, Json
from trueup.simulator.batch import event_lines
from trueup.simulator.errors import AccessLogError
from trueup.simulator.model.ids import Ids
from trueup.simulator.model.population import user_tag
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.replay.recording import ReplayRecording, Rows
from trueup.simulator.totals import day_of, hour_of, plus

__all__ = ["ReplayTraffic", "due_us"]

_CHUNK: Final = 65_536
_EMPTY: Final[dict[str, Json]] = dict.fromkeys(EVENT_KEYS)
_PLACE: Final[dict[str, Json]] = {"country_id": "zz", "city_alias": "unknown", "asn_id": 64496}
"""Logs do not say where a request left: an unknown country, and an ASN of the documentation."""

Mask = npt.NDArray[np.bool_]


def due_us(recording: ReplayRecording, speed: float) -> npt.NDArray[np.int64]:
    """Return when each event is due, in microseconds after the first."""
    times = np.asarray(recording.rows["time_us"], dtype=np.int64)
    if not len(times):
        return times
    offset = times - times[0]
    return offset if speed == 1 else np.asarray(offset / speed, dtype=np.int64)


class ReplayTraffic:
    """The events `0 … events-1` of a recording, as one run sends them."""

    def __init__(self, recording: ReplayRecording, declared: ReplayDeclared) -> None:
        """Raises AccessLogError if the recording is not the one that was declared."""
        if recording.sha256 != declared.sha256:
            raise AccessLogError(
                f"the recording of {declared.log} has changed since the run: its events cannot be "
                "read again"
            )
        self.declared, self.recording = declared, recording
        self.customers = declared.customers
        self.count = declared.events
        self._ids = Ids(declared.seed, f"replay/{declared.sha256}/{declared.namespace}")
        tag = "" if recording.names.keep else f"-{user_tag(declared.seed, declared.namespace)}"
        self.users = [f"{name}{tag}"[:255] for name in recording.names.users]
        many = len(self.customers)
        self._customer = np.array(
            [number % many for number in recording.names.customer_of]
            if len(set(recording.names.customer_of)) > 1
            else [code % many for code in range(len(self.users))],
            dtype=np.int64,
        )

    def due_us(self) -> npt.NDArray[np.int64]:
        """Return when each event is due, in microseconds after the first."""
        return due_us(self.recording, self.declared.speed)[: self.count]

    def log_ids(self, first: int, count: int) -> list[str]:
        """Return the ids of events first … first+count-1."""
        return self._ids.texts(np.arange(first, first + count, dtype=np.uint64))

    def position(self, log_id: str) -> int | None:
        """Return the number of the event with this id; None if it is not of this replay."""
        number = self._ids.number(log_id.lower())
        return number if number is not None and number < self.count else None

    def rows(self, first: int, count: int) -> list[dict[str, Json]]:
        """Return events first … first+count-1 in full."""
        names, found = self.recording.names, []
        rows = self.recording.rows[first : first + count]
        seconds = self._seconds(rows).tolist()
        ids = self.log_ids(first, len(rows))
        for row, log_id, second in zip(rows.tolist(), ids, seconds, strict=True):
            _, size, user, host, client, ms, method, error, status, kind, network, socks = row
            event: dict[str, Json] = {
                **_EMPTY,
                **_PLACE,
                "log_id": log_id,
                "log_request_datetime": f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}",
                "customer_id": self.customers[int(self._customer[user])],
                "proxy_user_id": self.users[user],
                "log_network": NETWORKS[network],
                "log_client_ip_address": names.clients[client],
                "log_authentication_type": kind,
                "log_smartpath_enabled": False,
                "log_smartpath_routed": False,
                "log_protocol": "socks" if socks else "http",
                "log_transport": "tcp",
                "log_method": names.words[method] or None,
                "log_status_code": status if status >= 0 else None,
                "log_error_code": names.words[error] if error >= 0 else None,
                "log_hostname": names.hosts[host],
                "log_total_bytes": max(size, 0),
                "log_total_elapsed_ms": ms if ms >= 0 else None,
            }
            found.append(event)
        return found

    def pieces(
        self, first: int, count: int, most: int, form: EventFormat
    ) -> Iterator[tuple[int, bytes] | None]:
        """Yield events in a target's format, in pieces of `most`, each with its number of events.

        Yields None between the steps, so that a caller can do other work.
        """
        for at in range(first, first + count, most):
            rows = self.rows(at, min(most, first + count - at))
            yield None
            yield len(rows), event_lines(form, rows)

    def totals(
        self, ranges: Sequence[tuple[int, int]]
    ) -> tuple[dict[CellKey, Counts], dict[HourKey, Counts]]:
        """Return the sums of events first … first+count-1 of each range, by cell and by hour."""
        cells: dict[CellKey, Counts] = {}
        hours: dict[HourKey, Counts] = {}
        names = self.recording.names
        for first, count in ranges:
            for at in range(first, first + count, _CHUNK):
                rows = self.recording.rows[at : min(at + _CHUNK, first + count)]
                seconds = self._seconds(rows)
                failed = (rows["error"] >= 0) | (rows["status"] >= 400)
                sizes = np.maximum(rows["size"], 0)
                for (user, host, network, day), sums in _grouped(
                    (rows["user"], rows["host"], rows["network"], seconds // 86_400), sizes, failed
                ):
                    cell = CellKey(
                        customer_id=self.customers[int(self._customer[user])],
                        proxy_user_id=self.users[user],
                        network=NETWORKS[network],
                        hostname=names.hosts[host],
                        day=day_of(day),
                    )
                    cells[cell] = plus(cells.get(cell), sums)
                for (customer, network, hour), sums in _grouped(
                    (self._customer.take(rows["user"]), rows["network"], seconds // 3600),
                    sizes,
                    failed,
                ):
                    key = HourKey(
                        customer_id=self.customers[customer],
                        network=NETWORKS[network],
                        hour=hour_of(hour),
                    )
                    hours[key] = plus(hours.get(key), sums)
        return cells, hours

    def first_unmapped(self, form: EventFormat) -> tuple[str, str, int] | None:
        """Return (field, value, number of the event) of the first value that a format's table of
        values lacks; None where it has every one.
        """
        tables = {name: rule.values for name, rule in form.fields.items() if rule.values}
        columns = {"log_method": "method", "log_error_code": "error", "log_status_code": "status",
                   "log_authentication_type": "authentication", "log_network": "network",
                   "log_protocol": "socks"}  # fmt: skip
        rows = self.recording.rows[: self.count]
        for field, table in tables.items():
            # One event stands for all with the same code; other fields are the same in all events.
            numbers = [0]
            if field in columns:
                numbers = np.unique(rows[columns[field]], return_index=True)[1].tolist()
            for number in sorted(numbers):
                value = self.rows(number, 1)[0].get(field)
                if value not in (None, "") and value_key(value) not in table:
                    return field, value_key(value), number
        return None

    def select(
        self,
        first: int,
        stop: int,
        *,
        customer: int,
        begin: int,
        end: int,
        network: str = "",
        user: str = "",
        host: str = "",
    ) -> list[str]:
        """Return the ids of those of events first … stop-1 that are of a customer, between two
        Unix seconds (both included), and of a network, user or hostname if given.
        """
        names, found = self.recording.names, []
        users = self._customer == _index(self.customers, customer)
        if user:
            users = users & np.array([name == user for name in self.users])
        hosts = np.array([name == host for name in names.hosts]) if host else None
        for at in range(first, stop, _CHUNK):
            rows = self.recording.rows[at : min(at + _CHUNK, stop)]
            seconds = self._seconds(rows)
            here: Mask = users.take(rows["user"]) & (seconds >= begin) & (seconds <= end)
            if network:
                here &= rows["network"] == _index(NETWORKS, network)
            if hosts is not None:
                here &= hosts.take(rows["host"])
            numbers = (np.flatnonzero(here) + at).astype(np.uint64)
            found += self._ids.texts(numbers)
        return found

    def _seconds(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return the Unix seconds of the events, as they are sent."""
        seconds: npt.NDArray[np.int64] = rows["time_us"] // 1_000_000 + self.declared.shift_s
        return seconds


def _index(values: Sequence[object], value: object) -> int:
    return values.index(value) if value in values else -1


def _grouped(
    keys: tuple[npt.NDArray[np.integer], ...],
    sizes: npt.NDArray[np.int64],
    failed: Mask,
) -> Iterator[tuple[tuple[int, ...], Counts]]:
    """Yield the sums of each combination of keys."""
    order = np.lexsort(keys)
    columns = [np.asarray(key)[order] for key in keys]
    changes = np.zeros(len(order), dtype=np.bool_)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(changes)
    ends = np.append(starts[1:], len(order))
    errors = np.add.reduceat(failed[order].astype(np.int64), starts)
    ordered = sizes[order]
    for start, end, error in zip(starts.tolist(), ends.tolist(), errors.tolist(), strict=True):
        part = ordered[start:end]
        # 64 bits hold the sum unless some sizes are enormous.
        total = int(part.sum()) if int(part.max()) < 2**40 else sum(part.tolist())
        count = end - start
        yield (
            tuple(int(column[start]) for column in columns),
            Counts(requests=count, bytes=total, successful=count - error, error=error),
        )
