"""One screen: 80 columns, about 40 lines, nothing said by colour alone."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.reports.factory import PASSES, RESULTS, changed_load, journal, load_result
from tests.reports.golden_files import check_golden
from trueup.reports.journal.records import Delivered, Hook, KneeInterval, OutcomeRange, TieOutSeen
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.laws import law_groups
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.terminal import render_terminal
from trueup.reports.results import LoadThreshold, Outcome, TieOut


def screen(report: RunReport, *, encoding: str = "utf-8", width: int = 80) -> str:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render_terminal(report, Console(file=raw, width=width), html="runs/latest/report.html")
    raw.seek(0)
    return raw.read()


def test_the_screen_of_a_failing_run(failing: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-failing.txt", screen(failing))


def test_the_screen_of_a_passing_run(passing: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-passing.txt", screen(passing))


def test_the_screen_of_a_run_that_was_cut_short(cut_short: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-cut-short.txt", screen(cut_short))


def test_a_screen_is_one_screen_however_many_the_laws(tmp_path: Path) -> None:
    """Forty laws and a load run still fit 40 lines of 80 columns; each law is named."""
    laws = [f"LAW={number}" for number in range(40)]
    results = tuple(msgspec.structs.replace(PASSES[0], law=law, check=law) for law in laws)
    load = load_result(missed=True)
    report = build_report(journal(tmp_path / "r", (*RESULTS, *results), load=(load,)))
    lines = screen(report).splitlines()
    assert len(lines) <= 39
    assert max(map(len, lines)) <= 80
    assert all(law in screen(report) for law in laws)


@pytest.mark.parametrize("width", [40, 60, 132])
def test_other_widths_are_kept_too(failing: RunReport, width: int) -> None:
    """Law lines never overflow, so that a narrow terminal does not tear them."""
    assert max(map(len, screen(failing, width=width).splitlines())) <= width


def test_a_plain_terminal_gets_plain_marks(failing: RunReport) -> None:
    """Marks that the encoding lacks have stand-ins; the verdict is still there in words."""
    text = screen(failing, encoding="ascii")
    assert "x  SUM=LOG" in text
    assert "+  14 laws hold: AUTH" in text
    assert "Does not conform" in text
    assert "\x1b" not in text


def test_hostile_text_cannot_drive_the_terminal(failing: RunReport) -> None:
    """Escape sequences of a target arrive as visible text."""
    raw = io.StringIO()
    console = Console(file=raw, width=80, force_terminal=True, color_system="standard")
    render_terminal(failing, console)
    assert "\x1b[31mred" not in raw.getvalue()
    assert "\x00" not in raw.getvalue()


def test_the_screen_says_what_happened_in_a_load(tmp_path: Path) -> None:
    """Leading errors with counts, refused, unknown, reads, faults, the limit: at 80 columns."""
    load = changed_load(
        load_result(),
        requests={
            "errors": {"HTTP 404": 12_345, "time-out: no response in time": 3, "c": 2, "d": 1},
            "reads": 777,
            "unsent": 41,
        },
        events={"refused": 1_234_500},
        latency={"reads_ns": load_result().latency.freshness_ns},
        knee=KneeInterval(low_rps=120.0, high_rps=132.0, why="both ends measured again"),
        timeline={"began_at": "2025-04-01T12:00:22.000Z"},
        plan={"malformed_every": 10},
    )
    pulled = (
        Hook(hook="restart", at="2025-04-01T12:00:26.000Z", stage="load"),
        Hook(hook="restart", at="2025-04-01T12:00:30.000Z", stage="load", ok=False, error="x"),
        Hook(hook="maintenance", at="2025-04-01T12:00:30.000Z", stage="load"),
        Hook(hook="clock", at="2025-04-01T12:00:30.000Z", stage="week"),
    )
    text = screen(build_report(journal(tmp_path / "r", PASSES, load=(load,), extra=pulled)))
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for said in (
        "1,234,500 refused",
        "300 of unknown outcome",
        "777 reads, p50 37.9 ms, p99 75.2 ms",
        "fresh after p50 37.9 ms",
        "12,345 × HTTP 404",
        "3 × time-out: no response in time",
        "1 more kind",
        "2 restarts (1 failed) · 1 × maintenance",
        "about 2,396 malformed lines (in 1 of 10 batches)",
        "limit 120 to 132 requests/s of 100 events",
        "both ends measured again",
        "✓ met: response p99 6.1 ms, limit 25 ms",
        "41 planned requests were never sent",
    ):
        assert said in flat, said
    assert "clock" not in text


def test_a_long_statement_of_a_load_is_wrapped_and_not_cut(tmp_path: Path) -> None:
    why = "the machine was disturbed again and again; repeat the search when it is quiet " * 2
    load = changed_load(load_result(), knee=KneeInterval(low_rps=1.0, high_rps=None, why=why))
    text = screen(build_report(journal(tmp_path / "r", PASSES, load=(load,))))
    assert " ".join(why.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_unknown_and_refused_events_are_on_the_screen_whose_ever_they_are(
    failing: RunReport,
) -> None:
    """Injected ones too; requests of the checks are counted apart from the load's."""
    top = " ".join(screen(failing).split("\n\n")[0].split())
    assert "judge 3 requests · fleet 20,000 events" in top
    assert "injected 21 events (1 unknown)" in top


