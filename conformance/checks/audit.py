"""The audit: what an account that can only be read shows of the laws. It plants nothing.

It looks at days that are closed (yesterday and before), at a few proxy users that have traffic
there, and at what is older than 7 and 90 days. It can refute, and it says how much it looked at;
on an account without traffic it stays inconclusive. So it does where the data show that the
target's clock is not ours: which days are closed, and which logs are due, is then not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.graphs import points_by_day, total
from trueup.conformance.checks.summaries import show
from trueup.conformance.datasets.datasets import NETWORKS, day_start
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.cells import NOTHING, by_day, cells_of_logs, cells_of_summaries
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, as_str, day_of, format_time, parse_time
from trueup.reports.results import Impact, Verdict

__all__ = ["CHECKS", "OPEN", "closed_summaries", "sample_users"]

OPEN: Final = "baseline"
ANY_LOG: Final = ApiRequest(path="log/search", query=(("per_page", "1"),))
_TIMES: Final = frozenset(
    (
        "log_request_datetime",
        "log_summary_period",
        "log_summary_creation_datetime",
        "log_summary_last_update_datetime",
        *(
            f"{pool}_ledger_{time}"
            for pool in requests.POOLS
            for time in ("period_date", "last_update_datetime", "creation_datetime")
        ),
    )
)
"""Fields whose times cannot lie in the target's future."""
USERS: Final = 3
"""Proxy users that are looked at closely."""
DAYS: Final = 5
"""Closed days that are looked at; logs of all of them must still be there."""
PAGES: Final = 25
"""Most pages of one walk: what is larger is left alone, and said so."""


def _closed(context: CheckContext) -> tuple[datetime, datetime]:
    """First and last closed day."""
    today = day_start(context.now)
    return today - timedelta(days=DAYS), today - timedelta(days=1)


def _first_look(context: CheckContext) -> ApiRequest:
    """One page of summaries of the closed days, the busiest first: whom to look at."""
    first, last = _closed(context)
    query = (
        ("min_log_summary_period", format_time(first)),
        ("max_log_summary_period", format_time(last)),
        ("sort_by", "log_summary_requests_desc"),
    )
    return ApiRequest(path="log_summary/search", query=query)


def sample_users(observations: Observations) -> list[str]:
    """A few proxy users with traffic on closed days: of a middling size, so that walks end."""
    walk = observations.paged_result(OPEN, _first_look(observations.context))
    rows = walk.rows if walk is not None and not walk.unusable else ()
    users = list(dict.fromkeys(as_str(row, "proxy_user_id") or "" for row in rows))
    return [user for user in users if user][-USERS:]


def _walk(ask: ApiRequest) -> ApiRequest:
    return ApiRequest(path=ask.path, query=ask.query, tenant=ask.tenant, paged=True, pages=PAGES)


def closed_summaries(context: CheckContext, user: str) -> ApiRequest:
    """A user's summaries of the closed days."""
    first, last = _closed(context)
    return _walk(
        requests.summaries(
            user,
            min_log_summary_period=format_time(first),
            max_log_summary_period=format_time(last),
        )
    )


def _closed_logs(context: CheckContext, user: str) -> ApiRequest:
    first, last = _closed(context)
    return _walk(
        requests.logs(
            user,
            min_log_request_datetime=format_time(first),
            max_log_request_datetime=format_time(last + timedelta(seconds=86_399)),
        )
    )


def _graph(context: CheckContext, user: str, **filters: str) -> ApiRequest:
    first, last = _closed(context)
    own = {"proxy_user_id": user, **filters}
    return requests.graph(first, last + timedelta(days=1), "day", filters=own)


def _ties(observations: Observations, stage: str) -> Sequence[ApiRequest]:
    if stage != OPEN:
        return ()
    context = observations.context
    found: list[ApiRequest] = []
    for user in sample_users(observations):
        found += [
            closed_summaries(context, user),
            _closed_logs(context, user),
            _graph(context, user),
        ]
        found += [_graph(context, user, network=network) for network in NETWORKS]
        found += _windows(observations, user)
    return found


def _logs_tie(observations: Observations) -> Finding:
    """On closed days the summaries of a user are what its logs add up to."""
    builder = FindingBuilder(observations)
    for user in sample_users(observations):
        logs = builder.paged_result(OPEN, _closed_logs(observations.context, user))
        summed = builder.paged_result(OPEN, closed_summaries(observations.context, user))
        if logs is None or summed is None:
            continue
        want, have = cells_of_logs(logs.rows), cells_of_summaries(summed.rows)
        for cell in sorted({*want, *have}):
            builder.expect_equal(
                f"{user} · {cell}",
                show(want.get(cell, NOTHING)),
                show(have.get(cell, NOTHING)),
                *summed.numbers,
                *logs.numbers[-2:],
            )
    return builder.finding("summaries of closed days are what their logs add up to")


