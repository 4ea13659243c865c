"""What one trial of level 1 tries: an accounting of proxies, and the reference beside them."""

from __future__ import annotations

import msgspec

from trueup.scenarios.embedded.target import NO_OVERRIDES, TargetOverrides

__all__ = ["AccountingPlan"]


class AccountingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to try."""

    id: str
    """An accounting of `trueup.scenarios.mutation.accountings`; any other name: as it is."""
    options: tuple[str, ...] = ()
    """Flags of the reference."""
    overrides: TargetOverrides = NO_OVERRIDES
    protocols: tuple[str, ...] = ("connect", "forward", "socks")
    delay_s: float = 0.0
    """Seconds between a request and its report."""
    seed: int = 7
