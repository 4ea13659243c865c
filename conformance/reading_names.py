"""Points that the guide leaves open: the names and values that `readings` may declare.

A reading that is not declared is probed where a probe exists, else the default is assumed; either
way it is printed and then held to. Nothing here probes: that is `conformance.readings`.
Sources: items C1 … C23 and 8.2.1 … 8.2.16 are those of the API fact sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["READINGS", "ReadingName", "wrong_value"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingName:
    """One open point."""

    name: str
    sentence: str
    """The question, answered by the value."""
    source: str
    values: tuple[str, ...] = ()
    """Allowed values; empty where any number of `least` … `most` is."""
    least: float = 0.0
    most: float = 0.0
    default: str
    """Assumed where it is neither declared nor can be probed."""
    probed: bool
    """Whether looking at the target can settle it."""


def _choice(
    name: str, values: str, source: str, sentence: str, *, probed: bool = True
) -> ReadingName:
    """A reading with named values; the first is the default."""
    allowed = tuple(values.split())
    return ReadingName(
        name=name,
        sentence=sentence,
        source=source,
        values=allowed,
        default=allowed[0],
        probed=probed,
    )


def _number(
    name: str,
    bounds: tuple[float, float],
    default: str,
    source: str,
    sentence: str,
    *,
    probed: bool = False,
) -> ReadingName:
    """A reading whose value is a number within bounds, both included."""
    return ReadingName(
        name=name,
        sentence=sentence,
        source=source,
        least=bounds[0],
        most=bounds[1],
        default=default,
        probed=probed,
    )


_ROWS: Final = (
    _choice(
        "time-form",
        "space iso iso-z",
        "C12",
        "Date-times as `2025-04-01 13:00:00`, `2025-04-01T13:00:00` or the latter with `Z`.",
    ),
    _choice(
        "time-zone",
        "utc",
        "8.2.1",
        "The zone of date-times without one, and of every day. Only UTC can be judged.",
        probed=False,
    ),
    _choice(
        "usage-sign",
        "negative positive",
        "8.2.2",
        "Sign of the bytes of a ledger's usage row.",
    ),
    _choice(
        "summary-period-form",
        "datetime date",
        "8.2.3",
        "`log_summary_period` is a date-time at midnight, or a bare date.",
    ),
    _choice(
        "consolidated-hostname",
        "null empty absent",
        "8.2.4",
        "What stands in place of the hostname once a summary is consolidated.",
    ),
    _choice(
        "consolidated-id",
        "kept new",
        "8.2.4",
        "Whether a consolidated row takes the id of one of its parts or a new one.",
    ),
    _choice(
        "expired-log-status",
        "404 410",
        "8.2.4",
        "Status of `log/retrieve` for a log that has aged out.",
    ),
    _choice(
        "unknown-id-status",
        "404 400 422",
        "8.2.12",
        "Status of a retrieve for a well-formed id that nothing has.",
    ),
    _choice(
        "malformed-id-status",
        "404 400 422",
        "8.2.12",
        "Status of a retrieve for an id that is no id.",
    ),
    _choice(
        "foreign-id-status",
        "404 403",
        "8.2.12",
        "Status of a retrieve for another customer's id.",
    ),
    _choice(
        "bad-value-status",
        "400 422 ignored",
        "8.2.11",
        "What a malformed parameter value is answered with.",
    ),
    _choice(
        "unknown-filter",
        "refused ignored",
        "8.2.11",
        "What becomes of a query parameter that does not exist.",
    ),
    _choice(
        "like-without-wildcard",
        "substring whole",
        "8.2.11",
        "Whether `like_` without `%` matches anywhere or only the whole value.",
    ),
    _choice(
        "per-page-above-100",
        "refused clamped honoured",
        "C10",
        "What becomes of `per_page` above the documented maximum of 100.",
    ),
    _number(
        "per-page-most",
        (1, 100),
        "100",
        "C10",
        "Most rows that a page ever has, where that is below 100.",
        probed=True,
    ),
    _choice(
        "total-count",
        "exact unknown",
        "C11",
        "Whether `total_count` counts the matches, or is -1 on some searches.",
    ),
    _choice(
        "graph-empty-buckets",
        "zero omitted",
        "8.2.7",
        "Whether the graph gives a point for an interval without traffic.",
    ),
    _choice(
        "graph-end",
        "exclusive inclusive",
        "8.2.7",
        "Whether the interval that begins at `period_end` belongs to the graph.",
    ),
    _choice(
        "graph-old-detail",
        "refused empty days",
        "8.2.8",
        "The graph by minute or hour where logs are gone: an error, nothing, or whole days.",
    ),
    _choice(
        "hostname-case",
        "folded kept",
        "8.2.6",
        "Whether `APPLE.com` and `apple.com` are one hostname.",
    ),
    _choice(
        "hostname-dot",
        "stripped kept",
        "8.2.6",
        "Whether `apple.com.` and `apple.com` are one hostname.",
    ),
    _choice(
        "failed-requests",
        "counted not-counted",
        "8.2.6",
        "Whether requests that failed are in summaries and ledgers.",
    ),
    _choice(
        "zero-byte-requests",
        "counted not-counted",
        "8.2.6",
        "Whether requests of zero bytes are in the number of requests.",
    ),
    _number(
        "late-events-days",
        (0, 7),
        "7",
        "8.2.10",
        "Oldest event, in days, that is still taken in.",
        probed=True,
    ),
    _number(
        "freshness-s",
        (0, 3600),
        "10",
        "8.2.10",
        "Longest time, in seconds, until an accepted event stands in every view.",
    ),
    _choice(
        "retention",
        "rolling calendar",
        "8.2.4",
        "Logs are kept for 7 times 24 hours, or for 7 whole calendar days.",
        probed=False,
    ),
    _number(
        "retention-lag-h",
        (0, 168),
        "48",
        "8.2.4",
        "Longest time, in hours, that an expired log may still be seen.",
    ),
    _number(
        "consolidation-lag-h",
        (0, 720),
        "72",
        "8.2.4",
        "Longest time, in hours, that a summary older than 90 days may keep its hostname.",
    ),
)

READINGS: Final[Mapping[str, ReadingName]] = MappingProxyType({row.name: row for row in _ROWS})
"""Name → reading, in the order of the documentation."""


def wrong_value(name: str, value: str) -> str | None:
    """What the reading expects, where the value is none of it; None where the value is right."""
    reading = READINGS[name]
    if reading.values:
        allowed = ", ".join(f'"{word}"' for word in reading.values)
        return None if value in reading.values else f"one of {allowed}"
    try:
        right = reading.least <= float(value) <= reading.most
    except ValueError:
        right = False
    return None if right else f"a number from {reading.least:g} to {reading.most:g}"
