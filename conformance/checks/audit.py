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
from trueup.conformance.checks.finding import Finding, Tally
from trueup.conformance.checks.graphs import points_by_day, total
from trueup.conformance.checks.summaries import show
from trueup.conformance.datasets.datasets import NETWORKS, day_start
from trueup.conformance.model import Scene
from trueup.conformance.observed.cells import NOTHING, by_day, cells_of_logs, cells_of_summaries
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import day_of, moment, text, time_text, whole
from trueup.reports.results import Impact, Verdict

__all__ = ["CHECKS", "OPEN", "closed_summaries", "sample_users"]

OPEN: Final = "open"
ANY_LOG: Final = Ask(path="log/search", query=(("per_page", "1"),))
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


def _closed(scene: Scene) -> tuple[datetime, datetime]:
    """First and last closed day."""
    today = day_start(scene.now)
    return today - timedelta(days=DAYS), today - timedelta(days=1)


def _first_look(scene: Scene) -> Ask:
    """One page of summaries of the closed days, the busiest first: whom to look at."""
    first, last = _closed(scene)
    query = (
        ("min_log_summary_period", time_text(first)),
        ("max_log_summary_period", time_text(last)),
        ("sort_by", "log_summary_requests_desc"),
    )
    return Ask(path="log_summary/search", query=query)


def sample_users(facts: Facts) -> list[str]:
    """A few proxy users with traffic on closed days: of a middling size, so that walks end."""
    walk = facts.walk(OPEN, _first_look(facts.scene))
    rows = walk.rows if walk is not None and not walk.trouble else ()
    users = list(dict.fromkeys(text(row, "proxy_user_id") or "" for row in rows))
    return [user for user in users if user][-USERS:]


def _walk(ask: Ask) -> Ask:
    return Ask(path=ask.path, query=ask.query, tenant=ask.tenant, walk=True, pages=PAGES)


def closed_summaries(scene: Scene, user: str) -> Ask:
    """A user's summaries of the closed days."""
    first, last = _closed(scene)
    return _walk(
        requests.summaries(
            user,
            min_log_summary_period=time_text(first),
            max_log_summary_period=time_text(last),
        )
    )


def _closed_logs(scene: Scene, user: str) -> Ask:
    first, last = _closed(scene)
    return _walk(
        requests.logs(
            user,
            min_log_request_datetime=time_text(first),
            max_log_request_datetime=time_text(last + timedelta(seconds=86_399)),
        )
    )


def _graph(scene: Scene, user: str, **filters: str) -> Ask:
    first, last = _closed(scene)
    own = {"proxy_user_id": user, **filters}
    return requests.graph(first, last + timedelta(days=1), "day", filters=own)


def _ties(facts: Facts, stage: str) -> Sequence[Ask]:
    if stage != OPEN:
        return ()
    scene = facts.scene
    found: list[Ask] = []
    for user in sample_users(facts):
        found += [closed_summaries(scene, user), _closed_logs(scene, user), _graph(scene, user)]
        found += [_graph(scene, user, network=network) for network in NETWORKS]
        found += _windows(facts, user)
    return found


def _logs_tie(facts: Facts) -> Finding:
    """On closed days the summaries of a user are what its logs add up to."""
    tally = Tally(facts)
    for user in sample_users(facts):
        logs = tally.walk(OPEN, _closed_logs(facts.scene, user))
        summed = tally.walk(OPEN, closed_summaries(facts.scene, user))
        if logs is None or summed is None:
            continue
        want, have = cells_of_logs(logs.rows), cells_of_summaries(summed.rows)
        for cell in sorted({*want, *have}):
            tally.holds(
                f"{user} · {cell}",
                show(want.get(cell, NOTHING)),
                show(have.get(cell, NOTHING)),
                *summed.numbers,
                *logs.numbers[-2:],
            )
    return tally.finding("summaries of closed days are what their logs add up to")


def _one_row(facts: Facts) -> Finding:
    tally = Tally(facts)
    for user in sample_users(facts):
        walk = tally.walk(OPEN, closed_summaries(facts.scene, user))
        rows = walk.rows if walk else ()
        keys = [
            (
                text(r, "log_summary_network"),
                text(r, "log_summary_hostname"),
                day_of(r.get("log_summary_period")),
            )
            for r in rows
        ]
        for key in dict.fromkeys(keys):
            tally.holds(f"{user} · {key} · rows", 1, keys.count(key), *walk.numbers if walk else ())
    return tally.finding("no key has two summary rows")


def _graph_ties(facts: Facts) -> Finding:
    """On closed days the graph of a user is what its summaries add up to."""
    tally = Tally(facts)
    for user in sample_users(facts):
        summed = tally.walk(OPEN, closed_summaries(facts.scene, user))
        points, exchange, trouble = facts.points(OPEN, _graph(facts.scene, user))
        if trouble or exchange is None or summed is None:
            tally.trouble(trouble or "the graph was not asked")
            continue
        want, have = by_day(cells_of_summaries(summed.rows)), points_by_day(points)
        for day in sorted({*want, *have}):
            if want.get(day, NOTHING) != NOTHING or have.get(day, NOTHING).requests:
                tally.holds(
                    f"graph of {user} · {day}",
                    show(want.get(day, NOTHING)),
                    show(have.get(day, NOTHING)),
                    exchange.n,
                    *summed.numbers,
                )
    return tally.finding("the graph's closed days are what the summaries add up to")


