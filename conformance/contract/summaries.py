"""Daily summaries: which rows there must be at every age, and what they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import (
    Cell,
    Deviation,
    JudgedRequest,
    OptionalField,
    RequestFinding,
)
from trueup.conformance.contract.history import POOLS, EventDelivery, SentEvent
from trueup.conformance.contract.listing import (
    Listing,
    expect_order,
    expect_pages,
    expect_slice,
    read_listing,
)
from trueup.conformance.contract.matching import SearchRequest, parse_search, values_of
from trueup.conformance.contract.model import ContractModel, day_start
from trueup.conformance.contract.sums import ERROR_READINGS, NOTHING, CellSum, show
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.rows import (
    Row,
    as_int,
    as_str,
    canonical_hostname,
    day_of,
    parse_time,
    same_hostname,
)
from trueup.reports.results import Counts, Json

__all__ = ["SUMMARY_FIELDS", "judge_summary_retrieve", "judge_summary_search"]

EQUAL: Final = "summaries-equal-logs"
KEY: Final = "one-summary-per-key"
FILTERS: Final = "filters-are-exact"
TENANTS: Final = "tenants-are-apart"
REMOVED: Final = "hostnames-are-removed"
HOSTS_KEPT: Final = "summaries-keep-hostnames"
TOTALS: Final = "consolidation-keeps-totals"
SINGLE: Final = "consolidated-rows-are-single"
PURGE: Final = "summaries-survive-the-purge"
SPLIT: Final = "successes-and-errors-add-up"
CHARGED: Final = "charged-is-metered"
ORDER: Final = "times-are-in-order"
TIMES: Final = "summary-times-are-plausible"


def _field(kind: FieldKind, *names: str, filterable: bool = True) -> list[ApiField]:
    return [ApiField(name=f"log_summary_{n}", kind=kind, filterable=filterable) for n in names]


SUMMARY_FIELDS: Final[Mapping[str, ApiField]] = MappingProxyType(
    {
        field.name: field
        for field in (
            ApiField(name="proxy_user_id", kind=FieldKind.TEXT),
            ApiField(name="customer_id", kind=FieldKind.WHOLE, filterable=False),
            *_field(FieldKind.IDENTIFIER, "id"),
            *_field(FieldKind.TEXT, "network"),
            *_field(FieldKind.HOSTNAME, "hostname"),
            *_field(FieldKind.WHOLE, "requests", "bytes", "successful", "error"),
            *_field(FieldKind.TIME, "period", "creation_datetime", "last_update_datetime"),
        )
    }
)


@dataclass(slots=True)
class _Candidate:
    """A row that may be listed: one hostname's, or (hostname empty) the consolidated one."""

    cell: Cell
    total: CellSum
    must: bool


def judge_summary_search(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding
) -> None:
    """Judge `log_summary/search`, in full."""
    search = parse_search(unit.first.query, SUMMARY_FIELDS)
    if search.unusual:
        return
    listing = read_listing(finding, search, EQUAL)
    if listing is None:
        return
    listing.leave_out_repeats(_identity)
    user = next(
        (c.value for c in search.conditions if c.field.name == "proxy_user_id" and not c.operator),
        None,
    )
    foreign = model.read_only or not model.is_own(search.conditions)
    candidates = _candidates(model, unit, search, user)
    open_ended = foreign or any(
        not each.must or len(each.total.spellings) > 1 for each in candidates.values()
    )
    certain = None if open_ended else len(candidates)
    expect_pages(finding, listing, search, model.reading, _identity, certain)
    expect_order(finding, listing, search)
    if certain is not None:
        expect_slice(finding, listing.listed(), search, _sort_values(search, candidates))
    _judge_rows(model, unit, finding, search, listing, candidates, foreign=foreign)
    if listing.complete and search.of_users:
        by_user: dict[str, dict[Cell, Counts]] = {
            name: {}
            for letter, name in model.history.users
            if letter == unit.customer and search.is_of_user(name)
        }
        for cell, counts in _seen(listing.rows).items():
            by_user.setdefault(cell.user, {})[cell] = counts
        for name, cells in by_user.items():
            finding.seen_cells["log_summary", unit.customer, name] = cells


