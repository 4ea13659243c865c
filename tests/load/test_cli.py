"""`trueup load`: what it refuses, and what it says when it may not or cannot."""

from __future__ import annotations

import pytest

from reports.journal import JournalWriter, read_journal
from reports.records import LoadResult
from scenarios.cli import main
from scenarios.load.plan import load_names, load_plan
from tests.reports import factory

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


def status(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def test_help_names_every_scenario_and_option(capsys):
    """What there is can be read without a page."""
    code, said = status(capsys, "--help")
    flat = "".join(said.split())
    assert code == 0
    for name in (*load_names(), "--find-limit", "--calibrate", "--compare", "--i-may-load"):
        assert name in flat


def test_a_target_off_this_machine_is_not_loaded_without_a_word(capsys, tmp_path, monkeypatch):
    """Usage error, with the option that would confirm it."""
    monkeypatch.setenv("FAR_KEY", "a-key-that-is-none")
    path = tmp_path / "far.toml"
    path.write_text(TARGET)
    code, said = status(capsys, "steady", "--target", str(path), "--runs", str(tmp_path / "r"))
    assert code == 4
    assert "--i-may-load 192.0.2.9" in said
    assert not list((tmp_path / "r").glob("*"))


def test_a_host_that_may_be_tested_may_not_be_loaded(capsys, tmp_path):
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
def test_wrong_usage_is_answered_with_status_four_and_the_remedy(capsys, tmp_path, arguments, word):
    """Never a traceback for what the user typed, and no folder of a run."""
    code, said = status(capsys, *arguments, "--runs", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()
    assert code == 4
    assert word in said
    assert "Traceback" not in said


STEADY = load_plan("steady")
EARLIER = {
    "scenario": "steady",
    "engine": "e",
    "shape": STEADY.shape.kind,
    "planned_rps": STEADY.shape.rate,
    "duration_s": STEADY.shape.duration_s,
    "warmup_s": STEADY.shape.warmup_s,
    "batch": STEADY.requests.batch,
    "seconds": tuple(
        {"t": float(t), "requests": 10.0, "events": 1000.0, "errors": 0.0} for t in range(15)
    ),
}


@pytest.mark.parametrize(
    "parts, options, word",
    [
        ({"machine_noisy": True}, (), "disturbed"),
        ({"duration_s": 4.0, "warmup_s": 1.0}, ("--duration", "4"), "load for longer"),
        ({"scenario": "ramp"}, (), "scenario (ramp and steady)"),
        ({}, ("--duration", "60"), "duration (15.0 and 60.0)"),
        ({}, ("--rate", "7"), "and 7.0)"),
    ],
)
def test_a_run_that_cannot_be_compared_is_refused_before_anything_is_loaded(
    capsys, tmp_path, parts, options, word
):
    """Status 4, the reason and the remedy; no folder of a new run."""
    (tmp_path / "old").mkdir()
    with JournalWriter(tmp_path / "old" / "journal.ndjson") as writer:
        writer.write(read_journal(factory.journal(tmp_path / "any").path).header)
        writer.write(LoadResult(**(EARLIER | parts)))
        writer.finish(finished_at="2025-04-01T12:01:00Z", exit_status=0)
    runs = tmp_path / "runs"
    code, said = status(capsys, "--compare", str(tmp_path / "old"), "--runs", str(runs), *options)
    assert code == 4
    assert word in said
    assert not runs.exists()
