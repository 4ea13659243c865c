"""Two targets side by side, for a terminal of 80 columns and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from trueup.reports.comparison.target_differences import TargetDifferences, TimesPair, forms_of
from trueup.reports.formatting import figure, one_line, plural, visible
from trueup.reports.model import RunReport
from trueup.reports.results import EXIT_STATUS, ExitStatus, Json, Reading, Verdict
from trueup.reports.verdict_styles import STATUSES, VERDICTS

__all__ = ["differences_document", "differences_text"]

WIDTH: Final = 80
_NAME: Final = 36
_SIDE: Final = 20
_INDENT: Final = "  "
_LISTED_MOST: Final = 40
"""Rows of one part that the terminal shows; --json has all."""


def differences_text(found: TargetDifferences) -> str:
    """Return the comparison as text for a terminal of 80 columns, with a final line feed."""
    return visible("\n".join(_lines(found)) + "\n")


def _lines(found: TargetDifferences) -> Iterator[str]:
    for letter, report in (("A", found.one), ("B", found.two)):
        yield _line(f"{report.header.target}  {report.header.base_url}", f"{letter}  ")
        yield _line(f"{STATUSES[report.status].headline}: {report.counts}", "   ")
    header = found.one.header
    names = "the same names" if found.same_names else "names of its own for each"
    yield f"   the same history: seed {header.seed}, level {header.level}, {names}"
    yield from _part("VERDICTS", _verdict_rows(found), _equal_verdicts(found))
    differing = found.differing_readings
    same = sum(
        each.one is not None and each.two is not None and not each.differs
        for each in found.readings
    )
    yield from _part(
        "READINGS",
        [_row(each.name, _reading(each.one), _reading(each.two)) for each in differing],
        f"{plural(same, 'reading')} the same",
    )
    rows = [_row(name, "claimed", "–") for name in found.claims[0]]
    rows += [_row(name, "–", "claimed") for name in found.claims[1]]
    if rows:
        yield from _part("CLAIMS", rows, "")
    yield from _part("FIELDS", _field_rows(found), f"{found.equal_fields} fields the same")
    yield from _part(
        "STATUSES",
        [
            row
            for each in found.statuses
            for row in (
                _row(f"{each.view} × {each.requests}", _status(each.one), _status(each.two)),
                _line(each.example, "    "),
            )
        ],
        f"{plural(found.equal_requests, 'equal request')} with equal statuses",
    )
    yield ""
    yield _heading("SPEED: median / 95th percentile, ms")
    for each in found.speed:
        yield _row(each.what, _times(each.one), _times(each.two))
    yield ""
    yield from textwrap.wrap(conclusion(found), WIDTH)


def _part(title: str, rows: Iterable[str], rest: str) -> Iterator[str]:
    listed = list(rows)
    yield ""
    yield _heading(title) if listed else title
    yield from listed[:_LISTED_MOST]
    if len(listed) > _LISTED_MOST:
        yield f"  and {len(listed) - _LISTED_MOST} more lines: --json has all"
    if rest:
        yield f"  {rest}"


def _heading(title: str) -> str:
    return f"{title:<{_NAME + len(_INDENT)}} {'A':<{_SIDE}} B"


def _row(name: str, one: str, two: str, indent: str = "") -> str:
    """A name and what both sides show of it, in three columns."""
    room = _NAME - len(indent)
    cells = f"{_INDENT}{indent}{one_line(name, room):<{room}} {one_line(one, _SIDE):<{_SIDE}}"
    return f"{cells} {one_line(two, _SIDE - 2)}".rstrip()


def _line(text: str, indent: str) -> str:
    return f"{indent}{one_line(text, WIDTH - len(indent))}"


def _verdict_rows(found: TargetDifferences) -> list[str]:
    return [
        line
        for each in found.verdicts
        for line in (
            _row(each.check, _word(each.one), _word(each.two)),
            *(
                _line(f"{letter}: {reason}", "    ")
                for letter, reason, verdict in zip(
                    "AB", each.reasons, (each.one, each.two), strict=True
                )
                if reason and verdict is not Verdict.PASS
            ),
        )
    ]


def _word(verdict: Verdict | None) -> str:
    return "–" if verdict is None else VERDICTS[verdict].word


def _equal_verdicts(found: TargetDifferences) -> str:
    words = [f"{count} × {VERDICTS[each].word}" for each, count in found.equal_verdicts.items()]
    return f"the same at both: {', '.join(words) or 'none'}"


def _reading(reading: Reading | None) -> str:
    return "–" if reading is None else f"{reading.value} ({reading.how})"


def _field_rows(found: TargetDifferences) -> Iterator[str]:
    for letter, views in zip("AB", found.views, strict=True):
        for view in views:
            yield _line(f"{view}: only {letter} shows it", _INDENT)
    view = ""
    for each in found.fields:
        if each.view != view:
            view = each.view
            yield _line(view, _INDENT)
        yield _row(each.field, forms_of(each.one), forms_of(each.two), _INDENT)


def _status(status: int | None) -> str:
    return "no response" if status is None else str(status)


def _times(times: tuple[int, float | None, float | None]) -> str:
    count, median, high = times
    if median is None or high is None:
        return "–"
    return f"{figure(median)} / {figure(high)} ({count})"


def conclusion(found: TargetDifferences) -> str:
    """Return in a sentence what differs."""
    parts = [
        (len(found.verdicts), "verdict", "verdicts"),
        (len(found.differing_readings), "reading", "readings"),
        (sum(map(len, found.claims)), "claim", "claims"),
        (len(found.fields), "field", "fields"),
        (sum(map(len, found.views)), "view", "views"),
        (sum(each.requests for each in found.statuses), "status", "statuses"),
    ]
    named = [plural(count, one, many) for count, one, many in parts if count]
    both = found.one.status is found.two.status is ExitStatus.CONFORMS
    begin = "Both conform" if both else f"A: {found.one.status}, B: {found.two.status}"
    if not named:
        return f"{begin}. No difference was found."
    return f"{begin}. They differ in {', '.join(named)}."


def differences_document(found: TargetDifferences) -> dict[str, Json]:
    """Return the comparison as plain JSON values; `a` and `b` are the two targets."""
    header = found.one.header
    return {
        "seed": header.seed,
        "level": header.level,
        "same_names": found.same_names,
        "a": _run(found.one),
        "b": _run(found.two),
        "exit_status": EXIT_STATUS[found.status],
        "verdicts": [
            {
                "check": each.check,
                "a": str(each.one) if each.one else None,
                "b": str(each.two) if each.two else None,
                "a_reason": each.reasons[0],
                "b_reason": each.reasons[1],
            }
            for each in found.verdicts
        ],
        "equal_verdicts": {str(each): count for each, count in found.equal_verdicts.items()},
        "readings": [
            {
                "name": each.name,
                "a": msgspec.to_builtins(each.one),
                "b": msgspec.to_builtins(each.two),
                "differs": each.differs,
            }
            for each in found.readings
        ],
        "claims": {"only_a": list(found.claims[0]), "only_b": list(found.claims[1])},
        "views": {"only_a": list(found.views[0]), "only_b": list(found.views[1])},
        "fields": [
            {
                "view": each.view,
                "field": each.field,
                "a": list(each.one) or ["absent"],
                "b": list(each.two) or ["absent"],
            }
            for each in found.fields
        ],
        "equal_fields": found.equal_fields,
        "statuses": [
            {
                "view": each.view,
                "a": each.one,
                "b": each.two,
                "requests": each.requests,
                "example": each.example,
            }
            for each in found.statuses
        ],
        "equal_requests": found.equal_requests,
        "speed": [_latency(each) for each in found.speed],
        "conclusion": conclusion(found),
    }


def _run(report: RunReport) -> dict[str, Json]:
    return {
        "target": report.header.target,
        "base_url": report.header.base_url,
        "run": report.header.run,
        "status": str(report.status),
        "exit_status": report.exit_status,
    }


def _latency(latency: TimesPair) -> dict[str, Json]:
    sides: dict[str, Json] = {
        letter: {"count": count, "p50_ms": median, "p95_ms": high}
        for letter, (count, median, high) in (("a", latency.one), ("b", latency.two))
    }
    return {"what": latency.what, **sides}
