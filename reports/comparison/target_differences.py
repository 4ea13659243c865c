"""Two targets side by side: what two runs of the same checks show of them.

Compared are verdicts, readings, claims, the fields of their responses, statuses of equal requests,
and speed. Pure: everything follows from the journals of both runs. Values of fields are not
compared, because each run has its own times; forms are: `time`, `integer`, `null`, …
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.reports.journal.records import Delivered, Exchange, JudgePlan, ReadingSeen, Record
from trueup.reports.model import RunReport
from trueup.reports.results import ExitStatus, Json, Outcome, Reading, Verdict

__all__ = [
    "FieldDifference",
    "ReadingPair",
    "StatusDifference",
    "TargetDifferences",
    "TimesPair",
    "VerdictPair",
    "compare_targets",
    "form_of",
    "forms_of",
]

ABSENT: Final = "absent"
LATENESS: Final = "until listed"
_FORMS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "date"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?"), "time with a space"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?"), "time with T"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "time with T and Z"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:?\d\d"), "time with an offset"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"), "UUID in upper case"),
    (re.compile(r"-?\d+"), "digits as text"),
)
_OF_AN_ID: Final = ("retrieve", "edit", "delete")
"""Words of a path before the id of an object."""
_ORDER: Final = (
    ExitStatus.VIOLATES,
    ExitStatus.OUR_ERROR,
    ExitStatus.USAGE,
    ExitStatus.COULD_NOT_TELL,
    ExitStatus.CONFORMS,
)
"""The first of these statuses that either run has is that of both."""
_DEPTH_MOST: Final = 8
"""Levels of nesting of a response that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictPair:
    """A check whose verdicts differ. None: the run did not have to evaluate it."""

    check: str
    one: Verdict | None
    two: Verdict | None
    reasons: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPair:
    """How both targets read one open point. None: it did not show."""

    name: str
    one: Reading | None
    two: Reading | None

    @property
    def differs(self) -> bool:
        """Whether both are known and are not the same."""
        return self.one is not None and self.two is not None and self.one.value != self.two.value


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """A field of responses of one kind that is there, or has forms, at one target only."""

    view: str
    """`log/search`."""
    field: str
    """Dotted path; `[]` stands for the rows of a list."""
    one: tuple[str, ...]
    two: tuple[str, ...]
    """Forms; `absent` where some object lacks it. A form that only one target shows is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDifference:
    """Equal requests to which the targets responded with different statuses."""

    view: str
    one: int | None
    two: int | None
    """None: no response."""
    requests: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesPair:
    """Times of one kind at both targets, milliseconds: count, median, 95th percentile."""

    what: str
    one: tuple[int, float | None, float | None]
    two: tuple[int, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDifferences:
    """Everything that two runs show side by side."""

    one: RunReport
    two: RunReport
    same_names: bool
    """Whether the same names were sent to both."""
    verdicts: tuple[VerdictPair, ...]
    equal_verdicts: Mapping[Verdict, int]
    readings: tuple[ReadingPair, ...]
    claims: tuple[tuple[str, ...], tuple[str, ...]]
    """Claims that only the first makes, and only the second."""
    fields: tuple[FieldDifference, ...]
    equal_fields: int
    views: tuple[tuple[str, ...], tuple[str, ...]]
    """Views that only one of them has shown; their fields are not compared."""
    statuses: tuple[StatusDifference, ...]
    equal_requests: int
    """Requests that both were sent and responded to with equal statuses."""
    speed: tuple[TimesPair, ...]

    @property
    def status(self) -> ExitStatus:
        """The worse status of both runs."""
        found = {self.one.status, self.two.status}
        return next(status for status in _ORDER if status in found)

    @property
    def differing_readings(self) -> tuple[ReadingPair, ...]:
        """Readings that are known of both and differ."""
        return tuple(each for each in self.readings if each.differs)


def compare_targets(
    one: tuple[RunReport, Sequence[Record]], two: tuple[RunReport, Sequence[Record]]
) -> TargetDifferences:
    """Return what two runs of the same checks show of their targets."""
    (first, before), (second, after) = one, two
    verdicts, equal = _verdicts(first, second)
    fields = _Fields(before), _Fields(after)
    found, equal_fields = _field_differences(*fields)
    statuses, equal_requests = _statuses(before, after)
    claims = frozenset(_plan(before).claims), frozenset(_plan(after).claims)
    views = fields[0].views.keys(), fields[1].views.keys()
    return TargetDifferences(
        one=first,
        two=second,
        same_names=_plan(before).prefix == _plan(after).prefix,
        verdicts=verdicts,
        equal_verdicts=equal,
        readings=_readings(before, after),
        claims=(tuple(sorted(claims[0] - claims[1])), tuple(sorted(claims[1] - claims[0]))),
        fields=found,
        equal_fields=equal_fields,
        views=(tuple(sorted(views[0] - views[1])), tuple(sorted(views[1] - views[0]))),
        statuses=statuses,
        equal_requests=equal_requests,
        speed=_speed(before, after),
    )


def _plan(records: Iterable[Record]) -> JudgePlan:
    plans = (each for each in records if isinstance(each, JudgePlan) and not each.part)
    return next(plans, JudgePlan(prefix="", now="", level=0))


def _verdicts(
    one: RunReport, two: RunReport
) -> tuple[tuple[VerdictPair, ...], Mapping[Verdict, int]]:
    before = {each.check: each for each in one.results}
    after = {each.check: each for each in two.results}
    found: list[VerdictPair] = []
    equal: dict[Verdict, int] = defaultdict(int)
    for check in dict.fromkeys((*before, *after)):
        a, b = before.get(check), after.get(check)
        if a is not None and b is not None and a.verdict is b.verdict:
            equal[a.verdict] += 1
            continue
        found.append(
            VerdictPair(
                check=check,
                one=a.verdict if a is not None else None,
                two=b.verdict if b is not None else None,
                reasons=(a.reason if a is not None else "", b.reason if b is not None else ""),
            )
        )
    return tuple(found), dict(equal)


def _readings(before: Iterable[Record], after: Iterable[Record]) -> tuple[ReadingPair, ...]:
    found = [
        {each.reading.name: each.reading for each in records if isinstance(each, ReadingSeen)}
        for records in (before, after)
    ]
    return tuple(
        ReadingPair(name=name, one=found[0].get(name), two=found[1].get(name))
        for name in sorted({*found[0], *found[1]})
    )


# --- fields


class _Fields:
    """View → field → forms, from all responses with status 200 to keys of a customer."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.views: dict[str, dict[str, set[str]]] = {}
        for record in records:
            if isinstance(record, Exchange) and record.status == 200 and len(record.tenant) == 1:
                fields = self.views.setdefault(view_of(record), {})
                self._take(fields, record.body, "", 0)

    def _take(self, fields: dict[str, set[str]], value: Json, path: str, depth: int) -> None:
        if depth > _DEPTH_MOST:
            return
        if isinstance(value, list):
            rows = [each for each in value if isinstance(each, dict)]
            for row in rows:
                self._take(fields, row, f"{path}[]", depth + 1)
            for each in value:
                if not isinstance(each, dict):
                    fields.setdefault(f"{path}[]", set()).add(form_of(each))
            self._note_absent(fields, rows, f"{path}[]")
        elif isinstance(value, dict):
            for name, each in value.items():
                below = f"{path}.{name}" if path else str(name)
                fields.setdefault(below, set()).add(form_of(each))
                if isinstance(each, dict | list):
                    self._take(fields, each, below, depth + 1)

    @staticmethod
    def _note_absent(
        fields: dict[str, set[str]], rows: Sequence[Mapping[str, Json]], path: str
    ) -> None:
        names = {name for row in rows for name in row}
        for name in names:
            if any(name not in row for row in rows):
                fields.setdefault(f"{path}.{name}", set()).add(ABSENT)


