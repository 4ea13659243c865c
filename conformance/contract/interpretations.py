"""Points that the guide leaves open: the names and values that `readings` may declare.

A reading that is not declared is probed where a probe exists, else the default is assumed; either
way it is printed and then held to. Nothing here probes: that is
`trueup.conformance.datasets.interpretation_probes`.
Sources are the open points of `docs/open-points.md`.
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
    """What the value states."""
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
        "S1",
        "The zone of date-times without one, and of every day. Only UTC can be judged.",
        probed=False,
    ),
    _choice(
        "usage-sign",
        "negative positive",
        "S2",
        "Sign of the bytes of a ledger's usage row.",
    ),
    _choice(
        "summary-period-form",
        "datetime date",
        "S3",
        "`log_summary_period` is a date-time at midnight, or a bare date.",
    ),
    _choice(
        "consolidated-hostname",
        "null empty absent",
        "S4",
        "What replaces the hostname when a summary is consolidated.",
    ),
    _choice(
        "expired-log-status",
        "404 410",
        "S4",
        "Status of `log/retrieve` for a log that has aged out.",
    ),
    _choice(
        "unknown-id-status",
        "404 400 422",
        "S12",
        "Status of a retrieve for a well-formed id that nothing has.",
    ),
    _choice(
        "malformed-id-status",
        "404 400 422",
        "S12",
        "Status of a retrieve for an id that is no id.",
    ),
    _choice(
        "bad-value-status",
        "400 422 ignored",
        "S11",
        "The response to a malformed parameter value.",
    ),
    _choice(
        "unknown-filter",
        "refused ignored",
        "S11",
        "What becomes of a query parameter that does not exist.",
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
        "S7",
        "Whether the graph gives a point for an interval without traffic.",
    ),
    _choice(
        "graph-end",
        "exclusive inclusive",
        "S7",
        "Whether the interval that begins at `period_end` belongs to the graph.",
    ),
    _choice(
        "graph-edges",
        "exact whole-buckets whole-first whole-last",
        "S7",
        "What the first and the last interval hold where a window begins or ends inside of them: "
        "what is in the window; or the whole intervals, both, the first, or the last.",
    ),
    _choice(
        "graph-old-detail",
        "refused empty days",
        "S8",
        "The graph by minute or hour where logs are gone: an error, nothing, or whole days.",
    ),
    _choice(
        "hostname-case",
        "folded kept",
        "S6",
        "Whether `APPLE.com` and `apple.com` are one hostname.",
    ),
    _choice(
        "hostname-dot",
        "stripped kept",
        "S6",
        "Whether `apple.com.` and `apple.com` are one hostname.",
    ),
    _choice(
        "failed-requests",
        "counted not-counted",
        "S6",
        "Whether requests that failed are in summaries, ledgers and graph.",
        probed=False,
    ),
    _choice(
        "deleted-users",
        "kept removed",
        "S16",
        "Whether logs and summaries of a deleted proxy user stay.",
        probed=False,
    ),
    _choice(
        "zero-byte-requests",
        "counted not-counted",
        "S6",
        "Whether requests of zero bytes are in the number of requests.",
        probed=False,
    ),
    _choice(
        "proxied-bytes",
        "both with-handshake origin down down-with-handshake",
        "S6",
        "Which bytes of a proxied request count: what the client sent and received after the "
        "handshake; these and the handshake; what the proxy and the origin exchanged; or what the "
        "client received, without or with the handshake. The last two are never probed.",
    ),
    _choice(
        "proxied-refusals",
        "either logged not-logged",
        "S6",
        "Whether requests with wrong credentials leave a log.",
        probed=False,
    ),
    _number(
        "proxied-tolerance",
        (0, 65_536),
        "0",
        "S6",
        "Bytes by which the size of a proxied request may be off.",
    ),
    _number(
        "late-events-days",
        (0, 7),
        "7",
        "S10",
        "Oldest event, in days, that is still taken in.",
        probed=True,
    ),
    _number(
        "freshness-s",
        (0, 3600),
        "10",
        "S10",
        "Longest time, in seconds, until every view shows an accepted event.",
    ),
    _choice(
        "retention",
        "rolling calendar",
        "S4",
        "Logs are kept for 7 times 24 hours, or for 7 whole calendar days.",
        probed=False,
    ),
    _number(
        "retention-lag-h",
        (0, 168),
        "48",
        "S4",
        "Longest time, in hours, that an expired log may still be seen.",
    ),
    _number(
        "consolidation-lag-h",
        (0, 720),
        "72",
        "S4",
        "Longest time, in hours, that a summary older than 90 days may keep its hostname.",
    ),
)

READINGS: Final[Mapping[str, ReadingName]] = MappingProxyType({row.name: row for row in _ROWS})
"""Name → reading, in the order of the documentation."""


def wrong_value(name: str, value: str) -> str | None:
    """Return what the reading expects if the value is none of it; None if the value is right."""
    reading = READINGS[name]
    if reading.values:
        allowed = ", ".join(f'"{word}"' for word in reading.values)
        return None if value in reading.values else f"one of {allowed}"
    try:
        right = reading.least <= float(value) <= reading.most
    except ValueError:
        right = False
    return None if right else f"a number from {reading.least:g} to {reading.most:g}"
