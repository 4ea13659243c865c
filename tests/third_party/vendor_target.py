"""An implementation that takes events in its own form: names, values, parts, times and ids.

Start it with `python -m tests.third_party.vendor_target [hide-references]`; it prints one line of
JSON: the environment variables that its target file names. Traffic reports are a gzipped JSON array
of nested records, which are checked strictly: an unknown key or value refuses the record. Bytes
come in two parts, times in milliseconds, and every log gets an id of the vendor's own; the
reporter's is shown as `reference`, or nowhere.

What it stores and shows is that of `tiny_target`, the other independent implementation.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from aiohttp import web

from tests.third_party import tiny_target
from tests.third_party.tiny_store import POOLS, EventList, Row, name_of, show

KEY = secrets.token_hex(12)
PLANS = {"DC": "datacenter", "ISP": "isp", "RES": "residential", "MOB": "mobile"}
PROTOCOLS = {"web": "http", "s5": "socks"}
SIGN_IN = {"password": 1, "address": 2, "both": 3}
CREDITS = {"BUY": "purchase", "TOPUP": "top_up", "BACK": "refund", "FIX": "adjustment"}
WHERE = {
    # key of a report → field of the API
    "customer": "customer_id",
    "login": "proxy_user_id",
    "product": "service_id",
    "peer": "log_client_ip_address",
    "exit.node": "proxy_id",
    "exit.inside": "log_local_ip_address",
    "exit.outside": "log_egress_ip_address",
    "exit.port": "log_local_port",
    "place.country": "country_id",
    "place.town": "city_alias",
    "place.network": "asn_id",
    "sticky": "log_session_id",
    "request.host": "log_hostname",
    "request.verb": "log_method",
    "request.version": "log_protocol_version",
    "request.layer4": "log_transport",
    "request.parallel": "log_concurrency",
    "result.http": "log_status_code",
    "result.fault": "log_error_code",
    "took.all": "log_total_elapsed_ms",
    "took.greeting": "log_handshake_elapsed_ms",
    "took.tunnel": "log_tunnel_elapsed_ms",
}
SWITCHES = {"request.tls": "log_is_tls_enabled", "smart.on": "log_smartpath_enabled"}
SWITCHES |= {"smart.used": "log_smartpath_routed"}


class Refused(Exception):
    """A report that is wrong, and why."""


class VendorStore(EventList):
    """The other implementation's store, with an id of its own for every log."""

    def take(self, event: Row) -> None:
        super().take(event)
        noted = self.by_id[event["log_id"]]
        self.by_id[own_id(event["log_id"])] = noted

    def log(self, customer: int, today: date) -> list[Row]:
        rows = super().log(customer, today)
        own = [row | {"log_id": own_id(row["log_id"]), "reference": row["log_id"]} for row in rows]
        if "loses_a_log" in sys.argv:
            own = own[: len(own) // 2] + own[len(own) // 2 + 1 :]
        if "hide-references" in sys.argv:
            for row in own:
                del row["reference"]
        return own


def own_id(reference: str) -> str:
    return str(uuid5(NAMESPACE_OID, reference))


def flat(record: Any, above: str = "") -> dict[str, Any]:
    """Return a record's values by dotted key."""
    if not isinstance(record, dict):
        raise Refused("not a record")
    found: dict[str, Any] = {}
    for key, value in record.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def event_of(record: Any) -> Row:
    """Return a report as a row of the store. Raise Refused."""
    found = flat(record)
    event: Row = {}
    for key in ("traffic.sent", "traffic.received"):
        if type(found.get(key)) is not int or found[key] < 0:
            raise Refused(f"{key} is no number of bytes")
    event["log_total_bytes"] = found.pop("traffic.sent") + found.pop("traffic.received")
    stamp = found.pop("stamp_ms", None)
    if type(stamp) is not int:
        raise Refused("stamp_ms is no time")
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=stamp)
    event["log_request_datetime"] = at.strftime("%Y-%m-%d %H:%M:%S.%f")
    event["log_id"] = found.pop("ref", None)
    for key, field, values in (
        ("plan", "log_network", PLANS),
        ("request.protocol", "log_protocol", PROTOCOLS),
        ("signed_in_by", "log_authentication_type", SIGN_IN),
    ):
        value = found.pop(key, None)
        if value not in values:
            raise Refused(f"{key} has an unknown value")
        event[field] = values[value]
    for key, field in SWITCHES.items():
        value = found.pop(key, None)
        if value not in (None, "Y", "N"):
            raise Refused(f"{key} is neither Y nor N")
        event[field] = None if value is None else value == "Y"
    unknown = found.keys() - WHERE.keys()
    if unknown:
        raise Refused(f"unknown: {', '.join(sorted(unknown))}")
    return event | {WHERE[key]: value for key, value in found.items()}