def _parts_tie(facts: Facts) -> Finding:
    tally = Tally(facts)
    for user in sample_users(facts):
        whole_graph = facts.points(OPEN, _graph(facts.scene, user))
        parts = [facts.points(OPEN, _graph(facts.scene, user, network=n)) for n in NETWORKS]
        for _, exchange, trouble in (whole_graph, *parts):
            if trouble:
                tally.trouble(trouble, exchange.n if exchange else 0)
        if not any(trouble for *_, trouble in (whole_graph, *parts)):
            sums = [total(points) for points, *_ in parts]
            want = total(whole_graph[0])
            have = want._replace(
                requests=sum(s.requests for s in sums), bytes=sum(s.bytes for s in sums)
            )
            numbers = [e.n for _, e, _ in (whole_graph, *parts) if e is not None]
            if want.requests or have.requests:
                tally.holds(f"graphs by network of {user}", show(want), show(have), *numbers)
    return tally.finding("the networks add up to the graph of all")


def _windows(facts: Facts, user: str) -> list[Ask]:
    """Two windows of minutes that touch where a log is, and the one that spans both."""
    walk = facts.walk(OPEN, _closed_logs(facts.scene, user))
    for row in walk.rows if walk else ():
        at = moment(row.get("log_request_datetime"))
        if at is not None and at.second == 0 and at.microsecond == 0:
            wide = timedelta(minutes=30)
            second = timedelta(seconds=facts.reading("graph-end") == "inclusive")
            spans = ((at - wide, at - second), (at, at + wide), (at - wide, at + wide))
            own = {"proxy_user_id": user}
            return [requests.graph(a, b, "minute", filters=own) for a, b in spans]
    return []


def _windows_join(facts: Facts) -> Finding:
    tally = Tally(facts)
    for user in sample_users(facts):
        found = [facts.points(OPEN, ask) for ask in _windows(facts, user)]
        if len(found) != 3:
            continue
        for _, exchange, trouble in found:
            if trouble:
                tally.trouble(trouble, exchange.n if exchange else 0)
        if not any(trouble for *_, trouble in found):
            one, two, both = (total(points) for points, *_ in found)
            joined = both._replace(
                requests=one.requests + two.requests, bytes=one.bytes + two.bytes
            )
            numbers = [e.n for _, e, _ in found if e is not None]
            tally.holds(f"graph of {user}, cut at a log", show(both), show(joined), *numbers)
    return tally.finding("two windows that touch add up to the one that spans both")


# --- whose clock


def _ahead_asks(scene: Scene) -> Sequence[Ask]:
    """What an account shows of days that are still to come by our clock."""
    ahead = time_text(day_start(scene.now) + timedelta(days=2))
    return [
        Ask(path="log/search", query=(("min_log_request_datetime", ahead),)),
        Ask(path="log_summary/search", query=(("min_log_summary_period", ahead),)),
    ]


def _ahead(facts: Facts) -> str:
    """Why the target's clock must be ahead of ours: a time that it reports; else empty."""
    bound = facts.scene.now + timedelta(days=1)
    seen: list[datetime] = []
    for exchange in facts.asked_in(OPEN):
        data = exchange.body.get("data") if isinstance(exchange.body, dict) else None
        for row in data if isinstance(data, list) else ():
            held = row.items() if isinstance(row, dict) else ()
            times = [moment(value) for key, value in held if key in _TIMES]
            seen += [at for at in times if at is not None and at > bound]
    if not seen:
        return ""
    return (
        f"the target reports {time_text(max(seen))}, and by our clock it is "
        f"{time_text(facts.scene.now)}; its clock is elsewhere"
    )


def _all_gone(facts: Facts) -> str:
    """Why logs may have aged out on the target's clock: none is left at all; else empty."""
    scene, users = facts.scene, sample_users(facts)
    walks = [facts.walk(OPEN, ask) for ask in (ANY_LOG, *(_closed_logs(scene, u) for u in users))]
    if any(walk is None or walk.trouble or walk.rows for walk in walks):
        return ""
    return (
        "no log is listed at all, though closed days have summaries: either logs are lost, or "
        f"the target's clock is more than 7 days ahead of {time_text(scene.now)}"
    )


def _by_its_clock(
    judge: Callable[[Facts], Finding], *excuses: Callable[[Facts], str]
) -> Callable[[Facts], Finding]:
    """A judge that convicts nobody for having another clock than ours."""

    def judged(facts: Facts) -> Finding:
        found = judge(facts)
        if found.verdict is not Verdict.FAIL:
            return found
        why = next((said for said in (excuse(facts) for excuse in excuses) if said), "")
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


