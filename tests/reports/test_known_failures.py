"""Known failures: only what is new makes a run red, and entries that are not needed are named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import msgspec
import pytest

from tests.command_line import exit_status
from tests.reports.factory import PASSES, RESULTS, changed_load, journal, load_result
from trueup.reports.errors import ConfigurationError
from trueup.reports.journal.storage import read_journal
from trueup.reports.known_failures import EntryState, KnownFile, read_known
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.known import render_known
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result
from trueup.reports.results import ExitStatus

FAILS, BLOCKED = RESULTS[0], RESULTS[1]
ENTRY = '[[known]]\ncheck = "summaries-equal-logs"\nreason = "ABC-1"\nuntil = 2025-04-01\n'


def known(tmp_path: Path, text: str) -> KnownFile:
    path = tmp_path / "known.toml"
    path.write_text(text, encoding="utf-8")
    return read_known(path)


def report_with(tmp_path: Path, text: str, **kind: object) -> RunReport:
    """A run with one failing check, the one that it blocks, and all that pass."""
    made = journal(tmp_path / "r", (FAILS, BLOCKED, *PASSES), exit_status=1, **kind)  # type: ignore[arg-type]
    return build_report(made, known=known(tmp_path, text))


def test_a_run_whose_failures_are_all_known_ends_with_0_and_still_does_not_conform(
    tmp_path: Path,
) -> None:
    """The blocked check is excused with the one that blocks it; no format calls it conforming."""
    report = report_with(tmp_path, ENTRY)
    assert (report.status, report.news) == (ExitStatus.VIOLATES, ExitStatus.CONFORMS)
    assert report.exit_status == 0
    assert report.known is not None
    assert set(report.known.checks) == {"summaries-equal-logs", "ledger-equals-summaries"}
    assert report.style.headline == "Nothing new"
    for text in (render_html(report), render_markdown(report)):
        assert "Nothing new" in text
        assert "known until 2025-04-01: ABC-1" in text.replace("\\", "")
    document = json.loads(render_result(report))
    assert (document["status"], document["news"]) == ("does not conform", "conforms")
    assert document["checks"][0]["known"] == "ABC-1"


def test_known_failures_are_skipped_by_build_servers(tmp_path: Path) -> None:
    """JUnit and CTRF skip them with the reason, annotations are notices."""
    report = report_with(tmp_path, ENTRY)
    suite = Xml.fromstring(render_junit(report))[0]
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "0")
    skip = suite.find("testcase[@name='summaries-equal-logs']/skipped")
    assert skip is not None
    assert skip.attrib["message"].startswith("known until 2025-04-01: ABC-1 (fail: ")
    tests = {test["name"]: test for test in json.loads(render_ctrf(report))["results"]["tests"]}
    assert tests["summaries-equal-logs"]["status"] == "skipped"
    assert tests["summaries-equal-logs"]["rawStatus"] == "fail"
    said = render_annotations(report)
    assert "::error" not in said
    assert "::notice title=summaries-equal-logs (SUM=LOG)::known until" in said


def test_a_new_failure_beside_a_known_one_is_red_and_stands_first(tmp_path: Path) -> None:
    other = msgspec.structs.replace(FAILS, check="zz-new", law="ZZ", counterexample=None)
    made = journal(tmp_path / "r", (FAILS, BLOCKED, other, *PASSES), exit_status=1)
    report = build_report(made, known=known(tmp_path, ENTRY))
    assert report.news is ExitStatus.VIOLATES
    assert [row.result.check for row in report.rows][:2] == ["zz-new", "summaries-equal-logs"]
    assert report.style.headline == "Does not conform"


def test_an_entry_counts_up_to_its_last_day(tmp_path: Path) -> None:
    """The run started on 2025-04-01: an entry until the day before is expired."""
    report = report_with(tmp_path, ENTRY.replace("2025-04-01", "2025-03-31"))
    assert report.news is ExitStatus.VIOLATES
    assert report.known is not None
    assert [entry.state for entry in report.known.entries] == [EntryState.EXPIRED]
    assert "its last day is over" in render_markdown(report)


@pytest.mark.parametrize(
    ("subject", "state"),
    [
        ('check = "sort-both-ways"', EntryState.RESOLVED),
        ('clause = "SORT-1"', EntryState.RESOLVED),
        ('clause = "SUMMARY-2"', EntryState.FAILS),
        ('check = "no-such-check"', EntryState.NOT_RUN),
        ('threshold = "response p99"', EntryState.RESOLVED),
        ('threshold = "correct events per second"', EntryState.FAILS),
    ],
)
def test_each_entry_has_a_state(tmp_path: Path, subject: str, state: EntryState) -> None:
    """By check, by clause and by threshold; what is not needed is named in every summary."""
    text = f'[[known]]\n{subject}\nreason = "ABC-2"\nuntil = 2030-01-01\n'
    report = report_with(tmp_path, text, load=(load_result(missed=True),))
    assert report.known is not None
    assert [entry.state for entry in report.known.entries] == [state]
    assert ("no longer fails" in render_annotations(report)) == (state is EntryState.RESOLVED)


def test_a_known_threshold_and_a_known_reconciliation_leave_a_load_without_news(
    tmp_path: Path,
) -> None:
    """Events are wrong only where a check of the reconciliation fails, which is listed itself."""
    entries = ENTRY + ENTRY.replace("check", "threshold").replace(
        "summaries-equal-logs", "correct events per second"
    )
    load = changed_load(load_result(missed=True), events={"correct": 0})
    report = report_with(tmp_path, entries, load=(load,))
    assert report.news is ExitStatus.CONFORMS
    case = Xml.fromstring(render_junit(report)).find("testsuite[2]/testcase[2]/skipped")
    assert case is not None
    assert build_report(read_journal(report.journal)).news is ExitStatus.VIOLATES


def test_what_is_wrong_in_the_file_is_refused_with_all_its_mistakes(tmp_path: Path) -> None:
    text = (
        '[[known]]\ncheck = "a"\nclause = "b"\nreason = ""\nuntil = "soon"\n'
        '[[known]]\nreason = "x"\nuntl = 2025-01-01\n'
    )
    with pytest.raises(ConfigurationError) as refused:
        known(tmp_path, text)
    message = str(refused.value)
    for said in (
        "known[0] (line 1)",
        "`check` and `clause`",
        "known[0].until (line 5)",
        "known[0].reason (line 4)",
        "known[1] (line 6)",
        "none of them",
        "known[1].untl (line 8)",
        'did you mean "until"?',
    ):
        assert said in message, said
    with pytest.raises(ConfigurationError, match=re.escape("[[known]] tables")):
        known(tmp_path, 'known = "x"')


def test_the_command_takes_the_file_and_refuses_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(report_with(tmp_path, ENTRY).journal.parent)
    file = str(tmp_path / "known.toml")
    assert exit_status("report", run, "--known", file) == 0
    assert "known until 2025-04-01: ABC-1" in capsys.readouterr().out
    assert exit_status("report", run, "--known", "nowhere.toml") == 4
    assert "no such file of known failures" in capsys.readouterr().err
    assert exit_status("check", "--known", "nowhere.toml") == 4


def test_a_file_to_start_from_names_every_failure_and_is_refused_without_reasons(
    tmp_path: Path,
) -> None:
    """Until each entry says why; then every failure of the run is known."""
    made = journal(tmp_path / "r", exit_status=1)
    text = render_known(build_report(made))
    assert text.count("[[known]]") == 3
    assert "until = 2025-05-01" in text
    assert "rate-limit-recovers" not in text
    with pytest.raises(ConfigurationError, match="why the failure is accepted"):
        known(tmp_path, text)
    file = known(tmp_path, text.replace('reason = ""', 'reason = "ABC \\"1\\""'))
    assert build_report(made, known=file).news is ExitStatus.CONFORMS


def test_entries_that_are_there_are_kept_without_those_that_no_longer_fail(tmp_path: Path) -> None:
    """Their reason and last day too; what has an entry by its clause gets no second one."""
    text = (
        '[[known]]\nclause = "SUMMARY-1"\nreason = "ABC-7"\nuntil = 2031-01-01\n'
        '[[known]]\ncheck = "sort-both-ways"\nreason = "old"\nuntil = 2031-01-01\n'
    )
    again = render_known(report_with(tmp_path, text))
    assert again.count("[[known]]") == 1
    assert 'clause = "SUMMARY-1"\nreason = "ABC-7"\nuntil = 2031-01-01' in again