def _sort_values(search: SearchRequest, candidates: Mapping[Cell, _Candidate]) -> list[Json]:
    """The values that a search sorts by; none where the model does not know them."""
    name = search.order.field.name if search.order is not None else ""
    known: dict[str, Callable[[_Candidate], Json]] = {
        "log_summary_requests": lambda one: one.total.requests,
        "log_summary_bytes": lambda one: one.total.bytes,
        "log_summary_network": lambda one: one.cell.network,
        "log_summary_period": lambda one: f"{one.cell.day} 00:00:00",
    }
    value_of = known.get(name)
    return [] if value_of is None else [value_of(each) for each in candidates.values()]


def _identity(row: Row) -> str:
    return as_str(row, "log_summary_id") or ""


def _users(model: ContractModel, unit: JudgedRequest, user: str | None) -> Sequence[str]:
    if user is not None:
        return [user]
    return [name for letter, name in model.history.users if letter == unit.customer]


def _candidates(
    model: ContractModel, unit: JudgedRequest, search: SearchRequest, user: str | None
) -> dict[Cell, _Candidate]:
    found: dict[Cell, _Candidate] = {}
    for name in _users(model, unit, user):
        removed = model.is_removed(unit.customer, name, unit.op)
        merged: dict[Cell, CellSum] = {}
        for cell, total in model.cells(unit.customer, name, unit.op).items():
            day = day_start(cell.day)
            must_have = model.reading.hostname_must_show(day, unit.now)
            created = unit.now if must_have else model.created(cell, unit.customer, unit.op)
            may_have = must_have or model.reading.hostname_may_show(day, created, unit.now)
            if may_have:
                _offer(found, search, cell, total, sure=must_have and not removed)
            if not must_have:
                whole = Cell(cell.user, cell.network, "", cell.day)
                group = merged.setdefault(whole, CellSum())
                if may_have:  # each hostname may be merged already, or stand by itself
                    group.possible += [*total.certain, *total.possible]
                else:
                    group.add(total)
        apart = {(c.network, c.day) for c in found if c.user == name and c.hostname}
        for cell, total in merged.items():
            sure = not removed and (cell.network, cell.day) not in apart
            _offer(found, search, cell, total, sure=sure)
    return found


def _offer(
    found: dict[Cell, _Candidate], search: SearchRequest, cell: Cell, total: CellSum, *, sure: bool
) -> None:
    """Add a row that must or may be listed, unless the filters keep it out."""
    split = len(total.spellings) > 1
    values: dict[str, Json] = {
        "proxy_user_id": cell.user,
        "log_summary_network": cell.network,
        "log_summary_hostname": cell.hostname or None,
        "log_summary_period": f"{cell.day} 00:00:00",
    }
    verdict: bool | None = True
    for condition in search.conditions:
        name = condition.field.name
        if name == "log_summary_hostname" and cell.hostname:
            answers = {condition.holds(each) for each in (cell.hostname, *total.spellings)}
            held = answers.pop() if len(answers) == 1 else None
        elif name in values:
            held = condition.holds(values[name])
        elif name in ("log_summary_requests", "log_summary_bytes"):
            amount = total.requests if name.endswith("requests") else total.bytes
            open_sum = bool(total.possible) or split
            held = None if open_sum else condition.holds(amount)
        else:
            held = None
        if held is False:
            return
        verdict = None if held is None else verdict
    certain = bool(total.certain)
    found[cell] = _Candidate(cell=cell, total=total, must=sure and verdict is True and certain)


def _seen(rows: Sequence[Row]) -> Mapping[Cell, Counts]:
    cells: dict[Cell, Counts] = {}
    for row in rows:
        cell = _cell(row)
        have = cells.get(cell, NOTHING)
        cells[cell] = Counts(
            have.requests + (as_int(row, "log_summary_requests") or 0),
            have.bytes + (as_int(row, "log_summary_bytes") or 0),
            0,
            0,
        )
    return cells


def _cell(row: Row) -> Cell:
    return Cell(
        user=as_str(row, "proxy_user_id") or "",
        network=as_str(row, "log_summary_network") or "",
        hostname=canonical_hostname(as_str(row, "log_summary_hostname") or ""),
        day=day_of(row.get("log_summary_period")) or "no day",
    )


