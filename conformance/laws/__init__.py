"""The register of checks: one explicit tuple, in the order in which they are reported."""

from __future__ import annotations

from typing import Final

from conformance.laws import (
    accounts,
    audit,
    audit_lists,
    declarations,
    graphs,
    ledgers,
    lives,
    logs,
    protocol,
    retention,
    searches,
    summaries,
    tenancy,
)
from conformance.model import Check

__all__ = ["CHECKS"]

CHECKS: Final[tuple[Check, ...]] = (
    *protocol.CHECKS,
    *declarations.CHECKS,
    *searches.CHECKS,
    *tenancy.CHECKS,
    *logs.CHECKS,
    *summaries.CHECKS,
    *ledgers.CHECKS,
    *accounts.CHECKS,
    *graphs.CHECKS,
    *lives.CHECKS,
    *retention.CHECKS,
    *audit_lists.CHECKS,
    *audit.CHECKS,
)