def _pool_asks(scene: Scene) -> Sequence[Ask]:
    first, last = _closed(scene)
    found: list[Ask] = [_first_look(scene)]
    for pool in requests.POOLS:
        if pool in scene.claims:
            day = requests.pool_summaries(pool, first, last, dates=False)
            found += [_walk(day), _walk(requests.ledger(pool)), requests.account(pool)]
    return [*found, *([requests.customer()] if "customer" in scene.claims else [])]


def _ledgers_tie(facts: Facts) -> Finding:
    """On closed days a ledger's usage is what that network's summaries hold."""
    tally = Tally(facts)
    first, last = _closed(facts.scene)
    for pool in requests.POOLS:
        if pool not in facts.scene.claims:
            continue
        summed = tally.walk(OPEN, _walk(requests.pool_summaries(pool, first, last, dates=False)))
        ledger = tally.walk(OPEN, _walk(requests.ledger(pool)))
        if summed is None or ledger is None:
            continue
        used: dict[str, int] = {}
        for row in ledger.rows:
            if text(row, f"{pool}_ledger_reason") == "usage":
                day = day_of(row.get(f"{pool}_ledger_period_date")) or ""
                used[day] = used.get(day, 0) + abs(whole(row, f"{pool}_ledger_bytes") or 0)
        days = by_day(cells_of_summaries(summed.rows))
        for back in range(1, DAYS + 1):
            day = (day_start(facts.scene.now) - timedelta(days=back)).strftime("%Y-%m-%d")
            want = days.get(day, NOTHING).bytes
            if want or used.get(day, 0):
                where = f"{pool} ledger · usage of {day}, in bytes"
                tally.holds(where, want, used.get(day, 0), *ledger.numbers, *summed.numbers)
    return tally.finding("usage of closed days is what the summaries hold")


def _accounts_tie(facts: Facts) -> Finding:
    tally = Tally(facts)
    for pool in requests.POOLS:
        row = facts.row(OPEN, requests.account(pool))
        exchange = facts.answer(OPEN, requests.account(pool))
        if row is None or exchange is None:
            continue
        bought, used, left = (whole(row, f"{pool}_bytes{s}") for s in ("", "_used", "_left"))
        if bought is not None and used is not None and left is not None:
            tally.holds(f"{pool}/summary · bytes - used", left, bought - used, exchange.n)
        record = facts.row(OPEN, requests.customer())
        recorded = None if record is None else whole(record, f"{pool}_bytes_left")
        if recorded is not None and left is not None:
            tally.holds(f"customer/retrieve · {pool}_bytes_left", left, recorded, exchange.n)
    return tally.finding("account figures agree with each other")


# --- what must be gone


def _old_log_ask(scene: Scene) -> Ask:
    bound = time_text(scene.now - timedelta(days=9))
    return Ask(path="log/search", query=(("max_log_request_datetime", bound),))


def _old_summary_ask(scene: Scene) -> Ask:
    bound = day_start(scene.now - timedelta(days=94))
    return Ask(path="log_summary/search", query=(("max_log_summary_period", time_text(bound)),))


def _old_logs_gone(facts: Facts) -> Finding:
    tally = Tally(facts)
    walk = tally.walk(OPEN, _old_log_ask(facts.scene))
    summed = facts.walk(OPEN, _old_summary_ask(facts.scene))
    if walk is not None:
        tally.saw(len(walk.rows) or len(summed.rows if summed else ()))
        for row in walk.rows:
            at = moment(row.get("log_request_datetime"))
            if at is not None and at < facts.scene.now - timedelta(days=9):
                age = facts.scene.now - at
                where = f"log {text(row, 'log_id')}"
                old = f"listed at {age / timedelta(days=1):.1f} days"
                tally.differs(where, "gone", old, exchanges=walk.numbers)
    return tally.finding("no log older than 9 days is listed, though there is older traffic")


def _old_hosts_gone(facts: Facts) -> Finding:
    tally = Tally(facts)
    walk = tally.walk(OPEN, _old_summary_ask(facts.scene))
    bound = (facts.scene.now - timedelta(days=94)).strftime("%Y-%m-%d")
    for row in walk.rows if walk else ():
        day = day_of(row.get("log_summary_period")) or "9999"
        if day <= bound and walk is not None:
            name = text(row, "log_summary_hostname") or "none"
            user = text(row, "proxy_user_id")
            tally.holds(f"{user} · summary of {day} · hostname", "none", name, *walk.numbers)
    return tally.finding("no summary older than 93 days shows a hostname")


def _check(
    name: str,
    law: str,
    title: str,
    judge: Callable[[Facts], Finding],
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
        asks=lambda scene, stage: (
            [
                *_pool_asks(scene),
                ANY_LOG,
                *_ahead_asks(scene),
                _old_log_ask(scene),
                _old_summary_ask(scene),
            ]
            if stage == OPEN
            else []
        ),
        follow=_ties,
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
