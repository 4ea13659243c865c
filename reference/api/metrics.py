"""The counters of the running server as text, in the exposition format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from trueup.reference.api.context import Context

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "trueup_reference_"
_PAGE_BYTES: Final = 4096
_STATM: Final = Path("/proc/self/statm")
_Sample: TypeAlias = tuple[Mapping[str, str], float]
"""Labels and value."""


def render(context: Context) -> str:
    """Return every metric of the server as text."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(context):
        lines += [f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} {kind}"]
        lines += [f"{_PREFIX}{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _metrics(context: Context) -> Iterator[tuple[str, str, str, Iterable[_Sample]]]:
    """Yield name, type, explanation and samples of every metric."""
    counts, connections = context.counts, context.connections
    yield (
        "requests_total",
        "counter",
        "Requests by method, route and status.",
        [
            ({"method": method, "route": route, "status": str(status)}, count)
            for (method, route, status), count in counts.requests.items()
        ],
    )
    yield (
        "request_seconds_total",
        "counter",
        "Seconds from the complete heads of requests to their responses, by route.",
        [({"route": route}, time.seconds) for route, time in counts.times.items()],
    )
    yield (
        "events_total",
        "counter",
        "Events of deliveries by result; duplicates are accepted as well.",
        _by("result", counts.events),
    )
    yield "connections", "gauge", "Open connections.", [({}, len(connections))]
    yield (
        "connections_closed_total",
        "counter",
        "Connections that the server closed, by reason.",
        _by("reason", connections.closed),
    )
    yield "body_bytes", "gauge", "Bytes of request bodies held.", [({}, context.bodies.held)]
    running, waiting = context.store.reads()
    yield (
        "reads",
        "gauge",
        "Reads of the store that run, and that wait for their turn.",
        _by("state", {"running": running, "waiting": waiting}),
    )
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[1])
        yield "resident_memory_bytes", "gauge", "Resident memory.", [({}, pages * _PAGE_BYTES)]


def _by(label: str, values: Mapping[str, float]) -> list[_Sample]:
    return [({label: name}, value) for name, value in values.items()]


def _labels(labels: Mapping[str, str]) -> str:
    """Return labels in braces, or nothing. Values are of this program: none needs an escape."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
