"""Named changes to the independent implementation: faults, and two correct variants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from tests.third_party import tiny_store
from tests.third_party.tiny_store import EventList, Row


def counts_again(store: EventList) -> None:
    """An event that is delivered again is counted again."""
    right = store.take

    def take(event: Row) -> None:
        store.by_id.pop(event["log_id"], None)
        right(event)

    store.take = take  # type: ignore[method-assign]


def drops_a_byte(store: EventList) -> None:
    """Summaries lose the last byte of every cell."""
    right = store.log_summary

    def log_summary(customer: int, today: date) -> list[Row]:
        rows = right(customer, today)
        return [row | {"log_summary_bytes": row["log_summary_bytes"] // 2 * 2} for row in rows]

    store.log_summary = log_summary  # type: ignore[method-assign]


def counts_no_failures(store: EventList) -> None:
    """Correct if declared: failed and empty requests are logged, neither summed nor charged."""

    def only_good(right: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
        def view(customer: int, asked: object) -> list[Row]:
            here = store.happened[customer]
            store.happened[customer] = [one for one in here if good(one["raw"])]
            try:
                return right(customer, asked)
            finally:
                store.happened[customer] = here

        return view

    def good(raw: Row) -> bool:
        failed = raw.get("log_error_code") is not None or (raw.get("log_status_code") or 0) >= 400
        return not failed and raw["log_total_bytes"] > 0

    for name in ("log_summary", "residential_ledger", "mobile_ledger", "graph"):
        setattr(store, name, only_good(getattr(store, name)))


def counts_in_local_days(store: EventList) -> None:
    """Days of summaries are those of UTC+2."""
    right = store.log_summary

    def log_summary(customer: int, today: date) -> list[Row]:
        here, east = store.happened[customer], timedelta(hours=2)
        store.happened[customer] = [one | {"at": one["at"] + east} for one in here]
        try:
            return right(customer, today)
        finally:
            store.happened[customer] = here

    store.log_summary = log_summary  # type: ignore[method-assign]


def charges_isp(store: EventList) -> None:
    """Traffic of ISP proxies is taken from the residential pool."""
    right = store.residential_ledger

    def residential_ledger(customer: int, today: date) -> list[Row]:
        here = store.happened[customer]
        store.happened[customer] = [
            one | {"raw": one["raw"] | {"log_network": "residential"}}
            if one["raw"]["log_network"] == "isp"
            else one
            for one in here
        ]
        try:
            return right(customer, today)
        finally:
            store.happened[customer] = here

    store.residential_ledger = residential_ledger  # type: ignore[method-assign, assignment]


def never_forgets_hosts(_store: EventList) -> None:
    """Hostnames are never removed from summaries."""
    tiny_store.HOST_DAYS = 10_000


def forgets_logs_early(store: EventList) -> None:
    """Logs are removed two days early."""
    right = store.log

    def log(customer: int, today: date) -> list[Row]:
        return right(customer, today + timedelta(days=2))

    store.log = log  # type: ignore[method-assign]


def stands_before_midnight(store: EventList) -> None:
    """Correct: its clock is two seconds before midnight when it starts."""
    now = store.now()
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    store.pushed += midnight - now - timedelta(seconds=2)


FAULTS: dict[str, Callable[[EventList], None]] = {
    change.__name__: change
    for change in (
        counts_again,
        drops_a_byte,
        counts_no_failures,
        counts_in_local_days,
        charges_isp,
        never_forgets_hosts,
        forgets_logs_early,
        stands_before_midnight,
    )
}
