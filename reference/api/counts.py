"""What the running server counts: requests, their time, and the events of deliveries."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

__all__ = ["RouteTime", "ServerCounts"]


@dataclass(slots=True)
class RouteTime:
    """Number of requests of a route and the seconds that they took together."""

    requests: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class ServerCounts:
    """Counters since the start. Used by the event loop only."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """(method, route, status) → requests; the route is a path with `{id}`, or empty."""
    times: defaultdict[str, RouteTime] = field(default_factory=lambda: defaultdict(RouteTime))
    events: Counter[str] = field(default_factory=Counter)
    """`accepted`, `duplicates`, `refused` → events."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that took `seconds` from its complete head to its response."""
        self.requests[method, route, status] += 1
        time = self.times[route]
        time.requests += 1
        time.seconds += seconds