def view_of(exchange: Exchange) -> str:
    """Return the view that a request is to: `log/search`, `log/retrieve`, `analytics/graph`."""
    parts = exchange.path.strip("/").split("/")
    if len(parts) > 2 and parts[-2] in _OF_AN_ID:
        return "/".join(parts[-3:-1])
    return "/".join(parts[-2:])


def form_of(value: Json) -> str:
    """Return the form of a value: `null`, `integer`, `time with a space`, …"""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return next((name for form, name in _FORMS if form.fullmatch(value)), "text")
        case list():
            return "list"
        case _:
            return "object"


def forms_of(forms: Iterable[str]) -> str:
    """Return forms in words, `absent` for none."""
    return " or ".join(sorted(forms)) or ABSENT


def _field_differences(one: _Fields, two: _Fields) -> tuple[tuple[FieldDifference, ...], int]:
    """Return the fields that differ, and the number of those that do not.

    Texts that look like digits, addresses or ids by chance are texts: where both show text, other
    forms of text are no difference.
    """
    found: list[FieldDifference] = []
    equal = 0
    for view in sorted(one.views.keys() & two.views.keys()):
        before, after = one.views[view], two.views[view]
        for field in sorted({*before, *after}):
            a, b = before.get(field, set()), after.get(field, set())
            if a == b or ("text" in a & b and (a ^ b) <= {name for _, name in _FORMS}):
                equal += 1
            else:
                found.append(
                    FieldDifference(
                        view=view, field=field, one=tuple(sorted(a)), two=tuple(sorted(b))
                    )
                )
    return tuple(found), equal