def test_freshness_probes_are_not_counted_as_events_of_the_load(tmp_path: Path) -> None:
    """They are sent beside it and are not reconciled."""
    outcomes = (OutcomeRange(first=0, count=7, outcome=Outcome.ACCEPTED),)
    at = "2025-04-01T12:00:30Z"
    sent = (
        Delivered(source="load", fleet="load", at=at, outcomes=outcomes),
        Delivered(source="load", stage="freshness", at=at, outcomes=outcomes),
    )
    text = " ".join(screen(build_report(journal(tmp_path / "r", PASSES, extra=sent))).split())
    assert "load 7 events · 7 freshness probes" in text


def test_the_message_that_stopped_a_run_is_shown_in_full(tmp_path: Path) -> None:
    """An error message of several lines, within the width: it may be the only output kept."""
    said = (
        "http://127.0.0.1:9: connection refused\n  tried:  to connect\n  remedy: "
        + "start the target " * 9
    )
    stopped = journal(tmp_path / "r", PASSES, exit_status=2, stopped_by=said)
    text = screen(build_report(stopped))
    assert max(map(len, text.splitlines())) <= 80
    assert " ".join(said.split()) in " ".join(text.split())


@pytest.mark.parametrize(
    "value, noisy, shown",
    [(None, False, "? n: not measured"), (9.0, True, "? n: 9"), (9.0, False, "✗ n: 9")],
)
def test_an_undetermined_threshold_is_not_shown_as_a_failure(
    tmp_path: Path, value: float | None, noisy: bool, shown: str
) -> None:
    """Not measured, or missed on a disturbed machine: a question mark and the reason."""
    rows = (LoadThreshold(name="n", limit=1, value=value, unit="ms", ok=False),)
    load = changed_load(load_result(), thresholds=rows, machine={"noisy": noisy})
    report = build_report(journal(tmp_path / "r", PASSES, load=(load,)))
    assert shown in screen(report)
    assert f"- {shown}" in render_markdown(report)


def test_numbers_of_the_tie_out_are_not_cut_in_a_narrow_terminal(tmp_path: Path) -> None:
    """Ranges of millions over five views: names give way, figures do not."""
    rows = tuple(
        TieOutSeen(
            part="load",
            row=TieOut(
                view=view,
                scope="tenant 1002 of a very long name indeed",
                expected_requests=6_154_000,
                seen_requests=7_792_000 if view != "graph" else 20_000_000,
                slack_requests=7_000_000,
                ok=view != "graph",
            ),
        )
        for view in ("logs", "summaries", "graph")
    )
    text = screen(build_report(journal(tmp_path / "r", PASSES, extra=rows)))
    assert "6,154,000 … 13,154,000" in text
    assert text.count("7,792,000") == 2
    assert "✗ +6,846,000" in text
    assert max(map(len, text.splitlines())) <= 80


def test_bytes_that_are_off_by_many_digits_stand_below_the_table(tmp_path: Path) -> None:
    """A ledger that is off by petabytes does not tear the columns of the counts."""
    rows = [
        TieOut(view=view, scope="tenant 1", expected_requests=258_600, seen_requests=258_600)
        for view in ("logs", "summaries", "graph")
    ]
    rows += [
        TieOut(view="mobile_ledger", scope="tenant 1", expected_bytes=0, seen_bytes=2**60, ok=False)
    ]
    extra = tuple(TieOutSeen(part="load", row=row) for row in rows)
    text = screen(build_report(journal(tmp_path / "r", PASSES, extra=extra)))
    assert "✗ bytes" in text
    assert "load tenant 1, ledgers: +1,152,921,504,606,846,976 B" in text
    assert text.count("258,600") == 5
    assert max(map(len, text.splitlines())) <= 80


def test_a_law_has_its_worst_check_first(failing: RunReport) -> None:
    """Evidence adds up over its checks."""
    group = law_groups(failing.results)[0]
    assert (group.law, group.worst.check, group.evidence) == (
        "SUM=LOG",
        "summaries-equal-logs",
        1204,
    )


