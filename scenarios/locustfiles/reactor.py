"""The locustfile of a load run: Locust's users, shapes and workers over the reactor.

One Locust user is one connection. Spawning a user adds a connection to the process's reactor,
stopping it takes one away; the requests themselves are the reactor's, on the plan's schedule.
Locust's master hands each worker its plan, its number and how many there are; workers report
outcomes and histograms within Locust's own messages.

    trueup load                                                # starts it, and hands it its plan
    locust -f …/reactor.py --worker --master-host 192.0.2.1    # on other hosts
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import gevent
import gevent.monkey
import msgspec
from locust import LoadTestShape, User, events, runners
from locust.env import Environment

from trueup.reports.journal.redaction import redactor_of
from trueup.scenarios.load.generator import LoadGenerator
from trueup.scenarios.load.messages import (
    GeneratorPlan,
    Line,
    Report,
    Reserved,
    decode_plan,
    encode,
    write_line,
)
from trueup.scenarios.load.token_feed import Tokens, TokensFile, decode_tokens
from trueup.scenarios.locustfiles.batched_stats import add_failures, add_requests
from trueup.simulator.reactor import System

PLAN: Final = "trueup-plan"
LINES: Final = "trueup-lines"
STOP: Final = "trueup-stop"
TOKENS: Final = "trueup-tokens"
_STATS_EVERY_S: Final = 0.5
"""Each time holds the reactor up for about a millisecond."""
_REPORT_EVERY_S: Final = 1.0
_TURN_S: Final = 1e-9
"""Over at once, but a timer: gevent then asks for input and output too. After `sleep(0)` it does
so only every fiftieth time, and Locust's heartbeats would be missed on a busy machine."""
_STOP_LIMIT_S: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1

runners.WORKER_REPORT_INTERVAL = _REPORT_EVERY_S


def _unpatched() -> System:
    """The machine without gevent's patches: real sockets, real epoll, and turns for gevent."""
    original = gevent.monkey.get_original
    return System(
        socket=original("socket", "socket"),
        epoll=original("select", "epoll"),
        select=original("select", "select"),
        yield_control=lambda: gevent.sleep(_TURN_S),
        clock_ns=time.perf_counter_ns,
    )


class TokensReceived:
    """The tokens of a worker on another host, as the master sends them."""

    def __init__(self) -> None:
        self._fresh: Tokens | None = None

    def put(self, tokens: Tokens) -> None:
        """Take in tokens."""
        self._fresh = tokens

    def changed(self) -> Tokens | None:
        """Return the tokens if they are other ones than the last time."""
        fresh, self._fresh = self._fresh, None
        return fresh


class _WorkerRun:
    """What this process does in the current run; one per process."""

    def __init__(self) -> None:
        self.plan: GeneratorPlan | None = None
        self.environment: Environment | None = None
        self.worker, self.workers = 0, 1
        self.generator: LoadGenerator | None = None
        self.greenlet: gevent.Greenlet | None = None
        self.waiting: list[Line] = []
        """Lines that wait for the next report to the master."""
        self.tokens: TokensFile | TokensReceived = TokensFile(os.environ.get("TRUEUP_TOKENS"))
        self.out: int | None = None
        self.finals: set[int] = set()
        self.started = False
        self.expected = 1

    @property
    def runner(self) -> runners.Runner:
        assert self.environment is not None
        assert self.environment.runner is not None
        return self.environment.runner

    def keep(self, line: Line) -> None:
        """Write a line down (local, master) or have it travel (worker)."""
        if self.out is not None:
            assert self.plan is not None
            write_line(self.out, line, redactor_of(self.plan.secrets))
            if isinstance(line, Report) and line.final is not None:
                self.finals.add(line.worker)
        elif isinstance(line, Reserved):
            # At once: before any of its events is sent.
            self.runner.send_message(LINES, [encode(line)])
        else:
            self.waiting.append(line)

    def begin(self) -> None:
        """Make the reactor of this process ready for its connections."""
        assert self.plan is not None
        self.greenlet = None
        self.generator = LoadGenerator(
            self.plan,
            worker=self.worker,
            workers=self.workers,
            report=self.keep,
            system=_unpatched(),
            tokens=self.tokens.changed,
        )
        gc.collect()
        gc.freeze()

    def go(self) -> None:
        """Start the clock, once the connections have been asked for."""
        if self.generator is not None and self.greenlet is None:
            self.greenlet = gevent.spawn(self.generator.run)
            gevent.spawn(self._statistics, self.generator)

    def _statistics(self, generator: LoadGenerator) -> None:
        """Feed Locust's statistics while the reactor runs."""
        while True:
            over = generator.done
            for stream in generator.engine.streams:
                method = "GET" if stream.rule is None else "POST"
                times, failed = stream.recorder.recent()
                stats = self.runner.stats
                add_requests(stats, method, stream.name, times)
                add_failures(stats, method, stream.name, failed)
            if over:
                return
            gevent.sleep(_STATS_EVERY_S)

    def end(self, why: str) -> None:
        """Stop sending, wait for responses, and have everything reported."""
        if self.greenlet is not None and self.generator is not None and not self.generator.done:
            self.generator.engine.stop(why)
            self.greenlet.join(timeout=_STOP_LIMIT_S)

    @property
    def over(self) -> bool:
        return len(self.finals) >= self.expected


RUN: Final = _WorkerRun()


