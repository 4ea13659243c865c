"""One sequence of steps that uses every decision of the reference, and its observations.

`run_replay` sends it to a server and returns observations by name, without ids and times that
differ from run to run. A mutant shows where an observation differs from the correct server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.reference.served import Json, Served, event
from trueup.reference.times import DAY_US, HOUR_US, SECOND_US, ceil_day, format_instant

LONG = "a" * 62 + ".b" * 40 + ".example.com"
_VOLATILE = ("_id", "creation_datetime", "last_update_datetime", "password", "pre", "post", "eval")


def steady(row: Json) -> Json:
    """Return a row without the fields that differ from run to run."""
    kept = ("proxy_user_id", "service_id", "customer_id", "log_id", "proxy_id", "country_id")
    return {
        name: value
        for name, value in row.items()
        if name in kept or name == "asn_id" or not name.endswith(_VOLATILE)
    }


def ordered(rows: list[Json]) -> list[str]:
    return sorted(str(sorted(steady(row).items())) for row in rows)


class Replay:
    """One replay: the server, the midnight it is built around, and the observations so far."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.midnight = ceil_day(served.now_us) + 2 * DAY_US
        self.numbers: Iterator[int] = count(1)
        self.seen: dict[str, Any] = {}

    def event(self, at_us: int, **fields: Any) -> Json:
        """Return an event `at_us` microseconds after the midnight (before, where negative)."""
        when = format_instant(self.midnight + at_us)
        return event(next(self.numbers), log_request_datetime=when, **fields)

    async def money(self, kind: str, amount: int, key: str) -> int:
        status, _ = await self.served.control(
            "money",
            customer_id=1001,
            network="residential",
            kind=kind,
            bytes=amount,
            idempotency_key=key,
        )
        return status


async def run_replay(served: Served) -> dict[str, Any]:
    replay = Replay(served)
    await served.move_to(replay.midnight + 12 * HOUR_US)
    await _deliver(replay)
    await _look(replay, "young")
    await _search(replay)
    await _graph(replay)
    await _neighbours(replay)
    await _protocol(replay)
    await _people(replay)
    await _grow_old(replay)
    return replay.seen


async def _deliver(replay: Replay) -> None:
    served, hour = replay.served, HOUR_US
    users = ("alice", "bob", "carol")
    networks = ("residential", "mobile", "isp", "datacenter")
    first = [
        replay.event(
            10 * hour + number * SECOND_US,
            proxy_user_id=users[number % 3],
            log_network=networks[number % 4],
            log_protocol="socks" if number == 5 else "http",
            log_hostname=("apple.com", "www.apple.com", "APPLE.com.")[number % 3],
            log_total_bytes=4**number,
            log_status_code=404 if number % 5 == 4 else 200,
        )
        for number in range(12)
    ]
    results = [await served.ingest(first)]
    results.append(await served.ingest(first[:3]))
    for amount in (0, 1001, 2**31 + 5, 2**25 + 1):
        for network in networks:
            await served.ingest(
                [
                    replay.event(
                        11 * hour,
                        log_total_bytes=amount,
                        log_network=network,
                        proxy_user_id="dave",
                    )
                ]
            )
    failed = replay.event(9 * hour, log_error_code="proxy_internal_error", log_total_bytes=501)
    results.append(await served.ingest([failed]))
    await asyncio.gather(
        *(
            served.ingest([replay.event(8 * hour, proxy_user_id="erin", log_total_bytes=4**number)])
            for number in range(12)
        )
    )
    days = [
        replay.event(
            -age * DAY_US + extra, proxy_user_id="old", log_total_bytes=4 ** (2 * age + at)
        )
        for age in range(1, 7)
        for at, extra in enumerate((0, DAY_US - SECOND_US))
    ]
    results.append(await served.ingest(reversed(days)))
    results.append(
        await served.ingest(
            [
                replay.event(DAY_US + 13 * hour),
                replay.event(0, log_total_bytes=-5),
                replay.event(-8 * DAY_US),
                replay.event(12 * hour + 1800 * SECOND_US, proxy_user_id="ahead"),
            ]
        )
    )
    hosts = (LONG, "bücher.example", "bäcker.example", "1.2.3.4", "per_cent%.example")
    await served.ingest(
        [replay.event(7 * hour, proxy_user_id="host", log_hostname=host) for host in hosts]
    )
    many = [
        replay.event(6 * hour, proxy_user_id="many", log_network="isp", log_total_bytes=number % 2)
        for number in range(600)
    ]
    results.append(await served.ingest(many))
    await served.ingest(
        replay.event(5 * hour, customer_id=1002, log_total_bytes=10**number, proxy_user_id=user)
        for number, user in enumerate(("alice", "alice", "zoe", "zoe"))
    )
    kinds = (("purchase", 10, "p"), ("top_up", 100, "t"), ("top_up", 100, "t"))
    moved = [await replay.money(*each) for each in kinds]
    await served.get("customer/retrieve")
    moved += [await replay.money("refund", 1000, "r"), await replay.money("adjustment", -7, "a")]
    replay.seen["results"] = [*results, moved]


