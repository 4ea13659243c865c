"""Runs against an independent implementation, which shares nothing with trueup but a target file.

Of the forms of ingestion, a gzipped JSON array with other field names and a shell script around
curl are tested here; NDJSON over HTTP is tested with the embedded reference elsewhere.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journal_header import journal_in
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.runner import RunOutcome, run_checks
from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import Target, levels, load_target
from trueup.reports.journal.records import Delivered, Exchange, Hook
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import ExitStatus, Verdict
from trueup.scenarios.drivers import driver_of

_HERE = Path(__file__).parent
_SILENT = {Verdict.PASS, Verdict.NOT_APPLICABLE}
"""What may be said of an implementation that is different and right."""
_SOON = "freshness-s = 5"
"""Declared where a check fails, so that what stays wrong is not asked again for longer."""


@contextmanager
def _serving(
    monkeypatch: pytest.MonkeyPatch, *faults: str, module: str = "tiny_target"
) -> Iterator[None]:
    """Run the independent target in a process; its keys are set in the environment."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.third_party.{module}", *faults],
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
def independent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with _serving(monkeypatch):
        yield


async def _judge(
    target: Target,
    folder: Path,
    level: int,
    only: tuple[str, ...] = (),
    depth: Depth = Depth.QUICK,
) -> RunOutcome:
    journal = folder / "journal.ndjson"
    checks = checks_for(target, level=level, only=only)
    declared = tuple(check.name for check in checks)
    with journal_in(folder, level=level, checks=declared) as writer:
        driver = driver_of(target)
        try:
            outcome = await run_checks(
                target,
                writer=writer,
                ingest=driver,
                seed=7,
                level=level,
                depth=depth,
                only=only,
            )
        finally:
            await driver.close()
    text = journal.read_text()
    assert not [secret for secret in target.secrets if secret in text]
    assert read_journal(journal).records
    return outcome


def _failed(outcome: RunOutcome) -> list[str]:
    return [
        f"{one.verdict}: {one.check}: {one.reason}"
        for one in outcome.results
        if one.verdict not in _SILENT
    ]


def _declaring(folder: Path, *readings: str) -> Target:
    """Return the target with readings declared beside those of its file."""
    file = folder / "tiny.toml"
    text = (_HERE / "tiny.toml").read_text()
    file.write_text(text.replace("[readings]", "\n".join(("[readings]", *readings))))
    return load_target(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "level", "depth"),
    [
        ("tiny.toml", 3, Depth.STANDARD),
        ("tiny.toml", 3, Depth.QUICK),
        ("tiny_command.toml", 2, Depth.QUICK),
    ],
)
async def test_an_independent_implementation_conforms_through_its_target_file_alone(
    independent: None, tmp_path: Path, file: str, level: int, depth: Depth
) -> None:
    """It does everything differently but correctly, so no check may fail."""
    if "command" in file and shutil.which("curl") is None:
        pytest.skip("the shell script needs curl")
    target = load_target(_HERE / file)
    assert level in levels(target)
    outcome = await _judge(target, tmp_path, level, depth=depth)
    assert _failed(outcome) == []
    assert outcome.exit_status is ExitStatus.CONFORMS
    passed = [one for one in outcome.results if one.verdict is Verdict.PASS]
    assert len(passed) >= 0.7 * len(outcome.results)
    again = Counter(one.ask for one in _exchanges(tmp_path) if one.attempt > 1)
    assert sum(again.values()) < 30, f"waited for what was right: {again}"


def _exchanges(folder: Path) -> list[Exchange]:
    records = read_journal(folder / "journal.ndjson").records
    return [one for one in records if isinstance(one, Exchange)]


def _vendor_file(folder: Path, *, shown: bool) -> Path:
    """Write the vendor's target file; `shown`: whether its logs show the ids that were sent."""
    file = folder / "vendor.toml"
    text = (_HERE / "vendor.toml").read_text()
    file.write_text(text if shown else text.replace('log_id = "reference"', "log_id = false"))
    return file


