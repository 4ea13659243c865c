"""A badge: the JSON that a shields.io endpoint badge is drawn from."""

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
    """Endpoint badge JSON, schema version 1: `conforms · 18 of 18`."""
    tally = report.tally
    badge = {
        "schemaVersion": 1,
        "label": "usage tracking",
        "message": f"{report.status} · {tally.passed} of {tally.testable}",
        "color": _COLOUR[report.status],
        "isError": report.status is not ExitStatus.CONFORMS,
    }
    return json.dumps(badge, ensure_ascii=False) + "\n"
