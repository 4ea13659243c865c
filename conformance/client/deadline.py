"""The deadline of a whole run: whatever a target does, its work ends then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from trueup.conformance.client.clock import Clock
from trueup.conformance.errors import DeadlineReached

__all__ = ["Deadline"]

T = TypeVar("T")


class Deadline:
    """So many minutes from now on, shared by all parts of a run."""

    def __init__(self, clock: Clock, minutes: float) -> None:
        self._clock, self._minutes = clock, minutes
        self._until = clock.monotonic() + minutes * 60

    async def within(self, work: Awaitable[T]) -> T:
        """Return what the work returns. Raises DeadlineReached, and ends the work, at the deadline.

        What raises TimeoutError for another reason is left to raise it.
        """
        limit = asyncio.timeout(max(self._until - self._clock.monotonic(), 0.0))
        try:
            async with limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineReached(
                f"the run was ended after the {self._minutes:g} minutes that it may take; raise "
                "`budget.minutes` in the target file, or run less"
            ) from error
