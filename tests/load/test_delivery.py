"""The drivers: forms, answers, retries, and what a lost answer means."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.load.chaos_proxy import BUSY, CUT_AFTER, FINE, MISHAPS, ChaosProxy
from tests.load.sink import Sink, answer, ndjson, read_request, serving
from trueup.reports.results import EventOutcome, Outcome
from trueup.simulator.delivery import (
    BodyForm,
    CommandDriver,
    CommandForm,
    Driver,
    FieldMap,
    HttpDriver,
    HttpForm,
    ResponseKind,
    ResponseRule,
    RetryPolicy,
    interpret_response,
)

QUICK = RetryPolicy(initial_pause_s=0.001, max_pause_s=0.01, attempts=12)
EVENTS = [{"log_id": f"event-{n}", "log_total_bytes": n, "country_id": "gb"} for n in range(25)]


def http(port: int, **parts: Any) -> HttpDriver:
    rule = ResponseRule(accepted="accepted")
    parts = {"retry": QUICK, "timeout_s": 0.5, "response_rule": rule, **parts}
    return HttpDriver(HttpForm(url=f"http://127.0.0.1:{port}/ingest", **parts))


async def sent(driver: Driver, events: list[dict[str, Any]] = EVENTS) -> list[EventOutcome]:
    try:
        return list(await driver.send(events))
    finally:
        await driver.close()


@pytest.mark.parametrize("body", list(BodyForm))
@pytest.mark.parametrize("gzip", [False, True])
async def test_events_arrive_in_every_form_under_the_targets_names(
    body: BodyForm, gzip: bool
) -> None:
    """Renamed, dropped and added fields, in each body form, compressed or not."""
    sink = Sink()
    fields = FieldMap(
        rename={"log_total_bytes": "size"}, drop=frozenset({"country_id"}), extras={"v": 2}
    )
    with serving(sink.handle) as port:
        outcomes = await sent(http(port, body=body, gzip=gzip, fields=fields, max_events=10))
    assert [outcome.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 25
    assert sink.stored == {
        f"event-{n}": {"log_id": f"event-{n}", "size": n, "v": 2} for n in range(25)
    }
    assert len(sink.bodies) == (25 if body is BodyForm.JSON_OBJECT else 3)


async def test_ndjson_goes_through_unread_where_nothing_is_to_be_mapped() -> None:
    """The bytes that were handed in are the bytes that arrive."""
    sink = Sink()
    with serving(sink.handle) as port:
        driver = http(port)
        outcome = await driver.send_ndjson(ndjson(5, 7), 7)
        await driver.close()
    assert sink.bodies[0][1] == ndjson(5, 7)
    assert [(p.first, p.count, p.outcome) for p in outcome.ranges] == [(0, 7, Outcome.ACCEPTED)]
    assert [p.first for p in outcome.shifted(100)] == [100]


async def test_a_driver_retries_with_the_same_ids_until_the_answer_is_definite() -> None:
    """Each mishap in turn; in the end everything is stored once and said to be accepted."""
    sink = Sink()
    proxy = ChaosProxy(sink, (*MISHAPS, FINE))
    with serving(proxy.handle) as port:
        outcomes = await sent(http(port, max_events=5))
    assert {outcome.outcome for outcome in outcomes} == {Outcome.ACCEPTED}
    assert set(sink.stored) == {f"event-{n}" for n in range(25)}


@pytest.mark.parametrize(
    "script, outcome, stored",
    [((CUT_AFTER,), Outcome.UNKNOWN, 25), ((BUSY,), Outcome.REFUSED, 0)],
)
async def test_giving_up_says_what_is_known(
    script: tuple[str, ...], outcome: Outcome, stored: int
) -> None:
    """Lost answers leave unknown events; a target that was only ever busy has none."""
    sink = Sink()
    with serving(ChaosProxy(sink, script).handle) as port:
        outcomes = await sent(http(port, retry=RetryPolicy(attempts=2, initial_pause_s=0.001)))
    assert {one.outcome for one in outcomes} == {outcome}
    assert len(sink.stored) == stored


async def test_a_target_that_is_not_there_refuses_everything_with_a_reason() -> None:
    """No connection was ever made: nothing can have been stored."""
    with serving(Sink().handle) as port:
        pass
    outcomes = await sent(http(port, retry=RetryPolicy(attempts=2, initial_pause_s=0.001)))
    assert {one.outcome for one in outcomes} == {Outcome.REFUSED}
    assert "not delivered" in outcomes[0].reason


async def test_a_refusal_after_a_lost_answer_is_no_refusal() -> None:
    """The first attempt may have been stored, whatever the second one is told."""
    calls = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        while True:
            await read_request(reader)
            calls += 1
            if calls == 1:
                return
            writer.write(answer(400, b'{"message": "seen before"}'))

    with serving(handle) as port:
        outcomes = await sent(http(port))
    assert {one.outcome for one in outcomes} == {Outcome.UNKNOWN}
    assert "seen before" in outcomes[0].reason


PROGRAM = (
    "import sys,json;"
    "events=[json.loads(line) for line in sys.stdin];"
    "open(sys.argv[1],'w').write(json.dumps(events));"
)


@pytest.mark.parametrize(
    "end, outcome, reason",
    [
        ("", Outcome.ACCEPTED, ""),
        ("sys.stderr.write('full\\n');sys.exit(3)", Outcome.REFUSED, "exit status 3: full"),
        ("import os;os.kill(os.getpid(),9)", Outcome.UNKNOWN, "exit status -9"),
        ("sys.exit(137)", Outcome.UNKNOWN, "exit status 137"),
        ("sys.exit(75)", Outcome.REFUSED, "exit status 75"),
        ("import time;time.sleep(60)", Outcome.UNKNOWN, "longer than"),
    ],
    ids=["fine", "refused", "killed", "killed-in-a-shell", "try-again", "hangs"],
)
async def test_a_programs_end_says_what_became_of_its_events(
    tmp_path: Path, end: str, outcome: Outcome, reason: str
) -> None:
    """Exit status 0 accepts; others refuse; a killed or hanging program leaves unknown."""
    form = CommandForm(
        argv=(sys.executable, "-c", PROGRAM + end, str(tmp_path / "out.json")),
        timeout_s=3.0,
        retry=RetryPolicy(attempts=2, initial_pause_s=0.001),
        fields=FieldMap(rename={"log_id": "id"}),
    )
    outcomes = await sent(CommandDriver(form), EVENTS[:3])
    assert {one.outcome for one in outcomes} == {outcome}
    assert reason in outcomes[0].reason
    assert [e["id"] for e in json.loads((tmp_path / "out.json").read_text())] == [
        "event-0",
        "event-1",
        "event-2",
    ]


async def test_a_program_may_name_the_events_that_it_refuses() -> None:
    """Its output is read like the answer of a server."""
    say = """print('{"accepted": 2, "refused": [{"line": 2, "reason": "no"}]}')"""
    form = CommandForm(argv=(sys.executable, "-c", f"import sys;sys.stdin.read();{say}"))
    outcomes = await sent(CommandDriver(form), EVENTS[:3])
    assert [one.outcome.value for one in outcomes] == ["accepted", "refused", "accepted"]


async def test_a_program_that_is_not_there_refuses_with_its_name() -> None:
    """A wrong path in a target file is said, not raised."""
    outcomes = await sent(CommandDriver(CommandForm(argv=("/nowhere/at-all",))))
    assert "/nowhere/at-all" in outcomes[0].reason
    assert {one.outcome for one in outcomes} == {Outcome.REFUSED}


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(1, n)))))
def test_the_ranges_of_an_answer_cover_every_event_once(parts: tuple[int, set[int]]) -> None:
    """Whatever lines are refused, accepted and refused ranges tile the batch in order."""
    count, lines = parts
    said = {
        "accepted": count - len(lines),
        "refused": [{"line": line, "reason": "r"} for line in lines],
    }
    ranges = interpret_response(ResponseRule(), 200, json.dumps(said).encode(), count).ranges
    flat = [part.outcome for part in ranges for _ in range(part.count)]
    assert [part.first for part in ranges] == [
        sum(p.count for p in ranges[:n]) for n in range(len(ranges))
    ]
    assert flat == [
        Outcome.REFUSED if n in lines else Outcome.ACCEPTED for n in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    "status, body, after, kind, outcome",
    [
        (200, b'{"accepted": 2}', None, ResponseKind.DEFINITE, Outcome.ACCEPTED),
        (204, b"", None, ResponseKind.DEFINITE, Outcome.UNKNOWN),
        (200, b"<html>", None, ResponseKind.DEFINITE, Outcome.UNKNOWN),
        (200, b'{"accepted": 1}', None, ResponseKind.DEFINITE, Outcome.UNKNOWN),
        (200, b'{"accepted": 2, "refused": 7}', None, ResponseKind.DEFINITE, Outcome.UNKNOWN),
        (
            200,
            b'{"accepted": 1, "refused": [{"line": 9}]}',
            None,
            ResponseKind.DEFINITE,
            Outcome.UNKNOWN,
        ),
        (400, b'{"message": "bad"}', None, ResponseKind.DEFINITE, Outcome.REFUSED),
        (401, b"", None, ResponseKind.DEFINITE, Outcome.REFUSED),
        (408, b"", None, ResponseKind.INDEFINITE, None),
        (429, b"", 2.0, ResponseKind.RETRY, None),
        (500, b"", None, ResponseKind.INDEFINITE, None),
        (503, b"", 1.0, ResponseKind.RETRY, None),
        (503, b"", None, ResponseKind.INDEFINITE, None),
    ],
)
def test_what_each_answer_means(
    status: int, body: bytes, after: float | None, kind: ResponseKind, outcome: Outcome | None
) -> None:
    """The table of answers, row by row, for a batch of two."""
    found = interpret_response(
        ResponseRule(accepted="accepted"), status, body, 2, retry_after_s=after
    )
    assert found.kind is kind
    assert [part.outcome for part in found.ranges] == ([outcome] if outcome else [])


def test_a_target_that_promises_no_count_accepts_with_its_status_alone() -> None:
    """Without a declared path any 2xx accepts what it does not list as refused."""
    for body in (b"", b"<html>", b"{}"):
        ranges = interpret_response(ResponseRule(), 204, body, 2).ranges
        assert [part.outcome for part in ranges] == [Outcome.ACCEPTED]


def test_pauses_double_up_to_a_ceiling_and_heed_the_target() -> None:
    """Backoff, ceiling, Retry-After, and the end."""
    policy = RetryPolicy(initial_pause_s=0.1, max_pause_s=0.5, total_s=3, attempts=5)
    assert [policy.pause_s(n) for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.5]
    assert policy.pause_s(1, retry_after_s=2) == 2
    assert policy.pause_s(1, retry_after_s=900) == 5
    assert policy.is_exhausted(5, 0, 0)
    assert policy.is_exhausted(1, 2.9, 0.2)
    assert not policy.is_exhausted(1, 0, 0.1)
