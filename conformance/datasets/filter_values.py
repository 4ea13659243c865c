"""Values of filters, from a class of values and the events that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.event_times import day_start
from trueup.conformance.datasets.filter_fields import FilterField
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import UNKNOWN_ID
from trueup.conformance.rows import format_time, parse_time
from trueup.reports.results import Json

__all__ = ["value_of"]

ABSENT_NUMBER: Final = 2**62
FAR: Final = timedelta(days=3650)
_OWN_VALUES: Final[Mapping[str, str]] = {
    "proxy_user_access_type": "all",
    "proxy_user_ip_address_authentication_limit": "3",
    "service_id": "API-1234-5678",
    "residential_ledger_reason": "usage",
    "mobile_ledger_reason": "usage",
}
"""Values of fields that no event has."""


def value_of(
    context: CheckContext,
    field: FilterField,
    operator: str,
    value: str,
    anchor: Event,
    events: Sequence[Event],
    others: Sequence[Event],
) -> str:
    """Return the value of a filter, as text.

    `anchor`: the event whose value is taken; `events`: those of its proxy user; `others`: those
    of the user of the same name in the other customer.
    """
    fixed = _fixed(context, field, value)
    if fixed is not None:
        return fixed
    present = anchor.get(field.sent) if field.sent else None
    text = _own_value(context, field) if present in (None, "") else str(present)
    match value:
        case "boundary" if field.kind == "int":
            return _edge(_values(events, field), operator)
        case "boundary":
            at = parse_time(text) or context.now
            return _time(field, day_start(at))
        case "other-customer":
            own = _values(events, field)
            foreign = [each for each in _values(others, field) if each not in own]
            return str((foreign or [text])[0])
        case "other-case":
            return text.swapcase()
        case "substring":
            return text[1:-1] or text
        case "percent":
            return f"{text[: max(1, len(text) - 2)]}%"
        case "percent-first":
            return f"%{text[min(2, len(text) - 1) :]}"
        case "percent-inside":
            return f"{text[:2]}%{text[-2:]}"
        case "underscore":
            return f"{text[:1]}_{text[2:]}" if len(text) > 1 else "_"
        case _ if field.kind in ("time", "day"):
            return _time(field, parse_time(text) or context.now)
        case _:
            return text


def _fixed(context: CheckContext, field: FilterField, value: str) -> str | None:
    """The value of a class that no event decides; None for the others."""
    match value:
        case "true":
            return "true"
        case "zero":
            return "false" if field.kind == "bool" else "0"
        case "empty":
            return ""
        case "absent" if field.kind == "id":
            return UNKNOWN_ID
        case "absent" if field.kind == "int":
            return str(ABSENT_NUMBER)
        case "absent" if field.kind in ("time", "day"):
            return _time(field, context.now + FAR)
        case "absent":
            return f"absent-{context.prefix}"
        case _:
            return None


def _values(events: Sequence[Event], field: FilterField) -> list[Json]:
    """What the field's values are, each once."""
    found = [event.get(field.sent) for event in events] if field.sent else []
    return [value for n, value in enumerate(found) if value not in (None, "", *found[:n])]


def _edge(values: Sequence[Json], operator: str) -> str:
    """The value that only the rows at the edge meet: the largest of `min_`, the smallest of
    `max_`."""
    numbers = sorted(value for value in values if isinstance(value, int)) or [1]
    return str(numbers[0] if operator == "max_" else numbers[-1])


def _time(field: FilterField, at: datetime) -> str:
    text = format_time(at)
    return text[:10] if field.kind == "day" else text


def _own_value(context: CheckContext, field: FilterField) -> str:
    if field.kind in ("time", "day"):
        return format_time(context.now)
    return _OWN_VALUES.get(field.name, "1")
