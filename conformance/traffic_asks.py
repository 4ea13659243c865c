"""What a reconciliation asks: a pure function of what was sent, so that judges ask the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from conformance import asks
from conformance.facts import Facts
from conformance.model import Ask
from conformance.ports import SentTraffic
from conformance.rows import moment, time_text
from conformance.worlds import NETWORKS
from reports.facts import CellKey, Counts

__all__ = [
    "fence_asks",
    "graph_asks",
    "log_count_ask",
    "log_id_asks",
    "log_walk_asks",
    "stage_of",
    "summary_asks",
]

WALK_CELLS_MOST: Final = 20_000
"""Cells of a tenant that are walked whole; above, those of a sample of proxy users are."""
SAMPLE_USERS: Final = 40
WALK_LOGS_MOST: Final = 3_000
"""Events of a tenant whose logs are all listed; above, a sample is retrieved."""
SAMPLE_LOGS: Final = 200

Cells = Mapping[CellKey, Counts]


def stage_of(part: str) -> str:
    """Stage of a reconciliation: `traffic fleet`, `traffic load`."""
    return f"traffic {part}"


def tenants(facts: Facts) -> dict[str, int]:
    """Tenant letter to customer number."""
    assert facts.plan is not None
    return facts.plan.customers


def _own(cells: Cells, slack: Cells, customer: int) -> list[CellKey]:
    return [key for key in {**cells, **slack} if key.customer_id == customer]


def _days(keys: Sequence[CellKey]) -> list[str]:
    return sorted({key.day for key in keys})


def _at(day: str) -> datetime:
    at = moment(day)
    assert at is not None, "cells carry days"
    return at


def summary_asks(facts: Facts, cells: Cells, slack: Cells) -> list[Ask]:
    """Walks over every day's summaries, or over a sample of users where there are too many."""
    found: list[Ask] = []
    dates = facts.reading("summary-period-form") == "date"
    for letter, customer in tenants(facts).items():
        keys = _own(cells, slack, customer)
        if len(keys) <= WALK_CELLS_MOST:
            for day in _days(keys):
                period = day if dates else f"{day} 00:00:00"
                query = (("min_log_summary_period", period), ("max_log_summary_period", period))
                found.append(Ask(path="log_summary/search", query=query, tenant=letter, walk=True))
        else:
            users = sorted({key.proxy_user_id for key in keys})
            step = max(1, len(users) // SAMPLE_USERS)
            found += [asks.summaries(user, letter) for user in users[::step][:SAMPLE_USERS]]
    return found


def _span(keys: Sequence[CellKey]) -> tuple[datetime, datetime]:
    days = _days(keys)
    return _at(days[0]), _at(days[-1]) + timedelta(seconds=86_399)


def log_count_ask(
    facts: Facts, cells: Cells, slack: Cells, letter: str, again: int = 0
) -> Ask | None:
    """One row of the logs of the traffic's days; `total_count` is what is wanted of it."""
    keys = _own(cells, slack, tenants(facts)[letter])
    if not keys:
        return None
    first, last = _span(keys)
    query = (
        ("min_log_request_datetime", time_text(first)),
        ("max_log_request_datetime", time_text(last)),
        ("per_page", "1"),
    )
    return Ask(path="log/search", query=query, tenant=letter, again=again)


def log_walk_asks(facts: Facts, cells: Cells, slack: Cells) -> list[Ask]:
    """Walks over all logs of the tenants that have few enough."""
    found = []
    for letter, customer in tenants(facts).items():
        keys = _own(cells, slack, customer)
        events = sum(cells[key].requests for key in keys if key in cells)
        counted = log_count_ask(facts, cells, slack, letter)
        if counted is not None and events <= WALK_LOGS_MOST:
            found.append(Ask(path="log/search", query=counted.query[:2], tenant=letter, walk=True))
    return found


def log_id_asks(facts: Facts, sent: SentTraffic) -> list[Ask]:
    """Retrieves of a sample of accepted events."""
    letters = {number: letter for letter, number in tenants(facts).items()}
    found = []
    for log_id in sent.log_ids(SAMPLE_LOGS):
        event = sent.event(log_id)
        customer = None if event is None else event.get("customer_id")
        letter = letters.get(customer) if isinstance(customer, int) else None
        if letter is not None:
            found.append(asks.log(log_id, letter))
    return found


def fence_asks(facts: Facts, cells: Cells, slack: Cells, again: int) -> list[Ask]:
    """Ledgers, graphs and numbers of logs: asked before (1) and after (2) the summaries."""
    found = [ask for ask, _ in graph_asks(facts, cells, slack, again)]
    for letter in tenants(facts):
        counted = log_count_ask(facts, cells, slack, letter, again)
        found += [] if counted is None else [counted]
        found += [
            asks.ledger(pool, again, letter) for pool in asks.POOLS if pool in facts.scene.claims
        ]
    return found


def graph_asks(facts: Facts, cells: Cells, slack: Cells, again: int = 0) -> list[tuple[Ask, str]]:
    """The graph by day of every tenant and network over the traffic's days; with the network."""
    found = []
    for letter, customer in tenants(facts).items():
        keys = _own(cells, slack, customer)
        for network in NETWORKS:
            if not any(key.network == network for key in keys):
                continue
            first, last = _span(keys)
            found.append(
                (
                    asks.graph(
                        first,
                        last + timedelta(seconds=1),
                        "day",
                        tenant=letter,
                        again=again,
                        filters={"network": network},
                    ),
                    network,
                )
            )
    return found
