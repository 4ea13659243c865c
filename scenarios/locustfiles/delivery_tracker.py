"""The fleet's events for users that you write yourself, and a record of their outcomes.

A locustfile of your own takes batches here and has them delivered by its own client; everything
else is as in any load run: each event once and under its own id, responses read by the target's own
rule, a lost response retried with the same bytes, and outcomes that are reconciled afterwards.
One process only: events are numbered within it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import gevent
from locust import FastHttpUser, constant_throughput, events
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.journal.redaction import redactor_of
from trueup.reports.results import Outcome
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.limits import BODY_MOST, REDIRECTS_MOST, body_limit_error
from trueup.reports.transport.redirects import redirect_of
from trueup.scenarios.load.access import AccessWatch
from trueup.scenarios.load.generator import INGEST, body_source
from trueup.scenarios.load.messages import (
    GeneratorPlan,
    GeneratorSummary,
    Line,
    Report,
    Reserved,
    decode_plan,
    write_line,
)
from trueup.scenarios.load.token_feed import TokensFile
from trueup.scenarios.locustfiles.bounded_http import BoundedSession, bounded_session
from trueup.simulator.delivery import InterpretedResponse, ResponseKind, interpret_response
from trueup.simulator.delivery.outcomes import offset_ranges, single_range
from trueup.simulator.delivery.responses import final_ranges, retry_after_s
from trueup.simulator.reactor import PreparedRequest, RequestRecorder

__all__ = ["DeliveryTracker"]

_ATTEMPTS: Final = 10
_PIECE: Final = 65_536
"""Bytes of a response that are read at once."""
_CUT: Final = "the run ended before a response"


class DeliveryTracker:
    """What the users of this process send, and what became of it."""

    def __init__(self, plan: GeneratorPlan, out: int) -> None:
        """`out`: descriptor of the file that reports go to."""
        self.plan = plan
        self.form = plan.over_http
        """How the target takes events."""
        self.host = plan.host
        """Scheme and host of the ingestion endpoint, as a Locust user wants it."""
        self._out = out
        self._recorder = RequestRecorder(self.form.response_rule.reason_of)
        self._source = body_source(plan, self._announce)
        self._sessions: WeakKeyDictionary[FastHttpUser, BoundedSession] = WeakKeyDictionary()
        self._open: dict[int, PreparedRequest] = {}
        """Batches whose delivery goes on, by their first event."""
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        self._events = self._second = 0
        self._access = AccessWatch()
        self._tokens, self._token = TokensFile(os.environ.get("TRUEUP_TOKENS")), ""
        self._stopped_by = ""
        self._quit: Callable[[], object] = lambda: None

    @classmethod
    def of_this_run(cls) -> Self:
        """Return the tracker of the run that started this process; ends it where none did."""
        plan, out = os.environ.get("TRUEUP_PLAN"), os.environ.get("TRUEUP_OUT")
        if not plan or not out:
            sys.stderr.write(
                "This locustfile takes its events from trueup: start it by\n"
                "  trueup load SCENARIO --locustfile FILE\n"
            )
            raise SystemExit(4)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        made = cls(decode_plan(Path(plan).read_bytes()), os.open(out, flags, 0o644))
        start: Any = events.test_start
        stop: Any = events.test_stop
        start.add_listener(made._start)
        stop.add_listener(made._stop)
        # The fleet took a while to build, which gevent's clock knows nothing of: Locust's timer for
        # the length of the run would go off that much too soon.
        gevent.get_hub().loop.update_now()
        return made

    @property
    def wait_time(self) -> Any:
        """Locust's pacing of one user, so that all of them keep the plan's rate together."""
        plan = self.plan.plan
        if not plan.open_loop:
            return lambda user: 0
        return constant_throughput(plan.shape.rate / plan.requests.connections)

    def headers(self, method: str, url: str, body: bytes = b"") -> dict[str, str]:
        """Return the headers of the target file's credentials for a request of your own.

        A token or a signature, as `[ingest]` names them; none where it names none.
        """
        credentials = self.form.credentials
        if credentials is None:
            return {}
        return credentials.headers(self._token, method=method, url=url, body=body)

    def client(self, user: FastHttpUser) -> BoundedSession:
        """Return a user's session with the target, which keeps to docs/security.md."""
        session = self._sessions.get(user)
        if session is None:
            reads = self.plan.reads
            urls = {reads.url: reads.unix_socket} if reads is not None else {}
            session = self._sessions[user] = bounded_session(
                user,
                urls={**urls, self.form.url: self.form.unix_socket},
                timeout_s=self.form.timeout_s,
                tls=self.form.tls,
            )
        return session

    def deliver(self, user: FastHttpUser) -> None:
        """Deliver one batch through a user's client, until its outcome is known or given up."""
        batch = self._source.take()
        if batch is None:
            user.environment.runner.quit()
            return
        began = time.perf_counter_ns()
        self._open[batch.first] = batch
        # Locust kills users where they stand, and a request that is out may have been taken.
        ranges = single_range(batch.count, Outcome.UNKNOWN, _CUT)
        try:
            ranges = self._attempts(self.client(user), batch)
        finally:
            self._settle(batch, ranges)
            self._recorder.response.append(time.perf_counter_ns() - began)

    def _attempts(
        self, client: FastHttpSession, batch: PreparedRequest
    ) -> tuple[OutcomeRange, ...]:
        maybe_stored = False
        for attempt in range(1, _ATTEMPTS + 1):
            result = self._post(client, batch)
            if result.kind is ResponseKind.DEFINITE:
                break
            maybe_stored = maybe_stored or result.kind is ResponseKind.INDEFINITE
            pause_s = self.form.retry.pause_s(attempt, retry_after_s=result.retry_after_s)
            gevent.sleep(pause_s)
        return final_ranges(result, batch.count, maybe_stored=maybe_stored)

    def _post(self, client: FastHttpSession, batch: PreparedRequest) -> InterpretedResponse:
        """Send a batch once, again where it is redirected to the same origin."""
        form, began = self.form, time.perf_counter_ns()
        url = form.url
        # Bytes go through as they are; Locust's annotation leaves them out.
        body: Any = batch.payload
        for _ in range(REDIRECTS_MOST + 1):
            # Only what is sent is compressed: no response may unpack to more than it says.
            fields = {
                **batch.fields,
                **self.headers(form.method, url, body),
                "Accept-Encoding": "identity",
            }
            with client.post(
                url,
                data=body,
                headers=fields,
                name=INGEST,
                catch_response=True,
                allow_redirects=False,
                stream=True,
            ) as response:
                received, error = self._read(response)
                if response.status_code:
                    self._recorder.service.append(time.perf_counter_ns() - began)
                    self._recorder.bytes += len(batch.body)
                headers = response.headers or {}
                redirect = redirect_of(
                    url, response.status_code, form.method, headers.get("Location")
                )
                if redirect is not None and redirect.url:
                    response.success()
                    url = redirect.url
                    continue
                answer = interpret_response(
                    form.response_rule,
                    response.status_code or 500,  # no response: as indefinite as a 500
                    received,
                    batch.count,
                    retry_after_s=retry_after_s(headers.get("Retry-After"), headers.get("Date")),
                    error=redirect.refusal if redirect is not None else error,
                )
                if answer.kind is ResponseKind.DEFINITE and not answer.reason:
                    response.success()
                else:
                    self._recorder.error(answer.reason)
                    response.failure(answer.reason)
                return answer
        reason = f"no usable response: redirected more than {REDIRECTS_MOST} times"
        self._recorder.error(reason)
        return InterpretedResponse(ResponseKind.INDEFINITE, (), reason)

    def _read(self, response: Any) -> tuple[bytes, str]:
        """Return the body of a response as far as the limits allow, and why it is not complete."""
        if not response.status_code:
            return b"", "no response"
        if getattr(response, "error", None) is not None:
            # Locust has read the body of a failure already, to describe it.
            return bytes(response.content or b""), ""
        parts, length = [], 0
        try:
            with gevent.Timeout(self.form.timeout_s):
                while length <= BODY_MOST and (part := response.stream.read(_PIECE)):
                    parts.append(bytes(part))
                    length += len(part)
        except (gevent.Timeout, OSError, ValueError) as error:
            return b"", foreign_text(f"{type(error).__name__}: {error}")
        return (b"", body_limit_error()) if length > BODY_MOST else (b"".join(parts), "")

    # Records

    def _settle(self, batch: PreparedRequest, ranges: tuple[OutcomeRange, ...]) -> None:
        if self._open.pop(batch.first, None) is None:
            return
        for part in offset_ranges(ranges, batch.first):
            self._recorder.outcome(part)

    def _announce(self, ranges: list[tuple[int, int]]) -> None:
        self._say(Reserved(worker=0, ranges=tuple(ranges)))

    def _say(self, line: Line) -> None:
        write_line(self._out, line, redactor_of(self.form.response_rule.secrets))

    def _report(self, *, last: bool = False) -> None:
        self._recorder.close_second(self._second)
        elapsed_s = time.perf_counter() - self._began
        self._second = int(elapsed_s)
        seconds, ranges = self._recorder.take()
        self._events += sum(part.count for part in ranges)
        if (why := self._access.add(seconds)) and not self._stopped_by:
            self._stopped_by = why
            self._quit()
        final = self._final(elapsed_s) if last else None
        if seconds or ranges or final:
            report = Report(
                worker=0, lane=INGEST, seconds=tuple(seconds), ranges=tuple(ranges), final=final
            )
            self._say(report)

    def _final(self, elapsed_s: float) -> GeneratorSummary:
        cpu_s = time.process_time() - self._cpu_began
        return GeneratorSummary(
            busy_share=min(cpu_s / max(elapsed_s, 1e-9), 1.0),
            cpu_s=cpu_s,
            elapsed_s=elapsed_s,
            ended_s=elapsed_s,
            events=self._events,
            stopped_by=self._stopped_by,
            no_access=self._access.no_access,
        )

    def _start(self, environment: Environment, **kwargs: Any) -> None:
        self._quit = lambda: environment.runner.quit() if environment.runner else None
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        self._take_token()
        gevent.spawn(self._every_second)

    def _every_second(self) -> None:
        while True:
            gevent.sleep(max(self._began + self._second + 1 - time.perf_counter(), 0.01))
            self._take_token()
            self._report()

    def _take_token(self) -> None:
        """Send further requests with the token of now; stop where there is none any more."""
        tokens = self._tokens.changed()
        if tokens is None:
            return
        self._token = tokens.by_stream.get(INGEST, "")
        if tokens.error and not self._stopped_by:
            self._stopped_by, self._access.no_access = tokens.error, True
            self._quit()

    def _stop(self, **kwargs: Any) -> None:
        for batch in list(self._open.values()):
            self._settle(batch, single_range(batch.count, Outcome.UNKNOWN, _CUT))
        self._report(last=True)
