"""TENANT: nothing of one customer is visible to another, not even under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, Tally
from trueup.conformance.checks.shared import NOW, at_stages
from trueup.conformance.datasets.datasets import day_start
from trueup.conformance.model import Event, Scene
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, dotted, text, whole
from trueup.reports.results import Impact

__all__ = ["CHECKS"]


def _users(scene: Scene) -> tuple[str, str]:
    """A user that both tenants have, and one that only tenant `a` has."""
    return scene.user("tenants", 1), scene.user("tenants", 2)


def _graph(scene: Scene, tenant: str, **filters: str) -> Ask:
    start = day_start(scene.now) - timedelta(days=1)
    return requests.graph(start, start + timedelta(days=2), "day", tenant=tenant, filters=filters)


def _graphs(scene: Scene, tenant: str) -> list[tuple[Ask, str]]:
    """Graphs and the user, or the host, that they are about."""
    both, alone = _users(scene)
    return [
        (_graph(scene, tenant, proxy_user_id=both), both),
        (_graph(scene, tenant, proxy_user_id=alone), alone),
        (_graph(scene, tenant, hostname=scene.host("tenants")), ""),
    ]


def _lists(scene: Scene, tenant: str) -> list[Ask]:
    both, alone = _users(scene)
    host = scene.host("tenants")
    return [
        requests.logs(both, tenant),
        requests.logs(alone, tenant),
        requests.summaries(both, tenant),
        requests.summaries(alone, tenant),
        Ask(path="log/search", query=(("log_hostname", host),), tenant=tenant, walk=True),
        Ask(
            path="log_summary/search",
            query=(("log_summary_hostname", host),),
            tenant=tenant,
            walk=True,
        ),
    ]


def _asks(scene: Scene) -> Sequence[Ask]:
    return [
        *(ask for tenant in "ab" for ask in _lists(scene, tenant)),
        *(ask for tenant in "ab" for ask, _ in _graphs(scene, tenant)),
        *([_user_search(scene)] if "proxy-user" in scene.claims else []),
        *(requests.ledger(pool, tenant="a") for pool in requests.POOLS if pool in scene.claims),
    ]


def _user_search(scene: Scene) -> Ask:
    """Tenant `b` looks for a proxy user that only tenant `a` has."""
    query = (("proxy_user_id", _users(scene)[1]),)
    return Ask(path="proxy_user/search", query=query, tenant="b", walk=True)


def _foreign(facts: Facts) -> list[Ask]:
    """Retrieves, with the keys of `b`, of what belongs to `a`."""
    found = []
    both, _ = _users(facts.scene)
    events = [e for e in facts.events("tenants") if e["customer_id"] == facts.scene.customers["a"]]
    found += [requests.log(str(event["log_id"]), "b") for event in events[:2]]
    walk = facts.walk(NOW, requests.summaries(both))
    found += [
        requests.summary(text(row, "log_summary_id") or "", "b")
        for row in (walk.rows[:1] if walk else ())
    ]
    for pool in requests.POOLS:
        walk = facts.walk(NOW, requests.ledger(pool))
        for row in walk.rows[:1] if walk else ():
            entry = text(row, f"{pool}_ledger_id")
            found.append(Ask(path=f"{pool}_ledger/retrieve/{entry}", tenant="b"))
    return found


def _follow(facts: Facts, stage: str) -> Sequence[Ask]:
    return _foreign(facts) if stage == NOW and "b" in facts.scene.customers else ()


def _own(facts: Facts, tenant: str, user: str = "") -> list[Event]:
    number = facts.scene.customers.get(tenant)
    return [
        event
        for event in facts.events("tenants")
        if event["customer_id"] == number and user in ("", event["proxy_user_id"])
    ]


def _each_sees_its_own(facts: Facts) -> Finding:
    tally = Tally(facts)
    scene = facts.scene
    if "b" not in scene.customers:
        tally.trouble("the target file has no second tenant, or its customer number is unknown")
        return tally.finding("")
    for tenant in "ab":
        for ask in _lists(scene, tenant):
            walk = tally.walk(NOW, ask)
            if walk is not None:
                _hold_rows(tally, ask, walk.rows, walk.numbers)
        for ask, user in _graphs(scene, tenant):
            points, exchange, trouble = facts.points(NOW, ask)
            if trouble or exchange is None:
                tally.trouble(trouble)
                continue
            host = scene.host("tenants")
            events = [e for e in _own(facts, tenant, user) if e["log_hostname"] == host or user]
            where = f"graph of {user or 'the common host'}, tenant {tenant} · requests"
            seen = sum(point.requests for point in points)
            if seen > len(events):
                tally.differs(where, len(events), seen, events=events, exchanges=[exchange.n])
            tally.saw()
    if "proxy-user" in scene.claims:
        found = tally.walk(NOW, _user_search(scene))
        if found is not None:
            where = "proxy_user/search of another tenant's user · rows"
            tally.holds(where, 0, len(found.rows), *found.numbers)
    for ask in _foreign(facts):
        exchange = tally.exchange(NOW, ask)
        if exchange is not None:
            data = dotted(exchange.body, "data")
            seen_it = exchange.status == 200 and bool(data)
            where = f"{ask.path.rsplit('/', 1)[0]} of another tenant's id"
            tally.holds(where, "not served", "served" if seen_it else "not served", exchange.n)
    return tally.finding("each tenant sees its own data and nothing of the other's")


def _hold_rows(tally: Tally, ask: Ask, rows: tuple[Row, ...], numbers: tuple[int, ...]) -> None:
    facts = tally.facts
    own = _own(facts, ask.tenant)
    other = [e for e in facts.events("tenants") if e not in own]
    query = dict(ask.query)
    user = query.get("proxy_user_id", "")
    where = f"{ask.path}, tenant {ask.tenant}, {user or 'the common host'}"
    tally.saw()
    alien = {str(event["log_id"]): event for event in other}
    for row in rows:
        log_id = (text(row, "log_id") or "").lower()
        if log_id in alien:
            tally.differs(
                where,
                "own rows only",
                f"log {log_id} of the other tenant",
                events=[alien[log_id]],
                exchanges=numbers,
            )
        number = whole(row, "customer_id")
        if number is not None and number != facts.scene.customers[ask.tenant]:
            tally.differs(
                f"{where} · customer_id",
                facts.scene.customers[ask.tenant],
                number,
                exchanges=numbers,
            )
    if ask.path.startswith("log_summary"):
        host = facts.scene.host("tenants")
        mine = [
            e
            for e in own
            if user in ("", e["proxy_user_id"]) and (user or e["log_hostname"] == host)
        ]
        seen = sum(whole(row, "log_summary_requests") or 0 for row in rows)
        if seen > len(mine):
            tally.differs(f"{where} · requests", len(mine), seen, events=mine, exchanges=numbers)


CHECKS: Final = (
    Check(
        name="tenants-are-apart",
        law="TENANT",
        title="Nothing of one customer is visible to another.",
        judge=_each_sees_its_own,
        asks=at_stages((NOW,), _asks),
        follow=_follow,
        worlds=("tenants",),
        needed=12,
        impact=Impact.PRIVACY,
        rests_on=("AUTH",),
        clauses=(
            "TEN-1",
            "TEN-2",
            "TEN-3",
        ),
    ),
)
