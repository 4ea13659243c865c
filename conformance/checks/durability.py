"""What must outlive a restart and the deletion of a proxy user; and the breakdown's parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, Tally
from trueup.conformance.checks.graphs import total
from trueup.conformance.checks.logs import logs_equal_sent
from trueup.conformance.checks.shared import NOW, all_of, at_stages, logs_of, summaries_of
from trueup.conformance.checks.summaries import show
from trueup.conformance.datasets.datasets import day_start
from trueup.conformance.model import Scene
from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, counts_of, dotted, whole
from trueup.reports.results import Counts, Impact, Json, Verdict

__all__ = ["CHECKS"]

RESTART: Final = "restart"
_RESTS: Final = ("AUTH", "PAGE", "FRESH")
BREAKDOWN_AT: Final = (NOW, "past-90")
DIMENSIONS: Final = ("return_proxy_users", "return_hostnames", "return_networks")


# --- restart


def _survives(facts: Facts) -> Finding:
    """Events acknowledged just before a restart are in logs and summaries after it."""
    found = logs_equal_sent("restart", stage=RESTART)(facts)
    if found.verdict is not Verdict.PASS:
        return found
    tally = Tally(facts)
    user = facts.scene.user("restart")
    walk = tally.walk(RESTART, requests.summaries(user))
    events = facts.events("restart")
    want = Counts(len(events), sum(whole(e, "log_total_bytes") or 0 for e in events), 0, 0)
    if walk is not None:
        have = counts_of(walk.rows)._replace(successful=0, error=0)
        tally.holds(f"summaries of {user}", show(want), show(have), *walk.numbers)
    tally.saw(found.evidence)
    return tally.finding("what was acknowledged before the restart is there after it")


# --- deletion


def _by_host(scene: Scene) -> Ask:
    query = (("log_summary_hostname", scene.host("leaver")),)
    return Ask(path="log_summary/search", query=query, walk=True)


def _deletion(scene: Scene) -> Sequence[Ask]:
    user = scene.user("leaver")
    return (Ask(path=f"proxy_user/delete/{user}", method="DELETE"), _by_host(scene))


def _totals_outlive(facts: Facts) -> Finding:
    """The summaries of a host keep their totals when the proxy user behind them is deleted."""
    tally = Tally(facts)
    user = facts.scene.user("leaver")
    deleted = facts.answer("steps", _deletion(facts.scene)[0])
    if deleted is None or deleted.status not in (200, 202, 204):
        status = "not asked" if deleted is None else f"status {deleted.status}"
        tally.trouble(f"proxy_user/delete: {status}")
        return tally.finding("")
    before = tally.walk(NOW, requests.summaries(user))
    after = tally.walk("steps", _by_host(facts.scene))
    if before is not None and after is not None and before.rows:
        tally.holds(
            f"summaries of {facts.scene.host('leaver')} after {user} was deleted",
            show(counts_of(before.rows)),
            show(counts_of(after.rows)),
            deleted.n,
            *after.numbers,
        )
    return tally.finding("deleting a proxy user takes nothing from the totals")


# --- breakdown


def _window(scene: Scene) -> tuple[str, str]:
    start = day_start(scene.now) - timedelta(days=8)
    end = day_start(scene.now) + timedelta(days=1)
    return f"{start:%Y-%m-%d} 00:00:00", f"{end:%Y-%m-%d} 00:00:00"


def _breakdown(scene: Scene, user: str) -> Ask:
    start, end = _window(scene)
    query = (
        ("period_start", start),
        ("period_end", end),
        ("proxy_user_id", user),
        *((name, "True") for name in DIMENSIONS),
    )
    return Ask(path="analytics/breakdown", query=query)


def _whole(scene: Scene, user: str) -> Ask:
    start = day_start(scene.now) - timedelta(days=8)
    end = day_start(scene.now) + timedelta(days=1)
    return requests.graph(start, end, "day", filters={"proxy_user_id": user})


def _users(scene: Scene, stage: str) -> tuple[str, ...]:
    if stage == NOW:
        return tuple(scene.user(world) for world in ("hosts", "tenants", "comb"))
    return (scene.user("comb"),)


def _breakdown_asks(scene: Scene, stage: str) -> Sequence[Ask]:
    if stage not in BREAKDOWN_AT or "breakdown" not in scene.claims:
        return ()
    return [
        ask
        for user in _users(scene, stage)
        for ask in (_breakdown(scene, user), _whole(scene, user))
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


def _breakdown_adds_up(facts: Facts) -> Finding:
    """Each way of breaking a window down adds up to the graph of that window.

    A way that was there once is expected ever after, be it as an empty list.
    """
    tally = Tally(facts)
    known: dict[str, None] = {}
    for stage in BREAKDOWN_AT:
        for user in _users(facts.scene, stage) if stage in facts.stages else ():
            exchange = tally.exchange(stage, _breakdown(facts.scene, user))
            points, _, trouble = facts.points(stage, _whole(facts.scene, user))
            if exchange is None or trouble:
                tally.trouble(trouble or "no answer")
                continue
            if exchange.status != 200:
                tally.trouble(f"analytics/breakdown: status {exchange.status}", exchange.n)
                continue
            want = total(points)
            parts = _parts(dotted(exchange.body, "data"))
            known |= dict.fromkeys(parts)
            for key in known:
                rows = parts.get(key, [])
                have = NOTHING._replace(
                    requests=sum(whole(row, "requests") or 0 for row in rows),
                    bytes=sum(whole(row, "bytes") or 0 for row in rows),
                )
                where = f"breakdown of {user} by {key}, at stage {stage}"
                tally.holds(where, show(want), show(have), exchange.n)
    return tally.finding("the parts of every breakdown add up to the graph")


# --- outcomes in the graph


def _status_graph(scene: Scene) -> Ask:
    return requests.graph_days(scene.user("status"), scene.now, 1)


def _outcomes(facts: Facts) -> Finding:
    """Where points count successes and errors, they are those of the summaries."""
    tally = Tally(facts)
    user = facts.scene.user("status")
    points, exchange, trouble = facts.points(NOW, _status_graph(facts.scene))
    walk = tally.walk(NOW, requests.summaries(user))
    if trouble or exchange is None:
        tally.trouble(trouble)
        return tally.finding("")
    if walk is None:
        return tally.finding("")
    sums = counts_of(walk.rows)
    if all(point.successful is None for point in points) or not sums.successful + sums.error:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="points or summaries do not count successes and errors",
        )
    for name in ("successful", "error"):
        seen = sum(getattr(point, name) or 0 for point in points)
        where = f"graph of {user} · {name}"
        tally.holds(where, getattr(sums, name), seen, exchange.n, *walk.numbers)
    return tally.finding("successes and errors of the graph are those of the summaries")


CHECKS: Final = (
    Check(
        name="acknowledged-outlives-a-restart",
        law="LOG=SENT",
        title="What was acknowledged is still there after the target restarts.",
        judge=_survives,
        asks=all_of(
            logs_of("restart", stages=(RESTART,)), summaries_of("restart", stages=(RESTART,))
        ),
        clauses=("LOG-12",),
        level=4,
        needed=5,
        impact=Impact.UNDER_CHARGE,
        worlds=("restart",),
        rests_on=_RESTS,
        lever="restart",
    ),
    Check(
        name="deleted-users-leave-their-totals",
        law="SUM=LOG",
        title="Deleting a proxy user takes nothing away from the totals of its traffic.",
        judge=_totals_outlive,
        asks=summaries_of("leaver"),
        steps=_deletion,
        clauses=("ACC-U-3",),
        impact=Impact.UNDER_CHARGE,
        worlds=("leaver",),
        rests_on=_RESTS,
        eventual=False,
        claim="proxy-user-edit",
    ),
    Check(
        name="breakdown-parts-make-the-whole",
        law="PARTITION",
        title="The parts of the breakdown add up to the graph of the same window.",
        judge=_breakdown_adds_up,
        asks=_breakdown_asks,
        clauses=("BREAK-1",),
        needed=4,
        worlds=("hosts", "tenants", "comb"),
        rests_on=_RESTS,
        claim="breakdown",
    ),
    Check(
        name="graph-outcomes-equal-summaries",
        law="GRAPH=SUM",
        title="Where the graph counts successes and errors, they are those of the summaries.",
        judge=_outcomes,
        asks=all_of(
            at_stages((NOW,), lambda scene: [_status_graph(scene)]), summaries_of("status")
        ),
        clauses=("GRAPH-3",),
        needed=2,
        worlds=("status",),
        rests_on=_RESTS,
        claim="success-counts",
    ),
)
