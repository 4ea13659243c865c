"""Literal histories for the judges: records as a run writes them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping

from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.reports.journal.records import (
    Delivered,
    Exchange,
    Hook,
    JudgePlan,
    OutcomeRange,
    Phase,
    Record,
)
from trueup.reports.results import Json, Outcome

PREFIX = "cx00c0ffee"
NOW = "2025-04-10 12:00:00"
Row = Mapping[str, Json]


class Story:
    """Records one after the other; `facts` is what a judge is given."""

    def __init__(self, *, level: int = 3) -> None:
        self.records: list[Record] = [
            JudgePlan(
                prefix=PREFIX,
                now=NOW,
                level=level,
                customers={"a": 1, "b": 2},
                claims=("residential", "mobile"),
                hooks=("ingest", "clock", "maintenance", "money"),
                graph={
                    "points": "data.points",
                    "time": "datetime",
                    "requests": "requests",
                    "bytes": "bytes",
                },
            )
        ]
        self._n = 0

    def stage(self, name: str, now: str = "") -> Story:
        """Begin a stage, with the target's clock moved to `now` where it is given."""
        self.records.append(Phase(name=f"judge {name}", state="begin", at="-"))
        if now:
            move: dict[str, Json] = {"now": now}
            self.records.append(Hook(hook="clock", at="-", request=move, stage=name))
        self._stage = name
        return self

    def injected(
        self,
        world: str,
        *events: dict[str, Json],
        outcome: Outcome = Outcome.ACCEPTED,
        reason: str = "",
    ) -> Story:
        outcomes = (OutcomeRange(first=0, count=len(events), outcome=outcome, reason=reason),)
        self.records.append(
            Delivered(
                source="probe",
                outcomes=outcomes,
                at="-",
                check=world,
                stage="inject",
                events=events,
            )
        )
        return self

    def told(
        self, ask: ApiRequest, *rows: Row, status: int = 200, total: int | None = None
    ) -> Story:
        """One page of a search, with everything on it; or of more, where `total` is given."""
        data: list[Json] = [dict(row) for row in rows]
        body: Json = {
            "data": data,
            "item_count": len(rows),
            "total_count": len(rows) if total is None else total,
            "page": 1,
            "per_page": 100,
            "message": "-",
        }
        return self.answered(ask, body, status)

    def answered(self, ask: ApiRequest, body: Json, status: int = 200) -> Story:
        self._n += 1
        self.records.append(
            Exchange(
                n=self._n,
                method=ask.method,
                path=f"/public/user/{ask.path}",
                at="2025-04-10T12:00:00.000Z",
                query=ask.query,
                tenant=ask.tenant,
                stage=self._stage,
                status=status,
                content_type="application/json",
                body=body,
                ask=ask.name,
            )
        )
        return self

    @property
    def observations(self) -> Observations:
        return Observations(self.records)


def user(world: str) -> str:
    return f"{PREFIX}-{world}-1"


def event(world: str, n: int, **more: Json) -> dict[str, Json]:
    """The n-th event of a world: 4^n bytes to one host on the isp network, today."""
    made: dict[str, Json] = {
        "log_id": f"00000000-0000-4000-8000-{n:012d}",
        "customer_id": 1,
        "proxy_user_id": user(world),
        "log_network": "isp",
        "log_protocol": "http",
        "log_hostname": "h.example",
        "log_client_ip_address": "198.51.100.1",
        "log_total_bytes": 4**n,
        "log_request_datetime": "2025-04-10 11:00:00",
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "dallas",
        "asn_id": 7018,
        "log_status_code": 200,
    }
    return made | more


def summary(world: str, requests: int, total: int, **more: Json) -> dict[str, Json]:
    made: dict[str, Json] = {
        "log_summary_id": "s1",
        "proxy_user_id": user(world),
        "log_summary_network": "isp",
        "log_summary_hostname": "h.example",
        "log_summary_requests": requests,
        "log_summary_bytes": total,
        "log_summary_period": "2025-04-10 00:00:00",
    }
    return made | more
