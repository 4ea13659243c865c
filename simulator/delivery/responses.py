"""What a target's answer says about the events it was handed. Pure; a table and its reader.

Definite answers end a delivery. An indefinite one (no answer, a 5xx that may come from
something in between) leaves open whether the events were stored, and must be tried again
with the same ids; if it stays open, the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome
from trueup.simulator.delivery.outcomes import single_range

__all__ = [
    "InterpretedResponse",
    "ResponseKind",
    "ResponseRule",
    "has_response",
    "interpret_response",
    "retry_after_s",
]


class ResponseKind(StrEnum):
    """What to do with an answer."""

    DEFINITE = "definite"
    """The outcomes are known."""
    RETRY = "retry"
    """Definitely not taken this time (429, 503 with Retry-After): try again later."""
    INDEFINITE = "indefinite"
    """May or may not have been taken: try again with the same ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRule:
    """Where an answer says what was accepted and refused; an empty path: it does not say."""

    accepted: str = ""
    """Dotted path to the number accepted, duplicates included. Where it is set, an answer
    without it leaves the events unknown: it is not the answer that the target promised."""
    refused: str = "refused"
    """Dotted path to the list of refused events; absent in an answer: none was refused."""
    line_key: str = "line"
    reason_key: str = "reason"
    first_line: int = 1


class InterpretedResponse(NamedTuple):
    """An answer, read."""

    kind: ResponseKind
    ranges: tuple[OutcomeRange, ...] = ()
    """Where settled: outcomes of lines 0 … count-1."""
    reason: str = ""
    retry_after_s: float | None = None


_BY_STATUS: Final[Mapping[int, ResponseKind]] = {
    408: ResponseKind.INDEFINITE,
    425: ResponseKind.RETRY,
    429: ResponseKind.RETRY,
}
"""Statuses that do not follow their class; a 503 counts as AGAIN when it has Retry-After."""


_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding an answer may raise: no JSON, no text, or JSON nested a thousand deep."""


def interpret_response(
    rule: ResponseRule,
    status: int,
    body: bytes,
    count: int,
    *,
    retry_after_s: float | None = None,
) -> InterpretedResponse:
    """Read one complete answer to a request that held `count` events."""
    reason = f"HTTP {status}"
    if 200 <= status < 300:
        return _read_success(rule, body, count)
    if status == 503 and retry_after_s is not None:
        return InterpretedResponse(ResponseKind.RETRY, (), reason, retry_after_s)
    if kind := _BY_STATUS.get(status):
        return InterpretedResponse(kind, (), reason, retry_after_s)
    if status >= 500:
        return InterpretedResponse(ResponseKind.INDEFINITE, (), reason, retry_after_s)
    return InterpretedResponse(
        ResponseKind.DEFINITE,
        single_range(count, Outcome.REFUSED, f"{reason}{_error_message(body)}"),
        reason,
    )


def retry_after_s(text: str | None) -> float | None:
    """Seconds in a Retry-After header; None where absent or given as a date."""
    try:
        return max(float(text), 0.0) if text is not None else None
    except ValueError:
        return 0.0


_RESPONSE_REASONS: Final = ("HTTP ", "the answer", "a broken line was accepted")
"""How reasons begin that are read off a whole answer."""


def has_response(reason: str) -> bool:
    """Whether an attempt that failed for this reason had a whole answer.

    The others are time-outs and connections that were cut, refused or never made.
    """
    return reason.startswith(_RESPONSE_REASONS)


def _error_message(body: bytes) -> str:
    try:
        message = msgspec.json.decode(body, type=dict[str, object]).get("message")
    except _UNREADABLE:
        message = None
    return f": {message}" if isinstance(message, str) and message else ""


def _read_success(rule: ResponseRule, body: bytes, count: int) -> InterpretedResponse:
    try:
        decoded = msgspec.json.decode(body, type=dict[str, object]) if body else {}
    except _UNREADABLE:
        decoded = {}
    refused = _refused_lines(rule, _get_path(decoded, rule.refused), count)
    if refused is None:
        note = f"the answer's `{rule.refused}` could not be read"
        return InterpretedResponse(
            ResponseKind.DEFINITE, single_range(count, Outcome.UNKNOWN, note), note
        )
    accepted = _get_path(decoded, rule.accepted)
    if rule.accepted and not isinstance(accepted, int):
        note = f"the answer has no `{rule.accepted}`, a number"
        return InterpretedResponse(
            ResponseKind.DEFINITE, single_range(count, Outcome.UNKNOWN, note), note
        )
    if isinstance(accepted, int) and accepted + len(refused) != count:
        note = f"the answer accounts for {accepted + len(refused)} of {count} events"
        return InterpretedResponse(
            ResponseKind.DEFINITE, single_range(count, Outcome.UNKNOWN, note), note
        )
    return InterpretedResponse(ResponseKind.DEFINITE, _ranges_around(refused, count))


def _get_path(decoded: object, path: str) -> object:
    """What stands at a dotted path; None where the path is empty or leads nowhere."""
    if not path:
        return None
    for key in path.split("."):
        decoded = decoded.get(key) if isinstance(decoded, Mapping) else None
    return decoded


def _refused_lines(rule: ResponseRule, listed: object, count: int) -> dict[int, str] | None:
    if listed is None:
        return {}
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return None
    found: dict[int, str] = {}
    for row in listed:
        if not isinstance(row, Mapping):
            return None
        line = row.get(rule.line_key)
        if not isinstance(line, int) or not 0 <= line - rule.first_line < count:
            return None
        found[line - rule.first_line] = str(row.get(rule.reason_key, ""))
    return found


def _ranges_around(refused: Mapping[int, str], count: int) -> tuple[OutcomeRange, ...]:
    """Accepted everywhere but at the refused lines; neighbours with one outcome share a range."""
    if not refused:
        return single_range(count, Outcome.ACCEPTED)
    ranges: list[OutcomeRange] = []

    def put(first: int, length: int, outcome: Outcome, reason: str) -> None:
        if length <= 0:
            return
        last = ranges[-1] if ranges else None
        if last and (last.outcome, last.reason) == (outcome, reason):
            ranges.pop()
            first, length = last.first, last.count + length
        ranges.append(OutcomeRange(first=first, count=length, outcome=outcome, reason=reason))

    next_line = 0
    for line in sorted(refused):
        put(next_line, line - next_line, Outcome.ACCEPTED, "")
        put(line, 1, Outcome.REFUSED, refused[line])
        next_line = line + 1
    put(next_line, count - next_line, Outcome.ACCEPTED, "")
    return tuple(ranges)
