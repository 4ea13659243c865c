"""The judge and an implementation that it has never met, which share a target file and no more.

Three ways in are proven with real parts: NDJSON over HTTP by the runs of the embedded reference
elsewhere; a gzipped JSON array in the target's own names, and a shell script around curl, here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trueup.conformance.runner import RunOutcome, run_checks
from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import Target, levels, load_target
from trueup.reports.journal.records import SCHEMA, Delivered, Header, Hook
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.results import ExitStatus, Verdict
from trueup.scenarios.drivers import driver_of

_HERE = Path(__file__).parent
_SILENT = {Verdict.PASS, Verdict.NOT_APPLICABLE}
"""What may be said of an implementation that is different and right."""


@contextmanager
def _serving(monkeypatch: pytest.MonkeyPatch, *lies: str) -> Iterator[None]:
    """The tiny target in a process of its own; its keys stand in the environment."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.third_party.tiny_target", *lies],
        cwd=_HERE.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for name, value in json.loads(process.stdout.readline()).items():
                monkeypatch.setenv(name, value)
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=10)


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with _serving(monkeypatch):
        yield


async def _judge(
    target: Target, folder: Path, level: int, only: tuple[str, ...] = ()
) -> RunOutcome:
    journal = folder / "journal.ndjson"
    checks = checks_for(target, level=level, only=only)
    with JournalWriter(journal) as writer:
        writer.write(
            Header(
                trueup="0",
                schema=SCHEMA,
                run="stranger",
                seed=7,
                started_at="2026-01-01T00:00:00Z",
                scenario="stranger",
                target=target.name,
                base_url=target.base_url,
                level=level,
                checks=tuple(check.name for check in checks),
            )
        )
        driver = driver_of(target)
        try:
            outcome = await run_checks(
                target, writer=writer, ingest=driver, seed=7, level=level, only=only
            )
        finally:
            await driver.close()
    text = journal.read_text()
    assert not [secret for secret in target.secrets if secret in text]
    assert read_journal(journal).records
    return outcome


def _accused(outcome: RunOutcome) -> list[str]:
    return [
        f"{one.verdict}: {one.check}: {one.reason}"
        for one in outcome.results
        if one.verdict not in _SILENT
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "level"), [("tiny.toml", 3), ("tiny_command.toml", 2)])
async def test_a_stranger_is_judged_through_its_target_file_alone(
    stranger: None, tmp_path: Path, file: str, level: int
) -> None:
    """It does everything differently and nothing wrong, so no check may accuse it."""
    if "command" in file and shutil.which("curl") is None:
        pytest.skip("the shell script needs curl")
    target = load_target(_HERE / file)
    assert level in levels(target)
    outcome = await _judge(target, tmp_path, level)
    assert _accused(outcome) == []
    assert outcome.exit_status is ExitStatus.CONFORMS
    passed = [one for one in outcome.results if one.verdict is Verdict.PASS]
    assert len(passed) >= 0.7 * len(outcome.results)


@pytest.mark.slow
async def test_readings_of_a_stranger_are_found_out(stranger: None, tmp_path: Path) -> None:
    """None of these stands in its target file; they differ from the embedded reference's."""
    outcome = await _judge(load_target(_HERE / "tiny.toml"), tmp_path, 3)
    read = {reading.name: reading.value for reading in outcome.readings}
    wanted = {
        "time-form": "iso-z",
        "summary-period-form": "date",
        "per-page-most": "50",
        "per-page-above-100": "clamped",
        "total-count": "unknown",
        "unknown-filter": "ignored",
        "malformed-id-status": "400",
        "graph-empty-buckets": "omitted",
        "hostname-case": "kept",
        "hostname-dot": "kept",
        "retention": "calendar",
    }
    assert {name: read.get(name) for name in wanted} == wanted


@pytest.mark.slow
async def test_a_stranger_can_be_audited_without_writing(stranger: None, tmp_path: Path) -> None:
    """An account that has data, and then nothing but reading; what is not there stays open."""
    target = load_target(_HERE / "tiny.toml")
    for level in (2, 0):
        folder = tmp_path / str(level)
        folder.mkdir()
        outcome = await _judge(target, folder, level)
        said = {one.check: one.verdict for one in outcome.results}
        assert {*said.values()} <= {*_SILENT, Verdict.INCONCLUSIVE}
    written = [one for one in read_journal(folder).records if isinstance(one, Delivered | Hook)]
    assert written == []
    assert sum(verdict is Verdict.PASS for verdict in said.values()) >= 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lie", "law"),
    [
        ("counts_again", "LOG=SENT"),
        ("drops_a_byte", "SUM=LOG"),
        ("counts_in_local_days", "DAY"),
        ("charges_isp", "LEDGER=SUM"),
        ("never_forgets_hosts", "CONSOL"),
        ("forgets_logs_early", "RETAIN-MIN"),
    ],
)
async def test_a_stranger_that_lies_is_convicted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lie: str, law: str
) -> None:
    """Silence before the honest stranger is worth something only if the same lies are heard."""
    with _serving(monkeypatch, lie):
        outcome = await _judge(load_target(_HERE / "tiny.toml"), tmp_path, 3, only=(law,))
    assert outcome.exit_status is ExitStatus.VIOLATES
    assert {one.law for one in outcome.results if one.verdict is Verdict.FAIL} == {law}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "verdict"),
    [
        ('time-form = "iso-z"\ntotal-count = "unknown"', Verdict.PASS),
        ('time-form = "space"\ntotal-count = "unknown"', Verdict.FAIL),
    ],
)
async def test_a_target_is_held_to_the_readings_that_its_file_declares(
    stranger: None, tmp_path: Path, declared: str, verdict: Verdict
) -> None:
    file = tmp_path / "tiny.toml"
    text = (_HERE / "tiny.toml").read_text()
    file.write_text(text.replace('retention = "calendar"', f'retention = "calendar"\n{declared}'))
    outcome = await _judge(load_target(file), tmp_path, 2, only=("READING", "LOG=SENT"))
    assert {one.law: one.verdict for one in outcome.results}["READING"] is verdict


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False])
async def test_what_the_contract_leaves_open_is_no_fault_once_declared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, declared: bool
) -> None:
    """Whether failed and empty requests are summed is open: right if declared, wrong if not."""
    file = tmp_path / "tiny.toml"
    text = (_HERE / "tiny.toml").read_text()
    words = 'failed-requests = "not-counted"\nzero-byte-requests = "not-counted"\n'
    file.write_text(text.replace("[readings]\n", "[readings]\n" + (words if declared else "")))
    with _serving(monkeypatch, "counts_no_failures"):
        outcome = await _judge(load_target(file), tmp_path, 3)
    if declared:
        assert _accused(outcome) == []
    else:
        assert "SUM=LOG" in {one.law for one in outcome.results if one.verdict is Verdict.FAIL}


@pytest.mark.slow
async def test_a_midnight_that_passes_meanwhile_changes_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with _serving(monkeypatch, "stands_before_midnight"):
        outcome = await _judge(load_target(_HERE / "tiny.toml"), tmp_path, 3)
    assert _accused(outcome) == []
