"""Whether a load should end early: the target is gone, or takes no request any more. Pure.

A soak of hours against a target that is gone, or whose token ran out, would only count errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trueup.simulator.reactor import Second

__all__ = ["AccessWatch"]

LOST_S: Final = 60.0
"""Seconds without any response after which a load ends; a target may restart meanwhile."""
NO_ACCESS_S: Final = 10.0
"""Seconds in which every response is 401 or 403 after which a load ends."""
_NO_ACCESS: Final = ("HTTP 401", "HTTP 403")


class AccessWatch:
    """Reads the finished seconds of the ingestion stream."""

    def __init__(self) -> None:
        self._silent_since: float | None = None
        self._refused_since: float | None = None
        self.no_access = False
        """Whether it said to end because the target refuses the credentials."""

    def add(self, seconds: Iterable[Second]) -> str:
        """Take in finished seconds, in order; return why the load should end, or nothing."""
        why = ""
        for second in seconds:
            why = self._one(second) or why
        return why

    def _one(self, second: Second) -> str:
        refused = sum(n for why, n in second.errors.items() if why.startswith(_NO_ACCESS))
        if second.requests > refused:
            self._silent_since = self._refused_since = None
            return ""
        if refused:
            self._silent_since = None
            self._refused_since = _first(self._refused_since, second.t)
            if second.t - self._refused_since >= NO_ACCESS_S:
                self.no_access = True
                why = max(second.errors, key=second.errors.__getitem__)
                return f"for {NO_ACCESS_S:g} s the target refused every request: {why}"
        elif second.errors:
            self._silent_since = _first(self._silent_since, second.t)
            if second.t - self._silent_since >= LOST_S:
                return f"for {LOST_S:g} s the target did not respond"
        return ""


def _first(since: float | None, t: float) -> float:
    return t if since is None else since
