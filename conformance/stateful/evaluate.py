"""Evaluation of a sequence of steps: a pure pass over its records in order, with a model.

Every observation compares what the target shows of the sequence's own users with what was accepted
so far: logs while they must exist, summaries by hostname and day until they are consolidated and by
network and day afterwards, and one ledger entry for each payment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.model import Event
from trueup.conformance.observed.cells import (
    NOTHING,
    UsageCell,
    altered,
    cells_of_logs,
    cells_of_summaries,
)
from trueup.conformance.observed.observations import part_of
from trueup.conformance.requests import POOLS
from trueup.conformance.rows import Row, as_int, as_str, get_path, parse_time
from trueup.reports.journal.records import Delivered, Exchange, Hook, Record
from trueup.reports.results import CheckResult, Counts, Difference, Impact, Outcome, Verdict

__all__ = ["LABEL", "PART", "evaluate_sequence", "stage_of_sequence"]

PART: Final = "stateful"
CHECK: Final = "stateful-sequences"
LAW: Final = "STATEFUL"
TITLE: Final = "Whatever is done in whatever order, every view shows what was accepted."
LABEL: Final = "stateful"
"""Name of the dataset in records, and of the hook record that begins a sequence."""
BEGUN: Final = LABEL
"""Hook record that begins a sequence and says the target's time then."""
LOG_KEPT: Final = timedelta(days=7) - timedelta(minutes=10)
LOG_REMOVED: Final = timedelta(days=9)
HOST_KEPT: Final = timedelta(days=90)
HOST_REMOVED: Final = timedelta(days=94)


def stage_of_sequence(number: int) -> str:
    """Return the name of the stage of a sequence's records."""
    return f"traffic {PART} {number}"


