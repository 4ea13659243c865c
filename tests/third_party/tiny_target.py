"""An independent implementation of the API, small and deliberately different.

Start it with `python -m tests.third_party.tiny_target [FAULT …]`; it prints one line of JSON: the
environment variables that its target file names. It takes events as a gzipped JSON array with names
of its own, or as lines, all or none. Its readings differ from those of the embedded reference
wherever the contract allows: times in ISO 8601, usage as positive numbers, pages of 50, no count of
logs, calendar days, 410 for what has expired.
"""

from __future__ import annotations

import asyncio
import json
import operator
import re
import secrets
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.third_party.tiny_faults import FAULTS
from tests.third_party.tiny_store import POOLS, EventList, name_of, parse, show

PAGE = 50
OURS = {
    "uid": "log_id",
    "account": "customer_id",
    "who": "proxy_user_id",
    "net": "log_network",
    "site": "log_hostname",
    "octets": "log_total_bytes",
    "at": "log_request_datetime",
}
IDS = {
    "log": "log_id",
    "log_summary": "log_summary_id",
    "residential_ledger": "residential_ledger_id",
    "mobile_ledger": "mobile_ledger_id",
}
STORE = EventList()
TENANTS = {(secrets.token_hex(8), secrets.token_hex(16)): customer for customer in (7001, 7002)}
OPERATOR = secrets.token_hex(12)
LOG_FIELDS = """
    service_id proxy_id country_id city_alias asn_id log_protocol log_status_code log_session_id
    log_method log_transport log_client_ip_address log_local_ip_address log_local_port
    log_egress_ip_address log_total_elapsed_ms log_concurrency log_smartpath_routed
"""
SUMMARY_FIELDS = ("id", "network", "hostname", "requests", "bytes", "period")
LEDGER_FIELDS = ("id", "bytes", "requests", "period_date", "reason")
FIELDS = {
    "log": {*OURS.values(), *LOG_FIELDS.split()},
    "log_summary": {"proxy_user_id", *(f"log_summary_{part}" for part in SUMMARY_FIELDS)},
    **{f"{pool}_ledger": {f"{pool}_ledger_{part}" for part in LEDGER_FIELDS} for pool in POOLS},
}
RULES: dict[str, Callable[[Any, Any], bool] | None] = {
    "min_": operator.ge,
    "max_": operator.le,
    "not_": operator.ne,
    "like_": None,
    "": operator.eq,
}
NUMBERS = (
    "bytes",
    "requests",
    "port",
    "_ms",
    "concurrency",
    "asn_id",
    "status_code",
    "customer_id",
)
TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]|$)")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def no(status: int, message: str) -> web.Response:
    return web.json_response({"error": f"E{status}", "message": message}, status=status)


@web.middleware
async def keys(request: web.Request, handler: Any) -> web.StreamResponse:
    """Require customer keys for the API, and the operator key for everything else."""
    heads = request.headers
    if request.path.startswith("/v1.0/public/user/"):
        pair = (heads.get("X-API-Public-Key", ""), heads.get("X-API-Private-Key", ""))
        if pair not in TENANTS:
            return no(401, "who are you?")
        request["customer"] = TENANTS[pair]
    elif heads.get("Authorization") != f"Operator {OPERATOR}":
        return no(403, "for operators")
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except web.HTTPException as error:
        return no(error.status, error.reason)


# --- in


async def collect(request: web.Request) -> web.Response:
    """Accept a gzipped JSON array with other field names; list refused events by index from 0."""
    try:
        sent = await request.json()  # aiohttp has undone the gzip
    except ValueError:
        return no(400, "not JSON")
    if not isinstance(sent, list):
        return no(400, "not a list")
    stored, dropped = 0, []
    for index, event in enumerate(sent):
        event = {OURS.get(key, key): value for key, value in dict(event).items()}
        why = STORE.wrong(event)
        if why is None:
            STORE.take(event)
            stored += 1
        else:
            dropped.append({"index": index, "why": why})
    return web.json_response({"result": {"stored": stored, "dropped": dropped}})


async def lines(request: web.Request) -> web.Response:
    """Accept one event a line in the field names of the API: all, or none."""
    try:
        events = [json.loads(line) for line in (await request.text()).splitlines() if line]
    except ValueError:
        return no(400, "a line is not JSON")
    wrong = [why for why in map(STORE.wrong, events) if why is not None]
    if wrong:
        return no(422, wrong[0])
    for event in events:
        STORE.take(event)
    return web.json_response({"stored": len(events)})


async def push(request: web.Request) -> web.Response:
    seconds = (await request.json())["forward_by"]
    if not isinstance(seconds, int) or seconds < 0:
        return no(409, "time goes forward, in whole seconds")
    STORE.pushed += type(STORE.pushed)(seconds=seconds)
    return web.json_response({"it_is": show(STORE.now())})


async def wallet(request: web.Request) -> web.Response:
    part, body = request.match_info, await request.json()
    key = request.headers["Idempotency-Key"]
    STORE.pay(int(part["customer"]), part["pool"], body["op"], body["amount"], key)
    return web.json_response({"done": True}, status=201)