# --- statuses


def _statuses(
    before: Iterable[Record], after: Iterable[Record]
) -> tuple[tuple[StatusDifference, ...], int]:
    """Compare the last responses to requests that both runs made in the same stage."""
    last = [
        {
            (each.stage, each.ask, each.query): each
            for each in records
            if isinstance(each, Exchange) and each.ask
        }
        for records in (before, after)
    ]
    groups: dict[tuple[str, int | None, int | None], list[str]] = defaultdict(list)
    equal = 0
    for key in last[0].keys() & last[1].keys():
        a, b = last[0][key], last[1][key]
        if a.status == b.status:
            equal += 1
        else:
            groups[view_of(a), a.status, b.status].append(a.ask)
    return (
        tuple(
            StatusDifference(
                view=view, one=one, two=two, requests=len(asks), example=min(asks, key=_by_length)
            )
            for (view, one, two), asks in sorted(groups.items(), key=lambda item: str(item[0]))
        ),
        equal,
    )


def _by_length(text: str) -> tuple[int, str]:
    return len(text), text


# --- speed


def _speed(before: Sequence[Record], after: Sequence[Record]) -> tuple[TimesPair, ...]:
    found = [dict(_times(records)) for records in (before, after)]
    return tuple(
        TimesPair(
            what=what, one=_summary(found[0].get(what, [])), two=_summary(found[1].get(what, []))
        )
        for what in dict.fromkeys((*found[0], *found[1]))
    )


def _times(records: Sequence[Record]) -> Iterator[tuple[str, list[float]]]:
    """Yield each kind of time, milliseconds: reads by view, deliveries, until they are listed."""
    reads: dict[str, list[float]] = defaultdict(list)
    for each in records:
        served = isinstance(each, Exchange) and each.status == 200 and len(each.tenant) == 1
        if isinstance(each, Exchange) and served and each.method == "GET":
            reads[view_of(each)].append(each.elapsed_ms)
    yield from sorted(reads.items())
    delivered = [each for each in records if isinstance(each, Delivered)]
    yield "delivery of events", [each.elapsed_ms for each in delivered]
    yield LATENESS, [found for each in delivered if (found := _until_listed(each, records))]


def _until_listed(delivered: Delivered, records: Sequence[Record]) -> float | None:
    """Return the time from the end of a freshness probe's delivery until a search lists it."""
    if not delivered.check.startswith("probe ") or any(
        each.outcome is not Outcome.ACCEPTED for each in delivered.outcomes
    ):
        return None
    ids = {str(event.get("log_id")).lower() for event in delivered.events}
    begun = _moment(delivered.at)
    for each in records:
        if not isinstance(each, Exchange) or each.stage != delivered.stage or each.status != 200:
            continue
        if not each.path.endswith("log/search") or each.at < delivered.at or begun is None:
            continue
        rows = each.body.get("data") if isinstance(each.body, dict) else None
        listed = {
            str(row.get("log_id")).lower()
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
        }
        at = _moment(each.at)
        if ids <= listed and at is not None:
            return max(0.0, (at - begun).total_seconds() * 1000 + each.elapsed_ms)
    return None


def _moment(at: str) -> datetime | None:
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        return None


def _summary(times: Sequence[float]) -> tuple[int, float | None, float | None]:
    ordered = sorted(each for each in times if math.isfinite(each))
    return len(ordered), _percentile(ordered, 0.5), _percentile(ordered, 0.95)


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Nearest rank; None of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
