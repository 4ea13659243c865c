"""Interpret a target's response to a delivery of events. Pure: a table of statuses and its reader.

A definite response ends a delivery. An indefinite one (no response, or a 5xx that may come from an
intermediary) leaves open whether the events were stored: the delivery is retried with the same ids,
and its outcome is unknown if it stays open.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.journal.redaction import redactor_of
from trueup.reports.results import Outcome
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.limits import VALUES_MOST, too_many_values
from trueup.reports.transport.redirects import REDIRECT_STATUSES
from trueup.simulator.delivery.outcomes import after_lost_response, merge_ranges, single_range

__all__ = [
    "InterpretedResponse",
    "ResponseBody",
    "ResponseKind",
    "ResponseRule",
    "final_ranges",
    "has_response",
    "interpret_response",
    "retry_after_s",
]


class ResponseKind(StrEnum):
    """What follows from a response."""

    DEFINITE = "definite"
    """The outcomes are known."""
    RETRY = "retry"
    """Certainly not accepted (429, 503 with Retry-After): try again later."""
    INDEFINITE = "indefinite"
    """Possibly accepted: try again with the same ids."""


class ResponseBody(StrEnum):
    """How a body says what was accepted."""

    LISTED = "listed"
    """A number and a list of refused events, where the rule says."""
    BULK = "elasticsearch-bulk"
    """An item for each event, in order, with a status."""
    OTLP = "otlp"
    """`partialSuccess` with a number of rejected records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRule:
    """Where a response says what was accepted and refused; an empty path: it does not say."""

    body: ResponseBody = ResponseBody.LISTED

    accepted: str = ""
    """Dotted path to the number accepted, duplicates included. If it is set, a response without it
    leaves the events unknown: it is not the response that the target file declares.
    """
    refused: str = "refused"
    """Dotted path to the list of refused events; if a response lacks it, none were refused."""
    line_key: str = "line"
    reason_key: str = "reason"
    first_line: int = 1
    refused_count: str = ""
    """Dotted path to the number refused, where the list may leave some out; empty: it has all."""
    renews: bool = False
    """Whether a 401 is tried again: a token that has run out is renewed by someone else."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Keys that are replaced in the reasons which a response gives."""

    def reason_of(self, text: str) -> str:
        """Return a target's text as a reason: without keys, visible and bounded."""
        return foreign_text(redactor_of(self.secrets).text(text))


class InterpretedResponse(NamedTuple):
    """What a response says about the events of its request."""

    kind: ResponseKind
    ranges: tuple[OutcomeRange, ...] = ()
    """If definite: the outcomes of lines 0 … count-1."""
    reason: str = ""
    retry_after_s: float | None = None


_BY_STATUS: Final[Mapping[int, ResponseKind]] = {
    408: ResponseKind.INDEFINITE,
    425: ResponseKind.RETRY,
    429: ResponseKind.RETRY,
}
"""Statuses that do not follow their class; a 503 counts as RETRY if it has Retry-After."""