def _judge_rows(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    listing: Listing,
    candidates: Mapping[Cell, _Candidate],
    *,
    foreign: bool,
) -> None:
    where = "log_summary/search" + "".join(
        f" · {c.operator}{'_' if c.operator else ''}{c.field.name}={c.value[:60]}"
        for c in search.conditions
    )
    plain = search.of_users
    groups: dict[Cell, list[Row]] = defaultdict(list)
    for row in listing.rows:
        finding.seen_rows["log_summary", unit.customer, _identity(row)] = row
        cell = _cell(row)
        if foreign and not model.is_own_name(row):
            finding.foreign += 1
            _judge_foreign(model, unit, finding, search, row, f"{where} · {cell}")
        else:
            groups[cell].append(row)
            finding.listed.add((unit.customer, cell))
            if not plain:
                finding.observed(FILTERS)
    for cell, rows in groups.items():
        candidate = candidates.get(cell)
        if candidate is None:
            _judge_extra(model, unit, finding, search, cell, rows, where)
            continue
        whole = len(candidate.total.spellings) < 2 or (listing.complete and _keeps_cells(search))
        _judge_group(model, unit, finding, candidate, rows, f"{where} · {cell}", whole=whole)
    if not listing.complete:
        return
    for cell, candidate in candidates.items():
        if cell in groups or not candidate.must:
            continue
        finding.deviate(
            sum_check(model, unit, cell, candidate.total),
            f"{where} · {cell}",
            candidate.total.text(),
            "no row",
            events=candidate.total.certain,
            topic=("cell", unit.customer, cell.user, cell.network, cell.hostname, cell.day),
            counts=(candidate.total.counts(), NOTHING),
            filtered=not plain,
        )


def _keeps_cells(search: SearchRequest) -> bool:
    """Whether the filters keep or leave out all spellings of a hostname together."""
    kept = ("proxy_user_id", "log_summary_network", "log_summary_period")
    return all(condition.field.name in kept for condition in search.conditions)


def _judge_group(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    candidate: _Candidate,
    rows: Sequence[Row],
    where: str,
    *,
    whole: bool,
) -> None:
    """The rows of one cell: usually one; several only where several spellings were sent."""
    cell, total = candidate.cell, candidate.total
    topic = ("cell", unit.customer, cell.user, cell.network, cell.hostname, cell.day)
    names = [as_str(row, "log_summary_hostname") or "" for row in rows]
    single = SINGLE if not cell.hostname else KEY
    finding.observed(single)
    if len(rows) > len(set(names)) or (len(rows) > 1 and len(total.spellings) < len(rows)):
        finding.deviate(single, where, "1 row", f"{len(rows)} rows", topic=topic)
    check = sum_check(model, unit, cell, total)
    requests = [as_int(row, "log_summary_requests") for row in rows]
    sizes = [as_int(row, "log_summary_bytes") for row in rows]
    known = [n for n in requests if n is not None], [n for n in sizes if n is not None]
    finding.observed(check)
    finding.observed("day-of-the-request")
    finding.observed(HOSTS_KEPT if cell.hostname else REMOVED)
    if whole and not total.allows(sum(known[0]), sum(known[1])):
        seen = Counts(sum(known[0]), sum(known[1]), 0, 0)
        finding.deviate(
            check,
            where,
            total.text(),
            show(seen),
            events=total.certain,
            topic=topic,
            counts=(total.counts(), seen),
        )
    for row in rows:
        judge_summary_row(model, unit, finding, row, cell, where)
    if whole and not total.possible:
        _judge_split(model, finding, unit, rows, total, where)


def _judge_split(
    model: ContractModel,
    finding: RequestFinding,
    unit: JudgedRequest,
    rows: Sequence[Row],
    total: CellSum,
    where: str,
) -> None:
    """Successes and errors of a cell, under every reading of what counts as an error."""
    errors = [as_int(row, "log_summary_error") for row in rows]
    if any(error is None for error in errors):
        return
    seen = sum(error for error in errors if error is not None)
    for reading in ERROR_READINGS:
        right = total.errors(reading)
        deviation = None
        if right != seen:
            deviation = Deviation(
                check="errors-are-the-failed-requests",
                where=f"{where} · log_summary_error",
                expected=f"{right} (reading: {reading})",
                seen=str(seen),
                unit=unit,
                exchanges=unit.numbers[-6:],
                events=tuple(total.certain[:8]),
            )
        finding.split.setdefault(reading, []).append(deviation)


