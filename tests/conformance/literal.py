"""Literal journals: what was done and how a target responded, in as few lines as possible.

A journal begins at noon of 10 March 2026 by the target's clock and by ours. Every response is
what a correct target would give, computed by the test itself, and then changed in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace

from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import evaluate
from trueup.reports.journal.records import (
    Delivered,
    Exchange,
    Hook,
    JudgePlan,
    OutcomeRange,
    ReadingSeen,
    Record,
)
from trueup.reports.results import CheckResult, Outcome, Reading, Verdict

START = datetime(2026, 3, 10, 12, 0, 0, tzinfo=UTC)
CUSTOMERS = {"a": 1001, "b": 1002}
USER = "tp-000001-user"
CLAIMS = (
    *("residential", "mobile", "success-counts", "status-codes", "hour-graph", "month-graph"),
    *("old-graph", "deduplication", "money", "idempotent-money", "customer", "proxy-user"),
    "proxy-user-edit",
)


def event(number: int, **more: Any) -> dict[str, Any]:
    """The number-th event: a successful residential request of 4^number bytes, an hour ago."""
    made: dict[str, Any] = {
        "log_id": f"00000000-0000-4000-8000-{number:012d}",
        "customer_id": CUSTOMERS["a"],
        "proxy_user_id": USER,
        "log_network": "residential",
        "log_protocol": "http",
        "log_hostname": "h1.tp-000001.test",
        "log_client_ip_address": "198.51.100.7",
        "log_total_bytes": 4**number,
        "log_request_datetime": "2026-03-10 11:00:00",
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "dallas",
        "asn_id": 7018,
        "log_status_code": 200,
    }
    return made | more


def summary(events: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The summary row of events of one cell."""
    failed = [e for e in events if (e["log_status_code"] or 0) >= 400]
    first = events[0]
    made: dict[str, Any] = {
        "log_summary_id": f"s-{first['log_id']}",
        "proxy_user_id": first["proxy_user_id"],
        "customer_id": first["customer_id"],
        "log_summary_network": first["log_network"],
        "log_summary_hostname": first["log_hostname"],
        "log_summary_requests": len(events),
        "log_summary_bytes": sum(e["log_total_bytes"] for e in events),
        "log_summary_successful": len(events) - len(failed),
        "log_summary_error": len(failed),
        "log_summary_period": f"{first['log_request_datetime'][:10]} 00:00:00",
        "log_summary_creation_datetime": "2026-03-10 12:00:00",
        "log_summary_last_update_datetime": "2026-03-10 12:00:00",
    }
    return made | more


@dataclass
class LiteralJournal:
    """Builds a journal; every call takes a second of both clocks unless it says otherwise."""

    records: list[Record] = field(default_factory=list)
    now: datetime = START
    stage: str = "inject"
    numbers: int = 0

    def __post_init__(self) -> None:
        self.records += [
            ReadingSeen(reading=Reading(name="freshness-s", value="5", how="declared")),
            JudgePlan(
                prefix="tp-000001",
                now=_text(START),
                level=4,
                customers=CUSTOMERS,
                claims=CLAIMS,
                hooks=("ingest", "clock", "maintenance", "money", "restart"),
                graph={
                    "points": "data.points",
                    "time": "datetime",
                    "requests": "requests",
                    "bytes": "bytes",
                },
            ),
        ]

    def deliver(
        self, *events: dict[str, Any], outcome: Outcome = Outcome.ACCEPTED
    ) -> LiteralJournal:
        self.now += timedelta(seconds=1)
        self.records.append(
            Delivered(
                source="probe",
                stage=self.stage,
                check="literal",
                at=_stamp(self.now),
                events=events,
                outcomes=(OutcomeRange(first=0, count=len(events), outcome=outcome),),
                elapsed_ms=10.0,
            )
        )
        return self

    def hook(
        self, name: str, *, ok: bool = True, error: str = "", **request: Any
    ) -> LiteralJournal:
        self.now += timedelta(seconds=1)
        self.records.append(
            Hook(
                hook=name,
                at=_stamp(self.now),
                request=request,
                ok=ok,
                error=error,
                stage=self.stage,
            )
        )
        return self

    def pay(self, amount: int, key: str, *, tenant: str = "a", ok: bool = True) -> LiteralJournal:
        return self.hook(
            "money",
            ok=ok,
            error="" if ok else "status 422",
            customer_id=CUSTOMERS[tenant],
            network="residential",
            kind="top_up",
            bytes=amount,
            idempotency_key=key,
            service_id="",
        )

    def move_clock(self, to: str, stage: str) -> LiteralJournal:
        self.stage = stage
        return self.hook("clock", now=to)

    def later(self, seconds: float = 60.0) -> LiteralJournal:
        """Let time pass, so that no view may lag any more."""
        self.now += timedelta(seconds=seconds)
        return self

    def get(
        self,
        path: str,
        body: Any,
        *,
        status: int | None = 200,
        tenant: str = "a",
        walk: bool = False,
        attempt: int = 1,
        **query: str,
    ) -> LiteralJournal:
        """One request and its response."""
        self.now += timedelta(seconds=1)
        self.numbers += 1
        mark = " in pages of 100" if walk else ""
        self.records.append(
            Exchange(
                n=self.numbers,
                method="GET",
                path=f"/public/user/{path}",
                at=_stamp(self.now),
                query=tuple(query.items()),
                tenant=tenant,
                stage=self.stage,
                status=status,
                error="" if status is not None else "connection reset",
                content_type="application/json",
                body=body,
                ask=f"{tenant}:own {path}?{urlencode(query)}{mark}",
                attempt=attempt,
            )
        )
        return self

    def change(self, path: str, body: dict[str, Any], *, status: int) -> LiteralJournal:
        """A change of a proxy user, and the status of its response."""
        self.get(path, {"message": "ok"}, status=status)
        self.records[-1] = replace(self.records[-1], method="POST", request_body=body)
        return self

    def search(self, path: str, rows: list[dict[str, Any]], **more: Any) -> LiteralJournal:
        """A search whose response has all rows on one page."""
        total = more.pop("total", len(rows))
        return self.get(f"{path}/search", page_of(rows, total=total), **more)

    def results(self) -> dict[str, CheckResult]:
        found = judge_evaluation(evaluate(self.records), CHECKS)
        return {result.check: result for result in found}

    def failed(self) -> set[str]:
        """Names of the checks that fail, causes only."""
        return {n for n, r in self.results().items() if r.verdict is Verdict.FAIL}


def page_of(rows: list[dict[str, Any]], *, total: int, page: int = 1) -> dict[str, Any]:
    """The body of a search."""
    return {
        "data": rows,
        "message": "ok",
        "page": page,
        "per_page": 100,
        "item_count": len(rows),
        "total_count": total,
    }


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