VALUES_A_LINE: Final = 16
"""JSON values that a response may hold for each event of its request."""
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Exceptions of decoding a response: not JSON, not text, or nested a thousand levels deep."""


def interpret_response(
    rule: ResponseRule,
    status: int,
    body: bytes,
    count: int,
    *,
    retry_after_s: float | None = None,
    error: str = "",
) -> InterpretedResponse:
    """Interpret a response to a request that held `count` events.

    `retry_after_s` is its Retry-After in seconds; `error` says why the response is not complete, or
    why its redirect is not followed. Returns its kind, the outcomes if they are definite, and a
    reason unless every event was accepted. Never raises: a response that cannot be read leaves the
    events unknown.
    """
    reason = f"HTTP {status}"
    if error and status in REDIRECT_STATUSES:
        refused = single_range(count, Outcome.REFUSED, f"{reason}: {error}")
        return InterpretedResponse(ResponseKind.DEFINITE, refused, f"{reason}: {error}")
    error = error or too_many_values(body, max(VALUES_MOST, VALUES_A_LINE * count))
    if error:
        return InterpretedResponse(ResponseKind.INDEFINITE, (), f"no usable response: {error}")
    if 200 <= status < 300:
        return _read_success(rule, body, count)
    if status == 503 and retry_after_s is not None:
        return InterpretedResponse(ResponseKind.RETRY, (), reason, retry_after_s)
    if status == 401 and rule.renews:
        return InterpretedResponse(ResponseKind.RETRY, (), reason, retry_after_s)
    if kind := _BY_STATUS.get(status):
        return InterpretedResponse(kind, (), reason, retry_after_s)
    if status >= 500:
        return InterpretedResponse(ResponseKind.INDEFINITE, (), reason, retry_after_s)
    return InterpretedResponse(
        ResponseKind.DEFINITE,
        single_range(count, Outcome.REFUSED, f"{reason}{_error_message(rule, body)}"),
        reason,
    )


def final_ranges(
    result: InterpretedResponse, count: int, *, maybe_stored: bool
) -> tuple[OutcomeRange, ...]:
    """Return the outcomes of a delivery of `count` events by its last response.

    `maybe_stored`: an earlier attempt without a response may have stored them, so a refusal leaves
    them unknown.
    """
    if result.kind is not ResponseKind.DEFINITE:
        outcome = Outcome.UNKNOWN if maybe_stored else Outcome.REFUSED
        return single_range(count, outcome, result.reason)
    return after_lost_response(result.ranges) if maybe_stored else result.ranges


def retry_after_s(text: str | None, date: str | None = None) -> float | None:
    """Return the seconds of a Retry-After field: None if absent, 0 if it cannot be read.

    `date`: the Date field of the same response, from which a Retry-After that is a date counts;
    without it the local time.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _http_time(text)
        if until is None:
            return 0.0
        seconds = until - (_http_time(date or "") or time.time())
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _http_time(text: str) -> float | None:
    """Return the seconds since the epoch of an HTTP date; None if it is no such date."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


_RESPONSE_REASONS: Final = (
    "HTTP ",
    "the response",
    "a malformed line was accepted",
    "the broker refused",
    "the stream refused",
)
"""Prefixes of the reasons that come from a complete response, or from a broker's refusal."""


def has_response(reason: str) -> bool:
    """Return whether an attempt that failed for this reason got a complete response.

    The others timed out, or their connection was lost, refused or never made.
    """
    return reason.startswith(_RESPONSE_REASONS)


def _error_message(rule: ResponseRule, body: bytes) -> str:
    try:
        message = msgspec.json.decode(body, type=dict[str, object]).get("message")
    except _UNREADABLE:
        message = None
    return f": {rule.reason_of(message)}" if isinstance(message, str) and message else ""


def _read_success(rule: ResponseRule, body: bytes, count: int) -> InterpretedResponse:
    try:
        decoded = msgspec.json.decode(body, type=dict[str, object]) if body else {}
    except _UNREADABLE:
        decoded = {}
    match rule.body:
        case ResponseBody.BULK:
            return _read_bulk(rule, decoded, count)
        case ResponseBody.OTLP:
            return _read_partial_success(rule, decoded, count)
        case ResponseBody.LISTED:
            return _read_listed(rule, decoded, count)


def _unknown(count: int, note: str) -> InterpretedResponse:
    return InterpretedResponse(
        ResponseKind.DEFINITE, single_range(count, Outcome.UNKNOWN, note), note
    )


def _read_bulk(
    rule: ResponseRule, decoded: Mapping[str, object], count: int
) -> InterpretedResponse:
    """Read a response of `_bulk`. A status of 409 says that an event is there already."""
    if decoded.get("errors") is False:
        return InterpretedResponse(ResponseKind.DEFINITE, _ranges_around({}, count))
    items = decoded.get("items")
    if not isinstance(items, list) or len(items) != count:
        found = len(items) if isinstance(items, list) else "no"
        return _unknown(count, f"the response has {found} items for {count} events")
    others: dict[int, tuple[Outcome, str]] = {}
    for line, item in enumerate(items):
        result = next(iter(item.values()), None) if isinstance(item, Mapping) else None
        status = result.get("status") if isinstance(result, Mapping) else None
        if not isinstance(result, Mapping) or not isinstance(status, int):
            others[line] = Outcome.UNKNOWN, "the response has no status for this event"
        elif not (200 <= status < 300 or status == 409):
            error = result.get("error")
            parts = [error.get("type"), error.get("reason")] if isinstance(error, Mapping) else []
            words = [rule.reason_of(_as_text(part)) for part in parts if part]
            outcome = Outcome.UNKNOWN if status >= 500 else Outcome.REFUSED
            others[line] = outcome, ": ".join([f"status {status}", *words])
    return InterpretedResponse(ResponseKind.DEFINITE, _ranges_around(others, count))


