"""GRAPH=SUM, GRAPH=SENT, WINDOW and PARTITION: the graph is one more view of the same truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import NOW, all_of, at_stages, of_user, summaries_of
from trueup.conformance.checks.summaries import show
from trueup.conformance.datasets.datasets import NETWORKS, day_start, hour_start
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.cells import NOTHING, by_day, cells_of_summaries
from trueup.conformance.observed.observations import GraphPoint, Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, parse_time
from trueup.reports.results import Counts, Impact

__all__ = ["CHECKS", "points_by_day", "total"]

_RESTS: Final = ("AUTH", "FRESH")
COMB_DAYS: Final = 9
"""Days that the comb's graphs reach back: one more than any event."""
LATER: Final = ("week", "past-7", "past-90")


def _since(context: CheckContext, facts_now: datetime | None = None) -> datetime:
    """First day of the comb's graph; stages later on look at the same days."""
    del facts_now
    return day_start(context.now) - timedelta(days=COMB_DAYS)


def _comb_graph(context: CheckContext) -> ApiRequest:
    """The comb's user by day, over all days of the run's present."""
    return requests.graph(
        _since(context),
        day_start(context.now) + timedelta(days=1),
        "day",
        filters={"proxy_user_id": context.user("comb")},
    )


def total(points: Iterable[GraphPoint]) -> Counts:
    """Requests and bytes of points together."""
    points = tuple(points)
    return Counts(sum(p.requests for p in points), sum(p.bytes for p in points), 0, 0)


def points_by_day(points: Sequence[GraphPoint]) -> dict[str, Counts]:
    days: dict[str, list[GraphPoint]] = {}
    for point in points:
        if point.at is not None:
            days.setdefault(point.at.strftime("%Y-%m-%d"), []).append(point)
    return {day: total(of_day) for day, of_day in days.items()}


def _graph_of(
    builder: FindingBuilder, stage: str, ask: ApiRequest
) -> tuple[Sequence[GraphPoint], int] | None:
    points, exchange, trouble = builder.observations.points(stage, ask)
    if trouble or exchange is None:
        builder.unusable(trouble, exchange.n if exchange else 0)
        return None
    return points, exchange.n


def graph_equals_summaries(*stages: str) -> Callable[[Observations], Finding]:
    """A judge: at every stage, each closed day's point is the sum of the day's summaries."""

    def judge(observations: Observations) -> Finding:
        builder = FindingBuilder(observations)
        user = observations.context.user("comb")
        for stage in stages:
            found = _graph_of(builder, stage, _comb_graph(observations.context))
            walk = builder.paged_result(stage, requests.summaries(user))
            if found is None or walk is None:
                continue
            points, number = found
            seen = points_by_day(points)
            summed = by_day(cells_of_summaries(walk.rows))
            today = observations.now(stage).strftime("%Y-%m-%d")
            for day in sorted({*summed, *seen}):
                want = summed.get(day, NOTHING)
                if day < today and (want.requests or seen.get(day, NOTHING).requests):
                    builder.expect_equal(
                        f"graph of {user} at stage {stage} · {day}",
                        show(want),
                        show(seen.get(day, NOTHING)),
                        number,
                        *walk.numbers,
                    )
        return builder.finding("every closed day's point is what its summaries add up to")

    return judge


def _hours(context: CheckContext) -> tuple[datetime, datetime, datetime]:
    """A window's start, an hour's boundary inside it with an event exactly there, its end."""
    edge = hour_start(context.now) - timedelta(hours=3)
    return edge - timedelta(hours=2), edge, hour_start(context.now) + timedelta(hours=1)


def _window(context: CheckContext, start: datetime, end: datetime, **filters: str) -> ApiRequest:
    own = {"proxy_user_id": context.user("graph"), **filters}
    return requests.graph(start, end, "hour", filters=own)


def _window_asks(context: CheckContext) -> Sequence[ApiRequest]:
    start, edge, end = _hours(context)
    before = timedelta(seconds=1)
    return [
        _window(context, start, end),
        _window(context, start, edge),
        _window(context, edge, end),
        _window(context, start, edge - before),
    ]


def _partition_asks(context: CheckContext) -> Sequence[ApiRequest]:
    start, _, end = _hours(context)
    whole_window = _window(context, start, end)
    return [
        whole_window,
        *(_window(context, start, end, network=network) for network in NETWORKS),
        *(_window(context, start, end, hostname=context.host("graph", n)) for n in (1, 2)),
    ]


