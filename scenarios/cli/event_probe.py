"""What `trueup target check --probe` prints of the event that it sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from trueup.conformance.rows import get_path, parse_time
from trueup.reports.results import Json, Outcome
from trueup.scenarios.run.event_probe import EventProbe, ProbeView

__all__ = ["is_right", "probe_json", "probe_lines"]

_GRAPH: Final = "analytics/graph"
_MOST: Final = 1_500
"""Characters of a body that are shown."""


def is_right(probe: EventProbe) -> bool:
    """Return whether the event was taken and every view shows it with the values expected there.

    A field that a view leaves out is shown as such, and is no difference.
    """
    taken = probe.outcome.outcome is not Outcome.REFUSED
    return taken and all(
        view.shown is not None and not any(_differences(view)) for view in probe.views
    )


def probe_lines(probe: EventProbe) -> Iterator[str]:
    """Yield the event as sent, the response, and what each view shows of it, field by field."""
    yield "One event as sent:"
    yield f"  {_cut(probe.sent)}"
    if probe.response:
        yield "Response:"
        yield f"  {_cut(probe.response)}"
    taken = probe.outcome.outcome is not Outcome.REFUSED
    reason = f" ({probe.outcome.reason})" if probe.outcome.reason else ""
    yield f"Outcome: {probe.outcome.outcome}{reason}"
    for view in probe.views:
        yield ""
        if view.shown is None:
            said = view.error or f"status {view.status}"
            yield f"{view.name}: the event does not appear ({said})"
            if view.body:
                yield f"  {_cut(view.body)}"
            if taken and view.name == _GRAPH and view.status == 200:
                yield "  remedy: say in [graph] where a response has its points"
            continue
        yield f"{view.name}: the event appears"
        for name, value in view.shown.items():
            yield f"  {name:<34}{_text(value):<38}{_mark(view, name, value)}".rstrip()
        for name, value in view.expected.items():
            missing = name not in view.shown and _value(view, name) is None
            if missing and value is not None:
                yield f"  {name:<34}{'(not shown)':<38}expected {_text(value)}"
        if field := _field_of_id(view):
            yield f'  remedy: `{field}` has the id that was sent: log_id = "{field}" in [rows]'


def _field_of_id(view: ProbeView) -> str:
    """Return the field of a log that has the id which was sent, where `log_id` has another."""
    sent = view.expected.get("log_id")
    shown = view.shown or {}
    if sent is None or shown.get("log_id") in (None, sent):
        return ""
    return next((name for name, value in shown.items() if value == sent), "")


def probe_json(probe: EventProbe) -> dict[str, Json]:
    """Return the probe as one JSON object."""
    return {
        "sent": probe.sent,
        "response": probe.response,
        "outcome": str(probe.outcome.outcome),
        "reason": probe.outcome.reason,
        "right": is_right(probe),
        "views": {
            view.name: {
                "status": view.status,
                "shown": None if view.shown is None else dict(view.shown),
                "differences": list(_differences(view)),
            }
            for view in probe.views
        },
    }


def _mark(view: ProbeView, name: str, value: Json) -> str:
    if name not in view.expected:
        return ""
    expected = view.expected[name]
    return "right" if _same(expected, value) else f"expected {_text(expected)}"


def _differences(view: ProbeView) -> Iterator[str]:
    """Yield the fields that a view shows with another value than the expected one."""
    for name, expected in view.expected.items():
        value = _value(view, name)
        if value is not None and not _same(expected, value):
            yield name


def _value(view: ProbeView, name: str) -> Json:
    """Return what a view shows for a field, by its name or its dotted path; None for nothing."""
    shown = dict(view.shown or {})
    return shown[name] if name in shown else get_path(shown, name)


def _same(sent: Json, shown: Json) -> bool:
    if sent == shown:
        return True
    if isinstance(sent, str) and isinstance(shown, str):
        times = parse_time(sent), parse_time(shown)
        return times[0] is not None and times[0] == times[1]
    return False


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"
