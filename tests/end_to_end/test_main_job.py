"""The main scenario with real child processes, sockets, Locust and files. Few and slow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trueup.reports.journal.records import Phase
from trueup.reports.journal.storage import read_journal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUSY_MACHINE = 2
"""Bounds on times are widened by this factor: tests share their machine."""
LOAD = """
[load]
scenario = "steady"
duration_s = 4
"""
SHORT = f"""
name = "short"
what = "the main job with little load"
[fleet]
events = 800
days = 3
[proxied]
requests = 80
[checks]
level = 3
depth = "quick"
{LOAD}"""


def trueup(*arguments: str, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trueup", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


def children_named(label: str) -> list[int]:
    """Return the ids of processes with the label in their environment: all that a run started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if label.encode() in environment and state != "Z":
                found.append(int(entry.name))
    return found


def test_the_main_job_conforms_and_leaves_its_reports(scenario: Path, tmp_path: Path) -> None:
    """Exit status 0, every file exists, every event is reconciled, verdicts are recomputed."""
    done = trueup("run", str(scenario), "--seed", "11", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    latest = tmp_path / "runs" / "latest"
    for name in ("journal.ndjson", "report.html", "junit.xml", "result.json", "target.toml"):
        assert (latest / name).stat().st_size > 0
    result = json.loads(done.stdout)
    load = result["load"][0]
    assert load["events"]["accepted"] > 0
    assert load["events"]["correct"] == load["events"]["accepted"]
    places: dict[str, set[str]] = {}
    for row in result["tie_outs"]:
        if row["part"] == "proxied":
            assert row["ok"], row
            places.setdefault(row["scope"].partition(" · ")[0], set()).add(row["view"])
    assert places.keys() == {"datacenter", "isp", "residential", "mobile"}
    for network, views in places.items():
        assert {"client", "proxy", "origin", "logs", "summaries", "graph"} <= views
        assert network in ("datacenter", "isp") or {f"{network}_ledger", "account"} <= views
    again = trueup("judge", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "agree with the journal" in again.stdout


@pytest.mark.parametrize("phase", ["fleet", "proxied", "judge", "load"])
def test_ctrl_c_leaves_a_readable_journal_and_no_process(
    scenario: Path, tmp_path: Path, phase: str
) -> None:
    """Interrupted in each phase: status 2, a complete journal, a report, and no process left."""
    label = f"TRUEUP_TEST_MARK={tmp_path.name}-{phase}"
    child = subprocess.Popen(
        [sys.executable, "-m", "trueup", "run", str(scenario)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict([label.split("=")])},
        # A shell that runs the tests in its background has them, and us, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = tmp_path / "runs" / "latest" / "journal.ndjson"
    begun = f'"name":"{phase}'
    until = time.monotonic() + 60
    while not (journal.exists() and begun in journal.read_text()):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until, "the phase never began"
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2, errors
    assert "Traceback" not in errors
    read = read_journal(tmp_path / "runs" / "latest")
    assert read.footer is not None
    assert read.footer.interrupted
    assert any(isinstance(record, Phase) and phase in record.name for record in read.records)
    assert (tmp_path / "runs" / "latest" / "report.html").exists()
    assert children_named(label) == []


def test_term_ends_a_background_load_within_seconds(tmp_path: Path) -> None:
    """`trueup run &` in a script ignores SIGINT, and so would its children: SIGTERM ends all of
    them at once. Measured below 1.2 s; the bound leaves room for a busy machine."""
    scenario = tmp_path / "load.toml"
    scenario.write_text('name = "load-only"\nwhat = "a load and nothing before it"\n' + LOAD)
    label = f"TRUEUP_TEST_MARK={tmp_path.name}-term"
    child = subprocess.Popen(
        [sys.executable, "-m", "trueup", "run", str(scenario), "--quiet"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict([label.split("=")])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    reports = tmp_path / "runs" / "latest" / "load.ndjson"
    until = time.monotonic() + 90
    while not (reports.exists() and b"report" in reports.read_bytes()):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until, "the load never began"
        time.sleep(0.01)
    asked = time.monotonic()
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert time.monotonic() - asked < 2 * BUSY_MACHINE
    assert child.returncode == 2, errors
    footer = read_journal(tmp_path / "runs" / "latest").footer
    assert footer is not None
    assert footer.interrupted
    assert children_named(label) == []


def test_a_port_in_use_is_reported_with_a_remedy(tmp_path: Path) -> None:
    """`serve` on a taken port: one line, status 4."""
    first = subprocess.Popen(
        [sys.executable, "-m", "trueup", "serve", "--port", "0", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["url"].split(":")[2].split("/")[0]
        second = trueup("serve", "--port", port, cwd=tmp_path)
    finally:
        first.terminate()
        first.communicate(timeout=20)
    assert first.returncode == 0
    assert second.returncode == 4
    assert port in second.stderr
    assert "Traceback" not in second.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A served reference: its target file, and an environment with the keys."""
    first = subprocess.Popen(
        [sys.executable, "-m", "trueup", "serve", "--port", "0", "--json", "--control"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        yield target_from(first.stdout.readline(), tmp_path)
    finally:
        first.terminate()
        first.communicate(timeout=20)


def pytest_run(
    target: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """pytest with the plugin, in the target's folder."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"),
            *("--trueup-target", str(target), *arguments),
        ],
        cwd=target.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_pytest_runs_the_checks_as_items(
    served: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """Every check is an item; a skip states why: not reachable, or not claimed."""
    report = tmp_path / "pytest.xml"
    done = pytest_run(*served, "--junitxml", str(report))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "not-applicable" in report.read_text()
    assert "needs level 4" in report.read_text()
    assert "failed" not in done.stdout.splitlines()[-1]


def test_pytest_selects_by_law_and_name(served: tuple[Path, dict[str, str]]) -> None:
    """`-m` takes laws and clauses, `-k` names; the rest is not run."""
    by_law = pytest_run(*served, "-m", "law_PAGE")
    assert by_law.returncode == 0, by_law.stdout
    assert "pages-are-whole PASSED" in by_law.stdout
    by_name = pytest_run(*served, "-k", "rows-are-sorted")
    assert "1 passed" in by_name.stdout


def test_pytest_refuses_a_missing_target_once(tmp_path: Path) -> None:
    """One error message and pytest's status for wrong usage, not a failure for each check."""
    done = pytest_run(tmp_path / "gone.toml", {})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.count("gone.toml") == 1


def target_from(line: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A target file, and the keys that go with it, for a served reference."""
    import msgspec

    from trueup.scenarios.embedded.process import Serving
    from trueup.scenarios.embedded.target import key_environment, target_file

    serving = msgspec.json.decode(line, type=Serving)
    path = folder / "target.toml"
    path.write_text(target_file(serving, requests=2000))
    return path, dict(key_environment(serving))