@dataclass
class _Oracle:
    """What must be true at this point of the sequence. Used within one evaluation."""

    now: datetime
    sent: dict[str, Event] = field(default_factory=dict)
    possible: dict[str, Event] = field(default_factory=dict)
    paid: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Idempotency key → (pool, bytes)."""
    differences: list[Difference] = field(default_factory=list)
    observations: int = 0
    exchanges: list[int] = field(default_factory=list)

    def mismatch(self, where: str, expected: object, seen: object, exchange: int) -> None:
        self.differences.append(Difference(where=where, expected=str(expected), seen=str(seen)))
        self.exchanges.append(exchange)


def evaluate_sequence(
    records: Iterable[Record], stage: str, now: datetime
) -> tuple[list[Difference], list[int], int]:
    """Return (differences, exchanges that show them, number of observations) of one sequence.

    If a request was repeated, because views may be late, its last response counts.
    """
    oracle = _Oracle(now=now)
    mine = [r for r in records if getattr(r, "stage", "") == stage and part_of(stage) == PART]
    last = {(r.ask, r.attempt // 100): r.n for r in mine if isinstance(r, Exchange)}
    for record in mine:
        match record:
            case Delivered():
                _deliver(oracle, record)
            case Hook(ok=True):
                _apply_hook(oracle, record)
            case Exchange() if last[record.ask, record.attempt // 100] == record.n:
                _observe(oracle, record)
            case _:
                pass
    return oracle.differences, oracle.exchanges, oracle.observations


def judge_sequences(records: Sequence[Record]) -> CheckResult:
    """Return the verdict on all sequences of a journal, computed from its records."""
    begun = [r for r in records if isinstance(r, Hook) and r.hook == BEGUN]
    found: list[Difference] = []
    observations = 0
    for start in begun:
        now = parse_time(start.request.get("now"))
        assert now is not None, "a sequence begins with the target's time"
        differences, _, seen = evaluate_sequence(records, start.stage, now)
        found = differences or found
        observations += seen
    return CheckResult(
        check=CHECK,
        law=LAW,
        title=TITLE,
        verdict=Verdict.FAIL if found else Verdict.PASS,
        reason=f"{len(begun)} sequences were run",
        level=2,
        impact=Impact.UNDER_CHARGE,
        evidence=observations,
    )


def _deliver(oracle: _Oracle, record: Delivered) -> None:
    for outcome in record.outcomes:
        for event in record.events[outcome.first : outcome.first + outcome.count]:
            key = str(event["log_id"])
            if outcome.outcome is Outcome.ACCEPTED:
                oracle.sent[key] = event
                oracle.possible.pop(key, None)
            elif outcome.outcome is Outcome.UNKNOWN and key not in oracle.sent:
                oracle.possible[key] = event


def _apply_hook(oracle: _Oracle, hook: Hook) -> None:
    if hook.hook == "clock":
        oracle.now = parse_time(hook.request.get("now")) or oracle.now
    elif hook.hook == "money":
        key = str(hook.request["idempotency_key"])
        pool = str(hook.request["network"])
        oracle.paid[key] = (pool, as_int(hook.request, "bytes") or 0)


def _observe(oracle: _Oracle, exchange: Exchange) -> None:
    data = get_path(exchange.body, "data")
    name = exchange.ask.split("?")[0]
    if exchange.status != 200 or not isinstance(data, list):
        oracle.mismatch(name, "a list of rows", f"status {exchange.status}", exchange.n)
        return
    rows = [row for row in data if isinstance(row, dict)]
    oracle.observations += 1
    user = dict(exchange.query).get("proxy_user_id", "")
    own = [e for e in oracle.sent.values() if e["proxy_user_id"] == user]
    if exchange.path.endswith("/log/search"):
        _logs(oracle, user, own, rows, exchange.n)
    elif exchange.path.endswith("/log_summary/search"):
        _summaries(oracle, user, own, rows, exchange.n)
    else:
        _payments(oracle, rows, exchange)


def _logs(oracle: _Oracle, user: str, own: Sequence[Event], rows: Sequence[Row], n: int) -> None:
    listed = Counter((as_str(row, "log_id") or "").lower() for row in rows)
    found = {(as_str(row, "log_id") or "").lower(): row for row in rows}
    for event in own:
        key = str(event["log_id"])
        at = parse_time(event["log_request_datetime"])
        age = oracle.now - at if at is not None else timedelta()
        if age < LOG_KEPT and listed[key] != 1:
            oracle.mismatch(f"logs of {user} · {key}", "1 log", f"{listed[key]} logs", n)
        elif age > LOG_REMOVED and listed[key]:
            oracle.mismatch(f"logs of {user} · {key}", "removed", f"listed, {age.days} days old", n)
        for name, was, is_now in altered(event, found[key]) if key in found else ():
            oracle.mismatch(f"logs of {user} · {key} · {name}", was, is_now, n)
    known = {str(event["log_id"]) for event in own} | {*oracle.possible}
    for key in listed.keys() - known:
        oracle.mismatch(f"logs of {user} · {key}", "no such log", "a log", n)


def _summaries(
    oracle: _Oracle, user: str, own: Sequence[Event], rows: Sequence[Row], n: int
) -> None:
    if any(event["proxy_user_id"] == user for event in oracle.possible.values()):
        return
    today = oracle.now
    kept = (today - HOST_KEPT).strftime("%Y-%m-%d")
    gone = (today - HOST_REMOVED).strftime("%Y-%m-%d")
    want, have = cells_of_logs(own), cells_of_summaries(rows)
    for cell in sorted({*want, *have}):
        if cell.day > kept and want.get(cell, NOTHING) != have.get(cell, NOTHING):
            _cell(oracle, f"summaries of {user} · {cell}", want.get(cell), have.get(cell), n)
        elif cell.day <= gone and cell in have and cell.hostname:
            oracle.mismatch(f"summaries of {user} · {cell}", "no hostname", cell.hostname, n)
    old_want, old_have = _without_hosts(want), _without_hosts(have)
    for cell in sorted({*old_want, *old_have}):
        if cell.day <= kept and old_want.get(cell, NOTHING) != old_have.get(cell, NOTHING):
            where = f"summaries of {user} · {cell}"
            _cell(oracle, where, old_want.get(cell), old_have.get(cell), n)


def _cell(oracle: _Oracle, where: str, want: Counts | None, have: Counts | None, n: int) -> None:
    one, two = want or NOTHING, have or NOTHING
    expected = f"{one.requests} requests, {one.bytes} bytes"
    oracle.mismatch(where, expected, f"{two.requests} requests, {two.bytes} bytes", n)


def _without_hosts(cells: Mapping[UsageCell, Counts]) -> Mapping[UsageCell, Counts]:
    sums: dict[UsageCell, Counts] = {}
    for cell, counts in cells.items():
        key = cell._replace(hostname="")
        before = sums.get(key, NOTHING)
        sums[key] = Counts(*(a + b for a, b in zip(before, counts, strict=True)))
    return sums


def _payments(oracle: _Oracle, rows: Sequence[Row], exchange: Exchange) -> None:
    pool = next((pool for pool in POOLS if f"/{pool}_ledger/" in exchange.path), "")
    amounts = Counter(as_int(row, f"{pool}_ledger_bytes") for row in rows)
    for key, (paid_for, amount) in oracle.paid.items():
        if paid_for == pool and amounts[amount] != 1:
            where = f"{pool} ledger · {key} of {amount} bytes"
            oracle.mismatch(where, "1 entry", f"{amounts[amount]} entries", exchange.n)
