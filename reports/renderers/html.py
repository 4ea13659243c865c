"""One HTML file that opens from disk without a network, in light, dark and print.

The page has one script, which hides what a filter excludes; its Content-Security-Policy allows that
script alone, by its digest, so that no text of a target can act. Without scripts the page shows
all. Every value is made visible, cut and escaped before it is inserted.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from trueup.reports.formatting import (
    amount,
    between,
    cut,
    duration,
    figure,
    json_text,
    milliseconds,
    moment,
    one_line,
    plural,
    quantity,
    rate,
    visible,
)
from trueup.reports.journal.records import Exchange, TieOutSeen
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.histogram import PERCENTILE_RULE
from trueup.reports.metrics.tieout import COLUMNS, pivot, places
from trueup.reports.metrics.tieout_matrix import network_requests, tieout_matrices
from trueup.reports.model import CheckRow, RunReport
from trueup.reports.renderers.curl import curl_script, request_line
from trueup.reports.renderers.known import known_notes, reason_of
from trueup.reports.renderers.laws import law_groups
from trueup.reports.renderers.load_section import load_section
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.renderers.sensitivity import headline, view_totals
from trueup.reports.results import CheckResult, Json
from trueup.reports.verdict_styles import IMPACTS, VERDICTS

__all__ = ["LIMITS", "PageLimits", "page_environment", "render_html"]

_UNFOLDED: Final = 2
_EVENT_KEYS: Final = (
    "log_request_datetime",
    "proxy_user_id",
    "log_network",
    "log_hostname",
    "log_total_bytes",
    "log_status_code",
    "log_error_code",
    "log_id",
)
_SCRIPT: Final = "templates/filter.js"
"""The only script of the page: it hides what a filter excludes."""
_LEVELS: Final = {
    0: "read",
    1: "drive traffic",
    2: "inject",
    3: "move the clock",
    4: "restart",
}
_GRADES: Final = {
    "A": " (the target's clock was moved)",
    "B": " (events were sent with past times)",
    "C": " (a compressed day)",
    "D": " (a time capsule)",
    "E": " (data that was there already)",
}
"""How time was handled, as `CheckResult.grade` names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """How much evidence of one check the page shows; the journal holds all of it."""

    body_characters: int = 4000
    blind_spots: int = 200
    exchanges: int = 12
    differences: int = 6
    """Shown at once; a details element holds the others."""
    events: int = 20


LIMITS: Final = PageLimits()


def render_html(report: RunReport) -> str:
    """Return the whole page as text."""
    environment = page_environment()
    template = environment.get_template("report.html.j2")
    script = Markup(files("trueup.reports").joinpath(_SCRIPT).read_text(encoding="utf-8"))  # noqa: S704
    matrices = tieout_matrices(report.tie_outs)
    rows = pivot(report.tie_outs)
    networks, by_place = places(rows)
    coverage = coverage_summary(report.coverage)
    findings = [row for row in report.rows if _tone(row) in ("bad", "doubt")]
    excuses = {row.result.check: reason_of(report, row.result.check) for row in findings}
    return template.render(
        report=report,
        header=report.header,
        status=report.style,
        next_step=next_step(report),
        verdicts=VERDICTS,
        excuses=excuses,
        laws=law_groups(report.results),
        check_ids={result.check: f"k{n}" for n, result in enumerate(report.results, start=1)},
        finding_ids={row.result.check: f"f{n}" for n, row in enumerate(findings, start=1)},
        clause_ids={clause: f"c{n}" for n, clause in enumerate(report.clauses, start=1)},
        tested_by=_tested_by(report.results),
        level_words=_LEVELS,
        grade_words=_GRADES,
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        matrices=matrices,
        comparisons=sum(matrix.comparisons for matrix in matrices),
        comparisons_off=sum(matrix.off for matrix in matrices),
        known_notes=list(known_notes(report.known)),
        impacts=IMPACTS,
        limits=LIMITS,
        findings=findings,
        tie_outs=rows,
        networks=networks,
        by_place=by_place,
        columns=[c for c in COLUMNS if any(c in row.cells for row in rows)],
        unsure=any(s.row.slack_requests or s.row.slack_bytes for s in report.tie_outs),
        mixes=_mixes(report.tie_outs),
        loads=[load_section(load) for load in report.figures],
        percentile_rule=PERCENTILE_RULE,
        command=_command(report),
        coverage=coverage,
        sensitivity=report.sensitivity,
        sensitivity_headline=headline(report.sensitivity) if report.sensitivity else "",
        sensitivity_views=view_totals(report.sensitivity) if report.sensitivity else (),
    )