def test_every_check_that_needs_attention_is_named_and_no_reason_is_cut(tmp_path: Path) -> None:
    """Several checks of one law; a reason of three lines is shown whole."""
    reason = "The summary of a user is one request short: " + "the event was sent again. " * 6
    results = tuple(
        msgspec.structs.replace(
            RESULTS[0], check=f"{word}-equal-logs", reason=reason, expected="", seen="",
            counterexample=None,
        )
        for word in ("first", "second", "third")
    )  # fmt: skip
    text = screen(build_report(journal(tmp_path / "r", (*results, *PASSES))))
    assert "first-equal-logs, second-equal-logs, third-equal-logs" in text
    assert " ".join(reason.split()) in " ".join(text.split())
    assert "…" not in text


def test_a_reason_that_is_far_too_long_ends_with_where_the_rest_is(tmp_path: Path) -> None:
    result = msgspec.structs.replace(
        RESULTS[0], reason="word " * 500, expected="", seen="", counterexample=None
    )
    text = screen(build_report(journal(tmp_path / "r", (result, *PASSES))))
    assert "(the rest is in the report)" in text
    assert text.count("word") < 80


def test_observations_beyond_ten_thousand_stay_aligned(tmp_path: Path) -> None:
    """The figures of a column end at the same place."""
    results = tuple(
        msgspec.structs.replace(result, evidence=10 ** (number % 9))
        for number, result in enumerate(PASSES)
    )
    lines = screen(build_report(journal(tmp_path / "r", results))).splitlines()
    heading = next(line for line in lines if line.rstrip().endswith("OBSERVATIONS"))
    rows = [line for line in lines if line.startswith("✓  ") and "Conforms" not in line]
    assert {len(line.rstrip()) for line in rows} == {len(heading.rstrip())}
    many = tuple(msgspec.structs.replace(one, law=f"L{n}") for n, one in enumerate(results * 4))
    columns = screen(build_report(journal(tmp_path / "m", many))).splitlines()
    marks = {
        tuple(found.start() for found in re.finditer("✓", line))
        for line in columns
        if line.startswith("✓") and line.count("✓") > 2
    }
    assert len(marks) == 1


def test_a_run_in_which_almost_everything_is_off_still_fits(tmp_path: Path) -> None:
    """Thirty failing laws: each check is named; details of the tie-out give way."""
    results = tuple(
        msgspec.structs.replace(RESULTS[0], law=f"LAW-{n}", check=f"check-number-{n}")
        for n in range(30)
    )
    off = tuple(
        TieOutSeen(
            part="proxied",
            row=TieOut(
                view=view,
                scope=f"{network} · tenant {n}",
                expected_requests=5,
                seen_requests=4,
                ok=False,
            ),
        )
        for view in ("client", "logs", "graph")
        for network in ("isp", "mobile")
        for n in range(3)
    )
    load = (load_result(missed=True),)
    text = screen(build_report(journal(tmp_path / "r", (*results, *PASSES), load=load, extra=off)))
    assert len(text.splitlines()) <= 39
    assert all(f"check-number-{n}" in text for n in range(30))
    assert "proxied" in text


def test_a_tie_out_is_one_row_for_each_traffic_and_details_only_where_it_is_off(
    failing: RunReport, passing: RunReport
) -> None:
    assert ["fleet", "20,000", "✓", "✓", "✓", "✓"] in [
        line.split() for line in screen(passing).splitlines()
    ]
    assert "OFF" not in screen(passing)
    lines = [line.split() for line in screen(failing).splitlines()]
    assert ["fleet", "20,000", "✓", "✗", "✓", "✓"] in lines
    assert ["fleet", "residential", "8,012", "8,012", "✗", "−1", "8,012", "8,012"] in lines


def test_requests_through_proxies_have_a_table_of_places_on_the_screen_and_the_page(
    tmp_path: Path,
) -> None:
    """A column a network, a row a place; what is off is marked, also in plain text."""
    views = ("client", "proxy", "origin", "logs", "summaries", "graph", "account")
    seen = tuple(
        TieOutSeen(
            part="proxied",
            row=TieOut(
                view=view,
                scope=f"{network} · tenant 1",
                expected_bytes=1_234_567,
                seen_bytes=1_234_567 - (view == "account" and network == "mobile"),
                ok=(view, network) != ("account", "mobile"),
            ),
        )
        for network in ("residential", "mobile")
        for view in views
    )
    report = build_report(journal(tmp_path / "r", PASSES, extra=seen))
    shown = screen(report)
    lines = [line.split() for line in shown.splitlines()]
    assert ["PROXIED", "residential", "mobile"] in lines
    assert ["client", "1,234,567", "B", "1,234,567", "B"] in lines
    assert ["account", "1,234,567", "B", "✗", "−1", "B"] in lines
    assert ["fleet", "20,000"] in [line[:2] for line in lines]
    section = render_html(report).partition("through proxies, in bytes")[2].partition("</table>")[0]
    assert section.count("1,234,567 B") == 13
