"""A small recorded run, written by hand: two customers, two stages, pages, a graph and an error."""

from __future__ import annotations

from trueup.conformance.sensitivity.recording import Recording
from trueup.reports.journal.records import Exchange, JudgePlan, Phase, Record
from trueup.reports.results import Json

PREFIX = "cx01"
PLAN = JudgePlan(
    prefix=PREFIX,
    now="2026-03-01 12:00:00",
    level=3,
    customers={"a": 1, "b": 2},
    graph={"points": "data.points", "time": "datetime", "requests": "requests", "bytes": "bytes"},
)


def log(number: int, *, customer: int = 1, size: int | None = None) -> dict[str, Json]:
    return {
        "log_id": f"log-{customer}-{number}",
        "customer_id": customer,
        "proxy_user_id": f"{PREFIX}-user",
        "log_hostname": f"h{number}.test",
        "log_total_bytes": number if size is None else size,
        "log_request_datetime": f"2026-03-01 11:00:0{number}",
        "log_session_id": None,
    }


def page(
    rows: list[dict[str, Json]],
    *,
    total: int,
    number: int = 1,
    size: int = 2,
) -> dict[str, Json]:
    return {
        "data": list(rows),
        "item_count": len(rows),
        "message": "Search successful.",
        "page": number,
        "per_page": size,
        "total_count": total,
    }


class Exchanges:
    """Numbers the exchanges as they are added."""

    def __init__(self) -> None:
        self.records: list[Record] = [PLAN]

    def stage(self, name: str) -> None:
        self.records.append(Phase(name=f"judge {name}", state="begin", at=""))

    def add(
        self,
        path: str,
        body: Json,
        *,
        stage: str,
        tenant: str = "a",
        query: dict[str, str] | None = None,
        ask: str = "",
        status: int = 200,
    ) -> int:
        query = query or {}
        n = sum(isinstance(record, Exchange) for record in self.records) + 1
        self.records.append(
            Exchange(
                n=n,
                method="GET",
                path=f"/public/user/{path}",
                at="",
                query=tuple(query.items()),
                tenant=tenant,
                stage=stage,
                status=status,
                body=body,
                ask=ask or f"{tenant} {path} {sorted(query.items())}",
            )
        )
        return n


def add_pages(
    run: Exchanges, rows: list[dict[str, Json]], *, stage: str, ask: str, **query: str
) -> None:
    """All pages of two rows of a search of logs."""
    for number, first in enumerate(range(0, len(rows), 2), start=1):
        run.add(
            "log/search",
            page(rows[first : first + 2], total=len(rows), number=number),
            stage=stage,
            query={**query, "page": str(number), "per_page": "2"},
            ask=ask,
        )


def recorded_run() -> list[Record]:
    """Exchanges 1 to 11; the numbers are in the comments."""
    run = Exchanges()
    rows = [log(n) for n in (1, 2, 3, 4, 5)]
    run.stage("first")
    add_pages(run, rows, stage="first", ask="all logs")  # 1, 2, 3
    run.add("log/retrieve/log-1-2", {"data": log(2), "message": "."}, stage="first")  # 4
    run.add(  # 5: page 2 of the same question, asked alone
        "log/search",
        page(rows[2:4], total=5, number=2),
        stage="first",
        query={"page": "2", "per_page": "2"},
        ask="page 2 alone",
    )
    run.add(  # 6
        "log/search",
        page([log(1, customer=2)], total=1, size=100),
        stage="first",
        tenant="b",
    )
    run.add(  # 7
        "analytics/graph",
        {
            "data": {
                "points": [
                    {"datetime": "2026-03-01 10:00:00", "requests": 0, "bytes": 0},
                    {"datetime": "2026-03-01 11:00:00", "requests": 5, "bytes": 15},
                ]
            },
            "message": ".",
        },
        stage="first",
        query={"interval": "hour"},
    )
    run.stage("second")
    add_pages(run, rows[:2], stage="second", ask="all logs")  # 8
    run.add("log/retrieve/log-1-2", {"data": log(2), "message": "."}, stage="second")  # 9
    run.add(  # 10
        "log/search",
        page(list(reversed(rows[:2])), total=2, size=100),
        stage="second",
        query={"sort_by": "log_total_bytes_desc"},
        ask="sorted",
    )
    run.add(  # 11
        "log/retrieve/log-1-5",
        {"error": "Not Found", "message": "No such log.", "api_request_id": "r-1"},
        stage="second",
        status=404,
    )
    return run.records


def recording() -> Recording:
    return Recording(recorded_run())
