"""Load through brokers by Locust: the same shapes, thresholds and reconciliation as over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers.started import (
    LEAST,
    NATS_SERVER,
    add_stream,
    consumer,
    kafka_mock,
    nats_server,
    trueup,
)
from trueup.conformance.target.load import load_target
from trueup.reports.journal.records import LoadResult
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.preconditions import check_target
from trueup.scenarios.scenario import LoadPart

_NATS = pytest.mark.skipif(NATS_SERVER is None, reason="needs nats-server: make tools")
_INGEST = """[ingest]
via = "nats"
servers = ["nats://127.0.0.1:4222"]
subject = "events"
"""


@contextmanager
def _broker(kind: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Run a broker; yield its server, what the consumer reads, and the `[ingest]` of a target."""
    if kind == "kafka":
        with kafka_mock("events") as server:
            yield server, "events", f'via = "kafka"\nservers = ["{server}"]\ntopic = "events"'
        return
    with nats_server(folder / "nats") as server:
        asyncio.run(add_stream(server, "EVENTS", "events.>"))
        ingest = f'via = "nats"\nservers = ["{server}"]\nsubject = "events.proxy"'
        yield server, "EVENTS", ingest


def _load_of(folder: Path) -> LoadResult:
    (run,) = folder.glob("runs/*-load-*")
    return [one for one in read_journal(run).records if isinstance(one, LoadResult)][-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "form", "options"),
    [
        pytest.param("nats", "json-object", (), marks=_NATS),
        pytest.param("nats", "ndjson", ("--processes", "2"), marks=_NATS),
        ("kafka", "json-object", ()),
    ],
)
def test_every_event_that_a_broker_acknowledged_under_load_is_reconciled(
    tmp_path: Path, kind: str, form: str, options: tuple[str, ...]
) -> None:
    command = ("load", "steady", "--rate", "40", "--duration", "4", "--quiet", *options)
    with (
        _broker(kind, tmp_path) as (server, source, ingest),
        embedded_reference() as reference,
        consumer(kind, server, source, reference.serving.ingest_url),
    ):
        done = trueup(reference.serving, tmp_path, f'{ingest}\nform = "{form}"', *command)
    result = _load_of(tmp_path)
    batch = 1 if form == "json-object" else 100
    # A disturbed machine can leave a request unsent, which makes the thresholds inconclusive.
    assert done.returncode in (0, 2), done.stdout + done.stderr
    assert 150 <= result.requests.completed <= 160
    assert result.plan.batch == batch
    assert result.events.accepted == result.events.sent == result.requests.completed * batch
    assert result.events.correct == result.events.accepted
    assert result.generator.engine.endswith(f", {kind}")
    assert result.generator.workers == (2 if options else 1)
    assert result.latency.freshness_ns


@_NATS
@pytest.mark.slow
def test_acknowledged_events_that_the_target_never_gets_are_found(tmp_path: Path) -> None:
    command = ("load", "steady", "--rate", "20", "--duration", "2", "--quiet")
    with (
        _broker("nats", tmp_path) as (_server, _source, ingest),
        embedded_reference() as reference,
    ):
        done = trueup(reference.serving, tmp_path, ingest, *command)
    assert done.returncode == 1
    result = _load_of(tmp_path)
    assert result.events.accepted > 0
    assert result.events.correct == 0


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (LoadPart(scenario="mixed-reads"), "mixes reads in"),
        (LoadPart(scenario="malformed-lines"), "sends malformed lines"),
        (LoadPart(scenario="steady", calibrate=True), "calibrated with a null sink"),
        (LoadPart(scenario="steady", locustfile="users.py"), "a locustfile of your own"),
    ],
)
def test_what_works_over_http_only_is_refused_before_the_run(
    tmp_path: Path, part: LoadPart, said: str
) -> None:
    (tmp_path / "target.toml").write_text(LEAST + _INGEST)
    target = load_target(tmp_path / "target.toml", {"A": "abcd"})
    check_target(LoadPart(scenario="steady"), target)
    with pytest.raises(UsageProblem, match=said) as caught:
        check_target(part, target)
    assert "this load goes in through nats" in str(caught.value)