async def _look(replay: Replay, when: str) -> None:
    """Every view in full, as it stands now."""
    served, seen = replay.served, replay.seen
    seen[f"{when} logs"] = ordered(await served.all_rows("log/search"))
    seen[f"{when} summaries"] = ordered(await served.all_rows("log_summary/search"))
    rows = await served.all_rows("log_summary/search")
    seen[f"{when} summary ids"] = {row["log_summary_id"] for row in rows}
    for pool in ("residential", "mobile"):
        seen[f"{when} {pool} ledger"] = ordered(await served.all_rows(f"{pool}_ledger/search"))
        seen[f"{when} {pool} summary"] = (await served.get(f"{pool}/summary"))["data"]
    seen[f"{when} customer"] = (await served.get("customer/retrieve"))["data"]
    users = (await served.get("proxy_user/search"))["data"]
    seen[f"{when} users"] = ordered(users)
    last = format_instant(replay.midnight + DAY_US)
    start = format_instant(replay.midnight - 20 * DAY_US)
    window = {"period_start": start, "period_end": last}
    seen[f"{when} graph"] = (await served.get("analytics/graph", **window))["data"]
    seen[f"{when} isp"] = (await served.get("analytics/graph", network="isp", **window))["data"]
    seen[f"{when} bob"] = (await served.get("analytics/graph", proxy_user_id="bob", **window))[
        "data"
    ]
    seen[f"{when} breakdown"] = (await served.get("analytics/breakdown", **window))["data"]


async def _search(replay: Replay) -> None:
    served, seen = replay.served, replay.seen

    async def ids(path: str = "log/search", per_page: int = 100, **query: Any) -> list[str]:
        rows = await served.all_rows(path, per_page=per_page, **query)
        return [row["log_id"][:8] for row in rows]

    seen["pages of 7"] = sorted(await ids(per_page=7, proxy_user_id="old"))
    seen["ties"] = await ids(proxy_user_id="many", sort_by="log_total_bytes", per_page=100)
    seen["bytes up"] = await ids(proxy_user_id="bob", sort_by="log_total_bytes_asc")
    seen["bytes down"] = await ids(proxy_user_id="bob", sort_by="log_total_bytes_desc")
    seen["default order"] = await ids(proxy_user_id="old")
    page = await served.get("log/search", proxy_user_id="many", per_page=10)
    seen["totals"] = {name: page[name] for name in page if name != "data"} | {
        "rows": len(page["data"])
    }
    past = await served.get("log/search", proxy_user_id="old", page=999)
    seen["past the end"] = (past["page"], len(past["data"]))
    _, big = await served.ask("log/search", per_page=100)
    seen["per_page 100"] = len(big["data"]), big["per_page"]
    seen["per_page 101"] = (await served.ask("log/search", per_page=101))[0]
    seen["network"] = await ids(log_network="mobile")
    seen["min"] = await ids(proxy_user_id="bob", min_log_total_bytes=256)
    seen["max"] = await ids(proxy_user_id="bob", max_log_total_bytes=256)
    seen["not"] = await ids(proxy_user_id="bob", not_log_total_bytes=256)
    seen["like"] = await ids(like_log_hostname="CENT%")
    seen["like part"] = await ids(like_log_hostname="ww.app", not_proxy_user_id="many")
    seen["percent"] = await ids(log_hostname="%")
    seen["unknown"] = (await served.ask("log/search", nosuch="1"))[0]
    rows = await served.all_rows("log/search", proxy_user_id="bob")
    kept = [(await served.get(f"log/retrieve/{row['log_id']}"))["data"] == row for row in rows]
    seen["retrieve"] = kept
    summaries = await served.all_rows("log_summary/search", proxy_user_id="bob")
    seen["retrieve summary"] = [
        (await served.get(f"log_summary/retrieve/{row['log_summary_id']}"))["data"] == row
        for row in summaries
    ]


async def _graph(replay: Replay) -> None:
    served, midnight = replay.served, replay.midnight

    async def requests(start_us: int, end_us: int, interval: str, **query: Any) -> int:
        body = await served.get(
            "analytics/graph",
            period_start=format_instant(start_us),
            period_end=format_instant(end_us),
            interval=interval,
            **query,
        )
        return sum(int(str(value)) for value in _counts(body["data"]))

    seam = midnight + 8 * HOUR_US
    replay.seen["window"] = [
        await requests(seam - HOUR_US, seam, "minute"),
        await requests(seam, seam + HOUR_US, "minute"),
        await requests(midnight, midnight + DAY_US, "hour"),
        await requests(midnight - 30 * DAY_US, midnight + DAY_US, "month"),
    ]