def _tested_by(results: Sequence[CheckResult]) -> dict[str, list[CheckResult]]:
    """Clause → the checks that test it."""
    found: defaultdict[str, list[CheckResult]] = defaultdict(list)
    for result in results:
        for clause in result.clauses:
            found[clause].append(result)
    return found


def page_environment() -> Environment:
    """Return the templates of the pages, with the filters that make untrusted text safe."""
    environment = Environment(
        loader=PackageLoader("trueup.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "amount": amount,
        "body": _body,
        "plain": _plain,
        "cut": cut,
        "duration": duration,
        "figure": figure,
        "line": one_line,
        "moment": moment,
        "ms": milliseconds,
        "rate": rate,
        "prose": _prose,
        "request": request_line,
    }
    environment.globals |= {
        "between": between,
        "curl_script": curl_script,
        "event_columns": _event_columns,
        "plural": plural,
        "pretty": _pretty,
        "quantity": quantity,
    }
    return environment


def _finalize(value: object) -> object:
    """Make every printed text visible; our own markup is left as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _prose(text: str, limit: int) -> Markup:
    """A sentence of trueup or of a check, cut and escaped; text in backticks becomes code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(cut(text, limit)))))  # noqa: S704


def _tone(row: CheckRow) -> str:
    return VERDICTS[row.result.verdict].tone


def _command(report: RunReport) -> str:
    """The command line that repeats the run; the target is named as in the run."""
    header = report.header
    return header.command or f"trueup run {header.scenario} --seed {header.seed}"


def _pretty(value: Json, depth: int = 0) -> str:
    """JSON text with one row a line: two levels are unfolded, deeper ones stay on one line."""
    pad = "  " * (depth + 1)
    match value:
        case dict() if value and depth < _UNFOLDED:
            rows = [f"{pad}{json_text(key)}: {_pretty(v, depth + 1)}" for key, v in value.items()]
            return "\n".join(("{", ",\n".join(rows), "  " * depth + "}"))
        case list() if value and depth < _UNFOLDED:
            rows = [f"{pad}{_pretty(v, depth + 1)}" for v in value]
            return "\n".join(("[", ",\n".join(rows), "  " * depth + "]"))
        case _:
            return json_text(value)


def _plain(value: Json) -> str:
    """A text as it is; any other value as JSON text."""
    return value if isinstance(value, str) else json_text(value)


def _event_columns(events: Sequence[Mapping[str, Json]]) -> list[str]:
    """The keys of events that are shown, where any event has them."""
    return [key for key in _EVENT_KEYS if any(key in event for event in events)]


def _body(exchange: Exchange) -> str:
    """The response's body as text: JSON indented, anything else unchanged, cut with a note."""
    if exchange.body is not None:
        return cut(_pretty(exchange.body), LIMITS.body_characters)
    return cut(exchange.body_text, LIMITS.body_characters)


def _mixes(tie_outs: Sequence[TieOutSeen]) -> list[tuple[str, list[tuple[str, int, float]]]]:
    """Requests by network of each traffic, as expected: (network, requests, share)."""
    return [
        (part, [(name, count, count / sum(counts.values())) for name, count in counts.items()])
        for part, counts in network_requests(tie_outs).items()
    ]
