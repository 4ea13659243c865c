"""Records from objects with named values: JSON lines, rows of CSV and Parquet.

Which name holds what is looked up once for each set of names: first what the user said, then the
names that are common, in order. Dots lead into nested objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from trueup.simulator.access_logs.build import (
    as_size,
    as_status,
    bare_host,
    host_of,
    milliseconds,
    plain,
    without_port,
)
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.times import TimeReader
from trueup.simulator.model.sizes import NETWORKS

__all__ = ["COMMON_NAMES", "Names", "ObjectReader"]

Names = Mapping[str, Sequence[tuple[str, ...]]]
"""By field: the choices in order, each the names whose values are added up (bytes) or tried."""

_SECONDS: Final = frozenset(("request_time", "session_time", "duration_s", "elapsed_s", "seconds"))
"""Names of durations in seconds; all others are milliseconds."""
_MICROSECONDS: Final = frozenset(("duration_us", "elapsed_us"))
_NANOSECONDS: Final = frozenset(("Duration",))
"""Traefik's."""
_FACTORS: Final = ((1000.0, _SECONDS), (1e-3, _MICROSECONDS), (1e-6, _NANOSECONDS))
"""Milliseconds of a unit, and the names of durations in it."""
_CODE_DIGITS_MAX: Final = 9

COMMON_NAMES: Final[Names] = {
    "time": [
        ("log_request_datetime",), ("timestamp",), ("@timestamp",), ("time",), ("datetime",),
        ("start_time",), ("time_iso8601",), ("time_local",), ("msec",), ("ts",), ("date",),
        ("event_time",), ("StartUTC",), ("startedDateTime",),
    ],
    "bytes": [
        ("log_total_bytes",), ("total_bytes",), ("bytes_total",), ("bytes_sent", "bytes_received"),
        ("bytes_sent", "request_length"), ("bytes_out", "bytes_in"), ("sc-bytes", "cs-bytes"),
        ("sc_bytes", "cs_bytes"), ("response_bytes", "request_bytes"), ("size", "bytes_read"),
        ("DownstreamContentSize", "RequestContentSize"), ("body_bytes_sent", "request_length"),
        ("bytes",), ("size",), ("length",),
    ],
    "host": [
        ("log_hostname",), ("hostname",), ("host",), ("http_host",), ("authority",),
        ("requested_server_name",), ("server_name",), ("sni",), ("cs-host",), ("request.host",),
        ("RequestHost",), ("domain",), ("url",), ("uri",),
    ],
    "user": [
        ("proxy_user_id",), ("user",), ("username",), ("remote_user",), ("user_id",),
        ("cs-username",), ("ClientUsername",), ("account",),
    ],
    "client": [
        ("log_client_ip_address",), ("client_ip",), ("client",), ("remote_addr",), ("remote_ip",),
        ("c-ip",), ("ClientHost",), ("client_address",), ("src_ip",), ("request.remote_ip",),
    ],
    "method": [
        ("log_method",), ("method",), ("request_method",), ("cs-method",), ("RequestMethod",),
        ("request.method",),
    ],
    "status": [
        ("log_status_code",), ("status",), ("status_code",), ("response_code",), ("http_status",),
        ("sc-status",), ("DownstreamStatus",),
    ],
    "duration": [
        ("log_total_elapsed_ms",), ("duration_ms",), ("elapsed_ms",), ("request_time",),
        ("session_time",), ("duration_s",), ("elapsed_s",), ("duration_us",), ("Duration",),
        ("duration",), ("elapsed",), ("time-taken",),
    ],
    "network": [("log_network",), ("network",)],
    "protocol": [("log_protocol",)],
    "error": [("log_error_code",), ("error_code",)],
    "authentication": [("log_authentication_type",)],
    "customer": [("customer_id",), ("tenant",), ("tenant_id",)],
}  # fmt: skip


class ObjectReader:
    """Builds records from mappings of names to values."""

    def __init__(self, options: ReadOptions, names: Names = COMMON_NAMES) -> None:
        self._names: Names = {
            name: [options.fields[name]] if name in options.fields else names.get(name, [])
            for name in COMMON_NAMES
        }
        self._times = TimeReader(options.zone)
        self._plans: dict[tuple[str, ...], Mapping[str, tuple[str, ...]]] = {}
        self._given = options.fields

    def plan(self, row: Mapping[str, object]) -> Mapping[str, tuple[str, ...]]:
        """Return by field the names that are read in objects such as this one; none where it has
        none.
        """
        keys = tuple(row)
        found = self._plans.get(keys)
        if found is None:
            if len(self._plans) > 1000:
                self._plans.clear()
            found = self._plans[keys] = {
                field: _choice(row, choices) for field, choices in self._names.items()
            }
        return found

    def read(self, row: Mapping[str, object]) -> AccessRecord:
        """Return the record of an object. Raises BadLine."""
        places = self.plan(row)

        def get(field: str) -> object:
            at = places[field]
            return _get(row, at[0]) if at else None

        if not places["time"]:
            raise BadLine(self.missing("time", row))
        at = get("time")
        name = places["time"][0]
        if at is None:
            raise BadLine(f"{name} is missing")
        try:
            time_us = self._times.of(at) if isinstance(at, datetime) else self._times.read(at)
        except BadLine as error:
            raise BadLine(f"{name}: {error}") from None
        sizes = places["bytes"]
        host, network = _text(get("host")), _text(get("network"))
        if network and network not in NETWORKS:
            raise BadLine(
                f"{places['network'][0]}: expected one of {', '.join(NETWORKS)}, "
                f"not {shorten(network)}"
            )
        duration = places["duration"][0] if places["duration"] else ""
        factor = next((each for each, names in _FACTORS if duration in names), 1.0)
        return AccessRecord(
            time_us=time_us,
            size=as_size((_get(row, name) for name in sizes), "+".join(sizes)) if sizes else None,
            host=host_of(host) if "/" in host else bare_host(host),
            user=_text(get("user")),
            client=without_port(_text(get("client"))),
            method=_text(get("method")),
            status=as_status(get("status")),
            duration_ms=milliseconds(get("duration"), factor),
            network=network,
            protocol=_text(get("protocol")),
            error=_text(get("error")),
            authentication=_code(get("authentication")),
            customer=_text(get("customer")),
        )

    def missing(self, field: str, row: Mapping[str, object]) -> str:
        """Return what to do about a field that no name of the object holds."""
        if field in self._given:
            return f"{self._given[field][0]} is missing"
        known = ", ".join(choice[0] for choice in self._names[field][:6])
        there = shorten(", ".join(map(str, row)))
        return (
            f"no {field}: expected one of {known}, …; there are {there}. "
            f"Name it with --field {field}=NAME"
        )


def _text(value: object) -> str:
    """Return a value as a text; empty for none, and for what is no single value."""
    return "" if value is None or isinstance(value, dict | list) else plain(str(value))


def _code(value: object) -> int | None:
    """Return a value as a code of a few digits; None for what is none."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= _CODE_DIGITS_MAX else None


def _choice(row: Mapping[str, object], choices: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the first choice that an object has in full, else in part; empty for none."""
    for has in (all, any):
        for choice in choices:
            if has(_has(row, name) for name in choice):
                return choice
    return ()


def _has(row: Mapping[str, object], name: str) -> bool:
    return name in row or ("." in name and _get(row, name) is not None)


def _get(row: Mapping[str, object], name: str) -> object:
    if name in row:
        return row[name]
    found: object = row
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found
