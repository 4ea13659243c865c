"""Replays: planned times, the move into the target's past, and whole runs on the reference."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from tests.command_line import exit_status
from trueup.reports.errors import ConfigurationError
from trueup.reports.event_format import BodyForm, EventFormat, FieldFormat
from trueup.reports.journal.records import LoadResult, ReplayDeclared
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Json
from trueup.scenarios.cli import trueup
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load.generator import body_source
from trueup.scenarios.load.messages import GeneratorPlan
from trueup.scenarios.load.plan import RequestsPart
from trueup.scenarios.load.replay import (
    REPLAY_PLAN,
    PreparedReplay,
    RecordedSchedule,
    prepare_replay,
)
from trueup.scenarios.run.preconditions import check_local, plan_of
from trueup.scenarios.run.reevaluate import reevaluate
from trueup.scenarios.scenario import ReplayPart, load_scenario
from trueup.simulator.delivery import HttpForm

LOGS: Final = Path(__file__).parents[1] / "data" / "access_logs"
NOW: Final = datetime(2025, 6, 15, 12, tzinfo=UTC)


def planned(schedule: RecordedSchedule) -> list[int]:
    """Return all planned times in nanoseconds."""
    return [int(each) for chunk in schedule.chunks() for each in chunk]


def test_every_request_is_due_when_its_last_event_happened() -> None:
    """Also a last one that is not full."""
    due = np.array([0, 5, 9, 20, 21, 40, 77], dtype=np.int64)
    one = RecordedSchedule(due, batch=1, block=200, worker=0, workers=1)
    assert planned(one) == [each * 1000 for each in due]
    three = RecordedSchedule(due, batch=3, block=198, worker=0, workers=1)
    assert planned(three) == [9_000, 40_000, 77_000]
    assert three.total == 3


def test_workers_share_the_requests_of_a_log_by_blocks() -> None:
    """Each request is one worker's, at its own time."""
    due = np.arange(1000, dtype=np.int64) * 7
    parts = [
        planned(RecordedSchedule(due, batch=2, block=100, worker=k, workers=3)) for k in range(3)
    ]
    assert sorted(each for part in parts for each in part) == [
        int(each) * 1000 for each in due[1::2]
    ]
    assert parts[1][0] == int(due[101]) * 1000


def prepare(
    folder: Path, times: list[datetime], duration_s: float | None = None, **changes: Any
) -> PreparedReplay:
    """Return the replay of a log with requests at these times."""
    log = folder / "own.ndjson"
    log.write_text("".join(f'{{"time":"{at.isoformat()}","bytes":5}}\n' for at in times))
    return prepare_replay(
        ReplayPart(file=str(log), **changes),
        REPLAY_PLAN,
        folder=folder,
        customers=(1, 2),
        now=NOW,
        namespace="n",
        duration_s=duration_s,
        form=EventFormat(),
        say=lambda words: None,
    )


def test_a_log_is_moved_into_the_recent_past_by_whole_days(tmp_path: Path) -> None:
    """Its hours of the day stay; nothing is in the future or older than six days."""
    begin = datetime(2024, 1, 1, 15, 30, tzinfo=UTC)
    ready = prepare(tmp_path, [begin + timedelta(hours=n) for n in range(49)])
    rows = ready.traffic.rows(0, 49)
    assert rows[0]["log_request_datetime"] == "2025-06-12 15:30:00"
    assert rows[-1]["log_request_datetime"] == "2025-06-14 15:30:00"
    assert ready.plan.shape.duration_s == pytest.approx(48 * 3600, abs=1)
    ready = prepare(tmp_path, [begin + timedelta(hours=n) for n in range(144)], speed=3600)
    assert ready.traffic.rows(143, 1)[0]["log_request_datetime"] == "2025-06-15 11:59:00"
    assert ready.plan.shape.duration_s == pytest.approx(143, abs=1)


