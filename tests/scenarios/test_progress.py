"""What a person sees of a run's progress where there is no terminal."""

from __future__ import annotations

import io

from rich.console import Console

from trueup.scenarios.progress import LineReporter, SilentReporter


def test_a_long_phase_gets_a_line_every_five_seconds() -> None:
    """How far it is and what was counted; not a line for each report."""
    out = io.StringIO()
    now = [0.0]
    reporter = LineReporter(Console(file=out, width=80), clock=lambda: now[0])
    reporter.start("load", 60)
    for second in range(1, 13):
        now[0] = float(second)
        reporter.update(second, f"{second * 1000} events, 2 errors")
    now[0] = 15.0
    reporter.update(15, "more than was planned", total=80)
    reporter.finish("12000 accepted")
    assert out.getvalue().splitlines() == [
        "load …",
        "load: 5 of 60, 5000 events, 2 errors",
        "load: 10 of 60, 10000 events, 2 errors",
        "load: 15 of 80, more than was planned",
        "load: 12000 accepted (15.0 s)",
    ]


def test_quiet_is_silent_but_for_what_a_person_must_know() -> None:
    """Without the command, no worker could be started for a master."""
    out = io.StringIO()
    reporter = SilentReporter(Console(file=out, width=80))
    reporter.start("load", 60)
    reporter.info("step 1")
    reporter.notice("waiting for [2] workers")
    assert out.getvalue() == "waiting for [2] workers\n"