def _read_partial_success(
    rule: ResponseRule, decoded: Mapping[str, object], count: int
) -> InterpretedResponse:
    """Read a response of OTLP/HTTP, which does not say which records were rejected."""
    found = decoded.get("partialSuccess")
    told = found if isinstance(found, Mapping) else {}
    number = _as_text(told.get("rejectedLogRecords", 0))
    rejected = int(number) if number.isdecimal() and len(number) < 16 else 0
    reason = rule.reason_of(_as_text(told.get("errorMessage", "")))
    if rejected in (0, count):
        outcome = Outcome.REFUSED if rejected else Outcome.ACCEPTED
        ranges = single_range(count, outcome, reason if rejected else "")
        return InterpretedResponse(ResponseKind.DEFINITE, ranges)
    note = f"the response rejects {rejected} of {count} records and does not say which"
    return _unknown(count, f"{note}: {reason}" if reason else note)


def _read_listed(
    rule: ResponseRule, decoded: Mapping[str, object], count: int
) -> InterpretedResponse:
    refused = _refused_lines(rule, _get_path(decoded, rule.refused), count)
    if refused is None:
        return _unknown(count, f"the response's `{rule.refused}` cannot be read")
    accepted = _get_path(decoded, rule.accepted)
    if rule.accepted and not isinstance(accepted, int):
        return _unknown(count, f"the response has no number at `{rule.accepted}`")
    counted = _get_path(decoded, rule.refused_count)
    number = counted if isinstance(counted, int) else len(refused)
    if isinstance(accepted, int) and accepted + number != count:
        found = accepted + number
        return _unknown(count, f"the response accounts for {found} of {count} events")
    if not len(refused) <= number <= count:
        return _unknown(count, f"the response counts {number} refused events of {count}")
    others = {line: (Outcome.REFUSED, reason) for line, reason in refused.items()}
    if number > len(refused):
        others = _unlisted(number, count) | others
    return InterpretedResponse(ResponseKind.DEFINITE, _ranges_around(others, count))


def _unlisted(refused: int, count: int) -> dict[int, tuple[Outcome, str]]:
    """Return the outcome of events that a response does not list, while it refuses more."""
    if refused == count:
        rest = Outcome.REFUSED, "refused with all events of its request"
    else:
        rest = Outcome.UNKNOWN, f"the response refuses {refused} events and does not list them all"
    return dict.fromkeys(range(count), rest)


def _get_path(decoded: object, path: str) -> object:
    """Return the value at a dotted path; None if the path is empty or does not exist."""
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
        found[line - rule.first_line] = rule.reason_of(_as_text(row.get(rule.reason_key, "")))
    return found


def _as_text(value: object) -> str:
    """Return a value of a response as text; an integer may have more digits than Python prints."""
    try:
        return str(value)
    except (ValueError, RecursionError):
        return "(a value that cannot be shown)"


def _ranges_around(
    others: Mapping[int, tuple[Outcome, str]], count: int
) -> tuple[OutcomeRange, ...]:
    """Return ranges that are accepted but for the other lines; adjacent equal ones are merged."""
    if not others:
        return single_range(count, Outcome.ACCEPTED)
    accepted = Outcome.ACCEPTED
    ranges = [
        OutcomeRange(first=line, count=1, outcome=outcome, reason=reason)
        for line, (outcome, reason) in others.items()
    ]
    ranges += [
        OutcomeRange(first=before + 1, count=after - before - 1, outcome=accepted)
        for before, after in pairwise((-1, *sorted(others), count))
        if after - before > 1
    ]
    return merge_ranges(ranges)
