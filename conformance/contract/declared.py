"""Hold a target to the readings that its file declares, in every response that shows one.

A reading that changes what is expected (`hostname-case`, `failed-requests`) is held to where that
is compared. Here are those that only say which of several accepted responses is given. One that was
probed is not held to here: where the documents leave a point open, nothing says that every endpoint
reads it alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from trueup.conformance.contract.check_names import READINGS_TRUE
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.graph_windows import parse_window, read_points
from trueup.conformance.contract.interpretation import LOG_LIFE
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import MISSING_STATUSES, ContractModel
from trueup.conformance.contract.sums import summary_cell
from trueup.conformance.rows import Row, as_int, as_row, get_path, rows_of
from trueup.reports.journal.records import Exchange

__all__ = ["judge_declared"]

Shown: TypeAlias = tuple[str, str, str, Exchange]
"""(reading, place, value that the response shows, response)."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d(?:\.\d+)?(Z?)")
_FORMS: Final = {(" ", ""): "space", ("T", ""): "iso", ("T", "Z"): "iso-z"}
_REFUSED: Final = frozenset({400, 422})


def judge_declared(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    path: str,
    search: SearchRequest | None,
) -> None:
    """Compare what a request's responses show of the declared readings with what is declared.

    `path` is below the prefix; `search` is None where the request is no search.
    """
    declared = model.reading.declared
    if not declared:
        return
    resource, _, action = path.partition("/")
    shown: list[Shown] = [*_forms(unit, resource)]
    if action.startswith("retrieve/") and resource == "log":
        shown += _of_retrieve(model, unit, action.removeprefix("retrieve/"))
    elif search is not None:
        shown += _of_search(unit, search, path)
    elif path == "analytics/graph":
        shown += _of_old_graph(model, unit)
    for reading, where, seen, exchange in shown:
        if reading in declared:
            told = model.reading.values[reading]
            finding.equal(
                READINGS_TRUE, f"{where} · {reading}", told, seen, exchange.n, definite=True
            )
    if resource in ("log", "log_summary"):
        _expect_removed(model, unit, finding, resource)


def _expect_removed(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, resource: str
) -> None:
    """Rows of deleted proxy users, where they are declared to go with their user.

    Rows of what was delivered after the deletion are open: traffic may create a user again.
    """
    if model.reading.declared_value("deleted-users") != "removed":
        return
    for exchange in unit.exchanges:
        for row in _rows(exchange):
            user = str(row.get("proxy_user_id"))
            lives = model.history.lives_of(unit.customer, user, unit.op)
            if not lives or lives[-1].action != "delete" or not lives[-1].accepted:
                continue
            if resource == "log":
                record = model.history.records.get((unit.customer, str(row.get("log_id")).lower()))
                records = [record] if record is not None else []
            else:
                records = list(model.records_of(unit.customer, summary_cell(row)))
            later = any(lives[-1].op < d.op < unit.op for r in records for d in r.deliveries)
            if records and not later:
                finding.deviate(
                    READINGS_TRUE,
                    f"{resource} · {user} · deleted-users",
                    "no rows of a deleted user",
                    "a row",
                    exchanges=[exchange.n],
                )
                return


def _forms(unit: JudgedRequest, resource: str) -> Iterator[Shown]:
    """The form of each time field, once for each form that a response shows it in."""
    seen: set[tuple[str, str]] = set()
    for exchange in unit.exchanges:
        for row in _rows(exchange):
            for name, value in row.items():
                match = _TIME.fullmatch(value) if isinstance(value, str) else None
                form = match and _FORMS.get((match[1], match[2]))
                if not form or not name.endswith("_datetime") or (name, form) in seen:
                    continue
                seen.add((name, form))
                yield "time-form", f"{resource} · {name}", form, exchange


def _rows(exchange: Exchange) -> Sequence[Row]:
    """The rows of a list, or the one object of another response."""
    if exchange.status != 200:
        return ()
    return rows_of(exchange.body) or (as_row(get_path(exchange.body, "data")),)


def _of_retrieve(model: ContractModel, unit: JudgedRequest, log_id: str) -> Iterator[Shown]:
    """The status for a log that is gone, for an id that nothing has, and for what is no id."""
    exchange = unit.first
    if exchange.status not in MISSING_STATUSES:
        return
    where, status = f"log/retrieve/{log_id}", str(exchange.status)
    record = model.history.records.get((unit.customer, log_id.lower()))
    if record is not None:
        if exchange.status != 400 and not model.reading.log_may_show(record.event.at, unit.now):
            yield "expired-log-status", where, status, exchange
    elif not model.ids.get(("log", log_id)) and not model.history.records_with_id(log_id):
        if _UUID.fullmatch(log_id):
            yield "unknown-id-status", where, status, exchange
        elif not any(letter.isdigit() for letter in log_id):
            yield "malformed-id-status", where, status, exchange


def _of_search(unit: JudgedRequest, search: SearchRequest, path: str) -> Iterator[Shown]:
    """How wide pages, unknown parameters, malformed values and totals are treated."""
    exchange = unit.first
    refused = exchange.status in _REFUSED
    if exchange.status != 200 and not refused:
        return
    where = f"{path} · {search.text}"
    if len(search.unusual) > 1:
        return
    if search.unknown:
        yield "unknown-filter", where, "refused" if refused else "ignored", exchange
    elif not all(each.is_defined or each.operator for each in search.conditions):
        seen = str(exchange.status) if refused else "ignored"
        yield "bad-value-status", where, seen, exchange
    if search.unusual:
        return
    body = as_row(exchange.body)
    if (search.per_page or 0) > 100:
        echoed = as_int(body, "per_page")
        if refused or echoed is not None:
            answer = "honoured" if echoed == search.per_page else "clamped"
            yield "per-page-above-100", where, "refused" if refused else answer, exchange
    if as_int(body, "total_count") == -1:
        yield "total-count", where, "unknown", exchange


def _of_old_graph(model: ContractModel, unit: JudgedRequest) -> Iterator[Shown]:
    """A graph by minute or hour of days whose logs are gone."""
    window, exchange = parse_window(model, unit), unit.first
    long_gone = unit.now - 2 * LOG_LIFE
    if window is None or not window.fine or window.end >= long_gone:
        return
    where = f"graph by {window.interval}, {window.start} to {window.end}"
    if exchange.status in (*_REFUSED, 404):
        yield "graph-old-detail", where, "refused", exchange
        return
    points = read_points(model, unit, window) if exchange.status == 200 else ""
    told = model.reading.declared_value("graph-old-detail")
    if isinstance(points, str) or (told != "refused" and not points):
        return
    filled = any(point.requests for point in points.values())
    if told == "refused" or (told == "empty" and filled):
        yield "graph-old-detail", where, "days" if filled else "empty", exchange
