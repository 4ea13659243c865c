"""AUTH, ENVELOPE, RANGE, FRESH, MONOTONE, RATE and SAFETY: how the API behaves as an API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import NOW, at_stages, users_of
from trueup.conformance.contract.schemas import endpoint_of, problems
from trueup.conformance.datasets.datasets import day_start
from trueup.conformance.datasets.freshness_probe import EVENTS, probe_requests
from trueup.conformance.datasets.interpretation_probes import MALFORMED_ID, UNKNOWN_ID
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.cells import by_day, cells_of_summaries
from trueup.conformance.observed.observations import Observations, describe_response
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, day_of, parse_time
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Impact, Outcome, Verdict

__all__ = ["CHECKS"]

OPEN: Final = "baseline"


# --- AUTH


def _endpoints(context: CheckContext) -> list[ApiRequest]:
    """Every endpoint of the guide, once."""
    today = day_start(context.now)
    return [
        ApiRequest(path="log/search"),
        requests.log(UNKNOWN_ID),
        ApiRequest(path="log_summary/search"),
        requests.summary(UNKNOWN_ID),
        requests.graph(today, today + timedelta(days=1), "hour"),
        *(
            ask
            for pool in requests.POOLS
            if pool in context.claims
            for ask in (
                ApiRequest(path=f"{pool}_ledger/search"),
                ApiRequest(path=f"{pool}_ledger/retrieve/{UNKNOWN_ID}"),
                requests.account(pool),
            )
        ),
    ]


def _unauthorised(context: CheckContext) -> list[ApiRequest]:
    one, *_ = _endpoints(context)
    kinds = ["wrong", "no-private", "false-private"]
    if "b" in context.customers:
        kinds.append("crossed")
    return [
        *(replace(ask, keys="none") for ask in _endpoints(context)),
        *(replace(one, keys=kind) for kind in kinds),
        *(
            replace(requests.account(pool), keys="wrong")
            for pool in requests.POOLS
            if pool in context.claims
        ),
    ]


def _keys_are_required(observations: Observations) -> Finding:
    """Without the right pair of keys every endpoint answers 401 and gives nothing away."""
    builder = FindingBuilder(observations)
    for ask in _unauthorised(observations.context):
        exchange = builder.exchange(OPEN, ask)
        if exchange is None:
            continue
        where = f"{_short(ask.path)} with keys: {ask.keys} · status"
        builder.expect_equal(where, 401, exchange.status, exchange.n)
    return builder.finding("every endpoint answers 401 without the right keys")


def _short(path: str) -> str:
    return "/".join(path.split("/")[:2])


# --- ENVELOPE


def _error_asks(context: CheckContext) -> list[tuple[ApiRequest, tuple[int, ...]]]:
    """Questions that must be answered with an error body, and the statuses allowed."""
    missing = (404, 400, 422, 410)
    return [
        (requests.log(UNKNOWN_ID), missing),
        (requests.log(MALFORMED_ID), missing),
        (requests.summary(UNKNOWN_ID), missing),
        *(
            (ApiRequest(path=f"{pool}_ledger/retrieve/{UNKNOWN_ID}"), missing)
            for pool in requests.POOLS
            if pool in context.claims
        ),
        (ApiRequest(path="no_such/resource"), (404, 403, 405, 400)),
        (replace(ApiRequest(path="log/search"), keys="none"), (401,)),
    ]


def _errors_are_told(observations: Observations) -> Finding:
    """What is not there is answered with the documented error body, never with a success."""
    builder = FindingBuilder(observations)
    for ask, allowed in _error_asks(observations.context):
        exchange = builder.exchange(OPEN, ask)
        if exchange is None:
            continue
        where = f"{_short(ask.path)} of {ask.path.split('/', 2)[-1]}"
        builder.observed()
        if exchange.status not in allowed:
            builder.mismatch(
                f"{where} · status",
                " or ".join(map(str, allowed)),
                exchange.status,
                exchanges=[exchange.n],
            )
        elif exchange.status in allowed:
            _hold_error(builder, where, exchange)
    return builder.finding("errors have the documented statuses and bodies")


def _hold_error(builder: FindingBuilder, where: str, exchange: Exchange) -> None:
    if exchange.body is None:
        builder.mismatch(
            where, "a JSON error body", describe_response(exchange), exchanges=[exchange.n]
        )
        return
    for problem in problems("error", exchange.body):
        builder.mismatch(f"{where} · error body", "as documented", problem, exchanges=[exchange.n])
    body = exchange.body if isinstance(exchange.body, dict) else {}
    if "request-id" in builder.observations.context.claims and not body.get("api_request_id"):
        builder.mismatch(f"{where} · api_request_id", "an id", "none", exchanges=[exchange.n])


def _bodies_fit(observations: Observations) -> Finding:
    """Every body of the whole run fits its schema; no request was answered with a server error."""
    builder = FindingBuilder(observations)
    prefix_ends = ("/search", "/summary", "/graph")
    for exchange in observations.exchanges:
        path = "/".join(exchange.path.strip("/").split("/")[2:])
        endpoint = endpoint_of(path)
        if endpoint is None or exchange.status is None or exchange.tenant not in ("a", "b"):
            continue
        if exchange.status >= 500:
            builder.observed()
            where = f"{_short(path)} · status"
            builder.mismatch(
                where, "no server error", describe_response(exchange), exchanges=[exchange.n]
            )
        elif exchange.status == 200 and exchange.method == "GET":
            builder.observed()
            if exchange.body is None:
                builder.mismatch(
                    _short(path),
                    "a JSON object",
                    describe_response(exchange),
                    exchanges=[exchange.n],
                )
                continue
            for problem in problems(endpoint, exchange.body)[:2]:
                builder.mismatch(_short(path), "as documented", problem, exchanges=[exchange.n])
        elif exchange.status == 404 and path.endswith(prefix_ends) and endpoint != "error":
            builder.observed()
            if not any(name in path for name in ("customer", "proxy_user", "service")):
                builder.mismatch(_short(path), "this endpoint", "404", exchanges=[exchange.n])
    return builder.finding("every body fits its schema, and none was a server error")


# --- RANGE


def _impossible_is_refused(observations: Observations) -> Finding:
    """Negative bytes, tomorrow's events and unknown networks are refused and change nothing."""
    builder = FindingBuilder(observations)
    today = observations.context.now.strftime("%Y-%m-%d")
    for injected in (p for p in observations.injected if p.dataset == "range"):
        event = injected.event
        user = str(event["proxy_user_id"])
        logs = builder.paged_result(NOW, requests.logs(user))
        summed = builder.paged_result(NOW, requests.summaries(user))
        if logs is None or summed is None:
            continue
        builder.observed()
        own_day = day_of(event["log_request_datetime"])
        days = by_day(cells_of_summaries(summed.rows))
        changed = len(logs.rows) + sum(counts.requests for counts in days.values())
        if changed or injected.outcome is Outcome.ACCEPTED:
            what = _oddity(event)
            seen = "accepted" if injected.outcome is Outcome.ACCEPTED else str(injected.outcome)
            if own_day != today and today in days:
                seen += f" and counted in {today}"
            builder.mismatch(
                f"an event with {what}",
                "refused, and nothing changed",
                f"{seen}; {len(logs.rows)} logs, {len(summed.rows)} summaries",
                events=[event],
                exchanges=[*logs.numbers, *summed.numbers],
            )
    return builder.finding("impossible events are refused and change nothing")


