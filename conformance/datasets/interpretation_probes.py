"""Probing: how a target reads the points that the contract leaves open.

Each probe is a pure function from facts to a value, or None while the facts say nothing yet. A
declared reading is never probed. What is probed is printed and then held to; what neither is
declared nor shows itself keeps the default of its row in
`trueup.conformance.contract.interpretations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.contract.interpretations import READINGS
from trueup.conformance.datasets.datasets import event, hour_start
from trueup.conformance.model import Batch, Scene, World
from trueup.conformance.observed.observations import Facts, Walk
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, moment, text, whole
from trueup.reports.results import Outcome, Reading

__all__ = ["LATE", "PROBES", "reading_asks", "readings_now"]

UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"
MALFORMED_ID: Final = "no-such-id"
_LATE_HOURS: Final = (1, 23, 47, 71, 95, 119, 143, 167)
"""Ages of the probe for late events: an hour before each whole day up to 7."""

UNKNOWN_FILTER: Final = Ask(
    path="log_summary/search", query=(("no_such_filter", "1"), ("per_page", "1"))
)
WIDE_PAGE: Final = Ask(path="log_summary/search", query=(("per_page", "101"),))
FULL_PAGE: Final = Ask(path="log_summary/search", query=(("per_page", "100"),))
BAD_VALUE: Final = Ask(path="log/search", query=(("log_total_bytes", "many"), ("per_page", "1")))
ONE_SUMMARY: Final = Ask(path="log_summary/search", query=(("per_page", "10"),))
ONE_LOG: Final = Ask(path="log/search", query=(("per_page", "10"),))


def _late(scene: Scene) -> Sequence[Batch]:
    return tuple(
        Batch(events=(event(scene, "late", n, bytes=1, at=scene.now - timedelta(hours=hours)),))
        for n, hours in enumerate(_LATE_HOURS)
    )


LATE: Final = World(name="late", plant=_late, stage="open")
"""Events of every age up to 7 days: which of them are still taken in."""


def reading_asks(scene: Scene) -> Sequence[Ask]:
    """Questions that read without planting; also the first look at every part of the API."""
    end = hour_start(scene.now)
    return (
        UNKNOWN_FILTER,
        WIDE_PAGE,
        FULL_PAGE,
        BAD_VALUE,
        ONE_SUMMARY,
        ONE_LOG,
        *(Ask(path=f"{pool}_ledger/search") for pool in requests.POOLS if pool in scene.claims),
        requests.log(UNKNOWN_ID),
        requests.log(MALFORMED_ID),
        requests.graph(end - timedelta(hours=3), end, "hour"),
        requests.graph(end - timedelta(days=60), end - timedelta(days=60, hours=-3), "hour"),
    )


def _rows(facts: Facts, *wanted: Ask) -> Iterable[Row]:
    for ask in wanted:
        for stage in ("now", "open"):
            walk = facts.walk(stage, ask)
            if walk is not None and not walk.trouble:
                yield from walk.rows


def _time_form(facts: Facts) -> str | None:
    users = [facts.scene.user(world) for world in ("comb", "marker", "twice")]
    rows = _rows(facts, ONE_LOG, *(requests.logs(user) for user in users))
    for at in (text(row, "log_request_datetime") for row in rows):
        if at:
            return "space" if "T" not in at else ("iso-z" if at.endswith("Z") else "iso")
    return None


def _period_form(facts: Facts) -> str | None:
    for row in _rows(facts, ONE_SUMMARY, FULL_PAGE, requests.summaries(facts.scene.user("comb"))):
        period = text(row, "log_summary_period")
        if period:
            return "date" if len(period) == 10 else "datetime"
    return None


def _usage_sign(facts: Facts) -> str | None:
    for pool in requests.POOLS:
        walks = [Ask(path=f"{pool}_ledger/search"), requests.ledger(pool, 2)]
        for row in _rows(facts, *walks):
            amount = whole(row, f"{pool}_ledger_bytes")
            if text(row, f"{pool}_ledger_reason") == "usage" and amount:
                return "negative" if amount < 0 else "positive"
    return None


def _status(ask: Ask, *allowed: str) -> Callable[[Facts], str | None]:
    def probe(facts: Facts) -> str | None:
        exchange = facts.answer("open", ask)
        status = "" if exchange is None else str(exchange.status)
        return status if status in allowed else None

    return probe


def _bad_value(facts: Facts) -> str | None:
    exchange = facts.answer("open", BAD_VALUE)
    known = {200: "ignored", 400: "400", 422: "422"}
    return None if exchange is None or exchange.status is None else known.get(exchange.status)


def _unknown_filter(facts: Facts) -> str | None:
    exchange = facts.answer("open", UNKNOWN_FILTER)
    if exchange is None or exchange.status not in (200, 400, 422):
        return None
    return "ignored" if exchange.status == 200 else "refused"


def _per_page_above(facts: Facts) -> str | None:
    exchange = facts.answer("open", WIDE_PAGE)
    if exchange is None or exchange.status is None:
        return None
    if exchange.status in (400, 422):
        return "refused"
    body = exchange.body if isinstance(exchange.body, dict) else {}
    echoed = whole(body, "per_page")
    return None if echoed is None else ("honoured" if echoed == 101 else "clamped")


def _per_page_most(facts: Facts) -> str | None:
    exchange = facts.answer("open", FULL_PAGE)
    body = exchange.body if exchange is not None and isinstance(exchange.body, dict) else {}
    echoed = whole(body, "per_page")
    return None if echoed is None or not 1 <= echoed <= 100 else str(echoed)


def _total_count(facts: Facts) -> str | None:
    totals = [
        whole(exchange.body, "total_count")
        for exchange in facts.exchanges
        if exchange.path.endswith("/search") and isinstance(exchange.body, dict)
    ]
    known = [total for total in totals if total is not None]
    return None if not known else ("unknown" if -1 in known else "exact")


def _empty_buckets(facts: Facts) -> str | None:
    end = hour_start(facts.scene.now)
    for hours in (timedelta(hours=3),):
        points, _, trouble = facts.points("open", requests.graph(end - hours, end, "hour"))
        if not trouble and any(point.requests == 0 for point in points):
            return "zero"
        if not trouble and not points:
            return "omitted"
    return None


def _graph_end(facts: Facts) -> str | None:
    """Whether a graph that ends at an hour shows the event of exactly that hour."""
    edge = hour_start(facts.scene.now) - timedelta(hours=3)
    filters = {"proxy_user_id": facts.scene.user("graph")}
    ask = requests.graph(edge - timedelta(hours=2), edge, "hour", filters=filters)
    points, exchange, trouble = facts.points("now", ask)
    if exchange is None or trouble:
        return None
    before = [e for e in facts.events("graph") if _at(e, edge) < edge]
    if not before:
        return None
    seen = sum(point.requests for point in points)
    return {len(before): "exclusive", len(before) + 1: "inclusive"}.get(seen)


def _at(row: Row, otherwise: datetime) -> datetime:
    return moment(row["log_request_datetime"]) or otherwise


def _old_detail(facts: Facts) -> str | None:
    end = hour_start(facts.scene.now) - timedelta(days=60)
    ask = requests.graph(end, end + timedelta(hours=3), "hour")
    points, exchange, trouble = facts.points("open", ask)
    if exchange is None or exchange.status is None:
        return None
    if exchange.status in (400, 404, 422):
        return "refused"
    return None if trouble else ("empty" if not any(p.requests for p in points) else "days")


def _host_walk(facts: Facts) -> Walk | None:
    return facts.walk("now", requests.logs(facts.scene.user("hosts")))


def _hostname_case(facts: Facts) -> str | None:
    walk, base = _host_walk(facts), facts.scene.host("hosts")
    names = {text(row, "log_hostname") or "" for row in (walk.rows if walk else ())}
    if not names:
        return None
    return "kept" if base.upper() in {name.removesuffix(".") for name in names} else "folded"


def _hostname_dot(facts: Facts) -> str | None:
    walk = _host_walk(facts)
    names = {text(row, "log_hostname") or "" for row in (walk.rows if walk else ())}
    if not names:
        return None
    return "kept" if any(name.endswith(".") for name in names) else "stripped"


def _late_events(facts: Facts) -> str | None:
    planted = [p for p in facts.planted if p.world == "late"]
    if not planted:
        return None
    taken = [facts.age("open", p.event) for p in planted if p.outcome is Outcome.ACCEPTED]
    days = max((age + timedelta(hours=1, minutes=5)).days for age in taken) if taken else 0
    return str(days)


def _consolidated_hostname(facts: Facts) -> str | None:
    walk = facts.walk("past-90", requests.summaries(facts.scene.user("comb")))
    for row in walk.rows if walk else ():
        if "log_summary_hostname" not in row:
            return "absent"
        if row["log_summary_hostname"] in (None, ""):
            return "null" if row["log_summary_hostname"] is None else "empty"
    return None


def _expired_status(facts: Facts) -> str | None:
    for event_ in facts.events("comb")[:1]:
        exchange = facts.answer("past-7", requests.log(str(event_["log_id"])))
        if exchange is not None and exchange.status in (404, 410):
            return str(exchange.status)
    return None


PROBES: Final[dict[str, Callable[[Facts], str | None]]] = {
    "time-form": _time_form,
    "usage-sign": _usage_sign,
    "summary-period-form": _period_form,
    "consolidated-hostname": _consolidated_hostname,
    "expired-log-status": _expired_status,
    "unknown-id-status": _status(requests.log(UNKNOWN_ID), "404", "400", "422"),
    "malformed-id-status": _status(requests.log(MALFORMED_ID), "404", "400", "422"),
    "bad-value-status": _bad_value,
    "unknown-filter": _unknown_filter,
    "per-page-above-100": _per_page_above,
    "per-page-most": _per_page_most,
    "total-count": _total_count,
    "graph-empty-buckets": _empty_buckets,
    "graph-end": _graph_end,
    "graph-old-detail": _old_detail,
    "hostname-case": _hostname_case,
    "hostname-dot": _hostname_dot,
    "late-events-days": _late_events,
}
"""Reading → how it is found out. Readings without a probe keep their default."""


def readings_now(facts: Facts, stage: str) -> Sequence[Reading]:
    """Readings that have become known and are not recorded yet."""
    del stage
    found = []
    for name, probe in PROBES.items():
        if name in facts.readings:
            continue
        value = probe(facts)
        if value is not None:
            found.append(Reading(name=name, value=value, how="probed", why=READINGS[name].sentence))
    return found
