"""Deliver events through a program that reads NDJSON on its standard input.

Exit status 0: accepted, unless its output says otherwise in the form of the response rule. 75
(EX_TEMPFAIL of sysexits.h): not accepted, try again. Another below 128: refused. Killed (128 and
above as shells report it, or by a signal) or over its timeout: unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.simulator.delivery.forms import EventFormat, events_of
from trueup.simulator.delivery.outcomes import BatchOutcome, single_range
from trueup.simulator.delivery.responses import (
    InterpretedResponse,
    ResponseKind,
    ResponseRule,
    final_ranges,
    interpret_response,
)
from trueup.simulator.delivery.retry import RetryPolicy

__all__ = ["CommandDriver", "CommandForm"]

_TRY_AGAIN: Final = 75
_MAX_OUTPUT: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandForm:
    """A program and how to call it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Added to the environment; may hold secrets."""
    cwd: str | None = None
    format: EventFormat = field(default_factory=EventFormat)
    response_rule: ResponseRule = field(default_factory=ResponseRule)
    timeout_s: float = 30.0
    max_events: int = 1_000
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=5))


class CommandDriver:
    """Implement `Driver` by starting the program once a batch."""

    def __init__(self, form: CommandForm) -> None:
        self.form = form

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Deliver events; returns one outcome per event, in order."""
        outcomes: list[EventOutcome] = []
        for start in range(0, len(events), self.form.max_events):
            part = events[start : start + self.form.max_events]
            body = self.form.format.encode(part)
            outcomes.extend((await self._deliver(body, len(part))).events())
        return outcomes

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes."""
        if not self.form.format.is_plain:
            body = self.form.format.encode(events_of(body))
        return await self._deliver(body, count)

    async def close(self) -> None:
        """Do nothing: nothing is held between batches."""

    async def _deliver(self, body: bytes, count: int) -> BatchOutcome:
        started = time.perf_counter()
        attempt, maybe_stored = 0, False
        while True:
            attempt += 1
            result = await self._attempt(body, count)
            maybe_stored = maybe_stored or result.kind is ResponseKind.INDEFINITE
            pause_s = self.form.retry.pause_s(attempt)
            elapsed_s = time.perf_counter() - started
            if result.kind is ResponseKind.DEFINITE or self.form.retry.is_exhausted(
                attempt, elapsed_s, pause_s
            ):
                break
            await asyncio.sleep(pause_s)
        return BatchOutcome(
            count=count,
            ranges=final_ranges(result, count, maybe_stored=maybe_stored),
            attempts=attempt,
            elapsed_ms=elapsed_s * 1e3,
        )

    async def _attempt(self, body: bytes, count: int) -> InterpretedResponse:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.form.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **self.form.env},
                cwd=self.form.cwd,
                start_new_session=True,
            )
        except OSError as error:
            reason = f"cannot start `{self.form.argv[0]}`: {error.strerror}"
            return InterpretedResponse(
                ResponseKind.DEFINITE, single_range(count, Outcome.REFUSED, reason), reason
            )
        try:
            async with asyncio.timeout(self.form.timeout_s):
                output, errors = await process.communicate(body)
        except TimeoutError:
            reason = f"the command was killed after its timeout of {self.form.timeout_s:g} s"
            return InterpretedResponse(
                ResponseKind.DEFINITE, single_range(count, Outcome.UNKNOWN, reason), reason
            )
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return _read_exit(self.form.response_rule, process.returncode or 0, output, errors, count)


def _read_exit(
    rule: ResponseRule, status: int, output: bytes, errors: bytes, count: int
) -> InterpretedResponse:
    if status == 0:
        return interpret_response(rule, 200, output[:_MAX_OUTPUT], count)
    last = rule.reason_of((errors.strip().splitlines() or [b""])[-1].decode(errors="replace"))
    reason = f"exit status {status}" + (f": {last}" if last else "")
    if status == _TRY_AGAIN:
        return InterpretedResponse(ResponseKind.RETRY, (), reason)
    outcome = Outcome.REFUSED if 0 < status < 128 else Outcome.UNKNOWN
    return InterpretedResponse(ResponseKind.DEFINITE, single_range(count, outcome, reason), reason)
