"""How many requests a stage needs, before it is run: all pages of lists included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from trueup.conformance.datasets.operations import (
    ChangeUser,
    Deliver,
    Operation,
    Read,
    Stage,
    Together,
)
from trueup.conformance.model import Event
from trueup.conformance.requests import ApiRequest

__all__ = ["planned_requests"]

FRESHNESS: Final = 2
"""Requests with which a stage that writes finds out whether its writing is visible."""
WITHOUT_LOGS: Final = ("past-7", "near-90", "past-90", "repeat-maintenance")
"""Stages whose logs are nearly all gone."""


def planned_requests(customers: Mapping[str, int], stages: Iterable[Stage]) -> int:
    """Return about how many requests the stages make, without deliveries and control hooks."""
    rows = _Rows()
    total = 0
    for stage in stages:
        if stage.name in WITHOUT_LOGS:
            rows.forget_logs()
        for event in _events(stage.operations):
            rows.add(event)
        total += sum(rows.pages(each, customers) for each in _asked(stage))
        total += sum(len(each.places) for each in stage.follow_ups)
        total += sum(isinstance(each, ChangeUser) for each in stage.operations)
        total += FRESHNESS if stage.writes else 0
    return total


def _events(operations: Iterable[Operation]) -> Iterator[Event]:
    for each in operations:
        match each:
            case Deliver():
                yield from each.events
            case Together():
                yield from _events(each.operations)
            case _:
                pass


def _asked(stage: Stage) -> Iterator[ApiRequest]:
    yield from stage.requests
    for snapshot in stage.snapshots:
        yield from snapshot
    for each in stage.operations:
        if isinstance(each, Read):
            yield from each.requests


class _Rows:
    """The rows that there are so far: logs and summaries of every customer and proxy user."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._cells: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)

    def add(self, event: Event) -> None:
        key = (str(event["customer_id"]), str(event["proxy_user_id"]))
        self._logs[key].add(str(event["log_id"]))
        day = str(event["log_request_datetime"])[:10]
        host = str(event["log_hostname"]).casefold().removesuffix(".")
        self._cells[key].add((str(event["log_network"]), host, day))

    def forget_logs(self) -> None:
        self._logs.clear()

    def pages(self, request: ApiRequest, customers: Mapping[str, int]) -> int:
        """How many HTTP requests a request of a plan takes: a list takes one for each page."""
        if not request.paged:
            return 1
        number = str(customers.get(request.tenant))
        query = dict(request.query)
        found = 0
        if request.path in ("log/search", "log_summary/search"):
            own: Mapping[tuple[str, str], set[str] | set[tuple[str, ...]]] = (
                self._logs if request.path == "log/search" else self._cells
            )
            network = query.get("log_summary_network", "")
            for (customer, user), rows in own.items():
                if customer == number and _matches(user, query):
                    found += sum(not network or network in row for row in rows)
        return max(1, -(-found // request.per_page))


def _matches(user: str, query: Mapping[str, str]) -> bool:
    """Whether a user's rows meet the filters by user of a query."""
    if "proxy_user_id" in query:
        return user == query["proxy_user_id"]
    return user.startswith(query.get("like_proxy_user_id", "").rstrip("%"))