def test_a_log_of_too_many_days_is_refused_and_its_beginning_is_not(tmp_path: Path) -> None:
    """With the option that helps."""
    times = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(30)]
    with pytest.raises(UsageProblem, match=r"takes 29.0 days. Use a higher --speed"):
        prepare(tmp_path, times)
    with pytest.raises(UsageProblem, match=r"span 29.0 days.*--duration SECONDS: 518.4 or less"):
        prepare(tmp_path, times, speed=1000)
    ready = prepare(tmp_path, times, speed=1000, duration_s=400)
    assert (ready.declared.events, ready.declared.read) == (5, 30)
    with pytest.raises(UsageProblem, match="no event to replay"):
        prepare(tmp_path, times, duration_s=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--replay", "LOG", "--rate", "5"), "--speed makes it faster"),
        (("--replay", "LOG", "--find-limit"), "cannot be combined with --find-limit"),
        (("--replay", "LOG", "--calibrate"), "cannot be combined with --calibrate"),
        (("--replay", "LOG", "--format", "haproxy:%B"), "has no time of the request"),
        (("--replay", "LOG", "--zone", "Mars"), "is no time zone"),
        (("--replay", __file__), "is not recognised"),
        (("--replay", "LOG", "--compare", "."), "--replay cannot be used with --compare"),
        (("--speed", "10"), "--speed goes with --replay"),
        (("--keep-names",), "--keep-names goes with --replay"),
    ],
)
def test_a_wrong_replay_is_refused_before_anything_starts(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 4 and the remedy; no run folder."""
    log = str(LOGS / "squid-native.log")
    given = [log if each == "LOG" else each for each in arguments]
    status = exit_status("load", *given, "--runs", str(tmp_path / "runs"))
    error = capsys.readouterr().err
    assert (status, message in error) == (4, True), error
    assert not (tmp_path / "runs").exists()


def test_a_value_that_the_target_file_has_no_word_for_is_named_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """Logs have methods and error codes that no fleet has."""
    log = tmp_path / "own.ndjson"
    methods = ["GET", "GET", "PROPFIND", "GET"]
    log.write_text(
        "".join(f'{{"time":{10**9 + n},"method":"{m}"}}\n' for n, m in enumerate(methods))
    )

    def prepared(words: dict[str, Json]) -> PreparedReplay:
        rule = FieldFormat(name="verb", values=words)
        return prepare_replay(
            ReplayPart(file=str(log)), REPLAY_PLAN, folder=tmp_path, customers=(1,), now=NOW,
            namespace="n", duration_s=None, form=EventFormat(fields={"log_method": rule}),
            say=lambda words: None,
        )  # fmt: skip

    with pytest.raises(UsageProblem, match="event 3 in order of time has log_method 'PROPFIND'"):
        prepared({"GET": "get"})
    assert prepared({"GET": "get", "PROPFIND": "other"}).declared.events == 4


def test_lines_that_cannot_be_read_are_shown_and_not_kept_in_the_run(tmp_path: Path) -> None:
    """A journal holds the reason; the lines hold names."""
    line = (LOGS / "squid-native.log").read_text().splitlines()[5]
    log = tmp_path / "mixed.log"
    log.write_text("\n".join([line] * 60 + ["jane-doe was here"] * 40) + "\n")
    said: list[str] = []
    with pytest.raises(UsageProblem, match="too many lines cannot be read as squid") as refused:
        prepare_replay(
            ReplayPart(file=str(log)), REPLAY_PLAN, folder=tmp_path, customers=(1,), now=NOW,
            namespace="n", duration_s=None, form=EventFormat(), say=said.append,
        )  # fmt: skip
    assert "jane-doe" not in str(refused.value)
    assert any("mixed.log:61:" in line and "jane-doe" in line for line in said)


def test_a_replay_is_sent_in_the_target_s_own_format_and_every_event_once(tmp_path: Path) -> None:
    """Renamed fields in a list, whose last batch is not full; by two workers."""
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    ready = prepare(tmp_path, [begin + timedelta(seconds=n) for n in range(451)])
    format_ = EventFormat(
        form=BodyForm.JSON_ARRAY, fields={"log_total_bytes": FieldFormat(name="octets")}
    )
    plan = msgspec.structs.replace(ready.plan, requests=RequestsPart(batch=20))
    bodies = []
    for worker in range(2):
        source = body_source(
            GeneratorPlan(
                plan=plan,
                form=HttpForm(url="http://127.0.0.1:9/", format=format_),
                fleet=None,
                replay=ready.declared,
                replay_folder=str(tmp_path),
            ),
            lambda ranges: None,
            worker=worker,
            workers=2,
            replay=ready.traffic,
        )
        while (request := source.take()) is not None:
            text = request.head.partition(b"\r\n\r\n")[2] + bytes(request.body)
            bodies.append((request.first, msgspec.json.decode(text)))
    sent = [event for _, events in sorted(bodies, key=lambda pair: pair[0]) for event in events]
    assert [event["log_id"] for event in sent] == ready.traffic.log_ids(0, 451)
    assert {event["octets"] for event in sent} == {5}
    assert {len(events) for _, events in bodies} == {20, 11}


def test_a_scenario_file_may_replay_a_log(tmp_path: Path) -> None:
    """With the keys of `trueup load`'s options."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nwhat = "a log"\n[load]\nscenario = "replay"\n[load.replay]\n'
        f'file = "{LOGS / "squid-native.log"}"\nspeed = 10\n'
    )
    part = load_scenario(str(path)).load
    assert part is not None and part.replay is not None
    check_local(part)
    assert (plan_of(part, seed=3).requests.batch, part.replay.speed) == (1, 10)
    path.write_text(path.read_text() + 'network = "satellite"\n')
    with pytest.raises(ConfigurationError, match="network"):
        load_scenario(str(path))


def replay(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], Path]:
    """Replay a log on the reference; return result.json and the run's folder."""
    runs = tmp_path / "runs"
    found = CliRunner().invoke(
        trueup, ["load", "--replay", *arguments, "--runs", str(runs), "--json", "--quiet"]
    )
    assert found.exit_code == 0, found.output
    (folder,) = (each for each in runs.iterdir() if not each.is_symlink())
    return json.loads(found.stdout), folder


@pytest.mark.slow
def test_a_log_of_squid_is_replayed_at_its_own_times_and_reconciled(tmp_path: Path) -> None:
    """By two workers; the run can be judged again from its folder, which has no name of the log."""
    log = LOGS / "squid-native.log"
    result, folder = replay(tmp_path, str(log), "--processes", "2")
    (load,) = result["load"]
    assert (load["events"]["accepted"], load["events"]["correct"]) == (304, 304)
    assert load["replay"].startswith("304 of 304 events of squid-native.log, read as squid")
    times = [float(line.split()[0]) for line in log.read_text().splitlines()]
    assert load["duration_s"] == pytest.approx(max(times) - min(times) + 0.5, abs=0.01)
    journal = read_journal(folder)
    (declared,) = (each for each in journal.records if isinstance(each, ReplayDeclared))
    assert (declared.read, declared.refused, declared.events) == (304, 0, 304)
    (seen,) = (each for each in journal.records if isinstance(each, LoadResult))
    sent = [second.get("events", 0) for second in seen.timeline.seconds]
    asked = np.bincount((np.array(times) - min(times)).astype(int), minlength=len(sent))
    assert np.abs(np.cumsum(sent) - np.cumsum(asked[: len(sent)])).max() <= 40
    verdicts = {each.check: each.verdict for each in reevaluate(journal)}
    assert verdicts and set(verdicts.values()) == {"pass"}
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"dmitri" not in content and b"user-" in content