async def report(request: web.Request) -> web.Response:
    if request.headers.get("Content-Encoding") != "gzip":
        return tiny_target.no(415, "reports are gzipped")
    try:
        records = await request.json()
    except ValueError:
        return tiny_target.no(400, "not JSON")
    if not isinstance(records, list):
        return tiny_target.no(400, "not a list")
    store, stored, problems = tiny_target.STORE, 0, []
    for number, record in enumerate(records, start=1):
        try:
            event = event_of(record)
            if (why := store.wrong(event)) is not None:
                raise Refused(why)
        except Refused as error:
            problems.append({"no": number, "text": str(error)})
        else:
            store.take(event)
            stored += 1
    return web.json_response({"summary": {"ok": stored}, "problems": problems})


async def set_clock(request: web.Request) -> web.Response:
    wanted = (await request.json())["at_ms"]
    store = tiny_target.STORE
    ahead = timedelta(milliseconds=wanted - store.now().timestamp() * 1000)
    if ahead < timedelta():
        return tiny_target.no(409, "time does not go back")
    store.pushed += ahead
    return await get_clock(request)


async def get_clock(_request: web.Request) -> web.Response:
    now = tiny_target.STORE.now()
    return web.json_response({"clock": {"ms": int(now.timestamp() * 1000), "text": show(now)}})


async def credit(request: web.Request) -> web.Response:
    body = await request.json()
    plan, why = PLANS[body["plan"]], CREDITS[body["why"]]
    tiny_target.STORE.pay(body["customer"], plan, why, body["bytes"], body["ref"])
    return web.json_response({"done": True})


@web.middleware
async def vendor_key(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.path.startswith("/vendor/") and request.headers.get("X-Vendor-Key") != KEY:
        return tiny_target.no(403, "for the vendor")
    response: web.StreamResponse = await handler(request)
    return response


class Service:
    """The server. A restart closes it for a moment, and its caches are gone."""

    def __init__(self, runner: web.AppRunner) -> None:
        self.runner = runner
        self.port = 0
        self._restarting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True)
        await self.site.start()
        self.port = self.runner.addresses[0][1]

    async def restart(self, _request: web.Request) -> web.Response:
        self._restarting = asyncio.create_task(self._again())
        return web.json_response({"restarting": True}, status=202, headers={"Connection": "close"})

    async def _again(self) -> None:
        await asyncio.sleep(0.05)
        await self.site.stop()
        tiny_target.STORE._seen.clear()
        await asyncio.sleep(0.3)
        await self.start()


async def main() -> None:
    """Serve until standard input ends."""
    tiny_target.STORE = store = VendorStore()
    app = web.Application(middlewares=[vendor_key, api_keys], client_max_size=1 << 26)
    runner = web.AppRunner(app, access_log=None)
    service = Service(runner)
    api = "/v1.0/public/user"
    app.add_routes(
        [
            web.post("/vendor/traffic", report),
            web.put("/vendor/clock", set_clock),
            web.get("/vendor/clock", get_clock),
            web.post("/vendor/credit", credit),
            web.post("/vendor/restart", service.restart),
            web.get(api + "/analytics/graph", tiny_target.graph),
            web.get(api + "/{pool}/summary", tiny_target.account),
            web.get(api + "/{what}/search", tiny_target.search),
            web.get(api + "/{what}/retrieve/{id}", tiny_target.retrieve),
        ]
    )
    for customer in tiny_target.TENANTS.values():
        for pool in POOLS:
            store.pay(customer, pool, "purchase", 10 * 2**30, name_of(customer, pool))
    await runner.setup()
    await service.start()
    root = f"http://127.0.0.1:{service.port}"
    (a, b) = tiny_target.TENANTS
    told = {"VENDOR_API": f"{root}/v1.0", "VENDOR_KEY": KEY}
    told |= {f"VENDOR_{name.upper()}": f"{root}/vendor/{name}" for name in _PATHS}
    told |= {"VENDOR_A_PUBLIC": a[0], "VENDOR_A_PRIVATE": a[1]}
    told |= {"VENDOR_B_PUBLIC": b[0], "VENDOR_B_PRIVATE": b[1]}
    print(json.dumps(told), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


_PATHS = ("traffic", "clock", "credit", "restart")


@web.middleware
async def api_keys(request: web.Request, handler: Any) -> web.StreamResponse:
    """Require customer keys for the API only; the vendor's own paths have a key of their own."""
    if request.path.startswith("/vendor/"):
        response: web.StreamResponse = await handler(request)
        return response
    return await tiny_target.keys(request, handler)


if __name__ == "__main__":
    asyncio.run(main())
