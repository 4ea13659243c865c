"""A sequence of steps on a target, small enough to be generated, shrunk and read.

Steps are frozen values. A sequence is a JSON list of them, so that one that failed can be saved and
repeated. Hypothesis generates it, `trueup.conformance.stateful.run` runs it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from hypothesis import strategies as st

from trueup.conformance.contract.history import NETWORKS
from trueup.conformance.requests import POOLS

__all__ = [
    "AdvanceStep",
    "DeliverStep",
    "MaintainStep",
    "ObserveStep",
    "PayStep",
    "RedeliverStep",
    "StepSequence",
    "step_sequences",
]

MOST_STEPS: Final = 12
MOST_EVENTS: Final = 6
"""Events of one delivery."""


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="step", omit_defaults=True):
    pass


class Drawn(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The choices of one event."""

    user: int
    network: str
    host: int
    hours_old: int
    bytes: int
    status: int


class DeliverStep(_Step, frozen=True, kw_only=True, tag="deliver"):
    """Deliver events once."""

    events: tuple[Drawn, ...]


class RedeliverStep(_Step, frozen=True, kw_only=True, tag="redeliver"):
    """Deliver an earlier event again; `nth` counts from the first."""

    nth: int


class AdvanceStep(_Step, frozen=True, kw_only=True, tag="advance"):
    """Move the target's clock forward."""

    hours: int


class MaintainStep(_Step, frozen=True, kw_only=True, tag="maintain"):
    """Run maintenance."""


class PayStep(_Step, frozen=True, kw_only=True, tag="pay"):
    """Buy or refund data; `times` calls with one key."""

    pool: str
    kind: str
    times: int = 1


class ObserveStep(_Step, frozen=True, kw_only=True, tag="observe"):
    """Read and compare every view. A sequence always ends with it."""


Step: TypeAlias = DeliverStep | RedeliverStep | AdvanceStep | MaintainStep | PayStep | ObserveStep
StepSequence: TypeAlias = tuple[Step, ...]

_EVENTS: Final = st.builds(
    Drawn,
    user=st.integers(0, 1),
    network=st.sampled_from(NETWORKS),
    host=st.integers(0, 1),
    hours_old=st.integers(0, 24 * 6),
    bytes=st.one_of(st.integers(0, 4096), st.sampled_from((2**31, 2**32 + 1, 2**40 + 1))),
    status=st.sampled_from((200, 204, 404, 502)),
)


def step_sequences(hooks: frozenset[str]) -> st.SearchStrategy[StepSequence]:
    """Return a strategy for sequences of at most `MOST_STEPS` steps that use the target's hooks."""
    steps: list[st.SearchStrategy[Step]] = [
        st.builds(
            DeliverStep, events=st.lists(_EVENTS, min_size=1, max_size=MOST_EVENTS).map(tuple)
        ),
        st.builds(RedeliverStep, nth=st.integers(0, MOST_STEPS * MOST_EVENTS)),
        st.builds(ObserveStep),
    ]
    if "clock" in hooks:
        steps.append(st.builds(AdvanceStep, hours=st.sampled_from((1, 12, 24, 100, 240, 24 * 94))))
    if "maintenance" in hooks:
        steps.append(st.builds(MaintainStep))
    if "money" in hooks:
        kinds = st.sampled_from(("purchase", "top_up", "refund", "adjustment"))
        pools = st.sampled_from(POOLS)
        steps.append(st.builds(PayStep, pool=pools, kind=kinds, times=st.integers(1, 2)))
    return st.lists(st.one_of(steps), min_size=1, max_size=MOST_STEPS).map(tuple)
