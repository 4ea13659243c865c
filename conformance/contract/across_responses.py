"""Comparisons that need more than one response: retrieves with searches, rows with earlier rows.

An account is compared with its ledger, and each optional field with the same field of other rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trueup.conformance.contract.check_names import (
    BALANCE,
    CONTENT,
    EDITED,
    ERROR_COUNTS,
    FILTERS,
    FIXED,
    PAGES,
    RETRIEVE,
    SUMMARY_TIMES,
)
from trueup.conformance.contract.fields import LOG_FIELDS
from trueup.conformance.contract.findings import (
    Deviation,
    JudgedRequest,
    ListedRows,
    RequestFinding,
)
from trueup.conformance.contract.listing import expect_slice
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import MISSING_STATUSES, ContractModel
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.rows import Row, as_str

__all__ = [
    "compare_balances",
    "compare_constants",
    "compare_error_counts",
    "compare_optional_fields",
    "compare_retrieves",
    "compare_with_whole",
]


def compare_retrieves(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of retrieves from the rows that searches of the same stage returned."""
    searched: dict[tuple[str, str, str, str], tuple[Row, JudgedRequest]] = {}
    for finding in findings:
        for (resource, customer, name), row in finding.seen_rows.items():
            if not resource.endswith(" retrieved"):
                searched[finding.unit.stage, resource, customer, name] = (row, finding.unit)
    found: list[Deviation] = []
    for finding in findings:
        found += _not_found(model, finding, searched, made)
        for (resource, customer, name), row in finding.seen_rows.items():
            if not resource.endswith(" retrieved"):
                continue
            resource = resource.removesuffix(" retrieved")
            pair = searched.get((finding.unit.stage, resource, customer, name))
            if pair is None:
                continue
            moving = model.history.written_between(pair[1].op, finding.unit.op)
            made[RETRIEVE] += _compare_rows(
                found, finding, resource, name, pair, row, moving=moving, shared=model.shared
            )
    return found


def _not_found(
    model: ContractModel,
    finding: RequestFinding,
    searched: Mapping[tuple[str, str, str, str], tuple[Row, JudgedRequest]],
    made: Counter[str],
) -> Iterator[Deviation]:
    """Yield a deviation of a retrieve that does not find a row that a search of its stage shows."""
    unit = finding.unit
    resource, _, name = resource_path(unit.first.path).partition("/retrieve/")
    pair = searched.get((unit.stage, resource, unit.customer, name))
    if pair is None or resource == "log" or not unit.ask.startswith(f"{unit.customer}:own"):
        return  # whether a log is there by its id is judged from what was sent
    if unit.first.status not in MISSING_STATUSES:
        return
    if model.history.written_between(pair[1].op, unit.op):
        return
    made[RETRIEVE] += 1
    yield Deviation(
        check=RETRIEVE,
        where=f"{resource}/retrieve/{name}",
        expected="served, as a search shows it",
        seen=f"status {unit.first.status}",
        unit=unit,
        exchanges=(*pair[1].numbers[-2:], *unit.numbers[-2:]),
        topic=("retrieve", unit.customer, name, ""),
    )


_MOVING: Final = (
    "_bytes",
    "_requests",
    "_used",
    "_left",
    "_update_datetime",
    "_successful",
    "_error",
)


def _compare_rows(
    found: list[Deviation],
    finding: RequestFinding,
    resource: str,
    name: str,
    pair: tuple[Row, JudgedRequest],
    row: Row,
    *,
    moving: bool,
    shared: bool,
) -> int:
    compared = 0
    before, unit = pair
    others = shared and str(before.get(f"{resource}_reason")) == "usage"
    for key in before:
        if not _documented(resource, key) or ((moving or others) and key.endswith(_MOVING)):
            continue
        one, two = before.get(key), row.get(key)
        compared += 1
        if one != two:
            found.append(
                Deviation(
                    check=RETRIEVE,
                    where=f"{resource}/retrieve/{name} · {key}",
                    expected=f"{one!r}, as in the search",
                    seen=repr(two),
                    unit=finding.unit,
                    exchanges=(*unit.numbers[-2:], *finding.unit.numbers[-2:]),
                    topic=("retrieve", finding.unit.customer, name, key),
                    definite=not moving,
                )
            )
    return compared


def _documented(resource: str, key: str) -> bool:
    """Whether a key belongs to the documented object; further keys may be anything."""
    own = key.startswith(f"{resource}_") or key in LOG_FIELDS or key == "service_adjustment_id"
    return own or (resource == "proxy_user" and key in ("ip_address_authentications",))