def _graph_equals_sent(observations: Observations) -> Finding:
    """Hour by hour, the graph of a user shows its events of that hour, the present one too."""
    builder = FindingBuilder(observations)
    start, _, end = _hours(observations.context)
    user = observations.context.user("graph")
    found = _graph_of(builder, NOW, _window(observations.context, start, end))
    if found is not None:
        points, number = found
        events = of_user(observations, ("graph",), user)
        seen: dict[str, Counts] = {}
        for point in points:
            if point.at is not None:
                hour = point.at.strftime("%Y-%m-%d %H")
                seen[hour] = total([point])
        sent = _by_hour(events)
        for hour in sorted({*sent, *seen}):
            want = sent.get(hour, [])
            _hold_counts(builder, f"graph of {user} · hour {hour}", want, seen.get(hour), number)
    comb = _graph_of(builder, NOW, _comb_graph(observations.context))
    if comb is not None:
        days = points_by_day(comb[0])
        events = of_user(observations, ("comb",), observations.context.user("comb"))
        today = observations.context.now.strftime("%Y-%m-%d")
        own = [e for e in events if str(e["log_request_datetime"]).startswith(today)]
        if own:
            _hold_counts(
                builder, f"graph of the comb · today {today}", own, days.get(today), comb[1]
            )
    return builder.finding("every hour's and today's point is what was sent")


def _by_hour(events: Iterable[Event]) -> dict[str, list[Event]]:
    hours: dict[str, list[Event]] = {}
    for event in events:
        at = parse_time(event["log_request_datetime"])
        if at is not None:
            hours.setdefault(at.strftime("%Y-%m-%d %H"), []).append(event)
    return hours


def _hold_counts(
    builder: FindingBuilder, where: str, events: Sequence[Event], seen: Counts | None, number: int
) -> None:
    want = Counts(len(events), sum(as_int(e, "log_total_bytes") or 0 for e in events), 0, 0)
    have = seen or NOTHING
    if want.requests or have.requests:
        builder.observed()
    if want != have:
        builder.mismatch(where, show(want), show(have), events=events, exchanges=[number])


def _windows_join(observations: Observations) -> Finding:
    """[a, b) and [b, c) together are [a, c), with an event exactly at b."""
    builder = FindingBuilder(observations)
    start, edge, end = _hours(observations.context)
    inclusive = observations.reading("graph-end") == "inclusive"
    first_end = edge - timedelta(seconds=1) if inclusive else edge
    parts = [
        _graph_of(builder, NOW, _window(observations.context, start, first_end)),
        _graph_of(builder, NOW, _window(observations.context, edge, end)),
        _graph_of(builder, NOW, _window(observations.context, start, end)),
    ]
    if None not in parts:
        one, two, both = (part for part in parts if part is not None)
        if total(both[0]).requests:
            joined = [total(part[0]) for part in (one, two)]
            builder.expect_equal(
                f"graph of {observations.context.user('graph')} cut at {edge:%H:%M}, "
                "where an event is",
                show(total(both[0])),
                show(
                    Counts(
                        sum(part.requests for part in joined),
                        sum(part.bytes for part in joined),
                        0,
                        0,
                    )
                ),
                one[1],
                two[1],
                both[1],
            )
    return builder.finding("two neighbouring windows add up to the one that covers both")


def _parts_make_the_whole(observations: Observations) -> Finding:
    """Networks, and hostnames, add up to the graph without that filter."""
    builder = FindingBuilder(observations)
    context = observations.context
    start, _, end = _hours(context)
    hours = _graph_of(builder, NOW, _window(context, start, end))
    by_network = [_window(context, start, end, network=n) for n in NETWORKS]
    by_host = [_window(context, start, end, hostname=context.host("graph", n)) for n in (1, 2)]
    for what, parts in (("networks", by_network), ("hostnames", by_host)):
        _hold_parts(builder, NOW, f"graph by hour, {what}", hours, parts)
    for stage in (NOW, *LATER):
        if stage in observations.stages:
            days = _graph_of(builder, stage, _comb_graph(context))
            _hold_parts(builder, stage, f"graph by day at {stage}", days, _comb_parts(context))
    return builder.finding("the parts of every graph add up to the whole")


def _comb_parts(context: CheckContext) -> list[ApiRequest]:
    user = context.user("comb")
    return [
        requests.graph(
            _since(context),
            day_start(context.now) + timedelta(days=1),
            "day",
            filters={"proxy_user_id": user, "network": network},
        )
        for network in NETWORKS
    ]


def _hold_parts(
    builder: FindingBuilder,
    stage: str,
    where: str,
    whole_graph: tuple[Sequence[GraphPoint], int] | None,
    parts: Sequence[ApiRequest],
) -> None:
    found = [_graph_of(builder, stage, ask) for ask in parts]
    if whole_graph is None or None in found:
        return
    sums = [total(part[0]) for part in found if part is not None]
    want = total(whole_graph[0])
    if want.requests:
        have = Counts(sum(s.requests for s in sums), sum(s.bytes for s in sums), 0, 0)
        numbers = [part[1] for part in found if part is not None]
        builder.expect_equal(where, show(want), show(have), whole_graph[1], *numbers)


