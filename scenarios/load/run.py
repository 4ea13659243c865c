"""One load run: start Locust as a child, follow its reports, and put the result together.

The child dies with us, its workers with it. Whatever ends the run, the file of reports in the
run's folder is readable up to its last whole line, and the events that were announced but not
accounted for come out as unknown. Nothing here writes the journal or judges correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from trueup.conformance.errors import unwrap_group
from trueup.reports.journal.records import Hook, LoadResult
from trueup.reports.transport.tokens import Authenticator
from trueup.scenarios.embedded.process import die_with_parent
from trueup.scenarios.errors import CouldNotTell, OwnError, UsageProblem
from trueup.scenarios.load.aggregate import collect, load_result, read_lines
from trueup.scenarios.load.freshness import NEVER_SEEN, FreshnessProbe, watch_freshness
from trueup.scenarios.load.generator import INGEST, READS
from trueup.scenarios.load.job import WORKERS_S, LoadJob, Locust, Progress, Ranges
from trueup.scenarios.load.messages import GeneratorPlan, Line, Report, encode
from trueup.scenarios.load.noise import lost_share
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.load.token_feed import TokenFeed
from trueup.scenarios.load.verdict import judged
from trueup.scenarios.proxied.clients import ProxiedForm
from trueup.simulator.delivery import HttpForm, TransportForm
from trueup.simulator.delivery.forms import Framing

__all__ = ["LOAD_FILE", "run_load"]

LOAD_FILE: Final = "load.ndjson"
"""Reports of the generators, in the run's folder."""
LOG_FILE: Final = "locust.log"
_POLL_S: Final = 0.2
_STOP_S: Final = 25.0
"""How long Locust may take to end by itself after the last event: outstanding responses."""
_INTERRUPT_S: Final = 1.0
"""The same where a person or a signal ends the run. Events whose outcome Locust has not reported
by then are unknown."""
_START_S: Final = 60.0
_QUIT_S: Final = 10.0
"""After the last word of all generators: how long Locust may take to end. Stopped from its web page
it never would."""


async def run_load(
    job: LoadJob,
    *,
    keep: Callable[[LoadResult, Ranges], None] | None = None,
) -> tuple[LoadResult, Ranges]:
    """Load a target once by a plan; return the result as measured, and the outcome of every event.

    The job's hooks are called in this thread. When the run is cancelled or fails, `keep` is called
    with what is known before the error travels on. Raises OwnError when Locust cannot be started or
    reports nothing, CouldNotTell when workers on other hosts did not come, UsageProblem where the
    plan needs a part that is missing.
    """
    plan, locust, out_dir = job.plan, job.locust, job.out_dir
    generator_plan = job.generator_plan()
    _check_parts(job)
    fresh = _Freshness()
    lost = [await asyncio.to_thread(lost_share)] if job.canary else []
    out = out_dir / LOAD_FILE
    out.unlink(missing_ok=True)

    faults = _Faults(plan, job.hooks)

    def settle(status: int | None) -> tuple[LoadResult, Ranges]:
        found = collect(read_lines(out))
        trouble = "; ".join(filter(None, (_bad_end(status), faults.trouble())))
        result = load_result(
            generator_plan,
            found,
            engine=_engine(locust, job.ingest),
            expected=locust.generators,
            trouble=trouble,
        )
        share = max([*lost, *filter(None, [result.machine.lost_share])], default=None)
        unseen = {NEVER_SEEN: fresh.missing} if fresh.missing else {}
        result = replace(
            result,
            generator=replace(result.generator, null_sink_rps=job.null_sink_rps),
            machine=replace(result.machine, lost_share=share),
            latency=replace(result.latency, freshness_ns=fresh.histogram),
            requests=replace(
                result.requests,
                unanswered=result.requests.unanswered + fresh.missing,
                errors={**result.requests.errors, **unseen},
            ),
        )
        return judged(result, plan.thresholds), found.ranges

    reads = job.reads.credentials if job.reads else None
    sources: dict[str, Authenticator] = {}
    if isinstance(job.ingest, HttpForm):
        sources = {
            INGEST: Authenticator(job.ingest.credentials, job.ingest.tls),
            READS: Authenticator(reads, job.ingest.tls),
        }
    feed = TokenFeed(sources)
    try:
        async with (
            feed.open() as tokens,
            _locust(generator_plan, locust, out_dir, tokens) as process,
        ):
            over = asyncio.Event()
            with unwrap_group():
                async with asyncio.TaskGroup() as group:
                    if job.probe is not None:
                        group.create_task(fresh.reporter(job.probe, over))
                    renewal = group.create_task(feed.keep_fresh())
                    await _follow(process, out, job, faults, feed)
                    renewal.cancel()
                    over.set()
            # Still there: it is ended by us, and how is no news.
            status = process.returncode
        if job.canary:
            lost.append(await asyncio.to_thread(lost_share))
    except BaseException:
        if keep is not None:
            keep(*settle(None))
        raise
    result, ranges = settle(status)
    if result.generator.cpu_share is None and not ranges:
        if locust.master_bind is not None and _gave_up(out_dir / LOG_FILE):
            raise CouldNotTell(
                f"{locust.workers} workers were expected at {locust.master_bind}, and within "
                f"{WORKERS_S:.0f} s not all came: nothing was loaded. Start them while the master "
                "waits, and see that nothing on the way stops them."
            )
        raise OwnError(
            f"Locust exited with status {process.returncode} and reported no results: "
            f"{_last_line(out_dir / LOG_FILE)}"
        )
    return result, ranges


