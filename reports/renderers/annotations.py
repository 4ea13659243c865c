"""Annotations of a GitHub job: workflow commands that a runner reads from the standard output.

A runner shows the first ten errors, warnings and notices of a step each; the most severe come
first, and what there is no place for is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trueup.reports.formatting import amount, one_line, plural, visible
from trueup.reports.model import RunReport
from trueup.reports.renderers.known import known_notes, reason_of
from trueup.reports.renderers.load_summary import threshold_text
from trueup.reports.results import CheckResult
from trueup.reports.verdict_styles import VERDICTS
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["render_annotations"]

_MOST: Final = 10
"""Annotations of one kind that a runner shows."""
_MESSAGE: Final = 1000
_Said = tuple[str, str, str]
"""Kind of the annotation, title, message."""


def render_annotations(report: RunReport) -> str:
    """Return one workflow command a line: errors, warnings, notices."""
    said = [*_of_checks(report), *_of_loads(report)]
    said += [("notice", "trueup: known failures", note) for note in known_notes(report.known)]
    lines = [_command("notice", "trueup", f"{report.style.headline}: {report.counts}")]
    for kind in ("error", "warning", "notice"):
        found = [one for one in said if one[0] == kind]
        # The end of the run is one of the notices.
        most = _MOST - (kind == "notice")
        shown = found if len(found) <= most else found[: most - 1]
        lines += [_command(*one) for one in shown]
        if len(found) > len(shown):
            more = f"and {amount(len(found) - len(shown))} more: see report.html"
            lines.append(_command(kind, "trueup", more))
    return "\n".join(lines) + "\n"


def _of_checks(report: RunReport) -> Iterator[_Said]:
    for row in report.rows:
        result = row.result
        tone = VERDICTS[result.verdict].tone
        if tone not in ("bad", "doubt"):
            continue
        excuse = reason_of(report, result.check)
        kind = "notice" if excuse else "error" if tone == "bad" else "warning"
        blocks = [f"blocks {plural(len(row.dependants), 'check')}"] if row.dependants else []
        yield kind, f"{result.check} ({result.law})", "\n".join([*_why(result, excuse), *blocks])
    for name in report.missing:
        yield "error", name, "declared for this run, but it has no result"


def _why(result: CheckResult, excuse: str) -> Sequence[str]:
    lines = [f"{VERDICTS[result.verdict].word}: {result.title}", result.reason]
    if excuse:
        lines.insert(0, excuse)
    if result.expected or result.seen:
        lines += [f"expected: {result.expected}", f"seen: {result.seen}"]
    return lines


def _of_loads(report: RunReport) -> Iterator[_Said]:
    known = report.known.thresholds if report.known is not None else {}
    for load in report.load:
        for one in load.thresholds:
            outcome = threshold_outcome(one, load)
            if outcome is ThresholdOutcome.MET:
                continue
            kind = "error" if outcome is ThresholdOutcome.MISSED else "warning"
            if one.name in known:
                kind = "notice"
            yield kind, f"load {load.plan.scenario}: threshold {outcome}", threshold_text(one, load)


def _command(kind: str, title: str, message: str) -> str:
    """A workflow command; its values are escaped as the runner unescapes them."""
    lines = "\n".join(one_line(line, _MESSAGE) for line in visible(message).splitlines())
    named = _escaped(one_line(title, 200)).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={named}::{_escaped(lines)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
