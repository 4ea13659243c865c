"""One load run as values: what is sent where, how Locust is started, and whom it reports to.

`RunRequest` (what the user asked for) leads to `RunContext` (one run's target and journal), that to
a `LoadJob`, and that to a `GeneratorPlan`, which travels to the processes that send.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from trueup.reports.journal.records import FleetDeclared, OutcomeRange, ReplayDeclared
from trueup.reports.transport.credentials import Credentials
from trueup.scenarios.load.capacity_search import RESOLUTION
from trueup.scenarios.load.freshness import FreshnessProbe
from trueup.scenarios.load.messages import GeneratorPlan, ReadsFrom
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.proxied.clients import ProxiedForm
from trueup.simulator.delivery import HttpForm, TransportForm

__all__ = ["WORKERS_S", "LoadJob", "Locust", "Progress", "Ranges"]

WORKERS_S: Final = 60.0
"""How long a master waits for workers on other hosts."""
_LOCUSTFILE: Final = Path(__file__).parents[1] / "locustfiles" / "reactor.py"
_WEB: Final = ["--autostart", "--autoquit", "1", "--web-host", "127.0.0.1"]

Ranges = tuple[OutcomeRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is; handed to whoever shows it."""

    t_s: float
    duration_s: float
    requests: int
    events: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Locust:
    """How Locust is started."""

    processes: int = 1
    """1: in one process; more: a master and so many workers, all on this machine."""
    web_port: int | None = None
    """Show Locust's web page on this port of the loopback; the run starts by itself."""
    master_bind: str | None = None
    """Be a master for `workers` workers on other hosts, listening on this address."""
    master_port: int = 5557
    workers: int = 0
    cpu: int | None = None
    """Pin the generator to this core (one process only)."""
    locustfile: Path | None = None
    """Users of your own instead of the reactor; they use a `DeliveryTracker`."""

    @property
    def generators(self) -> int:
        """How many processes send."""
        return self.workers if self.master_bind is not None else self.processes

    def arguments(self, html: Path, plan: LoadPlan) -> list[str]:
        """Return Locust's arguments. The reactor's locustfile knows the duration; others do not."""
        flags = ["-f", str(self.locustfile or _LOCUSTFILE), "--html", str(html), "--only-summary"]
        if self.locustfile is not None:
            users = str(plan.requests.connections)
            flags += ["-u", users, "-r", users, "-t", f"{math.ceil(plan.shape.duration_s)}s"]
        flags += (
            ["--headless"] if self.web_port is None else [*_WEB, "--web-port", str(self.web_port)]
        )
        if self.master_bind is not None:
            flags += ["--master", "--master-bind-host", self.master_bind]
            flags += ["--master-bind-port", str(self.master_port)]
            flags += ["--expect-workers", str(self.workers)]
            flags += ["--expect-workers-max-wait", f"{WORKERS_S:.0f}"]
        elif self.processes > 1:
            port = str(_free_port())
            flags += ["--processes", str(self.processes), "--master-bind-host", "127.0.0.1"]
            flags += ["--master-bind-port", port, "--master-port", port]
        return flags


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """Everything that one load run needs from whoever composes it.

    A search runs many jobs that differ in plan and first event.
    """

    plan: LoadPlan
    ingest: HttpForm | TransportForm | ProxiedForm
    """How the load goes in; through proxies, their usage does."""
    fleet: FleetDeclared | None
    """None: ready bodies that are not reconciled, to measure the generator alone."""
    replay: ReplayDeclared | None = None
    """A log whose events are sent instead of a fleet's; its recording is in `out_dir`."""
    out_dir: Path
    """Folder for Locust's log and report, and for the reports of the generators."""
    first_event: int = 0
    """Number of the fleet's first event in this run."""
    reads: ReadsFrom | None = None
    hooks: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """`restart`, `maintenance` and `restart-proxies`: called where the plan says so; they may
    return an awaitable.
    """
    probe: FreshnessProbe | None = None
    locust: Locust = field(default_factory=Locust)
    null_sink_rps: float | None = None
    """What this generator reaches into a null sink, where it was measured; quoted in the result."""
    canary: bool = True
    """Measure how much of a core the machine takes away, before and after the run."""
    resolution: float = RESOLUTION
    """Relative width of the interval at which a search for the limit ends."""
    progress: Callable[[Progress], None] | None = None
    say: Callable[[str], None] = lambda words: None
    """Called with a line about what is done next, and about what it found."""
    tell: Callable[[str], None] = lambda words: None
    """Called with a line that a person must read for the run to go on."""
    sent: Callable[[Ranges], None] = lambda ranges: None
    """Called at the end of each run with the outcomes of its events, before anything else."""

    def generator_plan(self) -> GeneratorPlan:
        """Return what the processes that send need of this job."""
        return GeneratorPlan(
            plan=self.plan,
            form=_without_token_source(self.ingest) if isinstance(self.ingest, HttpForm) else None,
            transport=self.ingest if isinstance(self.ingest, TransportForm) else None,
            proxied=self.ingest if isinstance(self.ingest, ProxiedForm) else None,
            fleet=self.fleet,
            replay=self.replay,
            replay_folder=str(self.out_dir.resolve()) if self.replay else "",
            first_event=self.first_event,
            reads=replace(self.reads, credentials=_headers_only(self.reads.credentials))
            if self.reads
            else None,
            cpu=self.locust.cpu,
        )


def _headers_only(credentials: Credentials | None) -> Credentials | None:
    """Return credentials without what tokens are had by: generators get the tokens alone."""
    return None if credentials is None else replace(credentials, token=None)


def _without_token_source(form: HttpForm) -> HttpForm:
    credentials = form.credentials
    if credentials is None or credentials.token is None:
        return form
    rule = replace(form.response_rule, renews=True)
    return replace(form, credentials=_headers_only(credentials), response_rule=rule)
