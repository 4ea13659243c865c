"""A badge: the JSON of a shields.io endpoint badge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from trueup.reports.model import RunReport
from trueup.reports.results import ExitStatus

__all__ = ["render_badge"]

_COLOUR: Final[Mapping[ExitStatus, str]] = {
    ExitStatus.CONFORMS: "brightgreen",
    ExitStatus.VIOLATES: "red",
    ExitStatus.COULD_NOT_TELL: "yellow",
    ExitStatus.OUR_ERROR: "lightgrey",
    ExitStatus.USAGE: "lightgrey",
}


def render_badge(report: RunReport) -> str:
    """Return the JSON of an endpoint badge, schema version 1.

    The message has the status, the counts and the level: `conforms · 18 of 18 · level 3`. A run
    that was limited to some checks says so and is never green.
    """
    counts, header = report.counts, report.header
    selected = " · selected checks" if header.only else ""
    colour = _COLOUR[report.status]
    badge = {
        "schemaVersion": 1,
        "label": "usage tracking",
        "message": f"{report.status} · {counts.passed} of {counts.testable} · level {header.level}"
        f"{selected}",
        "color": "yellow" if selected and report.status is ExitStatus.CONFORMS else colour,
        "isError": report.status is not ExitStatus.CONFORMS,
    }
    return json.dumps(badge, ensure_ascii=False) + "\n"
