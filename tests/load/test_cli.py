"""`trueup load`: what it refuses, and what it says when it may not or cannot."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.command_line import exit_status
from tests.reports import factory
from trueup.reports.journal.records import GeneratorUsage, LoadResult, LoadTimeline, PlannedLoad
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.model import build_report
from trueup.reports.renderers.result import result_schema
from trueup.scenarios.load.plan import load_names, load_plan
from trueup.scenarios.run.orchestrator import RunResult

TARGET = """
name = "far"
base_url = "http://192.0.2.9:8080/1.0"

[tenants.a]
public_key = { env = "FAR_KEY" }
private_key = { env = "FAR_KEY" }
customer_id = 1

[ingest]
via = "http"
url = "http://192.0.2.9:8080/ingest"
"""


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = exit_status("load", *arguments)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_help_names_every_scenario_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    """What there is can be read without a page."""
    code, said = status(capsys, "--help")
    flat = "".join(said.split())
    assert code == 0
    for name in (*load_names(), "--find-limit", "--calibrate", "--compare", "--i-may-load"):
        assert name in flat


def test_a_target_off_this_machine_is_not_loaded_unless_confirmed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Usage error, with the option that would confirm it."""
    monkeypatch.setenv("FAR_KEY", "a-key-that-is-none")
    path = tmp_path / "far.toml"
    path.write_text(TARGET)
    code, said = status(capsys, "steady", "--target", str(path), "--runs", str(tmp_path / "r"))
    assert code == 4
    assert "--i-may-load 192.0.2.9" in said
    assert not list((tmp_path / "r").glob("*"))


def test_a_host_that_may_be_tested_may_not_be_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """--allow-host is not enough: load is heavier."""
    code, said = status(capsys, "--allow-host", "192.0.2.9", "--runs", str(tmp_path))
    assert code == 4
    assert "--i-may-load 192.0.2.9" in said


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["no-such-scenario"], "steady"),
        (["--rate", "-3"], "rate"),
        (["--rate", "nan"], "no number to load by"),
        (["--rate", "inf"], "no number to load by"),
        (["--duration", "nan"], "no number to load by"),
        (["--duration", "inf"], "no number to load by"),
        (["--duration", "1e300"], "shape.duration_s"),
        (["--rate", "1e300"], "shape.rate"),
        (["--processes", "0"], "processes"),
        (["--compare", "/nowhere/at-all"], "/nowhere/at-all"),
        (
            ["--find-limit", "--master", "127.0.0.1", "--workers", "2"],
            "Search with --processes N on this machine",
        ),
    ],
)
def test_wrong_usage_ends_with_status_four_and_the_remedy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], word: str
) -> None:
    """Never a traceback for what the user typed, and no folder of a run."""
    code, said = status(capsys, *arguments, "--runs", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()
    assert code == 4
    assert word in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Locust's page would not come up, and the run would end as a fault of ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = status(capsys, "--web", port, "--runs", str(tmp_path / "r"))
    assert code == 4
    assert f"127.0.0.1 port {port} cannot be listened on" in said
    assert "Choose another for --web" in said
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("address", ["192.0.2.77", "no such host"])
def test_an_address_that_is_not_this_machines_cannot_be_a_masters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, address: str
) -> None:
    """The workers would have no master."""
    runs = tmp_path / "r"
    code, said = status(capsys, "--master", address, "--workers", "2", "--runs", str(runs))
    assert code == 4
    assert "an address of this machine" in said
    assert not runs.exists()


@pytest.mark.parametrize(
    "scenario, changes, word",
    [
        ("steady", ("customer_id = 1", ""), "Add customer_id"),
        ("steady", ('via = "http"\nurl', 'via = "command"\nargv = ["true"]\n#'), "via = "),
        ("retry-storm", ("", ""), "Give it a [restart] part"),
    ],
)
def test_a_target_file_that_lacks_what_the_load_needs_leaves_no_folder(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scenario: str,
    changes: Any,
    word: str,
) -> None:
    """Refused at once with the remedy, and the latest run stays the latest."""
    monkeypatch.setenv("FAR_KEY", "a-key-that-is-none")
    path = tmp_path / "near.toml"
    path.write_text(TARGET.replace("192.0.2.9", "127.0.0.1").replace(*changes))
    code, said = status(capsys, scenario, "--target", str(path), "--runs", str(tmp_path / "r"))
    assert code == 4
    assert word in said
    assert not (tmp_path / "r").exists()