def judge_summary_row(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
) -> None:
    """What one row says beside its sums: whose it is, its counters, its times."""
    number = as_int(row, "customer_id")
    if number is not None:
        finding.equal(
            TENANTS,
            f"{where} · customer_id",
            model.customer_number(unit.customer),
            number,
            definite=True,
        )
    requests = as_int(row, "log_summary_requests")
    good, bad = as_int(row, "log_summary_successful"), as_int(row, "log_summary_error")
    if good is not None and bad is not None and requests is not None:
        check = SPLIT if cell.hostname else TOTALS
        finding.equal(check, f"{where} · successful + error", requests, good + bad, definite=True)
        finding.equal(check, f"{where} · negative counts", 0, min(good, bad, 0), definite=True)
    elif "success-counts" in model.reading.claims and requests:
        finding.deviate(SPLIT, f"{where} · successful and error", "both", "not both", definite=True)
    metered = cell.network in POOLS
    for counter in ("requests", "bytes"):
        charged = as_int(row, f"log_summary_charged_{counter}")
        if charged is not None:
            everything = as_int(row, f"log_summary_{counter}") or 0
            right = everything if metered else 0
            finding.equal(CHARGED, f"{where} · charged_{counter}", right, charged, definite=True)
        elif requests:
            _optional(finding, f"log_summary.log_summary_charged_{counter}").absent.append(
                (where, right_or_none(metered, row, counter), unit, None)
            )
        if charged is not None:
            _optional(finding, f"log_summary.log_summary_charged_{counter}").shown += 1
    period = row.get("log_summary_period")
    form = model.reading.value_of("summary-period-form")
    if form and isinstance(period, str):
        finding.equal(
            "readings-are-true",
            f"{where} · form of log_summary_period",
            form,
            "date" if len(period) == 10 else "datetime",
            definite=True,
        )
    at = parse_time(period)
    if at is not None and (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0):
        finding.deviate(
            "day-of-the-request",
            f"{where} · log_summary_period",
            "a midnight",
            period,
            definite=True,
        )
    _times(model, unit, finding, row, cell, where)
    _hostname(model, finding, row, cell, where, unit)


def right_or_none(metered: bool, row: Row, counter: str) -> Json:
    """Return a counter of a summary row, or 0 if it is not metered."""
    return (as_int(row, f"log_summary_{counter}") or 0) if metered else 0


def _optional(finding: RequestFinding, key: str) -> OptionalField:
    found = finding.optional.get(key)
    if found is None:
        found = finding.optional[key] = OptionalField()
    return found


def _times(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
) -> None:
    """Creation and last change of a row: in order, not ahead, and after its events came in."""
    made = parse_time(row.get("log_summary_creation_datetime"))
    changed = parse_time(row.get("log_summary_last_update_datetime"))
    if made is None or changed is None:
        return
    now = unit.now + CLOCK_SLACK + _span(unit)
    finding.observed(TIMES)
    finding.observed(ORDER)
    if made > changed:
        finding.deviate(
            ORDER,
            f"{where} · times",
            "created before its last change",
            f"created {made}, changed {changed}",
            definite=True,
        )
    elif changed > now:
        finding.deviate(TIMES, f"{where} · last_update", f"not after {now}", changed, definite=True)
    arrivals = _arrivals(model, unit, cell)
    if arrivals is None:
        return
    begun, first, last_begun, last = arrivals
    if cell.hostname and not begun - CLOCK_SLACK <= made <= now:
        finding.deviate(TIMES, f"{where} · creation", f"{begun} or soon after", made)
    if changed < last_begun - CLOCK_SLACK:
        finding.deviate(TIMES, f"{where} · last_update", f"{last_begun} or later", changed)
    elif cell.hostname and changed > last + _lag(model) and unit.now > last + 2 * _lag(model):
        finding.deviate(TIMES, f"{where} · last_update", f"soon after {last}", changed)
    if cell.hostname and made > first + _lag(model):
        finding.deviate(TIMES, f"{where} · creation", f"soon after {first}", made)


def _lag(model: ContractModel) -> timedelta:
    return timedelta(seconds=model.reading.number("freshness-s")) + 4 * CLOCK_SLACK