def _bad_end(status: int | None) -> str:
    """What Locust's exit status says, where it is not one of its own two (1: requests failed)."""
    if status in (None, 0, 1):
        return ""
    how = f"was ended by signal {-status}" if status and status < 0 else f"ended with {status}"
    return f"the load generator {how}"


def _check_parts(job: LoadJob) -> None:
    """Raise UsageProblem where the plan asks for what this target or run does not offer."""
    plan, locust = job.plan, job.locust
    if plan.requests.connections < locust.generators:
        raise UsageProblem(
            f"load scenario {plan.name} has {plan.requests.connections} connections for "
            f"{locust.generators} generators, and one without a connection sends nothing. Raise "
            "`requests.connections`, or take fewer generators."
        )
    if plan.requests.malformed_every and job.ingest.format.framing is Framing.SINGLE:
        raise UsageProblem(
            f"load scenario {plan.name} puts a broken line beside others, and this target takes "
            "one event a request. Leave `requests.malformed_every` out."
        )
    if locust.locustfile is not None and (plan.reads.share or plan.requests.duplicate_every):
        raise UsageProblem(
            f"load scenario {plan.name} mixes reads or repeated batches in, and a locustfile of "
            "your own decides that itself. Take a scenario without, such as `steady`."
        )
    if plan.reads.share and job.reads is None:
        raise UsageProblem(
            f"load scenario {plan.name} mixes reads in, but no URL to read from was given"
        )
    for _, name in _moments(plan):
        if name not in job.hooks:
            raise UsageProblem(
                f"load scenario {plan.name} needs the control hook `{name}` while it loads, and "
                f"the target file has none. Give it a [{name}] part, or leave --target out."
            )


def _moments(plan: LoadPlan) -> list[tuple[float, str]]:
    """Return (second of the run, hook) in order."""
    return sorted(
        (share * plan.shape.duration_s, name)
        for name, shares in {**plan.fault_shares, **plan.proxy_shares}.items()
        for share in shares
    )


class _Faults:
    """What the plan has done to the target, when, and whether it was done."""

    def __init__(self, plan: LoadPlan, hooks: Mapping[str, Callable[[], object]]) -> None:
        self._moments, self._hooks = _moments(plan), hooks
        self._failed: list[str] = []

    def due(self, running_s: float) -> bool:
        """Whether the next one is to be done, so long after the start."""
        return bool(self._moments) and running_s >= self._moments[0][0]

    async def call_next(self) -> None:
        """Call the next hook, in this thread: a target started from another would end with it."""
        moment, name = self._moments.pop(0)
        done = self._hooks[name]()
        done = await done if inspect.isawaitable(done) else done
        if isinstance(done, Hook) and not done.ok:
            self._failed.append(f"{name} at {moment:g} s did not work: {done.error[:200]}")

    def trouble(self) -> str:
        """What was to be done and was not, in words; empty when all of it was."""
        missed = [f"{name} at {moment:g} s was not reached" for moment, name in self._moments]
        return "; ".join([*self._failed, *missed])


class _Freshness:
    """What the freshness watch found, readable at any time."""

    def __init__(self) -> None:
        self.histogram: dict[str, int] = {}
        self.missing = 0

    async def reporter(self, probe: FreshnessProbe, over: asyncio.Event) -> None:
        self.histogram, self.missing = await watch_freshness(probe, stop=over)


def _engine(locust: Locust, ingest: HttpForm | TransportForm | ProxiedForm) -> str:
    from importlib.metadata import version

    own = "reactor" if isinstance(ingest, HttpForm) else ingest.name
    users = locust.locustfile.name if locust.locustfile else own
    return f"locust {version('locust')}, {users}"