# --- out


def rule_of(what: str, name: str) -> tuple[str, str] | None:
    """Return rule and field of a filter, or None for an unknown name, which is ignored."""
    for rule in RULES:
        if name.startswith(rule) and name[len(rule) :] in FIELDS[what]:
            return rule, name[len(rule) :]
    return None


def holds(has: Any, rule: str, want: str) -> bool:
    """Return whether a value satisfies a filter. Raise ValueError if the filter is malformed."""
    if has is None:
        return rule == "not_"
    if rule == "like_":
        parts = (".*" if part == "%" else re.escape(part) for part in re.split("(%)", want))
        return re.search("".join(parts), str(has), re.IGNORECASE | re.DOTALL) is not None
    value: Any = want
    if isinstance(has, bool):
        has, value = int(has), int(want.lower() in ("1", "true"))
    elif isinstance(has, int):
        value = int(want)
    elif TIME.match(has):
        has, value = parse(has), parse(want)
    compare = RULES[rule]
    assert compare is not None
    return bool(compare(has, value))


async def search(request: web.Request) -> web.Response:
    what, query = request.match_info["what"], dict(request.query)
    if what not in IDS:
        return no(404, "no such thing")
    try:
        page, size = int(query.pop("page", 1)), int(query.pop("per_page", PAGE))
        if page < 1 or size < 1:
            return no(400, "pages count from 1")
        order = query.pop("sort_by", IDS[what])
        rows = STORE.view(what, request["customer"])
        for name, want in query.items():
            if (found := rule_of(what, name)) is not None:
                rule, field = found
                if field.endswith(NUMBERS) and rule != "like_":
                    int(want)
                rows = [row for row in rows if holds(row.get(field), rule, want)]
    except (ValueError, TypeError):
        return no(400, "a value has the wrong form")
    down = order.endswith("_desc")
    field = order.removesuffix("_desc").removesuffix("_asc")
    rows = sorted(rows, key=lambda row: row[IDS[what]])
    rows.sort(key=lambda row: (row.get(field) is not None, row.get(field)), reverse=down)
    size = min(size, PAGE)
    shown = rows[(page - 1) * size : page * size]
    return web.json_response(
        {
            "data": shown,
            "item_count": len(shown),
            "message": "here you are",
            "page": page,
            "per_page": size,
            "total_count": -1 if what == "log" else len(rows),
        }
    )


async def retrieve(request: web.Request) -> web.Response:
    what, wanted = request.match_info["what"], request.match_info["id"]
    if what not in IDS:
        return no(404, "no such thing")
    if UUID.fullmatch(wanted) is None:
        return no(400, "that is no id")
    for row in STORE.view(what, request["customer"]):
        if row[IDS[what]] == wanted:
            return web.json_response({"data": row, "message": "here it is"})
    gone = STORE.by_id.get(wanted, {}).get("raw", {})
    mine = gone.get("customer_id") == request["customer"]
    return no(410, "no longer kept") if what == "log" and mine else no(404, "nothing has this id")


async def account(request: web.Request) -> web.Response:
    pool = request.match_info["pool"]
    if pool not in POOLS:
        return no(404, "no such pool")
    return web.json_response({"data": STORE.account(pool, request["customer"]), "message": ""})


async def graph(request: web.Request) -> web.Response:
    try:
        buckets = STORE.graph(request["customer"], dict(request.query))
    except (KeyError, ValueError):
        return no(400, "interval or period has the wrong form")
    return web.json_response({"data": {"chart": {"buckets": buckets}}, "message": ""})


async def main() -> None:
    """Serve until standard input ends, so that no process is left when a test is killed."""
    app = web.Application(middlewares=[keys], client_max_size=1 << 26)
    api = "/v1.0/public/user"
    app.add_routes(
        [
            web.post("/collect", collect),
            web.post("/lines", lines),
            web.put("/time", push),
            web.post("/wallet/{customer}/{pool}", wallet),
            web.get(api + "/analytics/graph", graph),
            web.get(api + "/{pool}/summary", account),
            web.get(api + "/{what}/search", search),
            web.get(api + "/{what}/retrieve/{id}", retrieve),
        ]
    )
    for customer in TENANTS.values():
        for pool in POOLS:
            STORE.pay(customer, pool, "purchase", 10 * 2**30, name_of(customer, pool))
    for lie in sys.argv[1:]:
        FAULTS[lie](STORE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (a, b) = TENANTS
    told = {
        "TINY_API": f"{root}/v1.0",
        "TINY_COLLECT": f"{root}/collect",
        "TINY_LINES": f"{root}/lines",
        "TINY_TIME": f"{root}/time",
        "TINY_WALLET": f"{root}/wallet/{{customer_id}}/{{network}}",
        "TINY_OPERATOR": f"Operator {OPERATOR}",
        "TINY_A_PUBLIC": a[0],
        "TINY_A_PRIVATE": a[1],
        "TINY_B_PUBLIC": b[0],
        "TINY_B_PRIVATE": b[1],
    }
    print(json.dumps(told), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
