"""Drill-down: which events are lost, duplicated, foreign or altered, by their ids.

A sum that differs does not show which events differ. The logs of the place are therefore listed and
compared with the events that were sent there, id by id. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trueup.conformance.contract.fields import differing_fields
from trueup.conformance.model import Event
from trueup.conformance.ports import SentTraffic, Slice
from trueup.conformance.reconciliation.case import Case
from trueup.conformance.reconciliation.plan import counted, day_slice, slice_request
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str, format_time, parse_time
from trueup.reports.results import CellKey, Counts, Json, Outcome

__all__ = [
    "INSPECT_MOST",
    "CellInspection",
    "Compared",
    "compared",
    "explained",
    "inspect_cell",
    "inspect_events",
    "second_of",
]

INSPECT_MOST: Final = 8
"""Places of one kind and tenant whose logs are inspected."""
INSPECTED_LOGS_MOST: Final = 500
"""Events of a place up to which its logs are listed; above, they are counted."""
INSPECTED_PAGES_MOST: Final = 20
NAMED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Rows of logs compared with the events that were sent: what became of which id."""

    present: int = 0
    """Events of the slice whose log is there."""
    lost: tuple[str, ...] = ()
    doubled: Mapping[str, int] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    """Logs of this traffic's users that were not sent, or were sent to another tenant."""
    unsent: Mapping[str, Outcome | None] = field(default_factory=dict)
    """Logs of events that were refused or never delivered."""
    changed: Mapping[str, Sequence[tuple[str, Json, Json]]] = field(default_factory=dict)

    @property
    def in_order(self) -> bool:
        """Whether the logs are exactly those that were sent."""
        return not (self.lost or self.doubled or self.foreign or self.unsent or self.changed)


def id_of(row: Row) -> str:
    """Return the id of a log in lower case."""
    return (as_str(row, "log_id") or "").lower()


def compared(case: Case, slice_: Slice, rows: Sequence[Row]) -> Compared:
    """Return the comparison of listed logs of a slice with the events that were sent there.

    Rows of others, and of other traffic of this run, are ignored.
    """
    (ids,) = case.sent.ids_in([slice_])
    times = Counter(map(id_of, rows))
    foreign: dict[str, None] = {}
    unsent: dict[str, Outcome | None] = {}
    changed: dict[str, Sequence[tuple[str, Json, Json]]] = {}
    for row in rows:
        log_id = id_of(row)
        event = case.sent.event(log_id)
        if event is None or event.get("customer_id") != slice_.customer_id:
            user = (slice_.customer_id, as_str(row, "proxy_user_id"))
            if event or (user in case.events.users and not case.events.is_beside(log_id)):
                foreign[log_id] = None
            continue
        outcome = case.sent.outcome(log_id)
        if outcome in (None, Outcome.REFUSED):
            unsent[log_id] = outcome
        wrong = differing_fields(event, row)
        if wrong:
            changed[log_id] = wrong
    return Compared(
        present=sum(1 for log_id in ids if times[log_id]),
        lost=tuple(i for i, became in ids.items() if became is Outcome.ACCEPTED and not times[i]),
        doubled={i: n for i, n in times.items() if n > 1 and case.sent.event(i) is not None},
        foreign=tuple(foreign),
        unsent=unsent,
        changed=changed,
    )