@pytest.mark.slow
@pytest.mark.parametrize("shown", [True, False])
async def test_an_implementation_with_events_of_its_own_conforms_by_its_target_file_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: bool
) -> None:
    """Names, values, parts, times and ids of its own; level 4, no code. Its logs show our ids in a
    field of their own, or nowhere.
    """
    file = _vendor_file(tmp_path, shown=shown)
    with _serving(monkeypatch, *([] if shown else ["hide-references"]), module="vendor_target"):
        outcome = await _judge(load_target(file), tmp_path, 4)
    assert _failed(outcome) == []
    assert outcome.exit_status is ExitStatus.CONFORMS
    passed = [one for one in outcome.results if one.verdict is Verdict.PASS]
    assert len(passed) >= 0.7 * len(outcome.results)


@pytest.mark.slow
@pytest.mark.parametrize("shown", [True, False])
def test_load_in_the_form_of_an_implementation_is_accepted_and_reconciled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: bool
) -> None:
    """The mapping of the target file is compiled into the encoder of load."""
    file = _vendor_file(tmp_path, shown=shown)
    command = ["load", "steady", "--rate", "5", "--duration", "2", "--seed", "7"]
    with _serving(monkeypatch, *([] if shown else ["hide-references"]), module="vendor_target"):
        done = subprocess.run(
            [sys.executable, "-m", "trueup", *command, "--target", str(file)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,000 events accepted" in done.stdout
    assert "Conforms: 4 passed / 4 tested" in done.stdout


@pytest.mark.slow
async def test_a_fault_is_found_where_no_log_shows_the_id_that_was_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = _vendor_file(tmp_path, shown=False)
    with _serving(monkeypatch, "hide-references", "loses_a_log", module="vendor_target"):
        outcome = await _judge(load_target(file), tmp_path, 2, only=("LOG=SENT",))
    assert outcome.exit_status is ExitStatus.VIOLATES


@pytest.mark.slow
async def test_undeclared_readings_are_probed(independent: None, tmp_path: Path) -> None:
    """None of these is in its target file; they differ from those of the embedded reference."""
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
async def test_an_independent_implementation_can_be_audited_without_writing(
    independent: None, tmp_path: Path
) -> None:
    """The account has data; at level 0 checks without data are inconclusive."""
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
async def test_a_fault_of_an_independent_implementation_is_detected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lie: str, law: str
) -> None:
    """Passing without the fault is evidence only if the fault is detected."""
    with _serving(monkeypatch, lie):
        target = _declaring(tmp_path, _SOON)
        outcome = await _judge(target, tmp_path, 3, only=(law,))
    assert outcome.exit_status is ExitStatus.VIOLATES
    assert {one.law for one in outcome.results if one.verdict is Verdict.FAIL} == {law}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "verdict"),
    [
        ("iso-z", Verdict.PASS),
        ("space", Verdict.FAIL),
    ],
)
async def test_a_target_must_keep_to_its_declared_readings(
    independent: None, tmp_path: Path, declared: str, verdict: Verdict
) -> None:
    target = _declaring(tmp_path, _SOON, f'time-form = "{declared}"', 'total-count = "unknown"')
    outcome = await _judge(target, tmp_path, 2, only=("READING", "LOG=SENT"))
    assert {one.law: one.verdict for one in outcome.results}["READING"] is verdict


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False])
async def test_an_open_point_is_accepted_if_it_is_declared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, declared: bool
) -> None:
    """Whether failed and empty requests are summed is open: it passes only if declared."""
    words = ('failed-requests = "not-counted"', 'zero-byte-requests = "not-counted"')
    with _serving(monkeypatch, "counts_no_failures"):
        target = _declaring(tmp_path, _SOON, *(words if declared else ()))
        outcome = await _judge(target, tmp_path, 3)
    if declared:
        assert _failed(outcome) == []
    else:
        assert "SUM=LOG" in {one.law for one in outcome.results if one.verdict is Verdict.FAIL}


@pytest.mark.slow
async def test_midnight_during_the_run_changes_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with _serving(monkeypatch, "stands_before_midnight"):
        outcome = await _judge(load_target(_HERE / "tiny.toml"), tmp_path, 3)
    assert _failed(outcome) == []
