"""Names of checks that several modules of the contract attribute deviations to."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BALANCE",
    "BODIES",
    "CONTENT",
    "DAY",
    "EDITED",
    "EQUAL",
    "ERRORS",
    "ERROR_COUNTS",
    "FILTERS",
    "FIXED",
    "FRESH",
    "HOSTS_KEPT",
    "IMPOSSIBLE",
    "LEDGER_KEPT",
    "LEDGER_TIMES",
    "LOCKS",
    "MONOTONE",
    "OF_HOSTNAMES",
    "ORDER",
    "PAGES",
    "PARTS",
    "READINGS_TRUE",
    "REMOVED",
    "RETRIEVE",
    "SPELLING",
    "SPLITS",
    "SUMMARY_TIMES",
    "TENANTS",
]

BALANCE: Final = "account-equals-ledger"
BODIES: Final = "bodies-are-documented"
CONTENT: Final = "logs-say-what-was-sent"
DAY: Final = "day-of-the-request"
EDITED: Final = "edits-change-what-they-name"
EQUAL: Final = "summaries-equal-logs"
ERRORS: Final = "errors-are-documented"
ERROR_COUNTS: Final = "errors-are-the-failed-requests"
FILTERS: Final = "filters-are-exact"
FIXED: Final = "past-entries-are-fixed"
FRESH: Final = "events-are-soon-visible"
HOSTS_KEPT: Final = "summaries-keep-hostnames"
IMPOSSIBLE: Final = "impossible-events-are-refused"
LEDGER_KEPT: Final = "ledger-is-kept"
LEDGER_TIMES: Final = "ledger-times-are-plausible"
LOCKS: Final = "hooks-are-locked"
MONOTONE: Final = "reads-never-go-backwards"
OF_HOSTNAMES: Final = "summaries-of-hostnames"
ORDER: Final = "times-are-in-order"
PAGES: Final = "pages-are-whole"
PARTS: Final = "parts-make-the-whole"
READINGS_TRUE: Final = "readings-are-true"
REMOVED: Final = "hostnames-are-removed"
RETRIEVE: Final = "retrieve-equals-search"
SPELLING: Final = "hostnames-as-read"
SPLITS: Final = "graph-splits-add-up"
SUMMARY_TIMES: Final = "summary-times-are-plausible"
TENANTS: Final = "tenants-are-apart"
