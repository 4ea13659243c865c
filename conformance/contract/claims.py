"""Optional features of an implementation: the names that `claims` in a target file may contain.

There are two kinds: features that the guide promises, which are assumed if a target file states no
claims, and related features that many implementations have. A check of a feature that is not
claimed is *not applicable*; one of a feature that is claimed and cannot be exercised is *not
testable*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["ALL_OF_GUIDE", "CLAIMS", "GUIDE_CLAIMS", "Claim"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One feature that a vendor may claim."""

    name: str
    sentence: str
    source: str
    """As in `clauses.toml`: a section of the guide, a page, or an open point."""
    guide: bool = False
    """Promised by the guide: assumed if `claims` is left out."""


_ROWS: Final = (
    Claim(
        name="residential",
        sentence="Residential proxies are sold, with their ledger and account summary.",
        source="guide: Residential Ledger",
        guide=True,
    ),
    Claim(
        name="mobile",
        sentence="Mobile proxies are sold, with their ledger and account summary.",
        source="guide: Mobile Ledger",
        guide=True,
    ),
    Claim(
        name="success-counts",
        sentence="Summaries carry `log_summary_successful` and `log_summary_error`.",
        source="guide: Log Summaries; C1",
        guide=True,
    ),
    Claim(
        name="status-codes",
        sentence="Logs carry the HTTP status (`log_status_code`) or an error code.",
        source="guide: Raw Logs; C2",
        guide=True,
    ),
    Claim(
        name="minute-graph",
        sentence="The graph supports the interval `minute` while logs exist.",
        source="guide: Analytics Graph Endpoint",
        guide=True,
    ),
    Claim(
        name="hour-graph",
        sentence="The graph supports the interval `hour` while logs exist.",
        source="guide: Analytics Graph Endpoint",
        guide=True,
    ),
    Claim(
        name="month-graph",
        sentence="The graph supports the interval `month`.",
        source="guide: Analytics Graph Endpoint",
        guide=True,
    ),
    Claim(
        name="old-graph",
        sentence="The graph covers days whose logs are removed, from summaries.",
        source="guide: Analytics Components",
        guide=True,
    ),
    Claim(
        name="breakdown",
        sentence="`analytics/breakdown` splits totals by proxy user, hostname and network.",
        source="sdk: analytics/breakdown",
    ),
    Claim(
        name="customer",
        sentence="`customer/retrieve` carries the bytes left of both data pools.",
        source="docs: api-objects/customer",
    ),
    Claim(
        name="proxy-user",
        sentence="`proxy_user/search` and `retrieve` carry the bytes that each user used.",
        source="docs: api-objects/proxy-user",
    ),
    Claim(
        name="proxy-user-edit",
        sentence="Proxy users can be created, edited and deleted over the API.",
        source="docs: edit-proxy-user",
    ),
    Claim(
        name="charged",
        sentence="Summaries carry `log_summary_charged_requests` and `_charged_bytes`.",
        source="docs: api-objects/log-summary",
    ),
    Claim(
        name="money",
        sentence="Purchases, top-ups, refunds and adjustments can be made through the money hook.",
        source="guide: Residential Ledger; C15",
    ),
    Claim(
        name="idempotent-money",
        sentence="A payment that is sent again with the same key changes nothing.",
        source="S2",
    ),
    Claim(
        name="deduplication",
        sentence="An event that is delivered again with the same `log_id` changes nothing.",
        source="architecture: Ingestion",
    ),
    Claim(
        name="rate-limit",
        sentence="Requests above the limit get a 429 response, and later ones succeed again.",
        source="docs: api-basics/rate-limiting; C17",
    ),
    Claim(
        name="request-id",
        sentence="Error bodies carry `api_request_id`.",
        source="docs: api-basics/error-handling",
    ),
)

CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType({claim.name: claim for claim in _ROWS})
"""Name → claim, in the order of the documentation."""

GUIDE_CLAIMS: Final = frozenset(claim.name for claim in _ROWS if claim.guide)
"""The claims of a target file without `claims`."""

ALL_OF_GUIDE: Final = "guide"
"""In a list of claims: all of `GUIDE_CLAIMS`, so that a file need only list the others."""