def _one_row(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for user in sample_users(observations):
        walk = builder.paged_result(OPEN, closed_summaries(observations.context, user))
        rows = walk.rows if walk else ()
        keys = [
            (
                as_str(r, "log_summary_network"),
                as_str(r, "log_summary_hostname"),
                day_of(r.get("log_summary_period")),
            )
            for r in rows
        ]
        for key in dict.fromkeys(keys):
            builder.expect_equal(
                f"{user} · {key} · rows", 1, keys.count(key), *walk.numbers if walk else ()
            )
    return builder.finding("no key has two summary rows")


def _graph_ties(observations: Observations) -> Finding:
    """On closed days the graph of a user is what its summaries add up to."""
    builder = FindingBuilder(observations)
    for user in sample_users(observations):
        summed = builder.paged_result(OPEN, closed_summaries(observations.context, user))
        points, exchange, trouble = observations.points(OPEN, _graph(observations.context, user))
        if trouble or exchange is None or summed is None:
            builder.unusable(trouble or "the graph was not asked")
            continue
        want, have = by_day(cells_of_summaries(summed.rows)), points_by_day(points)
        for day in sorted({*want, *have}):
            if want.get(day, NOTHING) != NOTHING or have.get(day, NOTHING).requests:
                builder.expect_equal(
                    f"graph of {user} · {day}",
                    show(want.get(day, NOTHING)),
                    show(have.get(day, NOTHING)),
                    exchange.n,
                    *summed.numbers,
                )
    return builder.finding("the graph's closed days are what the summaries add up to")


def _parts_tie(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for user in sample_users(observations):
        whole_graph = observations.points(OPEN, _graph(observations.context, user))
        parts = [
            observations.points(OPEN, _graph(observations.context, user, network=n))
            for n in NETWORKS
        ]
        for _, exchange, trouble in (whole_graph, *parts):
            if trouble:
                builder.unusable(trouble, exchange.n if exchange else 0)
        if not any(trouble for *_, trouble in (whole_graph, *parts)):
            sums = [total(points) for points, *_ in parts]
            want = total(whole_graph[0])
            have = want._replace(
                requests=sum(s.requests for s in sums), bytes=sum(s.bytes for s in sums)
            )
            numbers = [e.n for _, e, _ in (whole_graph, *parts) if e is not None]
            if want.requests or have.requests:
                builder.expect_equal(
                    f"graphs by network of {user}", show(want), show(have), *numbers
                )
    return builder.finding("the networks add up to the graph of all")


def _windows(observations: Observations, user: str) -> list[ApiRequest]:
    """Two windows of minutes that touch where a log is, and the one that spans both."""
    walk = observations.paged_result(OPEN, _closed_logs(observations.context, user))
    for row in walk.rows if walk else ():
        at = parse_time(row.get("log_request_datetime"))
        if at is not None and at.second == 0 and at.microsecond == 0:
            wide = timedelta(minutes=30)
            second = timedelta(seconds=observations.reading("graph-end") == "inclusive")
            spans = ((at - wide, at - second), (at, at + wide), (at - wide, at + wide))
            own = {"proxy_user_id": user}
            return [requests.graph(a, b, "minute", filters=own) for a, b in spans]
    return []


def _windows_join(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for user in sample_users(observations):
        found = [observations.points(OPEN, ask) for ask in _windows(observations, user)]
        if len(found) != 3:
            continue
        for _, exchange, trouble in found:
            if trouble:
                builder.unusable(trouble, exchange.n if exchange else 0)
        if not any(trouble for *_, trouble in found):
            one, two, both = (total(points) for points, *_ in found)
            joined = both._replace(
                requests=one.requests + two.requests, bytes=one.bytes + two.bytes
            )
            numbers = [e.n for _, e, _ in found if e is not None]
            builder.expect_equal(
                f"graph of {user}, cut at a log", show(both), show(joined), *numbers
            )
    return builder.finding("two windows that touch add up to the one that spans both")


# --- whose clock


def _ahead_asks(context: CheckContext) -> Sequence[ApiRequest]:
    """What an account shows of days that are still to come by our clock."""
    ahead = format_time(day_start(context.now) + timedelta(days=2))
    return [
        ApiRequest(path="log/search", query=(("min_log_request_datetime", ahead),)),
        ApiRequest(path="log_summary/search", query=(("min_log_summary_period", ahead),)),
    ]


def _ahead(observations: Observations) -> str:
    """Why the target's clock must be ahead of ours: a time that it reports; else empty."""
    bound = observations.context.now + timedelta(days=1)
    seen: list[datetime] = []
    for exchange in observations.asked_in(OPEN):
        data = exchange.body.get("data") if isinstance(exchange.body, dict) else None
        for row in data if isinstance(data, list) else ():
            held = row.items() if isinstance(row, dict) else ()
            times = [parse_time(value) for key, value in held if key in _TIMES]
            seen += [at for at in times if at is not None and at > bound]
    if not seen:
        return ""
    return (
        f"the target reports {format_time(max(seen))}, and by our clock it is "
        f"{format_time(observations.context.now)}; its clock is elsewhere"
    )


def _all_gone(observations: Observations) -> str:
    """Why logs may have aged out on the target's clock: none is left at all; else empty."""
    context, users = observations.context, sample_users(observations)
    walks = [
        observations.paged_result(OPEN, ask)
        for ask in (ANY_LOG, *(_closed_logs(context, u) for u in users))
    ]
    if any(walk is None or walk.unusable or walk.rows for walk in walks):
        return ""
    return (
        "no log is listed at all, though closed days have summaries: either logs are lost, or "
        f"the target's clock is more than 7 days ahead of {format_time(context.now)}"
    )


def _by_its_clock(
    judge: Callable[[Observations], Finding], *excuses: Callable[[Observations], str]
) -> Callable[[Observations], Finding]:
    """A judge that convicts nobody for having another clock than ours."""

    def judged(observations: Observations) -> Finding:
        found = judge(observations)
        if found.verdict is not Verdict.FAIL:
            return found
        why = next((said for said in (excuse(observations) for excuse in excuses) if said), "")
        if not why:
            return found
        return Finding(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"could not be judged: {why}",
            evidence=found.evidence,
            exchanges=found.exchanges,
        )

    return judged


# --- what is paid for


def _pool_asks(context: CheckContext) -> Sequence[ApiRequest]:
    first, last = _closed(context)
    found: list[ApiRequest] = [_first_look(context)]
    for pool in requests.POOLS:
        if pool in context.claims:
            day = requests.pool_summaries(pool, first, last, dates=False)
            found += [_walk(day), _walk(requests.ledger(pool)), requests.account(pool)]
    return [*found, *([requests.customer()] if "customer" in context.claims else [])]


def _ledgers_tie(observations: Observations) -> Finding:
    """On closed days a ledger's usage is what that network's summaries hold."""
    builder = FindingBuilder(observations)
    first, last = _closed(observations.context)
    for pool in requests.POOLS:
        if pool not in observations.context.claims:
            continue
        summed = builder.paged_result(
            OPEN, _walk(requests.pool_summaries(pool, first, last, dates=False))
        )
        ledger = builder.paged_result(OPEN, _walk(requests.ledger(pool)))
        if summed is None or ledger is None:
            continue
        used: dict[str, int] = {}
        for row in ledger.rows:
            if as_str(row, f"{pool}_ledger_reason") == "usage":
                day = day_of(row.get(f"{pool}_ledger_period_date")) or ""
                used[day] = used.get(day, 0) + abs(as_int(row, f"{pool}_ledger_bytes") or 0)
        days = by_day(cells_of_summaries(summed.rows))
        for back in range(1, DAYS + 1):
            day = (day_start(observations.context.now) - timedelta(days=back)).strftime("%Y-%m-%d")
            want = days.get(day, NOTHING).bytes
            if want or used.get(day, 0):
                where = f"{pool} ledger · usage of {day}, in bytes"
                builder.expect_equal(
                    where, want, used.get(day, 0), *ledger.numbers, *summed.numbers
                )
    return builder.finding("usage of closed days is what the summaries hold")


def _accounts_tie(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for pool in requests.POOLS:
        row = observations.row(OPEN, requests.account(pool))
        exchange = observations.answer(OPEN, requests.account(pool))
        if row is None or exchange is None:
            continue
        bought, used, left = (as_int(row, f"{pool}_bytes{s}") for s in ("", "_used", "_left"))
        if bought is not None and used is not None and left is not None:
            builder.expect_equal(f"{pool}/summary · bytes - used", left, bought - used, exchange.n)
        record = observations.row(OPEN, requests.customer())
        recorded = None if record is None else as_int(record, f"{pool}_bytes_left")
        if recorded is not None and left is not None:
            builder.expect_equal(
                f"customer/retrieve · {pool}_bytes_left", left, recorded, exchange.n
            )
    return builder.finding("account figures agree with each other")


# --- what must be gone


def _old_log_ask(context: CheckContext) -> ApiRequest:
    bound = format_time(context.now - timedelta(days=9))
    return ApiRequest(path="log/search", query=(("max_log_request_datetime", bound),))


def _old_summary_ask(context: CheckContext) -> ApiRequest:
    bound = day_start(context.now - timedelta(days=94))
    return ApiRequest(
        path="log_summary/search", query=(("max_log_summary_period", format_time(bound)),)
    )


def _old_logs_gone(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    walk = builder.paged_result(OPEN, _old_log_ask(observations.context))
    summed = observations.paged_result(OPEN, _old_summary_ask(observations.context))
    if walk is not None:
        builder.observed(len(walk.rows) or len(summed.rows if summed else ()))
        for row in walk.rows:
            at = parse_time(row.get("log_request_datetime"))
            if at is not None and at < observations.context.now - timedelta(days=9):
                age = observations.context.now - at
                where = f"log {as_str(row, 'log_id')}"
                old = f"listed at {age / timedelta(days=1):.1f} days"
                builder.mismatch(where, "gone", old, exchanges=walk.numbers)
    return builder.finding("no log older than 9 days is listed, though there is older traffic")


def _old_hosts_gone(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    walk = builder.paged_result(OPEN, _old_summary_ask(observations.context))
    bound = (observations.context.now - timedelta(days=94)).strftime("%Y-%m-%d")
    for row in walk.rows if walk else ():
        day = day_of(row.get("log_summary_period")) or "9999"
        if day <= bound and walk is not None:
            name = as_str(row, "log_summary_hostname") or "none"
            user = as_str(row, "proxy_user_id")
            builder.expect_equal(
                f"{user} · summary of {day} · hostname", "none", name, *walk.numbers
            )
    return builder.finding("no summary older than 93 days shows a hostname")


def _check(
    name: str,
    law: str,
    title: str,
    judge: Callable[[Observations], Finding],
    clauses: tuple[str, ...],
    *,
    needed: int = 1,
    impact: Impact = Impact.UNDER_CHARGE,
) -> Check:
    return Check(
        name=f"audit-{name}",
        law=law,
        title=title,
        judge=judge,
        requests=lambda context, stage: (
            [
                *_pool_asks(context),
                ANY_LOG,
                *_ahead_asks(context),
                _old_log_ask(context),
                _old_summary_ask(context),
            ]
            if stage == OPEN
            else []
        ),
        follow_ups=_ties,
        clauses=clauses,
        level=0,
        impact=impact,
        needed=needed,
        rests_on=("AUTH", "PAGE"),
        timed=True,
        eventual=False,
        audit=True,
    )


CHECKS: Final = (
    _check(
        "summaries-equal-logs",
        "SUM=LOG",
        "On closed days the summaries of a proxy user are what its logs add up to.",
        _by_its_clock(_logs_tie, _ahead, _all_gone),
        ("SUM-2", "SUM-3", "RET-1"),
        needed=3,
    ),
    _check(
        "one-summary-per-key",
        "KEY",
        "A proxy user, network, hostname and day has one summary.",
        _one_row,
        ("SUM-1",),
        needed=3,
    ),
    _check(
        "ledgers-equal-summaries",
        "LEDGER=SUM",
        "On closed days a ledger's usage is what that network's summaries hold.",
        _by_its_clock(_ledgers_tie, _ahead),
        ("LEDGER-R-2", "LEDGER-M-2"),
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "account-adds-up",
        "BALANCE",
        "Account figures agree with each other.",
        _accounts_tie,
        ("ACC-R-2", "ACC-M-2", "ACC-C-1"),
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "graph-equals-summaries",
        "GRAPH=SUM",
        "On closed days the graph is what the summaries add up to.",
        _by_its_clock(_graph_ties, _ahead),
        ("GRAPH-3", "GRAPH-5"),
        impact=Impact.COSMETIC,
    ),
    _check(
        "graph-parts-make-the-whole",
        "PARTITION",
        "The networks add up to the graph of all.",
        _parts_tie,
        ("GRAPH-6", "GRAPH-8"),
        impact=Impact.COSMETIC,
    ),
    _check(
        "graph-windows-join",
        "WINDOW",
        "Two windows that touch at a log add up to the one that spans both.",
        _windows_join,
        ("GRAPH-9",),
        impact=Impact.COSMETIC,
    ),
    _check(
        "old-logs-are-gone",
        "RETAIN-MAX",
        "No log clearly older than 7 days is listed.",
        _old_logs_gone,
        ("RET-3",),
        impact=Impact.PRIVACY,
    ),
    _check(
        "old-hostnames-are-gone",
        "CONSOL",
        "No summary clearly older than 90 days shows a hostname.",
        _old_hosts_gone,
        ("CON-1",),
        impact=Impact.PRIVACY,
    ),
)
