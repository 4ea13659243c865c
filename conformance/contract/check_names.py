"""Names of checks that several modules of the contract attribute deviations to."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BALANCE",
    "BODIES",
    "CONTENT",
    "EQUAL",
    "FILTERS",
    "FIXED",
    "HOSTS_KEPT",
    "LEDGER_TIMES",
    "LOCKS",
    "ORDER",
    "PAGES",
    "PARTS",
    "READINGS_TRUE",
    "REMOVED",
    "RETRIEVE",
    "SPLITS",
    "TENANTS",
]

BALANCE: Final = "account-equals-ledger"
BODIES: Final = "bodies-are-documented"
CONTENT: Final = "logs-say-what-was-sent"
EQUAL: Final = "summaries-equal-logs"
FILTERS: Final = "filters-are-exact"
FIXED: Final = "past-entries-are-fixed"
HOSTS_KEPT: Final = "summaries-keep-hostnames"
LEDGER_TIMES: Final = "ledger-times-are-plausible"
LOCKS: Final = "hooks-are-locked"
ORDER: Final = "times-are-in-order"
PAGES: Final = "pages-are-whole"
PARTS: Final = "parts-make-the-whole"
READINGS_TRUE: Final = "readings-are-true"
REMOVED: Final = "hostnames-are-removed"
RETRIEVE: Final = "retrieve-equals-search"
SPLITS: Final = "graph-splits-add-up"
TENANTS: Final = "tenants-are-apart"