_CONSTANT: Final[Mapping[str, tuple[str, ...]]] = {
    "ledger": ("_period_date", "_reason", "_creation_datetime", "service_id"),
    "ledger entry": (
        *("_bytes", "service_adjustment_id", "_requests"),
        "_last_update_datetime",
    ),
    "summary": ("_creation_datetime",),
}


def compare_constants(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of rows that must not change: payments, and all creation times.

    A user that is created again is a new one, and so are its summaries where it takes them along.
    """
    first: dict[tuple[str, str, str, int], Row] = {}
    found: list[Deviation] = []
    removed = model.reading.value("deleted-users") == "removed"
    for finding in findings:
        for (resource, customer, name), row in finding.seen_rows.items():
            check = _CONSTANT_CHECKS.get(resource, FIXED)
            names = _constant_fields(resource, row)
            life = 0
            if resource == "proxy_user" or (resource == "log_summary" and removed):
                user = as_str(row, "proxy_user_id") or ""
                life = model.history.begin_of_life(customer, user, finding.unit.op)
            before = first.setdefault((resource, customer, name, life), row)
            if not names or before is row or len(row) == 0:
                continue
            made[check] += len(names)
            found += [
                Deviation(
                    check=check,
                    where=f"{resource} · {name} · {each}",
                    expected=f"{before.get(each)!r}, as before",
                    seen=repr(row.get(each)),
                    unit=finding.unit,
                    exchanges=finding.unit.numbers[-4:],
                    definite=True,
                )
                for each in names
                if before.get(each) != row.get(each)
            ]
    return found


_CONSTANT_CHECKS: Final[Mapping[str, str]] = {"log_summary": SUMMARY_TIMES, "proxy_user": EDITED}
"""Resource → check of its rows that must not change. The others are ledgers."""


def _constant_fields(resource: str, row: Row) -> tuple[str, ...]:
    if resource.endswith("_ledger"):
        names = _CONSTANT["ledger"]
        if row.get(f"{resource}_reason") != "usage":
            names += _CONSTANT["ledger entry"]
        return tuple(n if n.startswith("service") else f"{resource}{n}" for n in names)
    if resource == "proxy_user":
        return ("proxy_user_creation_datetime",)
    if resource == "log_summary" and row.get("log_summary_hostname"):
        return tuple(f"{resource}{n}" for n in _CONSTANT["summary"])
    return ()


def compare_with_whole(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of searches from the whole list that the same stage read."""
    wholes: dict[tuple[str, str, str], list[tuple[JudgedRequest, SearchRequest, ListedRows]]]
    wholes = defaultdict(list)
    for finding in findings:
        if finding.listing is not None:
            resource, search, listed = finding.listing
            plain = not search.conditions or (resource == "proxy_user" and search.of_users)
            if plain and search.order is None and listed.complete and listed.paged:
                key = (finding.unit.stage, finding.unit.customer, resource)
                wholes[key].append((finding.unit, search, listed))
    found: list[Deviation] = []
    for finding in findings:
        if finding.listing is None:
            continue
        resource, search, listed = finding.listing
        key = (finding.unit.stage, finding.unit.customer, resource)
        whole = next(
            (
                rows
                for unit, other, rows in wholes[key]
                if unit is not finding.unit
                and search.narrows(other)
                and not model.history.written_between(unit.op, finding.unit.op)
            ),
            None,
        )
        if whole is not None and not model.shared:
            found += _compare_with_list(finding, resource, search, listed, whole, made)
    return found


def _compare_with_list(
    finding: RequestFinding,
    resource: str,
    search: SearchRequest,
    listed: ListedRows,
    whole: ListedRows,
    made: Counter[str],
) -> list[Deviation]:
    scratch = RequestFinding(unit=finding.unit)
    key = f"{resource}_id"
    shown = {as_str(row, key) for row in listed.rows}
    matching = [(row, search.matches_row(row)) for row in whole.rows]
    sure = [row for row, held in matching if held is True]
    for row in sure if listed.complete else ():
        scratch.observed(FILTERS)
        if as_str(row, key) not in shown:
            where = f"{resource}/search · {search.text} · {as_str(row, key)}"
            scratch.deviate(FILTERS, where, "listed, as without filters", "not listed")
    if len(sure) == len([held for _, held in matching if held is not False]):
        if search.order is not None:
            name = search.order.field.name
            expect_slice(scratch, listed, search, [row.get(name) for row in sure])
        if listed.total is not None and not (resource == "proxy_user" and search.of_users):
            where = f"{resource}/search · {search.text} · total_count"
            scratch.equal(PAGES, where, len(sure), listed.total)
    for check, amount in scratch.evidence.items():
        made[check] += amount
    return scratch.deviations


def compare_balances(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of bytes left from what the ledger of the same stage adds up to."""
    ledgers: dict[tuple[str, str, str], tuple[int, int, JudgedRequest]] = {}
    for finding in findings:
        for (figure, customer, pool), (value, moved) in finding.figures.items():
            if figure == "ledger":
                ledgers[finding.unit.stage, customer, pool] = (value, moved, finding.unit)
    found = []
    for finding in findings:
        for (figure, customer, pool), (value, moved) in finding.figures.items():
            other = ledgers.get((finding.unit.stage, customer, pool))
            if figure != "left" or other is None:
                continue
            total, by, unit = other
            if model.history.written_between(unit.op, finding.unit.op):
                continue
            made[BALANCE] += 1
            if moved != by and not any(d.topic[:1] == ("account",) for d in finding.deviations):
                found.append(
                    Deviation(
                        check=BALANCE,
                        where=f"{pool}/summary · left, beside the entries of the ledger",
                        expected=f"{value - moved + by:,} bytes (the entries add up to {total:,})",
                        seen=f"{value:,} bytes",
                        unit=finding.unit,
                        exchanges=(*unit.numbers[-2:], *finding.unit.numbers[-2:]),
                        topic=("balance", customer, pool),
                    )
                )
    return found


def compare_error_counts(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of the counts of errors under the reading that fits most of them."""
    if "success-counts" not in model.reading.claims:
        return []
    wrong: dict[str, list[Deviation]] = defaultdict(list)
    agreed: dict[str, int] = defaultdict(int)
    for finding in findings:
        for reading, answers in finding.split.items():
            for answer in answers:
                if answer is None:
                    agreed[reading] += 1
                else:
                    wrong[reading].append(answer)
    if not wrong and not agreed:
        return []
    best = max({*wrong, *agreed}, key=lambda reading: agreed[reading])
    made[ERROR_COUNTS] += agreed[best] + len(wrong[best])
    return wrong[best]


def compare_optional_fields(
    model: ContractModel, findings: Sequence[RequestFinding]
) -> list[Deviation]:
    """Return deviations of rows that lack a field which the target shows for others."""
    shown: dict[str, int] = defaultdict(int)
    for finding in findings:
        for key, optional in finding.optional.items():
            shown[key] += optional.shown
    found: list[Deviation] = []
    fillers = _fillers(findings)
    sent = _sent_values(model) if any(len(each) > 1 for each in fillers.values()) else {}
    for finding in findings:
        for key, optional in finding.optional.items():
            view, _, name = key.partition(".")
            if shown[key] or _promised(model, name, shown):
                for where, value, unit, event in optional.absent:
                    found.append(
                        Deviation(
                            check=_VIEW_CHECKS[view],
                            where=f"{where} · {name}",
                            expected=str(value),
                            seen="nothing",
                            unit=unit,
                            exchanges=unit.numbers[-4:],
                            events=(event,) if event is not None else (),
                            topic=(
                                "field",
                                unit.customer,
                                event.log_id if event is not None else "",
                                name,
                            ),
                            definite=True,
                        )
                    )
            if len(fillers[key]) > 1:
                for value, places in optional.fillers.items():
                    if value in sent.get(name, ()):
                        where, unit = places[0]
                        found.append(
                            Deviation(
                                check=CONTENT,
                                where=f"{where} · {name}",
                                expected="nothing: it was sent without",
                                seen=value,
                                unit=unit,
                                exchanges=unit.numbers[-4:],
                                definite=True,
                            )
                        )
    return found


_VIEW_CHECKS: Final[Mapping[str, str]] = {
    "log": CONTENT,
    "log_summary": "charged-is-metered",
    "account": BALANCE,
    "customer": "customer-equals-account",
    "proxy_user": "used-bytes-are-the-traffic",
}
"""View → check of its fields that a target may leave out everywhere, but not here and there."""


def _promised(model: ContractModel, name: str, shown: Mapping[str, int]) -> bool:
    """Whether the guide promises a field that no row shows."""
    if name == "log_authentication_type":
        return True
    if name == "log_status_code":
        return "status-codes" in model.reading.claims and not shown.get("log.log_error_code")
    return False


def _fillers(findings: Sequence[RequestFinding]) -> Mapping[str, set[str]]:
    """Field → the values that are shown where nothing was sent."""
    found: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        for key, optional in finding.optional.items():
            found[key].update(optional.fillers)
    return found


def _sent_values(model: ContractModel) -> Mapping[str, set[str]]:
    values: dict[str, set[str]] = defaultdict(set)
    for record in model.history.records.values():
        for field, value in record.event.shown:
            if not field.guide and value not in (0, False, True, ""):
                values[field.name].add(repr(value)[:80])
    return values