class UserConnection(User):
    """One keep-alive connection of the reactor."""

    def on_start(self) -> None:
        if RUN.generator is not None:
            RUN.generator.connect()
            RUN.go()

    def on_stop(self) -> None:
        if RUN.generator is not None:
            RUN.generator.disconnect()

    def stay(self) -> None:
        """Nothing: the reactor does the work."""
        gevent.sleep(3600)

    tasks = [stay]  # noqa: RUF012  # Locust's way of naming tasks


class PlannedShape(LoadTestShape):
    """All connections at once; the end comes when every generator has said its last word."""

    def tick(self) -> tuple[int, float] | None:
        if RUN.over:
            return None
        plan = RUN.plan
        if plan is None:
            return None
        limit_s = plan.plan.shape.duration_s + plan.plan.requests.drain_s + _STOP_LIMIT_S
        if time.perf_counter() - self.start_time > limit_s:
            return None
        connections = plan.plan.requests.connections
        return connections, float(connections)


def _on_init(environment: Environment, runner: Any, **kwargs: Any) -> None:
    RUN.environment = environment
    if isinstance(runner, runners.WorkerRunner):
        if os.environ.get("TRUEUP_PLAN") and sys.platform == "linux":
            # A worker of our own child must not outlive it.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        runner.register_message(PLAN, _on_plan)
        runner.register_message(STOP, _on_stop_message, concurrent=True)
        RUN.tokens = TokensReceived()
        runner.register_message(TOKENS, _on_tokens)
        return
    path = os.environ.get("TRUEUP_PLAN")
    if not path:
        sys.stderr.write("This locustfile gets its plan from `trueup load`: start that instead.\n")
        raise SystemExit(4)
    RUN.plan = decode_plan(Path(path).read_bytes())
    environment.host = RUN.plan.host
    out = os.environ.get("TRUEUP_OUT") or "load.ndjson"
    RUN.out = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    if isinstance(runner, runners.MasterRunner):
        runner.register_message(LINES, _on_lines)


def _on_start(environment: Environment, **kwargs: Any) -> None:
    runner = environment.runner
    if isinstance(runner, runners.WorkerRunner):
        if RUN.plan is not None:
            RUN.begin()
        return
    if RUN.started:
        # From Locust's web page: the events of a second run would be those of the first again.
        RUN.runner.quit()
        return
    RUN.started = True
    if isinstance(runner, runners.MasterRunner):
        clients = [*runner.clients.ready, *runner.clients.spawning, *runner.clients.running]
        RUN.expected = len(clients)
        assert RUN.plan is not None
        tokens = msgspec.json.encode(RUN.tokens.changed() or Tokens())
        for number, client in enumerate(clients):
            data = {
                "plan": encode(RUN.plan),
                "worker": number,
                "workers": len(clients),
                "tokens": tokens,
            }
            runner.send_message(PLAN, data, client_id=client.id)
        gevent.spawn(_send_tokens, runner)
    else:
        RUN.begin()


def _on_plan(environment: Environment, msg: Any, **kwargs: Any) -> None:
    _on_tokens(environment, msg)
    RUN.plan = decode_plan(msg.data["plan"])
    RUN.worker, RUN.workers = msg.data["worker"], msg.data["workers"]


def _on_tokens(environment: Environment, msg: Any, **kwargs: Any) -> None:
    if isinstance(RUN.tokens, TokensReceived):
        RUN.tokens.put(decode_tokens(msg.data["tokens"]))
        if RUN.generator is not None:
            RUN.generator.take_tokens()


def _send_tokens(master: runners.MasterRunner) -> None:
    """Send the workers their tokens, and again whenever one was renewed."""
    while True:
        tokens = RUN.tokens.changed()
        if tokens is not None:
            for client in list(master.clients.all):
                data = {"tokens": msgspec.json.encode(tokens)}
                master.send_message(TOKENS, data, client_id=client.id)
        gevent.sleep(_STATS_EVERY_S)


def _on_stop_message(environment: Environment, msg: Any, **kwargs: Any) -> None:
    RUN.end("interrupted")


def _on_lines(environment: Environment, msg: Any, **kwargs: Any) -> None:
    for line in msg.data:
        RUN.keep(msgspec.json.decode(line, type=Line))


def _on_report(client_id: str, data: dict[str, Any], **kwargs: Any) -> None:
    lines, RUN.waiting = RUN.waiting, []
    data[LINES] = [encode(line) for line in lines]


def _on_worker_report(client_id: str, data: dict[str, Any], **kwargs: Any) -> None:
    for line in data.get(LINES, ()):
        RUN.keep(msgspec.json.decode(line, type=Line))


def _on_stopping(environment: Environment, **kwargs: Any) -> None:
    if isinstance(environment.runner, runners.MasterRunner):
        # Locust stops the workers; wait for their last reports, which it would not.
        if not RUN.over:
            for client in environment.runner.clients.all:
                with contextlib.suppress(Exception):
                    environment.runner.send_message(STOP, None, client_id=client.id)
            with gevent.Timeout(_STOP_LIMIT_S, False):
                while not RUN.over and environment.runner.clients.all:
                    gevent.sleep(0.05)
        return
    RUN.end("interrupted")


_LISTENERS: Final[tuple[tuple[Any, Any], ...]] = (
    (events.init, _on_init),
    (events.test_start, _on_start),
    (events.test_stopping, _on_stopping),
    (events.report_to_master, _on_report),
    (events.worker_report, _on_worker_report),
)
for _hook, _listener in _LISTENERS:
    _hook.add_listener(_listener)
