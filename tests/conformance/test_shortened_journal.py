"""Checks that had to be evaluated are recomputed: a journal cannot be shortened."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from tests.conformance.embedded import judged, started, target_of
from tests.journal_header import header
from trueup.conformance.judge import disagreements, judge_journal, required_checks
from trueup.conformance.reconciliation.evaluate import traffic_checks
from trueup.conformance.selection import checks_at
from trueup.reports.journal.records import (
    Delivered,
    Footer,
    Hook,
    JudgePlan,
    Phase,
    Record,
    Result,
)
from trueup.reports.journal.storage import Journal, JournalWriter, read_journal
from trueup.reports.model import build_report
from trueup.reports.renderers.badge import render_badge
from trueup.reports.results import CheckResult, ExitStatus, Verdict

_LEVEL_3 = JudgePlan(
    prefix="cx", now="2025-04-01 12:00:00", level=3, hooks=("ingest", "clock", "money")
)
_READ = Phase(name="judge inject", state="begin", at="")


def sealed(path: Path, records: Iterable[Record]) -> Journal:
    """Write records as a journal with a valid footer, as a forger could, and read it back."""
    with JournalWriter(path) as writer:
        for record in records:
            writer.write(record)
        writer.finish(finished_at="2025-04-01T12:00:52Z", exit_status=0)
    return read_journal(path)


async def test_a_check_deleted_from_header_and_results_is_named(tmp_path: Path) -> None:
    """`judge` names it with its verdict; the report does not conform and its badge is not green."""
    with started() as serving:
        target = target_of(serving, tmp_path)
        await judged(target, serving["ingest_url"], tmp_path / "journal.ndjson", level=0)
    journal = read_journal(tmp_path / "journal.ndjson")
    assert list(required_checks(journal)) == list(journal.header.checks)
    assert disagreements(journal, judge_journal(journal)) == []
    gone = journal.header.checks[0]
    kept = [
        record
        for record in journal.records
        if not (
            isinstance(record, Footer)
            or (isinstance(record, Result) and record.result.check == gone)
        )
    ]
    kept[0] = msgspec.structs.replace(journal.header, checks=journal.header.checks[1:])
    shortened = sealed(tmp_path / "shortened.ndjson", kept)
    (sentence,) = disagreements(shortened, judge_journal(shortened))
    assert sentence.startswith(f"{gone}: had to be evaluated at level 0, but the journal")
    report = build_report(shortened, required=required_checks(shortened))
    assert (report.undeclared, report.missing) == ((gone,), (gone,))
    assert report.status is ExitStatus.COULD_NOT_TELL
    assert json.loads(render_badge(report))["color"] != "brightgreen"


@pytest.mark.parametrize(
    ("level", "records", "reached"),
    [
        (3, (_LEVEL_3, _READ), {0, 2, 3}),
        (2, (_LEVEL_3, _READ), {0, 2}),
        (4, (_LEVEL_3, _READ), {0, 2, 3}),
        (2, (_LEVEL_3, _READ, Hook(hook="clock", at="", stage="inject")), {0, 2, 3}),
        (0, (JudgePlan(prefix="cx", now="", level=0), _READ), {0}),
    ],
)
def test_the_levels_follow_from_the_header_the_hooks_and_what_was_called(
    level: int, records: tuple[Record, ...], reached: set[int], tmp_path: Path
) -> None:
    """A lower level in the header does not excuse from checks whose hooks were called."""
    journal = sealed(tmp_path / "j", (header(level=level), *records))
    assert required_checks(journal) == tuple(check.name for check in checks_at(reached))


def test_a_limited_run_has_to_evaluate_what_it_was_limited_to(tmp_path: Path) -> None:
    """Names and laws alike; its badge says that checks were selected and is not green."""
    journal = sealed(tmp_path / "j", (header(level=3, only=("AUTH",)), _LEVEL_3, _READ))
    names = required_checks(journal)
    assert names == tuple(c.name for c in checks_at({0, 2, 3}, only=("AUTH",)))
    assert len(names) < len(checks_at({0, 2, 3}))


def test_delivered_traffic_and_stateful_tests_have_their_checks(tmp_path: Path) -> None:
    """Whatever was sent to the target has to be reconciled, whatever the header declares."""
    sent = tuple(
        Delivered(source=part, fleet=part, outcomes=(), at="") for part in ("load", "fleet")
    )
    journal = sealed(tmp_path / "j", (header(level=3), *sent, Hook(hook="stateful", at="")))
    assert required_checks(journal) == (
        *traffic_checks("fleet"),
        "stateful-sequences",
        *traffic_checks("load"),
    )


def test_a_run_that_never_read_has_no_checks_to_evaluate(tmp_path: Path) -> None:
    """Without any response nothing is evaluated, and nothing is missing."""
    assert required_checks(sealed(tmp_path / "j", (header(level=3), _LEVEL_3))) == ()


def test_a_result_that_nothing_calls_for_is_named(tmp_path: Path) -> None:
    """Results cannot be added to make a run look larger than it was."""
    result = CheckResult(
        check="made-up", law="LAW", title="", verdict=Verdict.PASS, reason="", evidence=1
    )
    with_result = sealed(tmp_path / "j", (header(level=3), Result(result=result)))
    (sentence,) = disagreements(with_result, [])
    assert sentence.startswith("made-up: has a result in the journal")