STEADY = load_plan("steady")
EARLIER = LoadResult(
    plan=PlannedLoad(
        scenario="steady",
        shape=STEADY.shape.kind,
        rate_rps=STEADY.shape.rate,
        duration_s=STEADY.shape.duration_s,
        warmup_s=STEADY.shape.warmup_s,
        batch=STEADY.requests.batch,
    ),
    generator=GeneratorUsage(engine="e"),
    timeline=LoadTimeline(
        seconds=tuple(
            {"t": float(t), "requests": 10.0, "events": 1000.0, "errors": 0.0} for t in range(15)
        )
    ),
)


def earlier(folder: Path, *, header: Mapping[str, object] | None = None, **parts: Any) -> Path:
    """The folder of an earlier run of `steady` on the embedded reference."""
    folder.mkdir()
    mould = read_journal(factory.journal(folder.with_name(f"{folder.name}-mould")).path).header
    like_ours = {"scenario": "load-steady", "level": 2, "seed": 7, "checks": ()}
    with JournalWriter(folder / "journal.ndjson") as writer:
        writer.write(msgspec.structs.replace(mould, **(like_ours | dict(header or {}))))
        writer.write(factory.changed_load(EARLIER, **parts))
        writer.finish(finished_at="2025-04-01T12:01:00Z", exit_status=0)
    return folder


@pytest.mark.parametrize(
    "header, options, word",
    [
        ({"seed": 8}, (), "seed (8 and 7)"),
        ({}, ("--seed", "9"), "seed (7 and 9)"),
        ({"target": "another"}, (), "target (another and reference)"),
        ({"scenario": "main"}, (), "run's scenario (main and load-steady)"),
        ({"level": 3}, (), "level (3 and 2)"),
        ({}, ("--find-limit",), "a search ends at a rate of its own"),
    ],
)
def test_a_run_of_another_question_is_refused_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    header: dict[str, Any],
    options: tuple[str, ...],
    word: str,
) -> None:
    """Seed, target, level and scenario are known before, so it is refused before the load."""
    old = earlier(tmp_path / "old", header=header)
    runs = tmp_path / "runs"
    code, said = status(capsys, "--compare", str(old), "--runs", str(runs), *options)
    assert code == 4
    assert word in said
    assert not runs.exists()


@pytest.mark.parametrize(
    "parts, options, word",
    [
        ({"machine": {"noisy": True}}, (), "disturbed"),
        ({"plan": {"duration_s": 4.0, "warmup_s": 1.0}}, ("--duration", "4"), "load for longer"),
        ({"plan": {"scenario": "ramp"}}, (), "scenario (ramp and steady)"),
        ({}, ("--duration", "60"), "duration (15.0 and 60.0)"),
        ({}, ("--rate", "7"), "and 7.0)"),
    ],
)
def test_a_run_that_cannot_be_compared_is_refused_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    parts: dict[str, Any],
    options: tuple[str, ...],
    word: str,
) -> None:
    """Status 4, the reason and the remedy; no folder of a new run."""
    earlier(tmp_path / "old", **parts)
    runs = tmp_path / "runs"
    code, said = status(capsys, "--compare", str(tmp_path / "old"), "--runs", str(runs), *options)
    assert code == 4
    assert word in said
    assert not runs.exists()


def finished_as(monkeypatch: pytest.MonkeyPatch, folder: Path, **parts: Any) -> None:
    """Let the load be one that was made before."""
    report = build_report(read_journal(earlier(folder, **parts)))
    done = RunResult(folder=folder, report=report)
    monkeypatch.setattr("trueup.scenarios.cli.load.watched", lambda order, quiet: done)


def test_the_comparison_is_in_the_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object, that keeps to the schema; the status is the run's own."""
    old = earlier(tmp_path / "old")
    finished_as(monkeypatch, tmp_path / "new")
    code = exit_status("load", "--compare", str(old), "--json")
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(result_schema()).validate(document)
    assert document["comparison"]["worse"] is False
    assert [one["figure"] for one in document["comparison"]["load"]] == ["events per second"]
    assert code == document["exit_status"]


def test_a_run_that_turns_out_not_to_be_comparable_keeps_its_own_status(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the load found is shown and decides; that it was not compared is said."""
    old = earlier(tmp_path / "old", plan={"digest": "feed"})
    finished_as(monkeypatch, tmp_path / "new")
    assert exit_status("load", "--compare", str(old)) == 2
    said = capsys.readouterr()
    assert "Could not tell" in said.out
    assert "Not compared:" in said.err
    assert "digest of the plan" in said.err