def _counts(value: Any) -> Iterator[int]:
    """Every number called requests or hits, however deep."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in ("requests", "hits"):
                yield item
            else:
                yield from _counts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _counts(item)


async def _neighbours(replay: Replay) -> None:
    served, seen = replay.served, replay.seen
    b = served.b
    window = {
        "period_start": format_instant(replay.midnight),
        "period_end": format_instant(replay.midnight + DAY_US),
    }
    seen["b logs"] = ordered(await served.all_rows("log/search", tenant=b, proxy_user_id="alice"))
    seen["b graph"] = (await served.get("analytics/graph", tenant=b, **window))["data"]
    seen["b breakdown"] = (await served.get("analytics/breakdown", tenant=b, **window))["data"]
    seen["b users"] = ordered((await served.get("proxy_user/search", tenant=b))["data"])
    own = (await served.get("log/search", per_page=1))["data"][0]["log_id"]
    seen["b retrieves a"] = (await served.ask(f"log/retrieve/{own}", tenant=b))[0]


async def _protocol(replay: Replay) -> None:
    served, seen = replay.served, replay.seen
    missing = "log/retrieve/ffffffff-0000-4000-8000-000000000000"
    requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("missing", missing, {}),
        ("malformed", "log/retrieve/x", {}),
        ("bad page", "log/search", {"page": "x"}),
    )
    for name, path, query in requests:
        status, body = await served.ask(path, **query)
        fields = sorted(body) if isinstance(body, dict) else "text"
        request_id = body.get("api_request_id", "") if isinstance(body, dict) else ""
        seen[name] = status, fields, len(request_id)
    wrong = {"X-API-Public-Key": "x", "X-API-Private-Key": "y"}
    seen["wrong keys"] = (await served.ask("log/search", headers=wrong))[0]
    seen["no keys"] = (await served.ask("log/search", headers={}))[0]
    seen["no control key"] = (await served.control("clock", key="no"))[0]
    seen["message"] = (await served.get("log/search", per_page=1))["message"]
    seen["fields"] = sorted(await served.get("log/search", per_page=1))
    second = await served.get("log/search", per_page=5, page=2)
    seen["page 2"] = second["page"], second["item_count"]


async def _people(replay: Replay) -> None:
    served, seen = replay.served, replay.seen
    await served.ask("proxy_user/edit/alice", method="PATCH", json={"proxy_user_metadata": {}})
    user = (await served.get("proxy_user/retrieve/alice"))["data"]
    seen["edited"] = user["proxy_user_residential_bytes_used"], user["proxy_user_mobile_bytes_used"]
    await served.ask("proxy_user/delete/carol", method="DELETE")
    seen["deleted"] = len(await served.all_rows("log/search", proxy_user_id="carol"))


async def _grow_old(replay: Replay) -> None:
    served, seen, midnight = replay.served, replay.seen, replay.midnight
    young = replay.event(10 * HOUR_US)["log_id"].replace(
        f"{next(replay.numbers) - 1:08x}", "00000001"
    )
    for age_us, name in (
        (6 * DAY_US + 12 * HOUR_US, "6.5 days"),
        (7 * DAY_US - 1800 * SECOND_US, "almost 7 days"),
        (7 * DAY_US + 12 * HOUR_US, "7.5 days"),
        (8 * DAY_US + 12 * HOUR_US, "8.5 days"),
        (15 * DAY_US, "15 days"),
    ):
        await served.move_to(midnight + 10 * HOUR_US + age_us)
        found = await served.all_rows("log/search", proxy_user_id="bob")
        seen[f"{name} search"] = [row["log_id"] for row in found]
        seen[f"{name} retrieve"] = (await served.ask(f"log/retrieve/{young}"))[0]
        seen[f"{name} graph"] = (await served.get("analytics/graph"))["data"]
    await _look(replay, "8 days")
    await served.move_to(midnight + 88 * DAY_US)
    seen["88 days"] = ordered(await served.all_rows("log_summary/search"))
    await served.move_to(midnight + 90 * DAY_US + 10 * HOUR_US)
    seen["90 days"] = ordered(await served.all_rows("log_summary/search"))
    await served.move_to(midnight + 95 * DAY_US)
    await _look(replay, "95 days")
    await served.control("maintenance")
    await served.control("maintenance")
    seen["95 days again"] = ordered(await served.all_rows("log_summary/search"))
