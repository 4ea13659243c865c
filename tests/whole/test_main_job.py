"""The main job, whole and real: child processes, sockets, Locust, files. Few and slow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.journal import read_journal
from reports.records import Phase

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHORT = """
name = "short"
what = "the main job with little load"
[fleet]
events = 800
days = 3
[checks]
level = 3
[load]
scenario = "steady"
duration_s = 4
"""


def trueup(*arguments: str, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scenarios", *arguments],
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


def children_named(marker: str) -> list[int]:
    """Processes whose environment carries the marker: everything that a run of ours started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker.encode() in environment and state != "Z":
                found.append(int(entry.name))
    return found


def test_the_main_job_conforms_and_leaves_its_reports(scenario: Path, tmp_path: Path) -> None:
    """Exit status 0, every file there, every accepted event accounted for, and judged again."""
    done = trueup("run", str(scenario), "--seed", "11", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    latest = tmp_path / "runs" / "latest"
    for name in ("journal.ndjson", "report.html", "junit.xml", "result.json", "target.toml"):
        assert (latest / name).stat().st_size > 0
    result = json.loads(done.stdout)
    load = result["load"][0]
    assert load["events"]["accepted"] > 0
    assert load["events"]["correct"] == load["events"]["accepted"]
    again = trueup("judge", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "agree with the journal" in again.stdout


@pytest.mark.parametrize("phase", ["fleet", "judge", "load"])
def test_ctrl_c_leaves_a_readable_journal_and_no_process(
    scenario: Path, tmp_path: Path, phase: str
) -> None:
    """Interrupted in each phase: status 2, a sealed journal, a report, and nobody left behind."""
    marker = f"TRUEUP_TEST_MARK={tmp_path.name}-{phase}"
    child = subprocess.Popen(
        [sys.executable, "-m", "scenarios", "run", str(scenario)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict([marker.split("=")])},
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
    assert children_named(marker) == []


def test_a_port_in_use_is_told_with_a_remedy(tmp_path: Path) -> None:
    """`serve` on a taken port: one line, status 4."""
    first = subprocess.Popen(
        [sys.executable, "-m", "scenarios", "serve", "--port", "0", "--json"],
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


def test_pytest_runs_the_checks_as_items(tmp_path: Path) -> None:
    """`pytest --trueup-target`: items by name, law and clause; skips carry their verdict."""
    first = subprocess.Popen(
        [sys.executable, "-m", "scenarios", "serve", "--port", "0", "--json", "--control"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout is not None
        target, environment = target_from(first.stdout.readline(), tmp_path)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"),
                *("--trueup-target", str(target), "-m", "law_PAGE or law_CHARGED"),
                *("--junitxml", str(tmp_path / "pytest.xml")),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )
    finally:
        first.terminate()
        first.communicate(timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deselected" in done.stdout
    assert "not-applicable" in (tmp_path / "pytest.xml").read_text()


def target_from(line: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A target file, and the keys that go with it, for a served reference."""
    import msgspec

    from scenarios.embedded import Serving
    from scenarios.embedded_target import key_environment, target_file

    serving = msgspec.json.decode(line, type=Serving)
    path = folder / "target.toml"
    path.write_text(target_file(serving, requests=2000))
    return path, dict(key_environment(serving))
