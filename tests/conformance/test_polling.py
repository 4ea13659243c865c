"""Polling: how often a question is repeated, how long the pauses are, and when it ends."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.conformance.test_execution import StillClock
from trueup.conformance.client.polling import poll_until


async def polled(
    values: Iterable[bool], *, limit_s: float, sights: int = 1
) -> tuple[bool, list[float]]:
    """Poll a condition with these values, the last of them repeated; return result and times."""
    clock = StillClock()
    script = list(values)
    at: list[float] = []

    async def seen() -> bool:
        at.append(clock.seconds)
        return script[min(len(at), len(script)) - 1]

    found = await poll_until(
        seen, clock=clock, until=limit_s, pause_s=1, most_pause_s=2, sights=sights
    )
    return found, at


async def test_pauses_grow_up_to_the_longest_and_the_last_attempt_is_at_the_limit() -> None:
    assert await polled([False], limit_s=6) == (False, [0, 1, 2.5, 4.5, 6])


async def test_nothing_is_asked_after_it_was_seen() -> None:
    assert await polled([False, True], limit_s=6) == (True, [0, 1])


async def test_a_miss_between_hits_starts_the_count_anew_and_hits_have_no_pause() -> None:
    values = [True, True, False, True, True, True]
    assert await polled(values, limit_s=6, sights=3) == (True, [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("seen", [True, False])
async def test_there_is_one_attempt_where_there_is_no_time_at_all(seen: bool) -> None:
    assert await polled([seen], limit_s=0) == (seen, [0])