def second_of(sent: SentTraffic, log_id: str) -> Slice:
    """Return the second and the user of an event: so few logs that one page shows them all."""
    event = sent.event(log_id)
    assert event is not None, "an event of this traffic"
    at, customer = parse_time(event["log_request_datetime"]), event["customer_id"]
    assert at is not None and isinstance(customer, int), "events carry times and customers"
    return Slice(
        customer, format_time(at), format_time(at), proxy_user_id=str(event["proxy_user_id"])
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CellInspection:
    """A place whose logs are inspected."""

    slice: Slice
    request: ApiRequest
    events: int


def inspect_events(case: Case, slices: Sequence[Slice]) -> list[CellInspection]:
    """Return inspections of the first places; a count for those with too many events."""
    chosen = slices[:INSPECT_MOST]
    found = []
    for each, ids in zip(chosen, case.sent.ids_in(chosen), strict=True):
        pages = INSPECTED_PAGES_MOST if len(ids) <= INSPECTED_LOGS_MOST else 0
        request = slice_request(case.letters[each.customer_id], each, pages=pages)
        found.append(CellInspection(slice=each, request=request, events=len(ids)))
    return found


def inspect_cell(case: Case, key: CellKey) -> CellInspection:
    """Return the inspection of one cell."""
    return inspect_events(case, [day_slice(key)])[0]


@dataclass(frozen=True, kw_only=True)
class Explained:
    """The result of an inspection as text, with the events that show it."""

    said: str
    events: tuple[Event, ...] = ()
    exchanges: tuple[int, ...] = ()


def explained(case: Case, inspection: CellInspection, more: Counts, *, exact: bool) -> Explained:
    """Return why a place shows `more` (below 0: less) than was sent, as far as its logs show.

    `exact`: no event of the place has an unknown outcome, so that amounts identify events.
    """
    if not inspection.request.paged:
        number = counted(case.observations.response(case.stage, inspection.request))
        there = "" if number is None else f"; there are {number} logs"
        said = f"{inspection.events} events were sent there, too many to inspect{there}"
        return Explained(said=said)
    search = case.observations.paged_result(case.stage, inspection.request)
    if search is None:
        return Explained(said="its logs were not inspected: too many places differ")
    if search.unusable:
        return Explained(said=f"its logs could not be read: {search.unusable}")
    if inspection.events and not search.rows and _old(case, inspection):
        return Explained(said="its logs are no longer kept, so that no event can be identified")
    found = compared(case, inspection.slice, search.rows)
    if not found.in_order:
        named = describe_logs(found)
        ids = (*found.lost, *found.doubled, *found.unsent, *found.changed)
    else:
        named, ids = _by_amounts(case, inspection, more, found.present) if exact else ("", ())
        named = f"each of its {found.present} logs is correct" + (f"; {named}" if named else "")
    events = [case.sent.event(log_id) for log_id in ids[:NAMED]]
    return Explained(
        said=named,
        events=tuple(dict(event) for event in events if event is not None),
        exchanges=search.numbers[-1:],
    )


def _old(case: Case, inspection: CellInspection) -> bool:
    """Return whether the place is so old that its logs may have been removed."""
    assert case.observations.plan is not None
    now, last = parse_time(case.observations.plan.now), parse_time(inspection.slice.last)
    return now is not None and last is not None and (now - last).days >= 6


def listed(ids: Sequence[str]) -> str:
    """Return a few ids, and how many more there are."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def describe_logs(found: Compared) -> str:
    """Return what is wrong with the logs, by kind."""
    kinds = (
        ("lost", found.lost),
        ("doubled", tuple(found.doubled)),
        ("foreign", found.foreign),
        ("refused but present", tuple(found.unsent)),
        ("altered", tuple(found.changed)),
    )
    return "; ".join(f"{kind}: {listed(ids)}" for kind, ids in kinds if ids)


def _by_amounts(
    case: Case, inspection: CellInspection, more: Counts, present: int
) -> tuple[str, tuple[str, ...]]:
    """Return which event a sum left out or counted twice, if its bytes identify a single one."""
    (ids,) = case.sent.ids_in([inspection.slice])
    sizes: dict[int, list[str]] = defaultdict(list)
    for log_id in ids:
        event = case.sent.event(log_id)
        sizes[as_int(event, "log_total_bytes") or 0 if event else 0].append(log_id)
    match more.requests:
        case -1:
            (left_out,) = _one(sizes.get(-more.bytes, []))
            return (f"not counted: {left_out}", (left_out,)) if left_out else ("", ())
        case 1 if more.bytes not in sizes:
            return f"counted in addition: {more.bytes} bytes, which no event sent there has", ()
        case 1:
            (twice,) = _one(sizes[more.bytes])
            return (f"counted twice: {twice}", (twice,)) if twice else ("", ())
        case 0 if more.bytes and present > 1:
            pairs = [
                (small[0], sizes[size + more.bytes][0])
                for size, small in sizes.items()
                if size + more.bytes in sizes and len(small) == 1
            ]
            if len(pairs) == 1:
                left_out, twice = pairs[0]
                said = f"{left_out} lost and {twice} counted twice, or an amount altered"
                return said, (left_out, twice)
    return "", ()


def _one(ids: Sequence[str]) -> tuple[str]:
    return (ids[0] if len(ids) == 1 else "",)
