"""The model: order, folding, evidence, durations and the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.reports import factory
from trueup.reports.journal.records import Delivered, OutcomeRange, Phase, Result
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.model import RunReport, RunStage, build_report
from trueup.reports.renderers.load_summary import refusal_text
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import result_document
from trueup.reports.results import ExitStatus, Outcome, Verdict


def test_failures_come_first_and_dependants_fold_under_their_root(failing: RunReport) -> None:
    """The ledger check rests on the summaries: it stands below them, not beside."""
    assert [row.result.verdict for row in failing.rows[:4]] == [
        Verdict.FAIL,
        Verdict.NOT_TESTABLE,
        Verdict.INCONCLUSIVE,
        Verdict.WARN,
    ]
    assert [r.check for r in failing.rows[0].dependants] == ["ledger-equals-summaries"]
    assert len(failing.results) == len(factory.RESULTS) + len(factory.PASSES)


def test_a_blocked_check_without_its_root_stands_alone(tmp_path: Path) -> None:
    """Nothing is hidden because what it names is absent."""
    blocked = factory.RESULTS[1]
    report = build_report(factory.journal(tmp_path / "r", (blocked, *factory.PASSES)))
    assert report.rows[0].result == blocked


def test_evidence_is_the_exchanges_that_the_counterexample_names(failing: RunReport) -> None:
    """In their order."""
    assert [exchange.n for exchange in failing.rows[0].exchanges] == [2, 3]


def test_the_checks_of_a_phase_share_its_time(failing: RunReport) -> None:
    """Each result of a phase has an even part; together they are as long as the phase."""
    assert len(set(failing.durations.values())) == 1
    assert len(failing.durations) == 20
    assert sum(failing.durations.values()) == pytest.approx(15.5)


def test_results_after_phases_share_the_time_since_the_results_before(tmp_path: Path) -> None:
    """Of several phases in a row, from the first begin to the last end."""
    folder = tmp_path / "r"
    folder.mkdir()
    first, second, third = (Result(result=replace(factory.PASSES[0], check=name)) for name in "abc")

    def phase(name: str, state: str, at: int) -> Phase:
        return Phase(name=name, state=state, at=f"2025-04-01T12:00:{at:02}Z")

    with JournalWriter(folder / "journal.ndjson") as writer:
        header = factory.journal(tmp_path / "other").header
        writer.write(header)
        for record in (
            *(phase("fleet", "begin", 1), first, phase("fleet", "end", 5)),
            *(phase("one", "begin", 10), phase("one", "end", 12)),
            *(phase("two", "begin", 13), phase("two", "end", 20), second, third),
            *(phase("load", "begin", 30), phase("load", "end", 40)),
        ):
            writer.write(record)
    report = build_report(read_journal(folder / "journal.ndjson"))
    assert report.durations == {"a": 4.0, "b": 5.0, "c": 5.0}


def test_sent_events_are_counted_by_source_and_outcome(failing: RunReport) -> None:
    """Ranges are added up, unknown apart."""
    assert [(s.source, s.accepted, s.refused, s.unknown) for s in failing.sent] == [
        ("fleet", 20000, 0, 0),
        ("probe", 20, 0, 1),
    ]


def test_phases_have_durations(failing: RunReport) -> None:
    """From the moments written down."""
    assert failing.stages[1] == RunStage(name="conformance", state="end", duration_s=15.5)
    assert failing.duration_s == 52


def test_a_run_without_a_footer_is_cut_short_not_ours(cut_short: RunReport) -> None:
    """What it never came to is missing, but that is no fault of a check."""
    assert cut_short.interrupted
    assert cut_short.missing == ("never-reached", "nor-this")
    assert cut_short.status is ExitStatus.COULD_NOT_TELL
    assert cut_short.duration_s is None


def test_a_declared_check_that_reported_nothing_is_our_error(tmp_path: Path) -> None:
    """In a run that finished."""
    journal = factory.journal(tmp_path / "r", factory.PASSES, declared=("silent",))
    assert build_report(journal).status is ExitStatus.OUR_ERROR


@pytest.mark.parametrize(
    ("exit_status", "expected"),
    [(2, ExitStatus.COULD_NOT_TELL), (3, ExitStatus.OUR_ERROR), (4, ExitStatus.USAGE)],
)
def test_a_run_that_ended_in_an_error_says_so(
    tmp_path: Path, exit_status: int, expected: ExitStatus
) -> None:
    """The footer outranks passes that came before the error, but never a failure."""
    passed = factory.journal(tmp_path / "p", factory.PASSES, exit_status=exit_status)
    assert build_report(passed).status is expected
    failed = factory.journal(tmp_path / "f", exit_status=exit_status)
    assert build_report(failed).status is ExitStatus.VIOLATES


def test_why_events_were_refused_is_counted_and_shown_where_it_is_many(tmp_path: Path) -> None:
    def report(refused: int) -> RunReport:
        outcomes = (
            OutcomeRange(first=0, count=100 - refused, outcome=Outcome.ACCEPTED),
            OutcomeRange(first=0, count=1, outcome=Outcome.REFUSED, reason="too old"),
            OutcomeRange(first=0, count=refused - 1, outcome=Outcome.REFUSED, reason="unknown: x"),
        )
        more = Delivered(source="load", at="2025-04-01T12:00:04Z", outcomes=outcomes)
        folder = tmp_path / str(refused)
        journal = factory.journal(folder, factory.PASSES)
        return build_report(replace(journal, records=(*journal.records[:-1], more)))

    few, many = report(9), report(40)
    for one, shown in ((few, ""), (many, "39 of the 40 refused: unknown: x")):
        (sent,) = (each for each in one.sent if each.source == "load")
        assert dict(sent.reasons) == {"unknown: x": sent.refused - 1, "too old": 1}
        assert refusal_text(sent) == shown
        assert ("unknown: x" in render_markdown(one)) is bool(shown)
    events = result_document(many)["events"]
    assert isinstance(events, list)
    assert {"reason": "too old", "events": 1} in [
        reason
        for sent in events
        if isinstance(sent, dict)
        for reason in sent["reasons"]  # type: ignore[union-attr]
    ]
