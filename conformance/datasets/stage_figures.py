"""How much a stage reads at each depth: account figures, and everything once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trueup.conformance.datasets.materials import Materials
from trueup.conformance.datasets.stage_reads import (
    account_reads,
    network_summaries,
    read_all,
    snapshots,
)
from trueup.conformance.requests import ApiRequest

__all__ = ["AccountFigures", "account_figures", "read_again", "read_fully"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountFigures:
    """Requests for the figures of every account: once, or before and after the summaries."""

    requests: tuple[ApiRequest, ...] = ()
    snapshots: tuple[tuple[ApiRequest, ...], ...] = ()


def account_figures(made: Materials, now: datetime, *, twice: bool = False) -> AccountFigures:
    """Return requests for account figures at the depth of the plan. `now`: the target's time.

    The summaries of each network go with them, as they show what others use. `twice`: whether
    the figures are read before and after those at every depth; otherwise a quick run reads them
    once, and where others use the account too, it cannot judge them.
    """
    if made.settings.snapshots or twice:
        return AccountFigures(snapshots=snapshots(made.context, now))
    return AccountFigures(
        requests=(*account_reads(made.context), *network_summaries(made.context, now))
    )


def read_fully(made: Materials, now: datetime, *, turn: int = 0) -> tuple[ApiRequest, ...]:
    """Return the requests for everything, with twice as many day graphs as `read_again`."""
    share = max(1, made.settings.graph_share // 2)
    return read_all(made.context, made.users, now, turn=turn, share=share)


def read_again(made: Materials, now: datetime, *, turn: int) -> tuple[ApiRequest, ...]:
    """Return the requests for everything once more, with day graphs of users whose turn it is."""
    return read_all(made.context, made.users, now, turn=turn, share=made.settings.graph_share)