def _span(unit: JudgedRequest) -> timedelta:
    return timedelta(milliseconds=sum(e.elapsed_ms for e in unit.exchanges))


def _arrivals(
    model: ContractModel, unit: JudgedRequest, cell: Cell
) -> tuple[datetime, datetime, datetime, datetime] | None:
    """The target's time at the first and at the last event of a cell that was taken in.

    Each as (begin, end) of its delivery: a delivery that waits for the target takes long.
    """
    taken = [
        delivery
        for record in model.history.by_user.get((unit.customer, cell.user), ())
        if record.event.network == cell.network
        and record.event.day == cell.day
        and (not cell.hostname or record.event.hostname == cell.hostname)
        and (delivery := record.accepted(unit.op)) is not None
    ]
    if not taken:
        return None
    at = model.history.clock.at
    began, ended = [at(each.began) for each in taken], [at(each.at) for each in taken]
    return min(began), min(ended), max(began), max(ended)


def _hostname(
    model: ContractModel,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
    unit: JudgedRequest,
) -> None:
    """Compare what replaces a removed hostname, and how a kept one is spelled."""
    shown = row.get("log_summary_hostname")
    if not cell.hostname:
        told = model.reading.value_of("consolidated-hostname")
        if told:
            seen = (
                "absent"
                if "log_summary_hostname" not in row
                else ("null" if shown is None else "empty")
            )
            finding.equal(
                "readings-are-true", f"{where} · removed hostname", told, seen, definite=True
            )
        return
    if not isinstance(shown, str):
        return
    sums = model.cells(unit.customer, cell.user, unit.op).get(cell)
    if sums is None:
        return
    wanted = {model.spelled(name) for name in sums.spellings}
    finding.observed("hostnames-as-read", 0 if None in wanted else 1)
    if None in wanted or (shown in sums.spellings and len(sums.spellings) == 1 and shown in wanted):
        return
    if shown not in wanted:
        meant = next(iter(sorted(name for name in wanted if name)), "")
        finding.deviate(
            "hostnames-as-read", f"{where} · log_summary_hostname", meant, shown, definite=True
        )


def _judge_extra(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    cell: Cell,
    rows: Sequence[Row],
    where: str,
) -> None:
    """Rows of a cell that nothing accounts for, or that the filters should keep out."""
    place = f"{where} · {cell}"
    topic = ("cell", unit.customer, cell.user, cell.network, cell.hostname, cell.day)
    seen = _seen(rows).get(cell, NOTHING)
    cells = model.cells(unit.customer, cell.user, unit.op)
    if not model.knows(unit.customer, cell.user, cell.day):
        return
    known = cells.get(cell)
    same_day = [c for c in cells if (c.network, c.day) == (cell.network, cell.day)]
    if known is not None or (not cell.hostname and same_day):
        day = day_start(cell.day)
        if cell.hostname and not model.reading.hostname_may_show(
            day, model.created(cell, unit.customer, unit.op), unit.now
        ):
            finding.deviate(REMOVED, place, "no hostname", cell.hostname, topic=topic)
        elif not cell.hostname and model.reading.hostname_must_show(day, unit.now):
            finding.deviate(HOSTS_KEPT, place, "its hostname", "none", topic=topic)
        else:
            finding.deviate(
                FILTERS, place, "only rows that match", "a row that does not", topic=topic
            )
        return
    impossible = [
        record
        for record in model.history.by_user.get((unit.customer, cell.user), ())
        if record.impossible
        and (record.event.network, record.event.hostname) == (cell.network, cell.hostname)
    ]
    if impossible:
        finding.deviate(
            "impossible-events-are-refused",
            place,
            f"nothing ({impossible[0].impossible})",
            show(seen),
            events=[r.event for r in impossible],
            topic=topic,
        )
        return
    if (unit.customer, cell.user) not in model.history.by_user and any(
        (letter, cell.user) in model.history.by_user for letter in model.history.customers
    ):
        finding.deviate(TENANTS, place, "own rows only", show(seen), topic=topic)
        return
    check = EQUAL
    if cell.hostname and any(same_hostname_loose(cell.hostname, c.hostname) for c in same_day):
        check = "summaries-of-hostnames"
    finding.deviate(check, place, "no row", show(seen), topic=topic, counts=(NOTHING, seen))