def _intervals_agree(observations: Observations) -> Finding:
    """Minutes, hours, days and months over one window add up to the same."""
    builder = FindingBuilder(observations)
    for interval in ("minute", "hour", "month"):
        if f"{interval}-graph" not in observations.context.claims:
            continue
        ask = _interval_ask(observations.context, interval)
        found = _graph_of(builder, NOW, ask)
        events = of_user(observations, ("graph",), observations.context.user("graph"))
        if found is None:
            continue
        start = parse_time(ask.query[0][1])
        end = parse_time(ask.query[1][1])
        assert start is not None
        assert end is not None
        inside = [
            event
            for event in events
            if start <= (parse_time(event["log_request_datetime"]) or end) < end
        ]
        if observations.reading("graph-end") == "inclusive":
            continue
        where = f"graph by {interval} of {observations.context.user('graph')}"
        _hold_counts(builder, where, inside, total(found[0]), found[1])
    return builder.finding("graphs of every claimed interval show what was sent")


def _interval_ask(context: CheckContext, interval: str) -> ApiRequest:
    edge = hour_start(context.now) - timedelta(hours=3)
    month = day_start(context.now).replace(day=1)
    after = (month + timedelta(days=32)).replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    spans = {
        "minute": (edge - timedelta(minutes=30), edge + timedelta(minutes=45)),
        "hour": (edge - timedelta(hours=1), edge + timedelta(hours=2)),
        "month": (before, after),
    }
    start, end = spans[interval]
    return requests.graph(start, end, interval, filters={"proxy_user_id": context.user("graph")})


def _interval_asks(context: CheckContext) -> Sequence[ApiRequest]:
    return [
        _interval_ask(context, interval)
        for interval in ("minute", "hour", "month")
        if f"{interval}-graph" in context.claims
    ]


CHECKS: Final = (
    Check(
        name="graph-equals-sent",
        law="GRAPH=SENT",
        title="Every hour of the graph, and today, shows the events of the window.",
        judge=_graph_equals_sent,
        requests=all_of(
            at_stages((NOW,), lambda context: _window_asks(context)[:1]),
            at_stages((NOW,), lambda context: [_comb_graph(context)]),
        ),
        datasets=("graph", "comb"),
        needed=4,
        impact=Impact.COSMETIC,
        rests_on=_RESTS,
        clauses=(
            "GRAPH-4",
            "GRAPH-5",
            "GRAPH-11",
        ),
    ),
    Check(
        name="graph-intervals-equal-sent",
        law="GRAPH=SENT",
        title="Graphs by minute, hour and month show the events of the window.",
        judge=_intervals_agree,
        requests=at_stages((NOW,), _interval_asks),
        datasets=("graph",),
        needed=2,
        rests_on=_RESTS,
        clauses=(
            "GRAPH-1",
            "GRAPH-12",
        ),
    ),
    Check(
        name="graph-equals-summaries",
        law="GRAPH=SUM",
        title="A closed day's point is what the day's summaries add up to.",
        judge=graph_equals_summaries(NOW),
        requests=all_of(
            at_stages((NOW,), lambda context: [_comb_graph(context)]),
            summaries_of("comb"),
        ),
        datasets=("comb",),
        needed=1,
        rests_on=_RESTS,
        clauses=("GRAPH-3",),
    ),
    Check(
        name="graph-equals-summaries-at-every-age",
        law="GRAPH=SUM",
        title="The graph shows a day as its summaries do, before and after its logs are gone.",
        judge=graph_equals_summaries(*LATER),
        claim="old-graph",
        requests=all_of(
            at_stages(LATER, lambda context: [_comb_graph(context)]),
            summaries_of("comb", stages=LATER),
        ),
        level=3,
        datasets=("comb",),
        needed=9,
        rests_on=_RESTS,
        clauses=(
            "GRAPH-2",
            "GRAPH-10",
            "GRAPH-13",
        ),
        timed=True,
    ),
    Check(
        name="graph-windows-join",
        law="WINDOW",
        title="Two neighbouring windows of the graph add up to the window that covers both.",
        judge=_windows_join,
        requests=at_stages((NOW,), _window_asks),
        datasets=("graph",),
        rests_on=_RESTS,
        clauses=("GRAPH-9",),
    ),
    Check(
        name="graph-parts-make-the-whole",
        law="PARTITION",
        title="Graphs of the networks, and of the hostnames, add up to the graph of all.",
        judge=_parts_make_the_whole,
        requests=all_of(
            at_stages((NOW,), _partition_asks),
            at_stages((NOW, *LATER), lambda context: [_comb_graph(context), *_comb_parts(context)]),
        ),
        datasets=("graph", "comb"),
        needed=3,
        rests_on=_RESTS,
        clauses=(
            "GRAPH-6",
            "GRAPH-7",
            "GRAPH-8",
        ),
    ),
)