@contextlib.asynccontextmanager
async def _locust(
    generator_plan: GeneratorPlan, locust: Locust, out_dir: Path, tokens: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The Locust child; ended politely, then for certain, however the block is left."""
    with _handed_over(encode(generator_plan)) as plan, (out_dir / LOG_FILE).open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "trueup.scenarios.locustfiles.start",
            *locust.arguments(out_dir / "locust.html", generator_plan.plan),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "TRUEUP_PLAN": f"/proc/self/fd/{plan}",
                "TRUEUP_TOKENS": f"/proc/self/fd/{tokens}",
                "TRUEUP_OUT": str(out_dir / LOAD_FILE),
            },
            pass_fds=(plan, tokens),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            yield process
        except BaseException:
            await asyncio.shield(_end(process, _INTERRUPT_S))
            raise
        else:
            await asyncio.shield(_end(process, _STOP_S))


@contextlib.contextmanager
def _handed_over(data: bytes) -> Iterator[int]:
    """A descriptor of a file in memory that holds the data. It may hold keys: no disk has them,
    and nothing of it is left whatever ends this process."""
    memory = os.memfd_create("trueup-plan")
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(data)
        yield memory
    finally:
        os.close(memory)


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    """Interrupt Locust, and kill it and its workers where it has not ended `patience_s` later."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await process.wait()
    # Whatever is left of its group: workers that lost their master.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _follow(
    process: asyncio.subprocess.Process,
    out: Path,
    job: LoadJob,
    faults: _Faults,
    feed: TokenFeed,
) -> None:
    """Wait until Locust ends, report progress, and do to the target what is due."""
    plan, generators = job.plan, job.locust.generators
    began = time.monotonic()
    limit_s = plan.shape.duration_s + plan.requests.drain_s + _START_S + _STOP_S
    tail = _Tail(out)
    ended = asyncio.ensure_future(process.wait())
    try:
        while not ended.done() and time.monotonic() - began < limit_s:
            if tail.silent_s(generators) > _QUIT_S:
                return
            await asyncio.wait([ended], timeout=_POLL_S)
            if tail.read() and job.progress is not None:
                job.progress(tail.progress(plan.shape.duration_s))
            if tail.saw_unauthorised():
                feed.refused()
            if faults.due(tail.running_s()) and not ended.done():
                await faults.call_next()
    finally:
        ended.cancel()


class _Tail:
    """Reads the growing file of reports and adds up what a person wants to see."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        self._decoder = msgspec.json.Decoder(Line)
        self._began: float | None = None
        self._finals: set[int] = set()
        self._last_word: float | None = None
        self._t = self._requests = self._events = self._errors = 0
        self._unauthorised = False

    def read(self) -> bool:
        """Take in what is new; whether there was anything."""
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            file.seek(self._at)
            fresh = file.read()
        if fresh and self._began is None:
            self._began = time.monotonic()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._at += len(whole)
        seen = False
        for text in whole.splitlines():
            line = self._decoder.decode(text)
            if isinstance(line, Report):
                seen |= self._add(line)
        return seen

    def _add(self, report: Report) -> bool:
        """Add a report up; return whether it is one of the ingestion stream."""
        self._unauthorised |= any(
            why.startswith("HTTP 401") for second in report.seconds for why in second.errors
        )
        if report.lane != INGEST:
            return False
        if report.final is not None:
            self._finals.add(report.worker)
            self._last_word = time.monotonic()
        for second in report.seconds:
            self._t = max(self._t, second.t + 1)
            self._requests += second.requests
            self._events += second.events
            self._errors += sum(second.errors.values())
        return True

    def saw_unauthorised(self) -> bool:
        """Return whether a response had status 401 since this was asked last."""
        seen, self._unauthorised = self._unauthorised, False
        return seen

    def running_s(self) -> float:
        """Seconds since the first report was seen; 0 before."""
        return time.monotonic() - self._began if self._began is not None else 0.0

    def silent_s(self, generators: int) -> float:
        """Seconds since the last of so many generators said its last word; 0 before."""
        if self._last_word is None or len(self._finals) < generators:
            return 0.0
        return time.monotonic() - self._last_word

    def progress(self, duration_s: float) -> Progress:
        return Progress(
            t_s=min(float(self._t), duration_s),
            duration_s=duration_s,
            requests=self._requests,
            events=self._events,
            errors=self._errors,
        )


def _gave_up(log: Path) -> bool:
    """Return whether Locust gave up waiting for workers."""
    return "Gave up waiting for workers" in log.read_text(encoding="utf-8", errors="replace")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
