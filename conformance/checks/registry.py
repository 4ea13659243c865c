"""The register of checks: one explicit tuple, in the order in which they are reported."""

from __future__ import annotations

from typing import Final

from trueup.conformance.checks import (
    accounts,
    audit,
    audit_lists,
    declarations,
    durability,
    graphs,
    ledgers,
    logs,
    protocol,
    retention,
    searches,
    summaries,
    tenancy,
)
from trueup.conformance.checks.check import Check

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
    *durability.CHECKS,
    *retention.CHECKS,
    *audit_lists.CHECKS,
    *audit.CHECKS,
)
