"""The rate limit, and locked control hooks: comparisons of the response to an action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trueup.conformance.contract.check_names import LOCKS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.schemas import problems
from trueup.reports.journal.records import Exchange, Hook, Record

__all__ = ["judge_locks", "judge_rate"]

RATE: Final = "limits-pass"
LOCKED: Final = ("status 401", "status 403", "status 404")


def judge_rate(records: Sequence[Record], unit: JudgedRequest) -> RequestFinding:
    """Return the finding on the rate limit: 429 concerns one customer, is documented, and ends."""
    finding = RequestFinding(unit=unit)
    exchanges = [r for r in records if isinstance(r, Exchange)]
    limited = [e for e in exchanges if e.status == 429 and e.stage == "rate"]
    finding.observed(RATE, len(limited))
    for exchange in limited[:5]:
        for problem in problems("error", exchange.body):
            finding.deviate(
                RATE,
                "429 · error body",
                "as documented",
                problem,
                exchanges=[exchange.n],
                definite=True,
            )
    if not limited:
        return finding
    for exchange in (e for e in exchanges if e.stage == "rate" and e.tenant == "b"):
        where = "another customer, during too many requests of the first · status"
        finding.equal(RATE, where, 200, exchange.status, exchange.n, definite=True)
    for tenant in "ab":
        after = [e for e in exchanges if e.tenant == tenant and e.stage == "after-rate"]
        if after and after[-1].status == 429:
            finding.deviate(
                RATE,
                f"customer {tenant}, asking slowly after a pause",
                "served again",
                "still 429",
                exchanges=[after[-1].n],
                definite=True,
            )
    return finding


def judge_locks(records: Sequence[Record], unit: JudgedRequest) -> RequestFinding:
    """Return the finding on control hooks, which must reject a customer's keys.

    A refusal counts only where the same hook worked with its own key in this run: a hook that
    refuses everybody shows nothing.
    """
    finding = RequestFinding(unit=unit)
    hooks = [r for r in records if isinstance(r, Hook)]
    works = {hook.hook for hook in hooks if hook.ok and not hook.check}
    for hook in (h for h in hooks if h.check == "safety"):
        where = f"{hook.hook} hook with a customer's keys"
        if hook.ok:
            finding.deviate(LOCKS, where, "refused", "it worked", definite=True)
        elif hook.hook not in works:
            continue
        elif hook.error.startswith(LOCKED):
            finding.observed(LOCKS)
        else:
            finding.cannot_use(f"{where}: {hook.error}", 0, LOCKS)
    return finding
