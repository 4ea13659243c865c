"""Read values from responses of any content: None is returned for what cannot be read.

Times come in several documented forms (`2025-04-01 13:00:00`, with a `T`, with a `Z`, with a
fraction, or a bare date); they all become aware UTC times. Nothing is compared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

from trueup.reports.results import Json

__all__ = [
    "GraphPoint",
    "Row",
    "as_int",
    "as_row",
    "as_str",
    "as_text",
    "canonical_hostname",
    "day_of",
    "format_time",
    "get_path",
    "graph_points",
    "parse_time",
    "rows_of",
    "same_hostname",
]

Row: TypeAlias = Mapping[str, Json]


def as_str(row: Row, key: str) -> str | None:
    """Return the value if it is a text."""
    value = row.get(key)
    return value if isinstance(value, str) else None


def as_text(value: Json) -> str:
    """Return a text or an integer as a request has it; empty for anything else."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def as_int(row: Row, key: str) -> int | None:
    """Return the value if it is an integer; a float that is whole counts, true and false do not."""
    value = row.get(key)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


YEARS: Final = range(1000, 9900)
"""Years of the times that are read; day arithmetic and four-digit years hold in all of them."""


def parse_time(value: Json) -> datetime | None:
    """Return the UTC time of a documented form of date, month or date-time; numbers are epochs.

    None for any other value, and for a year outside `YEARS`.
    """
    try:
        found = _time(value)
    except (OverflowError, ValueError, OSError):
        return None
    return found if found is not None and found.year in YEARS else None


def _time(value: Json) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    if not isinstance(value, str):
        return None
    parsed = datetime.fromisoformat(f"{value}-01" if len(value) == 7 else value.strip())
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def format_time(at: datetime) -> str:
    """Return a moment as the API writes it: `YYYY-MM-DD HH:MM:SS`, UTC, whole seconds."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def day_of(value: Json) -> str | None:
    """Return the UTC day of a date or date-time, `YYYY-MM-DD`."""
    at = parse_time(value)
    return None if at is None else at.strftime("%Y-%m-%d")


def get_path(body: Json, path: str) -> Json:
    """Return the value at a dotted path of a JSON value, or None."""
    for key in path.split("."):
        if not isinstance(body, Mapping):
            return None
        body = body.get(key)
    return body


def as_row(value: Json) -> dict[str, Json]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows_of(body: Json) -> list[Row] | None:
    """Return the rows of a list, which are in its `data`; None if there is no list."""
    data = get_path(body, "data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphPoint:
    """One point of a graph."""

    at: datetime | None
    time: str = field(compare=False)
    """Its time as it was shown."""
    requests: int
    bytes: int
    successful: int | None
    error: int | None
    """None if the graph does not count outcomes."""


def graph_points(body: Json, shape: Mapping[str, str]) -> tuple[GraphPoint, ...] | str:
    """Return the points of a graph, or why there are none. `shape`: where they sit in a body."""
    found = get_path(body, shape.get("points", "data.points"))
    if not isinstance(found, list):
        return f"no list of points at `{shape.get('points')}`"
    return tuple(_point(as_row(each), shape) for each in found)


def _point(row: dict[str, Json], shape: Mapping[str, str]) -> GraphPoint:
    time, requests = shape.get("time", "datetime"), shape.get("requests", "requests")
    holder = requests.rpartition(".")[0]
    outcomes = as_row(get_path(row, holder)) if holder else row
    return GraphPoint(
        at=parse_time(get_path(row, time)),
        time=str(get_path(row, time)),
        requests=as_int({"v": get_path(row, requests)}, "v") or 0,
        bytes=as_int({"v": get_path(row, shape.get("bytes", "bytes"))}, "v") or 0,
        successful=as_int(outcomes, "successful"),
        error=as_int(outcomes, "error"),
    )


def same_hostname(one: str, other: str) -> bool:
    """Return whether two names are one host for DNS.

    Letter case, a trailing dot and the spelling of letters beyond ASCII do not matter.
    """
    return canonical_hostname(one) == canonical_hostname(other)


@lru_cache(maxsize=65536)
def canonical_hostname(name: str) -> str:
    """Return a hostname as DNS sees it: lower case, no trailing dot, in ASCII if possible."""
    plain = name.lower().removesuffix(".")
    try:
        return plain if plain.isascii() else plain.encode("idna").decode("ascii")
    except UnicodeError:
        return plain
