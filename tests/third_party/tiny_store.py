"""A tracking system that stores a list of what happened and computes all views from it.

There are no summary rows to update, no ledger to decrement and no job that deletes: logs,
summaries, ledgers and graph are functions of the list and the day. It shares no design with the
embedded reference.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Row = dict[str, Any]

LOG_DAYS = 7
"""A log is shown on its own day and on the seven days after it: calendar days, not hours."""
HOST_DAYS = 90
POOLS = ("residential", "mobile")
NETWORKS = ("datacenter", "isp", *POOLS)
NEEDED = ("log_id", "customer_id", "proxy_user_id", "log_network", "log_hostname")


def parse(text: str) -> datetime:
    """Parse a time in any documented form. Raise ValueError for any other."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def show(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(*key: object) -> str:
    """Return an id that is derived from the content of the row, so that it need not be stored."""
    return str(uuid5(NAMESPACE_URL, repr(key)))


class EventList:
    """What happened, one list for each customer, and a clock that can be moved forward."""

    def __init__(self) -> None:
        self.pushed = timedelta()
        self.happened: dict[int, list[Row]] = defaultdict(list)
        self.by_id: dict[str, Row] = {}
        self.money: dict[int, list[Row]] = defaultdict(list)
        self.money_keys: set[tuple[int, str]] = set()
        self._seen: dict[tuple[str, int], tuple[tuple[int, int, date], list[Row]]] = {}

    # --- what happens

    def now(self) -> datetime:
        return datetime.now(UTC) + self.pushed

    def wrong(self, event: Any) -> str | None:
        """Return why an event must be refused, or None."""
        if not isinstance(event, dict) or any(event.get(key) in (None, "") for key in NEEDED):
            return "not an event"
        size = event.get("log_total_bytes")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
            return "size is not a number of bytes"
        if event["log_network"] not in NETWORKS:
            return "no such network"
        try:
            at = parse(event["log_request_datetime"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return "no date and time"
        if not -timedelta(minutes=5) <= self.now() - at <= timedelta(days=LOG_DAYS):
            return "too old or not yet"
        known = self.by_id.get(event["log_id"])
        return "another event has this id" if known is not None and known["raw"] != event else None

    def take(self, event: Row) -> None:
        """Record a valid event; one that is known already changes nothing."""
        if event["log_id"] in self.by_id:
            return
        noted = {"at": parse(event["log_request_datetime"]), "raw": event}
        self.by_id[event["log_id"]] = noted
        self.happened[event["customer_id"]].append(noted)

    def pay(self, customer: int, pool: str, kind: str, size: int, key: str) -> None:
        if (customer, key) in self.money_keys:
            return
        self.money_keys.add((customer, key))
        reason = {"purchase": "service_purchase"}.get(kind, kind)
        entry = {"key": key, "day": self.now().date(), "pool": pool, "bytes": size, "why": reason}
        self.money[customer].append(entry)

    # --- what one sees

    def view(self, what: str, customer: int) -> list[Row]:
        """Return the rows of a view, computed again only after a change or a new day."""
        happened, today = self.happened[customer], self.now().date()
        state = (len(happened), len(self.money[customer]), today)
        held = self._seen.get((what, customer))
        if held is None or held[0] != state:
            held = (state, getattr(self, what)(customer, today))
            self._seen[what, customer] = held
        return held[1]

    def log(self, customer: int, today: date) -> list[Row]:
        first = today - timedelta(days=LOG_DAYS)
        return [
            {key: value for key, value in noted["raw"].items() if value is not None}
            | {"log_request_datetime": show(noted["at"]), "kept_until": str(noted["at"].date())}
            for noted in self.happened[customer]
            if noted["at"].date() >= first
        ]

    def log_summary(self, customer: int, today: date) -> list[Row]:
        sums: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for noted in self.happened[customer]:
            raw, day = noted["raw"], noted["at"].date()
            host = raw["log_hostname"] if (today - day).days <= HOST_DAYS else ""
            cell = sums[raw["proxy_user_id"], raw["log_network"], host, str(day)]
            cell[0] += 1
            cell[1] += raw["log_total_bytes"]
        return [
            {
                "log_summary_id": name_of(customer, *key),
                "proxy_user_id": key[0],
                "log_summary_network": key[1],
                "log_summary_hostname": key[2],
                "log_summary_period": key[3],
                "log_summary_requests": requests,
                "log_summary_bytes": size,
            }
            for key, (requests, size) in sums.items()
        ]

    def residential_ledger(self, customer: int, _today: date) -> list[Row]:
        return self._ledger("residential", customer)

    def mobile_ledger(self, customer: int, _today: date) -> list[Row]:
        return self._ledger("mobile", customer)

    def _ledger(self, pool: str, customer: int) -> list[Row]:
        used: dict[date, list[int]] = defaultdict(lambda: [0, 0])
        for noted in self.happened[customer]:
            if noted["raw"]["log_network"] == pool:
                cell = used[noted["at"].date()]
                cell[0] += 1
                cell[1] += noted["raw"]["log_total_bytes"]
        entries = [
            ("usage", day, size, requests, str(day)) for day, (requests, size) in used.items()
        ]
        entries += [
            (paid["why"], paid["day"], paid["bytes"], 0, paid["key"])
            for paid in self.money[customer]
            if paid["pool"] == pool
        ]
        return [
            {
                f"{pool}_ledger_id": name_of(customer, pool, why, key),
                f"{pool}_ledger_bytes": size,
                f"{pool}_ledger_requests": requests,
                f"{pool}_ledger_period_date": str(day),
                f"{pool}_ledger_reason": why,
            }
            for why, day, size, requests, key in entries
        ]

    def account(self, pool: str, customer: int) -> Row:
        entries = self.view(f"{pool}_ledger", customer)
        usage = [one for one in entries if one[f"{pool}_ledger_reason"] == "usage"]
        used = sum(one[f"{pool}_ledger_bytes"] for one in usage)
        bought = sum(one[f"{pool}_ledger_bytes"] for one in entries) - used
        return {
            f"{pool}_bytes": bought,
            f"{pool}_bytes_used": used,
            f"{pool}_bytes_left": bought - used,
            f"{pool}_requests": sum(one[f"{pool}_ledger_requests"] for one in usage),
        }

    def graph(self, customer: int, query: dict[str, str]) -> list[Row]:
        """Return intervals with traffic. Minutes and hours come from logs and end with them.

        Raises ValueError or KeyError for a query that cannot be understood.
        """
        now = self.now()
        step = query.get("interval", "day")
        cut = {"minute": 16, "hour": 13, "day": 10, "month": 7}[step]
        start = parse(query.get("period_start", show(now - timedelta(days=1))))
        end = parse(query.get("period_end", show(now)))
        today, totals = now.date(), defaultdict[str, list[int]](lambda: [0, 0])
        for noted in self.happened[customer]:
            raw, at = noted["raw"], noted["at"]
            age = (today - at.date()).days
            host = raw["log_hostname"] if age <= HOST_DAYS else ""
            if age > LOG_DAYS:
                if cut > 10:
                    continue
                at = at.replace(hour=0, minute=0, second=0, microsecond=0)
            asked = (
                (query.get("proxy_user_id"), raw["proxy_user_id"]),
                (query.get("network"), raw["log_network"]),
                (query.get("hostname"), host),
            )
            if start <= at < end and all(want in (None, has) for want, has in asked):
                cell = totals[at.isoformat()[:cut]]
                cell[0] += 1
                cell[1] += raw["log_total_bytes"]
        whole = "0001-01-01T00:00:00Z"
        return [
            {"from": key + whole[cut:], "sum": {"hits": hits, "octets": size}}
            for key, (hits, size) in sorted(totals.items())
        ]
