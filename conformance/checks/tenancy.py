"""TENANT: nothing of one customer is visible to another, not even under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import NOW, at_stages
from trueup.conformance.datasets.datasets import day_start
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str, get_path
from trueup.reports.results import Impact

__all__ = ["CHECKS"]


def _users(context: CheckContext) -> tuple[str, str]:
    """A user that both tenants have, and one that only tenant `a` has."""
    return context.user("tenants", 1), context.user("tenants", 2)


def _graph(context: CheckContext, tenant: str, **filters: str) -> ApiRequest:
    start = day_start(context.now) - timedelta(days=1)
    return requests.graph(start, start + timedelta(days=2), "day", tenant=tenant, filters=filters)


def _graphs(context: CheckContext, tenant: str) -> list[tuple[ApiRequest, str]]:
    """Graphs and the user, or the host, that they are about."""
    both, alone = _users(context)
    return [
        (_graph(context, tenant, proxy_user_id=both), both),
        (_graph(context, tenant, proxy_user_id=alone), alone),
        (_graph(context, tenant, hostname=context.host("tenants")), ""),
    ]


def _lists(context: CheckContext, tenant: str) -> list[ApiRequest]:
    both, alone = _users(context)
    host = context.host("tenants")
    return [
        requests.logs(both, tenant),
        requests.logs(alone, tenant),
        requests.summaries(both, tenant),
        requests.summaries(alone, tenant),
        ApiRequest(path="log/search", query=(("log_hostname", host),), tenant=tenant, paged=True),
        ApiRequest(
            path="log_summary/search",
            query=(("log_summary_hostname", host),),
            tenant=tenant,
            paged=True,
        ),
    ]


def _asks(context: CheckContext) -> Sequence[ApiRequest]:
    return [
        *(ask for tenant in "ab" for ask in _lists(context, tenant)),
        *(ask for tenant in "ab" for ask, _ in _graphs(context, tenant)),
        *([_user_search(context)] if "proxy-user" in context.claims else []),
        *(requests.ledger(pool, tenant="a") for pool in requests.POOLS if pool in context.claims),
    ]


def _user_search(context: CheckContext) -> ApiRequest:
    """Tenant `b` looks for a proxy user that only tenant `a` has."""
    query = (("proxy_user_id", _users(context)[1]),)
    return ApiRequest(path="proxy_user/search", query=query, tenant="b", paged=True)


def _foreign(observations: Observations) -> list[ApiRequest]:
    """Retrieves, with the keys of `b`, of what belongs to `a`."""
    found = []
    both, _ = _users(observations.context)
    events = [
        e
        for e in observations.events("tenants")
        if e["customer_id"] == observations.context.customers["a"]
    ]
    found += [requests.log(str(event["log_id"]), "b") for event in events[:2]]
    walk = observations.paged_result(NOW, requests.summaries(both))
    found += [
        requests.summary(as_str(row, "log_summary_id") or "", "b")
        for row in (walk.rows[:1] if walk else ())
    ]
    for pool in requests.POOLS:
        walk = observations.paged_result(NOW, requests.ledger(pool))
        for row in walk.rows[:1] if walk else ():
            entry = as_str(row, f"{pool}_ledger_id")
            found.append(ApiRequest(path=f"{pool}_ledger/retrieve/{entry}", tenant="b"))
    return found


def _follow(observations: Observations, stage: str) -> Sequence[ApiRequest]:
    return _foreign(observations) if stage == NOW and "b" in observations.context.customers else ()


def _own(observations: Observations, tenant: str, user: str = "") -> list[Event]:
    number = observations.context.customers.get(tenant)
    return [
        event
        for event in observations.events("tenants")
        if event["customer_id"] == number and user in ("", event["proxy_user_id"])
    ]


def _each_sees_its_own(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    context = observations.context
    if "b" not in context.customers:
        builder.unusable("the target file has no second tenant, or its customer number is unknown")
        return builder.finding("")
    for tenant in "ab":
        for ask in _lists(context, tenant):
            walk = builder.paged_result(NOW, ask)
            if walk is not None:
                _hold_rows(builder, ask, walk.rows, walk.numbers)
        for ask, user in _graphs(context, tenant):
            points, exchange, trouble = observations.points(NOW, ask)
            if trouble or exchange is None:
                builder.unusable(trouble)
                continue
            host = context.host("tenants")
            events = [
                e for e in _own(observations, tenant, user) if e["log_hostname"] == host or user
            ]
            where = f"graph of {user or 'the common host'}, tenant {tenant} · requests"
            seen = sum(point.requests for point in points)
            if seen > len(events):
                builder.mismatch(where, len(events), seen, events=events, exchanges=[exchange.n])
            builder.observed()
    if "proxy-user" in context.claims:
        found = builder.paged_result(NOW, _user_search(context))
        if found is not None:
            where = "proxy_user/search of another tenant's user · rows"
            builder.expect_equal(where, 0, len(found.rows), *found.numbers)
    for ask in _foreign(observations):
        exchange = builder.exchange(NOW, ask)
        if exchange is not None:
            data = get_path(exchange.body, "data")
            seen_it = exchange.status == 200 and bool(data)
            where = f"{ask.path.rsplit('/', 1)[0]} of another tenant's id"
            builder.expect_equal(
                where, "not served", "served" if seen_it else "not served", exchange.n
            )
    return builder.finding("each tenant sees its own data and nothing of the other's")


def _hold_rows(
    builder: FindingBuilder, ask: ApiRequest, rows: tuple[Row, ...], numbers: tuple[int, ...]
) -> None:
    observations = builder.observations
    own = _own(observations, ask.tenant)
    other = [e for e in observations.events("tenants") if e not in own]
    query = dict(ask.query)
    user = query.get("proxy_user_id", "")
    where = f"{ask.path}, tenant {ask.tenant}, {user or 'the common host'}"
    builder.observed()
    alien = {str(event["log_id"]): event for event in other}
    for row in rows:
        log_id = (as_str(row, "log_id") or "").lower()
        if log_id in alien:
            builder.mismatch(
                where,
                "own rows only",
                f"log {log_id} of the other tenant",
                events=[alien[log_id]],
                exchanges=numbers,
            )
        number = as_int(row, "customer_id")
        if number is not None and number != observations.context.customers[ask.tenant]:
            builder.mismatch(
                f"{where} · customer_id",
                observations.context.customers[ask.tenant],
                number,
                exchanges=numbers,
            )
    if ask.path.startswith("log_summary"):
        host = observations.context.host("tenants")
        mine = [
            e
            for e in own
            if user in ("", e["proxy_user_id"]) and (user or e["log_hostname"] == host)
        ]
        seen = sum(as_int(row, "log_summary_requests") or 0 for row in rows)
        if seen > len(mine):
            builder.mismatch(f"{where} · requests", len(mine), seen, events=mine, exchanges=numbers)


CHECKS: Final = (
    Check(
        name="tenants-are-apart",
        law="TENANT",
        title="Nothing of one customer is visible to another.",
        judge=_each_sees_its_own,
        requests=at_stages((NOW,), _asks),
        follow_ups=_follow,
        datasets=("tenants",),
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