def _oddity(event: Event) -> str:
    if (as_int(event, "log_total_bytes") or 0) < 0:
        return f"{event['log_total_bytes']} bytes"
    if event["log_network"] not in ("datacenter", "isp", "residential", "mobile"):
        return f"network {event['log_network']}"
    return f"time {event['log_request_datetime']}, a day ahead"


# --- FRESH, MONOTONE


def _sights(observations: Observations, ask: ApiRequest) -> list[tuple[Exchange, int]]:
    """Every first page of a polled walk, with the requests or rows that it shows."""
    found = []
    for exchange in observations.exchanges:
        if exchange.stage == "fresh" and exchange.ask == ask.name and exchange.status == 200:
            body = exchange.body if isinstance(exchange.body, dict) else {}
            data = body.get("data")
            rows = [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []
            if "summary" in ask.path:
                found.append((exchange, sum(as_int(r, "log_summary_requests") or 0 for r in rows)))
            else:
                found.append((exchange, len(rows)))
    return found


def _visible_soon(observations: Observations) -> Finding:
    """The marker is seen in logs and summaries within the declared delay."""
    builder = FindingBuilder(observations)
    for ask in probe_requests(observations.context):
        sights = _sights(observations, ask)
        if not sights:
            builder.unusable("the marker was not polled")
            continue
        start, end = parse_time(sights[0][0].at), parse_time(sights[-1][0].at)
        waited = (end - start).total_seconds() if start and end else 0.0
        builder.observed()
        if not any(count >= EVENTS - 1 for _, count in sights[-2:]):
            declared = observations.reading("freshness-s")
            bound = f" (declared: {declared} s)" if observations.declared("freshness-s") else ""
            builder.mismatch(
                f"{ask.path} of the marker",
                f"{EVENTS} events, soon after they were accepted{bound}",
                f"{sights[-1][1]} after {waited:.1f} s",
                events=observations.events("marker"),
                exchanges=[sights[-1][0].n],
            )
    return builder.finding("accepted events are soon visible in logs and summaries")


def _never_backwards(observations: Observations) -> Finding:
    """What was seen once settled is still seen by every later read."""
    builder = FindingBuilder(observations)
    context = observations.context
    user = context.user("marker")
    for ask in (requests.logs(user), requests.summaries(user)):
        counts = []
        for n in range(1, 6):
            walk = builder.paged_result(NOW, replace(ask, again=n))
            if walk is not None:
                is_summary = "summary" in ask.path
                amount = (
                    sum(as_int(r, "log_summary_requests") or 0 for r in walk.rows)
                    if is_summary
                    else len(walk.rows)
                )
                counts.append((amount, walk.numbers))
        most = 0
        for amount, numbers in counts:
            builder.observed()
            if amount < most:
                where = f"{ask.path} of {user}, read again"
                builder.mismatch(where, f"at least {most}", amount, exchanges=numbers)
            most = max(most, amount)
    return builder.finding("repeated reads never go backwards")


def _repeated(context: CheckContext) -> Sequence[ApiRequest]:
    user = context.user("marker")
    return [
        replace(ask, again=n)
        for ask in (requests.logs(user), requests.summaries(user))
        for n in range(1, 6)
    ]


# --- RATE, SAFETY


def _limits_pass(observations: Observations) -> Finding:
    """Too many requests are answered 429, to that customer alone, and it ends."""
    builder = FindingBuilder(observations)
    limited = [e for e in observations.exchanges if e.status == 429]
    others = [e for e in observations.exchanges if e.stage == "rate" and e.tenant == "b"]
    builder.observed(len(limited))
    for exchange in limited[:5]:
        for problem in problems("error", exchange.body):
            builder.mismatch("429 · error body", "as documented", problem, exchanges=[exchange.n])
    for exchange in others if any(e.stage == "rate" for e in limited) else ():
        where = "another customer, while one asks too much · status"
        builder.expect_equal(where, 200, exchange.status, exchange.n)
    for tenant in "ab":
        asked = [e for e in observations.exchanges if e.tenant == tenant and e.stage != "rate"]
        if any(e.status == 429 for e in limited) and asked and asked[-1].status == 429:
            where = f"tenant {tenant}, asking slowly and waiting up to a minute"
            builder.mismatch(where, "served again", "still 429", exchanges=[asked[-1].n])
    if not limited and "rate-limit" not in observations.context.claims:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="the target does not claim `rate-limit`, and never answered 429",
        )
    return builder.finding("429 meets the customer who asks too much, and passes")


