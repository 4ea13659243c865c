"""How a log is to be read: what the user says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from trueup.simulator.errors import AccessLogError

__all__ = ["FIELDS", "ReadOptions", "parse_fields", "parse_zone"]

FIELDS: Final = (
    "time", "bytes", "host", "user", "client", "method", "status", "duration", "network",
    "protocol", "error", "authentication", "customer",
)  # fmt: skip
"""Names that `--field` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the user says about a log."""

    format: str = ""
    """Name of a format, with a colon and a template where it takes one; empty: guess."""
    zone: tzinfo = UTC
    """Zone of times that are written without one."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By name of `FIELDS`: the columns or JSON keys that hold it; several are added up."""


def parse_zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name. Raises AccessLogError."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise AccessLogError(
            f"{name!r} is no time zone; write an IANA name such as Europe/Berlin, or UTC"
        ) from error


def parse_fields(given: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return columns by field from texts such as `bytes=sent+received`. Raises AccessLogError."""
    found: dict[str, tuple[str, ...]] = {}
    for part in given:
        name, equals, columns = part.partition("=")
        if not equals or name not in FIELDS or not columns:
            raise AccessLogError(
                f"{part!r}: write NAME=COLUMN, such as bytes=sent+received, with one of "
                f"{', '.join(FIELDS)}"
            )
        found[name] = tuple(columns.split("+")) if name == "bytes" else (columns,)
    return MappingProxyType(found)
