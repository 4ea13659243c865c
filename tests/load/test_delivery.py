"""Drivers: forms, responses, retries, and the outcome of attempts without a response."""

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
from tests.load.sink import Sink, http_response, ndjson, read_request, serving
from trueup.reports.event_format import BODY_FORMS, EventFormat, FieldFormat, Framing
from trueup.reports.results import EventOutcome, Outcome
from trueup.simulator.delivery import (
    BodyForm,
    CommandDriver,
    CommandForm,
    Driver,
    HttpDriver,
    HttpForm,
    ResponseKind,
    ResponseRule,
    RetryPolicy,
    interpret_response,
)
from trueup.simulator.delivery.forms import COMPRESSIONS

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
@pytest.mark.parametrize("compression", list(COMPRESSIONS))
async def test_events_arrive_in_every_form_under_the_targets_field_names(
    body: BodyForm, compression: str
) -> None:
    """Renamed, dropped and added fields, in each body form, compressed or not."""
    sink = Sink()
    named = EventFormat(
        fields={"log_total_bytes": FieldFormat(name="size"), "country_id": FieldFormat(name="")},
        constants={"v": 2},
        form=body,
    )
    with serving(sink.handle) as port:
        outcomes = await sent(http(port, compression=compression, format=named, max_events=10))
    assert [outcome.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 25
    assert sink.stored == {
        f"event-{n}": {"log_id": f"event-{n}", "size": n, "v": 2} for n in range(25)
    }
    assert len(sink.bodies) == (25 if named.framing is Framing.SINGLE else 3)
    assert sink.bodies[0][0]["content-type"] == BODY_FORMS[body].content_type


async def test_ndjson_is_sent_unchanged_if_no_field_is_mapped() -> None:
    sink = Sink()
    with serving(sink.handle) as port:
        driver = http(port)
        outcome = await driver.send_ndjson(ndjson(5, 7), 7)
        await driver.close()
    assert sink.bodies[0][1] == ndjson(5, 7)
    assert [(p.first, p.count, p.outcome) for p in outcome.ranges] == [(0, 7, Outcome.ACCEPTED)]
    assert [p.first for p in outcome.shifted(100)] == [100]


async def test_a_driver_retries_with_the_same_ids_until_the_response_is_definite() -> None:
    """Every kind of failure in turn; in the end each event is stored once and reported as
    accepted.
    """
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
async def test_a_delivery_that_is_given_up_has_the_outcome_that_is_known(
    script: tuple[str, ...], outcome: Outcome, stored: int
) -> None:
    """Without a response, events are unknown; if the target was only ever busy, it has none."""
    sink = Sink()
    # Waits that the target asks for may take ten times as long as all attempts.
    policy = RetryPolicy(attempts=2, initial_pause_s=0.001, total_s=0.1)
    with serving(ChaosProxy(sink, script).handle) as port:
        outcomes = await sent(http(port, retry=policy))
    assert {one.outcome for one in outcomes} == {outcome}
    assert len(sink.stored) == stored


async def test_without_a_server_every_event_is_refused_with_a_reason() -> None:
    """Without a connection nothing can have been stored."""
    with serving(Sink().handle) as port:
        pass
    outcomes = await sent(http(port, retry=RetryPolicy(attempts=2, initial_pause_s=0.001)))
    assert {one.outcome for one in outcomes} == {Outcome.REFUSED}
    assert "not delivered" in outcomes[0].reason


async def test_a_refusal_after_an_attempt_without_a_response_is_unknown() -> None:
    """The first attempt may have been stored, whatever the second one's response is."""
    calls = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        while True:
            await read_request(reader)
            calls += 1
            if calls == 1:
                return
            writer.write(http_response(400, b'{"message": "seen before"}'))

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
        ("import time;time.sleep(60)", Outcome.UNKNOWN, "after its timeout"),
    ],
    ids=["fine", "refused", "killed", "killed-in-a-shell", "try-again", "hangs"],
)
async def test_the_exit_status_of_a_program_decides_the_outcome(
    tmp_path: Path, end: str, outcome: Outcome, reason: str
) -> None:
    """Exit status 0 accepts; others refuse; a killed program, or one over its timeout, leaves
    unknown.
    """
    form = CommandForm(
        argv=(sys.executable, "-c", PROGRAM + end, str(tmp_path / "out.json")),
        timeout_s=3.0,
        retry=RetryPolicy(attempts=2, initial_pause_s=0.001),
        format=EventFormat(fields={"log_id": FieldFormat(name="id")}),
    )
    outcomes = await sent(CommandDriver(form), EVENTS[:3])
    assert {one.outcome for one in outcomes} == {outcome}
    assert reason in outcomes[0].reason
    assert [e["id"] for e in json.loads((tmp_path / "out.json").read_text())] == [
        "event-0",
        "event-1",
        "event-2",
    ]