def _levers_are_locked(observations: Observations) -> Finding:
    """Clock, maintenance and the like cannot be pulled with an ordinary customer's keys."""
    builder = FindingBuilder(observations)
    tried = [hook for hook in observations.hooks if hook.check == "safety"]
    for hook in tried:
        builder.observed()
        if hook.ok:
            where = f"{hook.hook} hook with a customer's keys"
            builder.mismatch(where, "refused", "it moved")
        elif not hook.error.startswith("status 4"):
            builder.unusable(f"{hook.hook} hook: {hook.error}")
    if not tried:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="no hook over HTTP that is locked by a key of its own",
        )
    return builder.finding("no hook can be pulled with a customer's keys")


def _range_asks(context: CheckContext, stage: str) -> Sequence[ApiRequest]:
    users = users_of(context, "range")
    if stage != NOW:
        return ()
    return [ask for user in users for ask in (requests.logs(user), requests.summaries(user))]


CHECKS: Final = (
    Check(
        name="keys-are-required",
        law="AUTH",
        title="Without the right pair of keys every endpoint answers 401.",
        judge=_keys_are_required,
        requests=at_stages((OPEN,), _unauthorised),
        level=0,
        needed=10,
        impact=Impact.PRIVACY,
        clauses=(
            "AUTH-1",
            "AUTH-2",
            "AUTH-3",
        ),
        eventual=False,
    ),
    Check(
        name="errors-are-documented",
        law="ENVELOPE",
        title="What is not there is answered with the documented error status and body.",
        judge=_errors_are_told,
        requests=at_stages((OPEN,), lambda context: [ask for ask, _ in _error_asks(context)]),
        level=0,
        needed=5,
        rests_on=("AUTH",),
        clauses=(
            "ENV-3",
            "ENV-4",
            "ENV-5",
            "ENV-7",
            "ENV-8",
        ),
        eventual=False,
    ),
    Check(
        name="bodies-are-documented",
        law="ENVELOPE",
        title="Every answer has the documented envelope and fields of the right types.",
        judge=_bodies_fit,
        requests=at_stages((OPEN,), _endpoints),
        level=0,
        needed=5,
        rests_on=("AUTH",),
        clauses=(
            "ENV-1",
            "ENV-2",
            "ENV-4",
            "ENV-6",
            "ENV-9",
            "LOG-3",
            "LOG-4",
            "LOG-9",
            "ACC-R-1",
            "ACC-M-1",
        ),
        eventual=False,
    ),
    Check(
        name="events-are-soon-visible",
        law="FRESH",
        title="An accepted event is visible in logs and summaries within the declared delay.",
        judge=_visible_soon,
        datasets=("marker",),
        needed=2,
        rests_on=("AUTH",),
        clauses=(
            "FRESH-1",
            "SUM-4",
        ),
        eventual=False,
    ),
    Check(
        name="reads-never-go-back",
        law="MONOTONE",
        title="Repeated reads never show less than an earlier one.",
        judge=_never_backwards,
        requests=at_stages((NOW,), _repeated),
        datasets=("marker",),
        needed=8,
        rests_on=("AUTH", "FRESH"),
        clauses=("FRESH-2",),
        eventual=False,
    ),
    Check(
        name="impossible-events-are-refused",
        law="RANGE",
        title="Impossible amounts, times and networks are refused and change nothing.",
        judge=_impossible_is_refused,
        requests=_range_asks,
        datasets=("range",),
        refusable=True,
        needed=3,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=(
            "RANGE-1",
            "RANGE-2",
            "SUM-16",
        ),
        eventual=False,
    ),
    Check(
        name="rate-limit-passes",
        law="RATE",
        title="Too many requests are answered 429 to that customer alone, and it passes.",
        judge=_limits_pass,
        level=0,
        needed=1,
        rests_on=("AUTH",),
        clauses=(
            "RATE-1",
            "RATE-2",
            "RATE-3",
        ),
        eventual=False,
    ),
    Check(
        name="hooks-are-locked",
        law="SAFETY",
        title="Control hooks cannot be pulled with a customer's keys.",
        judge=_levers_are_locked,
        level=2,
        needed=1,
        impact=Impact.PRIVACY,
        clauses=("SAFE-1",),
        eventual=False,
    ),
)
