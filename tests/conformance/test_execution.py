"""Executing a stage: waiting for what was written, and asking again what may only lag."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from tests.conformance.plan_context import context_at
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.datasets.operations import (
    ChangeUser,
    FollowUp,
    Maintain,
    Pay,
    Read,
    Stage,
    Together,
)
from trueup.conformance.execution import Executor
from trueup.conformance.requests import ApiRequest
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json

LOGS = ApiRequest(path="log/search", paged=True)
LEDGER = ApiRequest(path="mobile_ledger/search", paged=True)
Body = Callable[[ApiRequest, int], Json]


class StillClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class ScriptedTarget:
    """A target whose responses come from a function; remembers the requests, in order."""

    body: Body = lambda _request, _attempt: []
    came: list[str] = field(default_factory=list)
    stuck: bool = False

    async def ask(
        self, request: ApiRequest, *, stage: str, attempt: int = 1
    ) -> tuple[Exchange, ...]:
        self.came.append(request.path)
        number = len(self.came)
        return (
            Exchange(
                n=number,
                method="GET",
                path=request.path,
                at="-",
                stage=stage,
                status=200,
                body={"data": self.body(request, attempt)},
                ask=request.name,
                attempt=attempt,
            ),
        )

    async def call(self, name: str, values: Mapping[str, Json], *, stage: str) -> None:
        self.came.append(f"{name} {values.get('bytes', '')}".strip())


def executor(
    target: ScriptedTarget,
    wrong: Callable[[ScriptedTarget], Mapping[str, Collection[int]]] = lambda _target: {},
    freshness_s: float = 10.0,
) -> tuple[Executor, StillClock]:
    clock = StillClock()
    made = Executor(
        client=cast(ReadClient, target),
        control=cast(TargetControl, target),
        injector=None,
        clock=clock,
        present=clock.now,
        freshness_s=freshness_s,
        wrong=lambda: wrong(target),
    )
    return made, clock


def stage(**more: Any) -> Stage:
    return Stage(name="inject", what="-", **more)


async def test_operations_come_in_order_and_before_the_requests() -> None:
    target = ScriptedTarget()
    made, _ = executor(target)
    pay = Pay(tenant="a", network="mobile", kind="top_up", bytes=7, key="k")
    change = ChangeUser(request=ApiRequest(path="proxy_user/delete/x", method="DELETE"))
    read = Read(requests=(LEDGER,))
    operations = (pay, read, change, Maintain(), Together(operations=(pay, pay)))
    await made.execute(stage(operations=operations, requests=(LOGS,)), context_at())
    assert target.came == [
        "money 7",
        "mobile_ledger/search",
        "proxy_user/delete/x",
        "maintenance",
        "money 7",
        "money 7",
        "log/search",
    ]


async def test_what_is_wrong_is_asked_again_until_it_is_right() -> None:
    target = ScriptedTarget()
    made, clock = executor(
        target, lambda seen: {"c": [len(seen.came)]} if len(seen.came) < 4 else {}
    )
    await made.execute(stage(requests=(LOGS,)), context_at())
    assert target.came == ["log/search"] * 4
    assert 0 < clock.seconds < 1


async def test_what_is_right_is_not_asked_again() -> None:
    target = ScriptedTarget()
    made, _ = executor(target, lambda seen: {"c": [1]} if len(seen.came) < 3 else {})
    await made.execute(stage(requests=(LOGS, LEDGER)), context_at())
    assert sorted(target.came) == ["log/search", "log/search", "mobile_ledger/search"]


async def test_what_stays_wrong_is_asked_until_nothing_written_may_lag_and_then_no_more() -> None:
    target = ScriptedTarget()
    made, clock = executor(target, lambda seen: {"c": list(range(len(seen.came) + 1))})
    await made.execute(stage(requests=(LOGS,)), context_at())
    waited = clock.seconds
    assert 10.0 <= waited < 11.5
    before = len(target.came)
    await made.execute(stage(requests=(LOGS,)), context_at())
    assert clock.seconds == waited
    assert len(target.came) == before + 1


async def test_while_nothing_comes_right_one_request_for_each_check_is_asked_again() -> None:
    """All of them after a first pause, and at the end: a fault does not use up the budget."""
    requests = tuple(ApiRequest(path="log/search", again=n) for n in range(40))
    target = ScriptedTarget()
    made, clock = executor(target, lambda seen: {"c": range(1, len(seen.came) + 1)})
    await made.execute(stage(requests=requests), context_at())
    assert 10.0 <= clock.seconds < 11.5
    assert 3 * 40 < len(target.came) < 3 * 40 + 20


async def test_when_one_comes_right_all_that_are_wrong_are_asked_again() -> None:
    """A view that lagged for three seconds: every request has its right response soon after."""
    requests = tuple(ApiRequest(path="log/search", again=n) for n in range(40))
    target = ScriptedTarget()
    too_early: set[int] = set()

    def wrong(seen: ScriptedTarget) -> Mapping[str, Collection[int]]:
        if clock.seconds < 3:
            too_early.update(range(1, len(seen.came) + 1))
        return {"c": too_early}

    made, clock = executor(target, wrong)
    await made.execute(stage(requests=requests), context_at())
    assert 3 <= clock.seconds < 6
    assert 3 * 40 < len(target.came) < 3 * 40 + 20


async def test_a_target_that_only_responds_429_is_not_waited_for() -> None:
    target = ScriptedTarget(stuck=True)
    made, clock = executor(target, lambda _seen: {"c": [1]})
    await made.execute(stage(requests=(LOGS,)), context_at())
    assert clock.seconds == 0


async def test_a_follow_up_is_made_for_the_rows_at_its_places() -> None:
    target = ScriptedTarget(
        body=lambda _request, _attempt: [{"log_id": f"id {n}"} for n in range(3)]
    )
    made, _ = executor(target)
    follow = FollowUp(
        source=LOGS, field="log_id", request=ApiRequest(path="log/retrieve/{}"), places=(0, -1, 7)
    )
    await made.execute(stage(requests=(LOGS,), follow_ups=(follow,)), context_at())
    assert target.came == ["log/search", "log/retrieve/id%200", "log/retrieve/id%202"]


async def test_the_source_of_a_follow_up_is_asked_for_where_the_stage_does_not_ask() -> None:
    target = ScriptedTarget(body=lambda _request, _attempt: [{"log_id": "x"}])
    made, _ = executor(target)
    follow = FollowUp(
        source=LOGS, field="log_id", request=ApiRequest(path="log/search", query=(("q", "{}"),))
    )
    await made.execute(stage(follow_ups=(follow,)), context_at())
    assert target.came == ["log/search", "log/search"]


async def test_a_snapshot_is_taken_again_while_its_first_and_last_responses_differ() -> None:
    twin = ApiRequest(path="mobile_ledger/search", paged=True, again=2)
    moving = iter(([1], [2], [3], [3]))
    target = ScriptedTarget(body=lambda _request, _attempt: list(next(moving)))
    made, _ = executor(target)
    await made.execute(stage(snapshots=((LEDGER, twin),)), context_at())
    assert target.came == ["mobile_ledger/search"] * 4


async def test_a_wrong_response_of_a_snapshot_takes_the_whole_snapshot_again() -> None:
    between = ApiRequest(path="log_summary/search")
    twin = ApiRequest(path="mobile_ledger/search", paged=True, again=2)
    target = ScriptedTarget()
    made, _ = executor(target, lambda seen: {"c": [2]} if len(seen.came) < 4 else {})
    await made.execute(stage(snapshots=((LEDGER, between, twin),)), context_at())
    assert target.came == [LEDGER.path, between.path, LEDGER.path] * 2


def test_requests_of_one_path_with_other_bodies_have_other_names() -> None:
    one = ApiRequest(path="proxy_user/create", method="POST", body={"proxy_user_id": "a"})
    two = ApiRequest(path="proxy_user/create", method="POST", body={"proxy_user_id": "b"})
    assert one.name != two.name
    assert one.name.startswith("POST a:own proxy_user/create")
