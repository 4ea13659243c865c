"""What must outlive a restart and the deletion of a proxy user; and the breakdown's parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.graphs import total
from trueup.conformance.checks.logs import logs_equal_sent
from trueup.conformance.checks.shared import NOW, all_of, at_stages, logs_of, summaries_of
from trueup.conformance.checks.summaries import show
from trueup.conformance.datasets.datasets import day_start
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, counts_of, get_path
from trueup.reports.results import Counts, Impact, Json, Verdict

__all__ = ["CHECKS"]

RESTART: Final = "restart"
_RESTS: Final = ("AUTH", "PAGE", "FRESH")
BREAKDOWN_AT: Final = (NOW, "past-90")
DIMENSIONS: Final = ("return_proxy_users", "return_hostnames", "return_networks")


# --- restart


def _survives(observations: Observations) -> Finding:
    """Events acknowledged just before a restart are in logs and summaries after it."""
    found = logs_equal_sent("restart", stage=RESTART)(observations)
    if found.verdict is not Verdict.PASS:
        return found
    builder = FindingBuilder(observations)
    user = observations.context.user("restart")
    walk = builder.paged_result(RESTART, requests.summaries(user))
    events = observations.events("restart")
    want = Counts(len(events), sum(as_int(e, "log_total_bytes") or 0 for e in events), 0, 0)
    if walk is not None:
        have = counts_of(walk.rows)._replace(successful=0, error=0)
        builder.expect_equal(f"summaries of {user}", show(want), show(have), *walk.numbers)
    builder.observed(found.evidence)
    return builder.finding("what was acknowledged before the restart is there after it")


# --- deletion


def _by_host(context: CheckContext) -> ApiRequest:
    query = (("log_summary_hostname", context.host("leaver")),)
    return ApiRequest(path="log_summary/search", query=query, paged=True)


def _deletion(context: CheckContext) -> Sequence[ApiRequest]:
    user = context.user("leaver")
    return (ApiRequest(path=f"proxy_user/delete/{user}", method="DELETE"), _by_host(context))


def _totals_outlive(observations: Observations) -> Finding:
    """The summaries of a host keep their totals when the proxy user behind them is deleted."""
    builder = FindingBuilder(observations)
    user = observations.context.user("leaver")
    deleted = observations.answer("sequence", _deletion(observations.context)[0])
    if deleted is None or deleted.status not in (200, 202, 204):
        status = "not asked" if deleted is None else f"status {deleted.status}"
        builder.unusable(f"proxy_user/delete: {status}")
        return builder.finding("")
    before = builder.paged_result(NOW, requests.summaries(user))
    after = builder.paged_result("sequence", _by_host(observations.context))
    if before is not None and after is not None and before.rows:
        builder.expect_equal(
            f"summaries of {observations.context.host('leaver')} after {user} was deleted",
            show(counts_of(before.rows)),
            show(counts_of(after.rows)),
            deleted.n,
            *after.numbers,
        )
    return builder.finding("deleting a proxy user takes nothing from the totals")


# --- breakdown


def _window(context: CheckContext) -> tuple[str, str]:
    start = day_start(context.now) - timedelta(days=8)
    end = day_start(context.now) + timedelta(days=1)
    return f"{start:%Y-%m-%d} 00:00:00", f"{end:%Y-%m-%d} 00:00:00"


def _breakdown(context: CheckContext, user: str) -> ApiRequest:
    start, end = _window(context)
    query = (
        ("period_start", start),
        ("period_end", end),
        ("proxy_user_id", user),
        *((name, "True") for name in DIMENSIONS),
    )
    return ApiRequest(path="analytics/breakdown", query=query)


def _whole(context: CheckContext, user: str) -> ApiRequest:
    start = day_start(context.now) - timedelta(days=8)
    end = day_start(context.now) + timedelta(days=1)
    return requests.graph(start, end, "day", filters={"proxy_user_id": user})


def _users(context: CheckContext, stage: str) -> tuple[str, ...]:
    if stage == NOW:
        return tuple(context.user(dataset) for dataset in ("hosts", "tenants", "comb"))
    return (context.user("comb"),)


def _breakdown_asks(context: CheckContext, stage: str) -> Sequence[ApiRequest]:
    if stage not in BREAKDOWN_AT or "breakdown" not in context.claims:
        return ()
    return [
        ask
        for user in _users(context, stage)
        for ask in (_breakdown(context, user), _whole(context, user))
    ]


def _parts(data: Json) -> dict[str, list[Row]]:
    """Lists of objects that count requests, by their key; wherever the target puts them."""
    found: dict[str, list[Row]] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        rows: list[Row] = []
        if isinstance(value, list):
            rows += [row for row in value if isinstance(row, dict)]
        if rows and all("requests" in row for row in rows):
            found[key] = rows
    return found


def _breakdown_adds_up(observations: Observations) -> Finding:
    """Each way of breaking a window down adds up to the graph of that window.

    A way that was there once is expected ever after, be it as an empty list.
    """
    builder = FindingBuilder(observations)
    known: dict[str, None] = {}
    for stage in BREAKDOWN_AT:
        for user in _users(observations.context, stage) if stage in observations.stages else ():
            exchange = builder.exchange(stage, _breakdown(observations.context, user))
            points, _, trouble = observations.points(stage, _whole(observations.context, user))
            if exchange is None or trouble:
                builder.unusable(trouble or "no answer")
                continue
            if exchange.status != 200:
                builder.unusable(f"analytics/breakdown: status {exchange.status}", exchange.n)
                continue
            want = total(points)
            parts = _parts(get_path(exchange.body, "data"))
            known |= dict.fromkeys(parts)
            for key in known:
                rows = parts.get(key, [])
                have = NOTHING._replace(
                    requests=sum(as_int(row, "requests") or 0 for row in rows),
                    bytes=sum(as_int(row, "bytes") or 0 for row in rows),
                )
                where = f"breakdown of {user} by {key}, at stage {stage}"
                builder.expect_equal(where, show(want), show(have), exchange.n)
    return builder.finding("the parts of every breakdown add up to the graph")


# --- outcomes in the graph


def _status_graph(context: CheckContext) -> ApiRequest:
    return requests.graph_days(context.user("status"), context.now, 1)


def _outcomes(observations: Observations) -> Finding:
    """Where points count successes and errors, they are those of the summaries."""
    builder = FindingBuilder(observations)
    user = observations.context.user("status")
    points, exchange, trouble = observations.points(NOW, _status_graph(observations.context))
    walk = builder.paged_result(NOW, requests.summaries(user))
    if trouble or exchange is None:
        builder.unusable(trouble)
        return builder.finding("")
    if walk is None:
        return builder.finding("")
    sums = counts_of(walk.rows)
    if all(point.successful is None for point in points) or not sums.successful + sums.error:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="points or summaries do not count successes and errors",
        )
    for name in ("successful", "error"):
        seen = sum(getattr(point, name) or 0 for point in points)
        where = f"graph of {user} · {name}"
        builder.expect_equal(where, getattr(sums, name), seen, exchange.n, *walk.numbers)
    return builder.finding("successes and errors of the graph are those of the summaries")


CHECKS: Final = (
    Check(
        name="acknowledged-outlives-a-restart",
        law="LOG=SENT",
        title="What was acknowledged is still there after the target restarts.",
        judge=_survives,
        requests=all_of(
            logs_of("restart", stages=(RESTART,)), summaries_of("restart", stages=(RESTART,))
        ),
        clauses=("LOG-12",),
        level=4,
        needed=5,
        impact=Impact.UNDER_CHARGE,
        datasets=("restart",),
        rests_on=_RESTS,
        needs_hook="restart",
    ),
    Check(
        name="deleted-users-leave-their-totals",
        law="SUM=LOG",
        title="Deleting a proxy user takes nothing away from the totals of its traffic.",
        judge=_totals_outlive,
        requests=summaries_of("leaver"),
        sequence=_deletion,
        clauses=("ACC-U-3",),
        impact=Impact.UNDER_CHARGE,
        datasets=("leaver",),
        rests_on=_RESTS,
        eventual=False,
        claim="proxy-user-edit",
    ),
    Check(
        name="breakdown-parts-make-the-whole",
        law="PARTITION",
        title="The parts of the breakdown add up to the graph of the same window.",
        judge=_breakdown_adds_up,
        requests=_breakdown_asks,
        clauses=("BREAK-1",),
        needed=4,
        datasets=("hosts", "tenants", "comb"),
        rests_on=_RESTS,
        claim="breakdown",
    ),
    Check(
        name="graph-outcomes-equal-summaries",
        law="GRAPH=SUM",
        title="Where the graph counts successes and errors, they are those of the summaries.",
        judge=_outcomes,
        requests=all_of(
            at_stages((NOW,), lambda context: [_status_graph(context)]), summaries_of("status")
        ),
        clauses=("GRAPH-3",),
        needed=2,
        datasets=("status",),
        rests_on=_RESTS,
        claim="success-counts",
    ),
)