async def test_a_program_can_list_the_events_that_it_refuses() -> None:
    """Its output is read like the response of a server."""
    say = """print('{"accepted": 2, "refused": [{"line": 2, "reason": "no"}]}')"""
    form = CommandForm(argv=(sys.executable, "-c", f"import sys;sys.stdin.read();{say}"))
    outcomes = await sent(CommandDriver(form), EVENTS[:3])
    assert [one.outcome.value for one in outcomes] == ["accepted", "refused", "accepted"]


async def test_a_program_that_does_not_exist_is_named_in_the_reason() -> None:
    outcomes = await sent(CommandDriver(CommandForm(argv=("/nowhere/at-all",))))
    assert "/nowhere/at-all" in outcomes[0].reason
    assert {one.outcome for one in outcomes} == {Outcome.REFUSED}


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(1, n)))))
def test_the_ranges_of_a_response_cover_every_event_once(parts: tuple[int, set[int]]) -> None:
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
def test_each_status_has_its_outcome(
    status: int, body: bytes, after: float | None, kind: ResponseKind, outcome: Outcome | None
) -> None:
    """Every row of the table of statuses, for a batch of two."""
    found = interpret_response(
        ResponseRule(accepted="accepted"), status, body, 2, retry_after_s=after
    )
    assert found.kind is kind
    assert [part.outcome for part in found.ranges] == ([outcome] if outcome else [])


def test_without_a_declared_count_the_status_alone_accepts() -> None:
    """Without a declared path any 2xx accepts what it does not list as refused."""
    for body in (b"", b"<html>", b"{}"):
        ranges = interpret_response(ResponseRule(), 204, body, 2).ranges
        assert [part.outcome for part in ranges] == [Outcome.ACCEPTED]


@pytest.mark.parametrize(
    ("accepted", "listed", "counted", "outcomes"),
    [
        (0, [1], 4, "RRRR"),
        (0, [], 4, "RRRR"),
        (4, [], 0, "AAAA"),
        (3, [2], 1, "ARAA"),
        (2, [2], 2, "?R??"),
        (2, [2], 1, "????"),
        (3, [1, 2], 1, "????"),
        (3, [2], None, "ARAA"),
        (2, [2], None, "????"),
    ],
)
def test_a_count_of_refused_events_completes_a_list_that_leaves_some_out(
    accepted: int, listed: list[int], counted: int | None, outcomes: str
) -> None:
    """Where some of the events are refused and not listed, it is unknown which."""
    rule = ResponseRule(accepted="accepted", refused_count="refused_count")
    said = {"accepted": accepted, "refused": [{"line": line, "reason": "r"} for line in listed]}
    if counted is not None:
        said["refused_count"] = counted
    found = interpret_response(rule, 200, json.dumps(said).encode(), 4)
    letters = {Outcome.ACCEPTED: "A", Outcome.REFUSED: "R", Outcome.UNKNOWN: "?"}
    assert "".join(letters[part.outcome] * part.count for part in found.ranges) == outcomes


def test_pauses_double_up_to_a_maximum_and_respect_retry_after() -> None:
    policy = RetryPolicy(initial_pause_s=0.1, max_pause_s=0.5, total_s=3, attempts=5)
    assert [policy.pause_s(n) for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.5]
    assert policy.pause_s(1, retry_after_s=2) == 2
    assert policy.pause_s(1, retry_after_s=900) == 5
    assert policy.is_exhausted(5, 0, 0)
    assert policy.is_exhausted(1, 2.9, 0.2)
    assert not policy.is_exhausted(1, 0, 0.1)
