"""Implementations that differ from ours and are right all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from trueup.reference.behaviour import PaymentRow, RequestInfo, Row
from trueup.reference.errors import ApiProblem
from trueup.reference.events import admit
from trueup.reference.ids import new_uuid
from trueup.reference.mutants.mutant import Mutant, fresh, layer, swap
from trueup.reference.mutants.retention_faults import keep_logs_for
from trueup.reference.query import Sort
from trueup.reference.resources import Resource
from trueup.reference.retention import DayRow, merge
from trueup.reference.times import DAY_US, HOUR_US, ceil_day, day_of, floor_day

__all__ = ["VARIANTS"]

_DATETIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
_LATE_US: Final = 7 * DAY_US + 20 * HOUR_US
_OPTIONAL: Final = ("customer_id", "log_summary_charged_requests", "log_summary_charged_bytes")


def _rows(change: Callable[[str, Row], Row]) -> Callable[[str, str, Row], Row]:
    return lambda resource, _action, row: change(resource, row)


def _hostname(change: Callable[[Row], Row]) -> Callable[[str, str, Row], Row]:
    """Rows of summaries whose hostname was removed, written otherwise."""
    return _rows(
        lambda resource, row: (
            change(row)
            if resource == "log_summary" and row.get("log_summary_hostname", "") is None
            else row
        )
    )


def _without(*names: str) -> Callable[[Row], Row]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


def _every_datetime(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _every_datetime(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_every_datetime(item, change) for item in value]
    if isinstance(value, str) and _DATETIME.fullmatch(value):
        return change(value)
    return value


def _iso(_request: RequestInfo, body: Row) -> Row:
    shown: Row = _every_datetime(body, lambda text: text.replace(" ", "T") + "Z")
    return shown


def _more(_request: RequestInfo, body: Row) -> Row:
    return {**body, "api_version": "1.0", "links": {"self": "/", "next": None}}


def _replicas() -> dict[str, Any]:
    turns = {"n": 0}

    def lag_s(view: str) -> float:
        turns["n"] += 1
        return 1.0 if turns["n"] % 2 and view.endswith(".search") else 0.0

    return {"lag_s": lag_s}


def _nested(data: Row) -> Row:
    rows = [
        {
            "label": point["datetime"],
            "values": {
                "hits": point["requests"],
                "traffic": point["bytes"],
                "ok": point["successful"],
                "failed": point["error"],
            },
        }
        for point in data["points"]
    ]
    return {"chart": {"unit": data["interval"], "series": rows}}


def _other_error(status: int) -> Callable[[int, str, str], tuple[int, Row | str]]:
    def error(given: int, title: str, message: str) -> tuple[int, Row | str]:
        shown = status if given == 400 else given
        return shown, {"error": title, "message": message, "api_request_id": new_uuid()}

    return error


def _plain_id(status: int, title: str, message: str) -> tuple[int, Row | str]:
    identifier = new_uuid().replace("-", "")
    return status, {"message": message, "api_request_id": identifier, "error": title}


def _default(change: Callable[[Resource, Sort], Sort]) -> Callable[[Resource, Sort], Sort]:
    return lambda resource, sort: (
        change(resource, sort) if sort.field is None and not sort.random else sort
    )


def _new_id(rows: Sequence[DayRow]) -> Sequence[DayRow]:
    merged = merge(rows)
    if list(merged) == list(rows):
        return rows
    return tuple(replace(row, log_summary_id=new_uuid()) for row in merged)


def _two_days(at_us: int, now_us: int) -> str | None:
    if at_us < now_us - 2 * DAY_US:
        return "older than 2 days - at `$.log_request_datetime`"
    return admit(at_us, now_us)


def _fifty(requested: int) -> int:
    if requested < 1:
        raise ApiProblem(400, f"per_page must be 1 or more, not {requested}.")
    return min(requested, 50)


def _honour(requested: int) -> int:
    if not 1 <= requested <= 1000:
        raise ApiProblem(400, f"per_page must be from 1 to 1000, not {requested}.")
    return requested


def _reason(reasons: Mapping[str, str]) -> Callable[[PaymentRow], PaymentRow]:
    """Ledger rows of these kinds of movement have these reasons."""
    return lambda row: row._replace(reason=reasons.get(row.kind, row.reason))


_REASONS: Final = {"purchase": "adjustment", "top_up": "adjustment"}

VARIANTS: Final[tuple[Mutant, ...]] = (
    swap(
        "V1",
        "Logs live for seven whole calendar days after their own.",
        visible_from=lambda now_us, _view, _customer_id: floor_day(now_us) - 7 * DAY_US,
        purge_before=lambda now_us: floor_day(now_us) - 7 * DAY_US,
    ),
    swap(
        "V2",
        "The sweep comes 20 hours late, for logs and for summaries.",
        **keep_logs_for(_LATE_US),
        consolidate_before=lambda now_us: day_of(ceil_day(now_us - 90 * DAY_US - 20 * HOUR_US)),
    ),
    swap("V3", "per_page is capped at 50.", page_size=_fifty),
    layer(
        "V4",
        "A removed hostname is an empty string.",
        present=_hostname(lambda row: {**row, "log_summary_hostname": ""}),
    ),
    layer(
        "V5",
        "A removed hostname is absent.",
        present=_hostname(_without("log_summary_hostname")),
    ),
    swap(
        "V6",
        "Summaries are up to three seconds late.",
        lag_s=lambda view: 3.0 if view.startswith("log_summary.") else 0.0,
    ),
    swap("V7", "Usage in the ledgers is a positive number with the reason usage.", usage_sign=1),
    layer("V8", "Times are written as ISO 8601 with T and Z.", response=_iso),
    layer(
        "V9",
        "Objects and envelopes have further fields.",
        response=_more,
        present=_rows(lambda _resource, row: {**row, "object_version": 3, "tags": []}),
    ),
    swap("V10", "Unknown parameters are ignored.", ignore_unknown=True),
    fresh("V11", "Two replicas respond in turn, one up to a second behind.", _replicas),
    swap("V12", "total_count is always -1.", total=lambda _total, _items: -1),
    swap(
        "V13",
        "The graph leaves out empty buckets.",
        points=lambda points, _now_us: [point for point in points if point.requests],
    ),
    swap("V14", "The graph nests its points and names them otherwise.", shape_graph=_nested),
    layer(
        "V15",
        "Times of logs have a fraction of three digits.",
        present=_rows(
            lambda resource, row: (
                {**row, "log_request_datetime": row["log_request_datetime"] + ".000"}
                if resource == "log"
                else row
            )
        ),
    ),
    layer(
        "V16",
        "Fields without a value are absent instead of null.",
        present=_rows(
            lambda _resource, row: {name: value for name, value in row.items() if value is not None}
        ),
    ),
    layer(
        "V17",
        "Purchases and top-ups have the reason adjustment in the ledger.",
        payment=_reason(_REASONS),
    ),
    layer("V18", "Refunds have the reason refund.", payment=_reason({"refund": "refund"})),
    swap(
        "V19",
        "A log that aged out gives 410 for as long as the server remembers it.",
        purge_before=lambda now_us: now_us - 400 * DAY_US,
        gone_status=410,
    ),
    swap("V20", "A consolidated row gets a new id.", merge=_new_id),
    swap("V21", "Bad parameters give 422 instead of 400.", error=_other_error(422)),
    swap("V22", "A malformed id gives 400.", malformed_id_status=400),
    swap(
        "V23",
        "Without sort_by, rows come in the order of their ids.",
        sort=_default(lambda resource, sort: replace(sort, field=resource.field(resource.key))),
    ),
    swap("V24", "Events more than two days late are refused.", admit=_two_days),
    swap(
        "V25",
        "Without sort_by, the newest rows come first.",
        sort=_default(lambda _resource, sort: replace(sort, descending=True)),
    ),
    swap("V26", "Errors carry a request id without hyphens and other key order.", error=_plain_id),
    layer(
        "V27",
        "Optional fields (customer_id, charged counters) are absent.",
        present=_rows(
            lambda resource, row: (
                _without(*_OPTIONAL)(row) if resource not in ("customer", "proxy_user") else row
            )
        ),
    ),
    swap("V28", "per_page up to 1000 is honoured.", page_size=_honour),
    swap(
        "V29",
        "Events up to an hour ahead of the clock are accepted, into their own day.",
        admit=lambda at_us, now_us: (
            None if now_us < at_us <= now_us + HOUR_US else admit(at_us, now_us)
        ),
    ),
    layer(
        "V30",
        "Messages are worded otherwise.",
        response=lambda _request, body: {**body, "message": "OK"} if "message" in body else body,
    ),
    swap(
        "V31",
        "A delivery with a refused line is refused as a whole.",
        refuse_whole=lambda logs, refused: "another line was refused" if refused else None,
    ),
)