def same_hostname_loose(one: str, two: str) -> bool:
    """Return whether one name ends with the other, so that it may have been cut to it."""
    return same_hostname(one, two) or one.endswith(f".{two}") or two.endswith(f".{one}")


def _judge_foreign(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    search: SearchRequest,
    row: Row,
    where: str,
) -> None:
    finding.observed(FILTERS)
    if search.matches(values_of(row)) is False:
        finding.deviate(
            FILTERS, where, "only rows that match", "a row that does not", definite=True
        )
    number = as_int(row, "customer_id")
    if number is not None and number != model.customer_number(unit.customer):
        finding.deviate(TENANTS, where, "own rows only", f"customer {number}", definite=True)
    at = parse_time(row.get("log_summary_period"))
    host = as_str(row, "log_summary_hostname")
    if at is not None and host and not model.reading.hostname_may_show(at, at, unit.now):
        created = parse_time(row.get("log_summary_creation_datetime")) or unit.now
        if not model.reading.hostname_may_show(at, created, unit.now):
            finding.deviate(REMOVED, where, "no hostname", host)


def sum_check(model: ContractModel, unit: JudgedRequest, cell: Cell, total: CellSum) -> str:
    """Return the check that a cell's sums are evidence for, by age and by what was sent into it."""
    age = unit.now - day_start(cell.day)
    if not cell.hostname:
        return TOTALS
    if age > timedelta(days=9):
        return PURGE
    events = total.certain
    records = [model.history.records[event.customer, event.log_id] for event in events]
    if any(record.times(unit.op) > 1 for record in records):
        return "redelivered-events-are-summed-once"
    if _concurrent([d for r in records for d in r.deliveries if d.op < unit.op]):
        return "concurrent-events-are-all-summed"
    if total.bytes >= 2**31 - 1:
        return "large-amounts-are-summed-exactly"
    if len(total.spellings) > 1 or any(_odd(event) for event in events):
        return "summaries-of-hostnames"
    if any(event.bytes == 0 or event.coded or (event.status or 0) >= 400 for event in events):
        return "summaries-of-statuses"
    return EQUAL


def _concurrent(deliveries: Sequence[EventDelivery]) -> bool:
    """Whether events of one cell were delivered at the same time."""
    in_order = sorted(deliveries, key=lambda delivery: delivery.began)
    return any(one.overlaps(two) for one, two in pairwise(in_order))


def _odd(event: SentEvent) -> bool:
    name = str(event.raw.get("log_hostname"))
    return name != event.hostname or not name.replace("-", "").replace(".", "").isalnum()


def judge_summary_retrieve(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, summary_id: str
) -> None:
    """Judge `log_summary/retrieve/{id}`."""
    exchange = unit.first
    served = model.served(exchange)
    where = f"log_summary/retrieve/{summary_id}"
    if served is None:
        finding.cannot_use(model.why(exchange), exchange.n, "retrieve-equals-search")
        return
    owners = model.ids.get(("log_summary", summary_id), frozenset())
    if owners and unit.customer not in owners:
        finding.observed(TENANTS)
        if served:
            finding.deviate(TENANTS, where, "not served", "served", definite=True)
        return
    if not owners:
        finding.observed("errors-are-documented")
        if served:
            finding.deviate("errors-are-documented", where, "not served", "served", definite=True)
        return
    row = model.data(exchange)
    if not served or row is None:
        return
    finding.seen_rows["log_summary retrieved", unit.customer, summary_id] = row
    if not model.is_own_name(row):
        return
    cell = _cell(row)
    sums = model.cells(unit.customer, cell.user, unit.op)
    total = sums.get(cell)
    if not cell.hostname:
        total = CellSum()
        for other, one in sums.items():
            if (other.network, other.day) == (cell.network, cell.day):
                total.add(one)
    if total is None:
        finding.deviate(EQUAL, f"{where} · {cell}", "no row", "a row")
        return
    if cell.hostname and not model.reading.hostname_may_show(
        day_start(cell.day), model.created(cell, unit.customer, unit.op), unit.now
    ):
        finding.deviate(REMOVED, f"{where} · {cell}", "no hostname", cell.hostname)
    if len(total.spellings) < 2:
        candidate = _Candidate(cell=cell, total=total, must=True)
        _judge_group(model, unit, finding, candidate, [row], f"{where} · {cell}", whole=True)
