"""A history: what is done to a target, step by step, small enough to be drawn, shrunk and read.

Steps are plain frozen values; a history is a JSON list of them, so that one that was found can be
kept and replayed. Drawing is Hypothesis's, acting is `trueup.conformance.stateful.run`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from hypothesis import strategies as st

from trueup.conformance.datasets.datasets import NETWORKS
from trueup.conformance.requests import POOLS

__all__ = ["Advance", "Deliver", "History", "Maintain", "Observe", "Pay", "Redeliver", "histories"]

MOST_STEPS: Final = 12
MOST_EVENTS: Final = 6
"""Events of one delivery."""


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="step", omit_defaults=True):
    pass


class Drawn(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One event, by its choices."""

    user: int
    network: str
    host: int
    hours_old: int
    bytes: int
    status: int


class Deliver(_Step, frozen=True, kw_only=True, tag="deliver"):
    """One delivery."""

    events: tuple[Drawn, ...]


class Redeliver(_Step, frozen=True, kw_only=True, tag="redeliver"):
    """An event that was delivered before is delivered once more; `nth` counts from the first."""

    nth: int


class Advance(_Step, frozen=True, kw_only=True, tag="advance"):
    """The target's clock moves forward."""

    hours: int


class Maintain(_Step, frozen=True, kw_only=True, tag="maintain"):
    """Maintenance runs."""


class Pay(_Step, frozen=True, kw_only=True, tag="pay"):
    """Data is bought or given back; `times` calls with one key."""

    pool: str
    kind: str
    times: int = 1


class Observe(_Step, frozen=True, kw_only=True, tag="observe"):
    """Every view is read and judged. The end of a history always looks."""


Step: TypeAlias = Deliver | Redeliver | Advance | Maintain | Pay | Observe
History: TypeAlias = tuple[Step, ...]

_EVENTS: Final = st.builds(
    Drawn,
    user=st.integers(0, 1),
    network=st.sampled_from(NETWORKS),
    host=st.integers(0, 1),
    hours_old=st.integers(0, 24 * 6),
    bytes=st.one_of(st.integers(0, 4096), st.sampled_from((2**31, 2**32 + 1, 2**40 + 1))),
    status=st.sampled_from((200, 204, 404, 502)),
)


def histories(hooks: frozenset[str]) -> st.SearchStrategy[History]:
    """Histories of at most `MOST_STEPS` steps that use only the levers which the target has."""
    steps: list[st.SearchStrategy[Step]] = [
        st.builds(Deliver, events=st.lists(_EVENTS, min_size=1, max_size=MOST_EVENTS).map(tuple)),
        st.builds(Redeliver, nth=st.integers(0, MOST_STEPS * MOST_EVENTS)),
        st.builds(Observe),
    ]
    if "clock" in hooks:
        steps.append(st.builds(Advance, hours=st.sampled_from((1, 12, 24, 100, 240, 24 * 94))))
    if "maintenance" in hooks:
        steps.append(st.builds(Maintain))
    if "money" in hooks:
        kinds = st.sampled_from(("purchase", "top_up", "refund", "adjustment"))
        pools = st.sampled_from(POOLS)
        steps.append(st.builds(Pay, pool=pools, kind=kinds, times=st.integers(1, 2)))
    return st.lists(st.one_of(steps), min_size=1, max_size=MOST_STEPS).map(tuple)
