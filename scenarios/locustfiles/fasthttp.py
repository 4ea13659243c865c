"""An example to extend: the fleet's events through Locust's own `FastHttpUser`.

Behaviour in plain Python, one request at a time and user, about a tenth of the reactor's rate.
Copy this file, keep `deliver`, and add tasks of your own beside it. What it keeps from the
reactor: every event is sent under its own id, an answer is read with the target's own rule, a
lost answer is tried again with the same bytes, and the outcomes go to the same file.

    TRUEUP_PLAN=plan.json TRUEUP_OUT=load.ndjson locust -f …/fasthttp.py --headless -u 20 -t 15s

One process only: events are numbered within it. Latency is measured from the send, as Locust
does, so a target that freezes looks better than it is; take latency figures from the reactor.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser, constant_throughput, events

from reports.facts import Outcome
from reports.records import OutcomeRange
from scenarios.load.child import Announced, ChildPlan, FinalWord, Report, decode_plan, encode
from scenarios.load.station import INGEST, body_source
from simulator.delivery import Kind, read_answer
from simulator.delivery.answers import retry_after_s
from simulator.delivery.outcomes import settle_after_loss, whole
from simulator.reactor import Batch, Recorder

PLAN: Final[ChildPlan] = decode_plan(Path(os.environ["TRUEUP_PLAN"]).read_bytes())
OUT: Final = os.open(
    os.environ.get("TRUEUP_OUT", "load.ndjson"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
)
RECORDER: Final = Recorder()
_ATTEMPTS: Final = 10


def _report(line: Any) -> None:
    os.write(OUT, encode(line) + b"\n")


def _announce(ranges: list[tuple[int, int]]) -> None:
    _report(Announced(worker=0, ranges=tuple(ranges)))


SOURCE: Final = body_source(PLAN, _announce)


class ProxyUser(FastHttpUser):
    """Delivers one batch after the other, at most 20 a second."""

    host = PLAN.form.url.rsplit("/", 1)[0]
    wait_time = constant_throughput(20)
    connection_timeout = network_timeout = PLAN.form.timeout_s

    def deliver(self) -> None:
        """One batch, until its outcome is known or all attempts are spent."""
        batch = SOURCE.take()
        if batch is None:
            self.environment.runner.quit()
            return
        ranges, lost, reason = None, False, ""
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._post(batch)
            if answer.kind is Kind.SETTLED:
                ranges = settle_after_loss(answer.ranges) if lost else answer.ranges
                break
            lost, reason = lost or answer.kind is Kind.LOST, answer.reason
            gevent.sleep(PLAN.form.retry.pause_s(attempt, retry_after_s=answer.retry_after_s))
        if ranges is None:
            ranges = whole(batch.count, Outcome.UNKNOWN if lost else Outcome.REFUSED, reason)
        for part in ranges:
            first = batch.first + part.first
            RECORDER.outcome(
                OutcomeRange(
                    first=first, count=part.count, outcome=part.outcome, reason=part.reason
                )
            )

    def _post(self, batch: Batch) -> Any:
        fields, began = PLAN.form.head_fields(), time.perf_counter_ns()
        body: Any = bytes(
            batch.body
        )  # bytes go through as they are; the annotation leaves them out
        with self.client.post(
            PLAN.form.url, data=body, headers=fields, name=INGEST, catch_response=True
        ) as response:
            RECORDER.service.append(time.perf_counter_ns() - began)
            after = retry_after_s((response.headers or {}).get("Retry-After"))
            status = response.status_code or 500  # no answer: as indefinite as a 500
            answer = read_answer(
                PLAN.form.answer, status, response.content or b"", batch.count, retry_after_s=after
            )
            if answer.kind is Kind.SETTLED and not answer.reason:
                response.success()
            else:
                response.failure(answer.reason)
            return answer

    tasks = [deliver]  # noqa: RUF012  # Locust's way of naming tasks


def _on_stop(**kwargs: Any) -> None:
    RECORDER.close_second(0)
    seconds, ranges = RECORDER.take()
    final = FinalWord(busy_share=0.0, cpu_s=time.process_time(), elapsed_s=0.0)
    _report(
        Report(worker=0, lane=INGEST, seconds=tuple(seconds), ranges=tuple(ranges), final=final)
    )


_HOOK: Any = events.test_stop
_HOOK.add_listener(_on_stop)
