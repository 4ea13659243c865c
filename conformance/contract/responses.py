"""From recorded responses to findings: which module of the contract compares which request.

It also compares what every response must fulfil: keys are required, errors are documented, bodies
match their schemas. A response that is lost, cut, too large, 429 or from a gateway is *unusable*:
it is no evidence about the target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from trueup.conformance.contract.account_states import AccountStates
from trueup.conformance.contract.accounts import judge_account, judge_customer
from trueup.conformance.contract.breakdowns import judge_breakdown
from trueup.conformance.contract.check_names import BODIES, ERRORS, FILTERS
from trueup.conformance.contract.declared import judge_declared
from trueup.conformance.contract.fields import HINTED, LOG_FIELDS, ApiField
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.graphs import judge_graph
from trueup.conformance.contract.history import part_of
from trueup.conformance.contract.ledgers import (
    judge_ledger_retrieve,
    judge_ledger_search,
    ledger_fields,
)
from trueup.conformance.contract.logs import judge_log_retrieve, judge_log_search
from trueup.conformance.contract.matching import SearchRequest, parse_search
from trueup.conformance.contract.model import GATEWAY_STATUSES, MISSING_STATUSES, ContractModel
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.contract.presence import note_presence
from trueup.conformance.contract.proxy_users import (
    USER_FIELDS,
    judge_user_change,
    judge_user_retrieve,
    judge_user_search,
)
from trueup.conformance.contract.schemas import endpoint_of, problems
from trueup.conformance.contract.summaries import (
    SUMMARY_FIELDS,
    judge_summary_retrieve,
    judge_summary_search,
)
from trueup.conformance.contract.target_time import TargetClock
from trueup.conformance.model import POOLS
from trueup.conformance.rows import as_str, get_path, parse_time, rows_of
from trueup.reports.journal.records import Exchange, Record

__all__ = ["collect_ids", "collect_units", "judge_unit"]

AUTH: Final = "keys-are-required"
OWN_KEYS: Final = ("a", "b")
REFUSING: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 422})
RATE_STAGES: Final = ("rate", "after-rate")
_FIELDS: Final[Mapping[str, Mapping[str, ApiField]]] = {
    "log": LOG_FIELDS,
    "log_summary": SUMMARY_FIELDS,
    "proxy_user": USER_FIELDS,
    **{f"{pool}_ledger": ledger_fields(pool) for pool in POOLS},
}


def collect_units(
    records: Sequence[Record], clock: TargetClock, part: str = ""
) -> list[JudgedRequest]:
    """Return all attempts of all requests of a part, in order."""
    grouped: dict[tuple[str, str], dict[int, list[tuple[int, Exchange]]]] = defaultdict(dict)
    for op, record in enumerate(records):
        if isinstance(record, Exchange) and part_of(record.stage) == part and record.ask:
            attempts = grouped[record.stage, record.ask]
            attempts.setdefault(record.attempt, []).append((op, record))
    units: list[JudgedRequest] = []
    for (stage, ask), attempts in grouped.items():
        numbers = sorted(attempts)
        for number in numbers:
            found = _without_waits(attempts[number])
            at = parse_time(found[0][1].at) or datetime.fromtimestamp(0, UTC)
            units.append(
                JudgedRequest(
                    stage=stage,
                    ask=ask,
                    op=found[0][0],
                    exchanges=tuple(exchange for _, exchange in found),
                    attempts=numbers.index(number) + 1,
                    last=number == numbers[-1],
                    before=tuple(
                        e.status for n in numbers if n < number for _, e in attempts[n][-1:]
                    ),
                    now=clock.at(at),
                    asked_at=at,
                )
            )
    units.sort(key=lambda unit: unit.op)
    return units


def _without_waits(found: list[tuple[int, Exchange]]) -> list[tuple[int, Exchange]]:
    """Responses of one attempt; of a page that was asked again, after a wait, only the last.

    A paged search that starts again replaces what was read of it before.
    """
    kept: list[tuple[int, Exchange]] = []
    for op, exchange in found:
        if len(kept) > 0 and exchange.query == kept[0][1].query:
            kept = []
        if kept and kept[-1][1].query == exchange.query and _is_lost(kept[-1][1]):
            kept.pop()
        kept.append((op, exchange))
    return kept


def _is_lost(exchange: Exchange) -> bool:
    """Whether there is no response, or one of a gateway: asked again, the target may respond."""
    return exchange.status is None or exchange.status in GATEWAY_STATUSES


def collect_ids(units: Iterable[JudgedRequest]) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return (resource, id) → customers to whom a search showed a row with that id."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for unit in units:
        resource, _, action = resource_path(unit.first.path).partition("/")
        if action != "search" or unit.customer not in OWN_KEYS:
            continue
        key = f"{resource}_id"
        for exchange in unit.exchanges:
            for row in rows_of(exchange.body) or ():
                if name := as_str(row, key):
                    found[resource, name].add(unit.customer)
    return {key: frozenset(customers) for key, customers in found.items()}


def judge_unit(
    model: ContractModel, accounts: AccountStates, unit: JudgedRequest
) -> RequestFinding:
    """Return the finding on one request. Equal units and models give equal findings."""
    finding = RequestFinding(unit=unit)
    if unit.stage in RATE_STAGES:
        return finding
    if unit.customer not in OWN_KEYS:
        _judge_keys(model, unit, finding)
        return finding
    path = resource_path(unit.first.path)
    if not _judge_responses(model, unit, finding, path):
        return finding
    if unit.first.method != "GET":
        judge_user_change(unit, finding)
        return finding
    note_presence(model, unit, finding, path)
    resource, _, action = path.partition("/")
    fields = _FIELDS.get(resource) if action == "search" else None
    search = None if fields is None else parse_search(unit.first.query, fields)
    judge_declared(model, unit, finding, path, search)
    if search is None:
        _judge_view(model, accounts, unit, finding, path)
    elif unit.first.status != 200:
        _judge_refused_search(unit, finding, path, search)
    elif not search.unusual:
        _judge_search(model, accounts, unit, finding, resource, search)
    return finding


def _judge_keys(model: ContractModel, unit: JudgedRequest, finding: RequestFinding) -> None:
    """Without a valid pair of keys every endpoint responds with 401 and no data."""
    for exchange in unit.exchanges:
        if _is_lost(exchange) or (exchange.status or 0) >= 500:
            finding.cannot_use_response(exchange, AUTH)
            continue
        where = (
            f"{'/'.join(resource_path(exchange.path).split('/')[:2])} with keys: {unit.customer}"
        )
        finding.equal(AUTH, f"{where} · status", 401, exchange.status, exchange.n, definite=True)
        if exchange.status == 401:
            _expect_error_body(model, finding, exchange, where)


def _expect_error_body(
    model: ContractModel, finding: RequestFinding, exchange: Exchange, where: str
) -> None:
    finding.observed(ERRORS)
    if exchange.body is None:
        kind = exchange.content_type or "no body"
        if "json" in kind and exchange.body_text.lstrip().startswith("{"):  # cut on its way
            finding.cannot_use(f"{where}: the error body is cut", exchange.n, ERRORS)
            return
        finding.deviate(
            ERRORS,
            where,
            "a JSON error body",
            f"status {exchange.status} with {kind}",
            exchanges=[exchange.n],
            definite=True,
        )
        return
    for problem in problems("error", exchange.body)[:2]:
        finding.deviate(
            ERRORS,
            f"{where} · error body",
            "as documented",
            problem,
            exchanges=[exchange.n],
            definite=True,
        )
    if "request-id" in model.reading.claims and not get_path(exchange.body, "api_request_id"):
        finding.deviate(
            ERRORS,
            f"{where} · api_request_id",
            "an id",
            "none",
            exchanges=[exchange.n],
            definite=True,
        )


def _judge_responses(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, path: str
) -> bool:
    """Statuses and bodies. Returns whether the views may be judged on them."""
    usable = True
    short = "/".join(path.split("/")[:2])
    for exchange in unit.exchanges:
        status = exchange.status
        if status is None or status in GATEWAY_STATUSES or exchange.error:
            usable = False
            finding.cannot_use_response(exchange, *_needed_by(path))
        elif status >= 500:
            usable = False
            if len(unit.before) >= 1 and all((s or 0) >= 500 for s in unit.before):
                finding.deviate(
                    BODIES,
                    f"{short} · status",
                    "no server error",
                    f"status {status}, {unit.attempts} times",
                    exchanges=[exchange.n],
                    definite=True,
                )
            finding.cannot_use_response(exchange, *_needed_by(path))
        elif status in REFUSING:
            _expect_error_body(model, finding, exchange, short)
            if status == 404 and path.endswith(("/search", "/graph")) and endpoint_of(path):
                finding.deviate(BODIES, short, "this endpoint", "404", definite=True)
        elif status == 200 and unit.first.method == "GET":
            _expect_body(finding, exchange, path, short)
            usable = usable and exchange.body is not None
        elif not 200 <= status < (300 if unit.first.method != "GET" else 201):
            finding.deviate(
                ERRORS,
                f"{short} · status",
                "a documented status",
                status,
                exchanges=[exchange.n],
                definite=True,
            )
    return usable


def _expect_body(finding: RequestFinding, exchange: Exchange, path: str, short: str) -> None:
    endpoint = endpoint_of(path)
    if endpoint is None:
        if "/retrieve/" not in path and path.count("/") < 2:
            finding.observed(ERRORS)
            finding.deviate(
                ERRORS,
                short,
                "an error: there is no such resource",
                "status 200",
                exchanges=[exchange.n],
                definite=True,
            )
        return
    finding.observed(BODIES)
    if exchange.body is None:
        if len(exchange.body_text) >= 2000:
            finding.cannot_use(f"{short}: the body was cut", exchange.n, *_needed_by(path))
            return
        kind = exchange.content_type or "no content type"
        if "json" in kind:  # cut on its way, or not JSON at all: one response cannot tell
            finding.cannot_use(f"{short}: the body is no JSON", exchange.n, *_needed_by(path))
            return
        finding.deviate(
            BODIES,
            short,
            "a JSON object",
            f"status 200 with {kind}",
            exchanges=[exchange.n],
            definite=True,
        )
        return
    for problem in problems(endpoint, exchange.body)[:2]:
        finding.deviate(
            BODIES, short, "as documented", problem, exchanges=[exchange.n], definite=True
        )


def _needed_by(path: str) -> tuple[str, ...]:
    """Return the checks that are inconclusive if a response of this endpoint is missing."""
    resource, _, action = path.partition("/")
    match resource:
        case "log":
            return ("logs-are-complete", "logs-are-kept", "logs-are-removed")
        case "log_summary":
            return ("summaries-equal-logs", "one-summary-per-key", "consolidation-keeps-totals")
        case "residential_ledger" | "mobile_ledger":
            return ("ledger-usage-is-the-traffic", "payments-have-entries", "ledger-is-kept")
        case "residential" | "mobile":
            return ("account-equals-ledger",)
        case "analytics":
            return ("graph-equals-sent", "graph-equals-summaries", "parts-make-the-whole")
        case "customer":
            return ("customer-equals-account",)
        case "proxy_user":
            return ("used-bytes-are-the-traffic",)
        case _:
            return (ERRORS, action and BODIES)


def _judge_search(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    resource: str,
    search: SearchRequest,
) -> None:
    match resource:
        case "log":
            judge_log_search(model, unit, finding, search)
        case "log_summary":
            judge_summary_search(model, unit, finding, search)
        case "proxy_user":
            judge_user_search(model, unit, finding, search)
        case _:
            pool = resource.removesuffix("_ledger")
            judge_ledger_search(model, accounts, unit, finding, pool, search)


def _judge_view(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    path: str,
) -> None:
    resource, _, action = path.partition("/")
    action, _, name = action.partition("/")
    pool = next((p for p in POOLS if resource in (p, f"{p}_ledger")), "")
    status = unit.first.status
    if action == "retrieve" and name and status == 200 and not model.served(unit.first):
        finding.deviate(
            ERRORS,
            f"{resource}/retrieve",
            "an error for an id that nothing has",
            "status 200 without data",
            definite=True,
        )
    elif action == "retrieve" and name and status not in (200, 403, *MISSING_STATUSES):
        finding.deviate(
            ERRORS, f"{resource}/retrieve · status", "200, or 404", status, definite=True
        )
    match resource, action:
        case "log", "retrieve":
            judge_log_retrieve(model, unit, finding, name)
        case "log_summary", "retrieve":
            judge_summary_retrieve(model, unit, finding, name)
        case (("residential_ledger" | "mobile_ledger"), "retrieve"):
            judge_ledger_retrieve(model, unit, finding, pool, name)
        case (("residential" | "mobile"), "summary"):
            judge_account(model, accounts, unit, finding, pool)
        case "analytics", "graph":
            judge_graph(model, unit, finding)
        case "analytics", "breakdown":
            judge_breakdown(model, unit, finding)
        case "customer", "retrieve":
            judge_customer(model, accounts, unit, finding)
        case "proxy_user", "retrieve":
            judge_user_retrieve(model, unit, finding, name)
        case _:
            pass


def _judge_refused_search(
    unit: JudgedRequest, finding: RequestFinding, path: str, search: SearchRequest
) -> None:
    """A search with documented parameters must succeed; others may be refused."""
    small = (search.per_page or 100) <= 100
    finding.observed(FILTERS)
    named_fields = {condition.field.name for condition in search.conditions}
    named_fields |= {search.order.field.name} if search.order is not None else set()
    hinted = bool(named_fields & HINTED) or (
        path.startswith("proxy_user") and bool(named_fields - {"proxy_user_id"})
    )
    if not search.unusual and small and not hinted:
        named = ", ".join(f"{n}={v}"[:80] for n, v in unit.first.query) or "no parameters"
        finding.deviate(
            FILTERS, f"{path} · {named}", "rows", f"status {unit.first.status}", definite=True
        )
