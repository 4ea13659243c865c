"""A target is held to every reading that its file declares, in each response that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.literal import USER, LiteralJournal, event, page_of
from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import evaluate
from trueup.reports.journal.records import Exchange, ReadingSeen
from trueup.reports.results import Reading, Verdict

LOG = event(1)
OLD = event(2, log_request_datetime="2026-03-10 11:59:00")
GONE = OLD["log_id"]
NOBODY = "00000000-0000-4000-8000-999999999999"
ERROR = {"message": "no", "error": "no"}


def _logs(time: str) -> Callable[[LiteralJournal], LiteralJournal]:
    row = LOG | {"log_request_datetime": time}
    return lambda story: story.search("log", [row], proxy_user_id=USER)


def _retrieve(log_id: str, status: int) -> Callable[[LiteralJournal], LiteralJournal]:
    return lambda story: story.get(f"log/retrieve/{log_id}", ERROR, status=status)


def _search(status: int, **query: Any) -> Callable[[LiteralJournal], LiteralJournal]:
    body = page_of([], total=0) if status == 200 else ERROR
    return lambda story: story.get("log_summary/search", body, status=status, **query)


def _page(per_page: int, total: int) -> Callable[[LiteralJournal], LiteralJournal]:
    body = page_of([], total=total) | {"per_page": per_page}
    return lambda story: story.get("log_summary/search", body, per_page="101", proxy_user_id="x")


def _old_graph(status: int, requests: int) -> Callable[[LiteralJournal], LiteralJournal]:
    point = {"datetime": "2026-01-05 01:00:00", "requests": requests, "bytes": requests}
    body = {"message": "ok", "data": {"points": [point]}} if status == 200 else ERROR
    return lambda story: story.get(
        "analytics/graph",
        body,
        status=status,
        period_start="2026-01-05 01:00:00",
        period_end="2026-01-05 02:00:00",
        interval="hour",
    )


def _graph_to_the_hour(requests: int) -> Callable[[LiteralJournal], LiteralJournal]:
    """A graph of the user that ends when its only request was made."""
    points = [{"datetime": "2026-03-10 10:00:00", "requests": 0, "bytes": 0}]
    if requests:
        points.append({"datetime": "2026-03-10 11:00:00", "requests": 1, "bytes": 4})
    return lambda story: story.get(
        "analytics/graph",
        {"message": "ok", "data": {"points": points}},
        proxy_user_id=USER,
        period_start="2026-03-10 10:00:00",
        period_end="2026-03-10 11:00:00",
        interval="hour",
    )


def _deleted(rows: int) -> Callable[[LiteralJournal], LiteralJournal]:
    def add(story: LiteralJournal) -> LiteralJournal:
        story.get(f"proxy_user/delete/{USER}", {"message": "ok"})
        change = story.records[-1]
        assert isinstance(change, Exchange)
        story.records[-1] = replace(change, method="DELETE")
        return story.later().search("log", [LOG][:rows], proxy_user_id=USER)

    return add


CASES = {
    "time-form": ("space", _logs("2026-03-10T11:00:00Z"), "iso-z"),
    "time-form, without a zone": ("iso-z", _logs("2026-03-10T11:00:00"), "iso"),
    "unknown-id-status": ("404", _retrieve(NOBODY, 422), "422"),
    "malformed-id-status": ("404", _retrieve("no-such-id", 400), "400"),
    "expired-log-status": ("410", _retrieve(GONE, 404), "404"),
    "bad-value-status": ("400", _search(422, log_summary_bytes="many"), "422"),
    "bad-value-status, ignored": ("ignored", _search(400, log_summary_bytes="many"), "400"),
    "unknown-filter": ("refused", _search(200, no_such_filter="1"), "ignored"),
    "per-page-above-100": ("refused", _page(100, 0), "clamped"),
    "per-page-above-100, honoured": ("clamped", _page(101, 0), "honoured"),
    "total-count": ("exact", _page(101, -1), "unknown"),
    "graph-old-detail": ("refused", _old_graph(200, 0), "empty"),
    "graph-old-detail, filled": ("empty", _old_graph(200, 5), "days"),
    "graph-old-detail, refused": ("days", _old_graph(400, 0), "refused"),
    "graph-end": ("inclusive", _graph_to_the_hour(0), "exclusive"),
    "deleted-users": ("removed", _deleted(1), "kept"),
}


def _failed(story: LiteralJournal, name: str, value: str) -> set[str]:
    declared = ReadingSeen(reading=Reading(name=name, value=value, how="declared"))
    found = judge_evaluation(evaluate([declared, *story.records], settled=True), CHECKS)
    return {each.check for each in found if each.verdict is Verdict.FAIL}


@pytest.mark.parametrize("case", CASES)
def test_a_declared_reading_is_held_to(case: str) -> None:
    """Declared falsely it fails, and nothing else does; declared rightly nothing fails."""
    said, respond, right = CASES[case]
    name = case.partition(",")[0]
    story = LiteralJournal().deliver(LOG)
    if name == "expired-log-status":
        story.deliver(OLD).move_clock("2026-03-28 12:00:00", "past-7")
    respond(story.later())
    assert _failed(story, name, said) == {"readings-are-true"}
    assert _failed(story, name, right) == set()
