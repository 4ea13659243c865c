"""LOG=SENT: the logs of a proxy user are exactly the events that were acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import LOG_LIFE, NOW, logs_of, of_user, users_of
from trueup.conformance.model import Event
from trueup.conformance.observed.cells import altered
from trueup.conformance.observed.observations import Observations
from trueup.conformance.rows import Row, as_str
from trueup.reports.results import Impact, Outcome

__all__ = ["CHECKS", "logs_equal_sent"]

YOUNG: Final = LOG_LIFE - timedelta(days=1)
"""Older ones are the affair of RETAIN-MIN, so that one fault does not break two laws."""
_LAW: Final = "LOG=SENT"
_RESTS: Final = ("AUTH", "PAGE", "FRESH")


def logs_equal_sent(*datasets: str, stage: str = NOW) -> Callable[[Observations], Finding]:
    """A judge: every acknowledged event has one log that says what was sent, and no log is alien.

    Events whose delivery has no known outcome may have a log or not.
    """

    def judge(observations: Observations) -> Finding:
        builder = FindingBuilder(observations)
        for user in users_of(observations.context, *datasets):
            walk = builder.paged_result(stage, requests.logs(user))
            if walk is None:
                continue
            sent = {str(e["log_id"]): e for e in of_user(observations, datasets, user)}
            possible = {
                str(e["log_id"]): e for e in of_user(observations, datasets, user, Outcome.UNKNOWN)
            }
            _compare(builder, user, stage, walk.rows, sent, possible, walk.numbers)
        return builder.finding("every acknowledged event has exactly one log, as it was sent")

    return judge


def _compare(
    builder: FindingBuilder,
    user: str,
    stage: str,
    rows: tuple[Row, ...],
    sent: dict[str, Event],
    possible: dict[str, Event],
    numbers: tuple[int, ...],
) -> None:
    coded = "status-codes" in builder.observations.context.claims
    seen: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        seen[(as_str(row, "log_id") or "no id").lower()].append(row)
    for log_id, event in sent.items():
        if builder.observations.age(stage, event) > YOUNG:
            continue
        builder.observed()
        found = seen.get(log_id, [])
        if len(found) != 1:
            builder.mismatch(
                f"{user} · log {log_id}",
                "1 log",
                f"{len(found)} logs",
                events=[event],
                exchanges=numbers,
            )
    for log_id, found in seen.items():
        event_sent = sent.get(log_id) or possible.get(log_id)
        if event_sent is None:
            builder.mismatch(f"{user} · log {log_id}", "no such log", "a log", exchanges=numbers)
            continue
        if coded and _has_code(event_sent) and not _has_code(found[0]):
            where = f"{user} · log {log_id} · log_status_code"
            builder.mismatch(where, "a status or an error code", "neither", exchanges=numbers)
        for field, was, now in altered(event_sent, found[0]):
            builder.mismatch(
                f"{user} · log {log_id} · {field}",
                was,
                now,
                events=[event_sent],
                exchanges=numbers,
            )


def _has_code(row: Row) -> bool:
    return row.get("log_status_code") is not None or row.get("log_error_code") is not None


def _check(
    name: str,
    title: str,
    *datasets: str,
    clauses: tuple[str, ...],
    needed: int,
    impact: Impact = Impact.UNDER_CHARGE,
    claim: str = "",
) -> Check:
    return Check(
        name=name,
        law=_LAW,
        title=title,
        judge=logs_equal_sent(*datasets),
        requests=logs_of(*datasets),
        datasets=datasets,
        needed=needed,
        impact=impact,
        rests_on=_RESTS,
        clauses=clauses,
        claim=claim,
    )


CHECKS: Final = (
    _check(
        "logs-equal-sent",
        "Every event of every day and network has exactly one log that says what was sent.",
        "comb",
        "variety",
        clauses=("LOG-1", "LOG-2", "LOG-7", "LOG-10"),
        needed=4,
    ),
    _check(
        "logs-of-batches",
        "Batches of 1, 2 and 9 events are logged to the last event.",
        "batches",
        clauses=("LOG-1",),
        needed=12,
    ),
    _check(
        "logs-of-duplicates",
        "An event that is delivered again is logged once.",
        "twice",
        clauses=("LOG-2", "LOG-11"),
        claim="deduplication",
        needed=3,
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "logs-of-interleaved-users",
        "Events of several users in one batch are logged for the user who made them.",
        "interleave",
        clauses=("LOG-6",),
        needed=9,
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "logs-of-statuses",
        "Requests are logged whatever their status.",
        "status",
        "zero",
        clauses=("LOG-1", "LOG-5"),
        needed=8,
    ),
    _check(
        "logs-of-large-amounts",
        "Amounts beyond 32 and 53 bits stay exact.",
        "sizes",
        clauses=("LOG-8",),
        needed=9,
    ),
    _check(
        "logs-of-hostnames",
        "Hostnames in upper case, with a dot, very long or as addresses are logged.",
        "hosts",
        clauses=("LOG-7",),
        needed=6,
    ),
    _check(
        "logs-of-many-requests",
        "A user with more logs than two full pages has them all listed.",
        "long",
        clauses=("LOG-1",),
        needed=201,
    ),
)
