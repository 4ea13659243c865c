"""One run, from its folder to its report. Everything that `trueup` does to a target goes this way.

It composes: it starts the embedded reference where no target is given, lets the fleet send, the
judge ask, Locust load, and writes down what each says. It decides nothing itself. Whatever ends
the run, the journal is sealed, the reports are written and no child is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from trueup.conformance.capsule.run import HARVEST_CHECKS, PLANT_CHECKS
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.deadline import Deadline
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.contract.clauses import load_clauses
from trueup.conformance.reconciliation.evaluate import traffic_checks
from trueup.conformance.selection import all_checks, check_names, checks_for
from trueup.conformance.stateful.evaluate import CHECK as STATEFUL
from trueup.conformance.target.load import levels, load_target, outside_hosts
from trueup.conformance.target.model import HttpIngest, Target
from trueup.reports.errors import JournalWriteError, ReportError
from trueup.reports.journal.records import SCHEMA, ContractDeclared, Header, IngestDeclared
from trueup.reports.journal.redaction import Redactor
from trueup.reports.journal.storage import JOURNAL_NAME, Journal, JournalWriter, read_journal
from trueup.reports.known_failures import KnownFile
from trueup.reports.metrics.sensitivity import Sensitivity
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.writer import write_all
from trueup.reports.results import EXIT_STATUS
from trueup.reports.verdicts import overall
from trueup.scenarios.drivers import check_ingest, driver_of
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.restart import restart_socket
from trueup.scenarios.embedded.target import (
    NO_OVERRIDES,
    TargetOverrides,
    key_environment,
    target_file,
)
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.exit_status import exit_status_of
from trueup.scenarios.progress import ProgressReporter, SilentReporter
from trueup.scenarios.proxied.plan import PROXIED
from trueup.scenarios.run.capsule import check_capsule, run_capsule_part
from trueup.scenarios.run.clock import our_stamp
from trueup.scenarios.run.effects import default_level, describe_effects, within_level
from trueup.scenarios.run.ingestion_access import try_ingestion
from trueup.scenarios.run.phases import RunContext, run_checks_part, run_fleet_part, run_load_part
from trueup.scenarios.run.preconditions import (
    check_local,
    check_target,
    customers_of,
    minutes_of,
    plan_of,
)
from trueup.scenarios.run.proxied import run_proxied_load_part, run_proxied_part
from trueup.scenarios.run.run_directory import make_run_folder
from trueup.scenarios.run.sensitivity import measure_sensitivity, write_sensitivity
from trueup.scenarios.run.stateful import run_stateful_part
from trueup.scenarios.scenario import Scenario

__all__ = ["LOAD_LEVEL", "RunRequest", "RunResult", "confirm_host", "level_of", "run_scenario"]

TARGET_NAME: Final = "target.toml"
LOAD_LEVEL: Final = 2
"""Level of a run that only sends events and reads them back."""
REFERENCE_REQUESTS: Final = 20_000
"""Budget of requests for the embedded reference: a run that needs more has gone astray."""
SEQUENCE_REQUESTS: Final = 400
"""Further requests for each sequence of steps that a run may try, with its share of shrinking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What to run, and where."""

    scenario: Scenario
    seed: int
    runs: Path
    target: Path | None = None
    """None: the embedded reference."""
    allow_hosts: Sequence[str] = ()
    """Hosts off the loopback that the user confirmed."""
    reference_options: Sequence[str] = ()
    """Further flags of the embedded reference."""
    overrides: TargetOverrides = NO_OVERRIDES
    """What the embedded reference's target file says besides."""
    command: str = ""
    sensitivity: int = 0
    """Mutants of its responses to judge once it is over; 0: none."""
    level_asked: bool = True
    """False: the level is a default, which `default_level` of the target limits."""
    prefix: str = ""
    """Begins the names of the events that checks inject; empty: drawn for this run."""
    known: KnownFile | None = None
    """Failures that do not count for the exit status of the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """How it ended."""

    folder: Path
    report: RunReport
    error: BaseException | None = None
    """What cut the run short, where anything did."""

    @property
    def exit_status(self) -> int:
        return self.report.exit_status if self.error is None else exit_status_of(self.error)


def confirm_host(target: Target, allow_hosts: Sequence[str]) -> None:
    """Refuse a target file that leads off the loopback to a host that was not named.

    Every URL of the file counts, those of ingestion and hooks too. Raises UsageProblem.
    """
    unconfirmed = sorted(set(outside_hosts(target)) - set(allow_hosts))
    if unconfirmed:
        flags = " ".join(f"--allow-host {host}" for host in unconfirmed)
        raise UsageProblem(
            f"{target.path}: leads to {', '.join(unconfirmed)}, not this machine. trueup sends "
            "traffic to this machine only, unless you confirm that you may test that host:\n"
            f"  {flags}"
        )


def run_scenario(order: RunRequest, reporter: ProgressReporter | None = None) -> RunResult:
    """Run a scenario against a target, write its folder, and return the result.

    Raises UsageProblem, ConformanceError (a target file that cannot be used) and OwnError before
    a folder exists; after that whatever goes wrong is in `RunResult.error`, and in the journal.
    """
    now = datetime.now(UTC)
    if order.sensitivity and order.scenario.checks is None:
        raise UsageProblem(
            f"{order.scenario.name}: runs no checks, so there is no sensitivity to measure. "
            "Leave --sensitivity out, or name a scenario with a [checks] part."
        )
    if order.scenario.checks is not None:
        check_names(order.scenario.checks.only)
    if order.scenario.capsule is not None and order.target is None:
        raise UsageProblem(
            f"{order.scenario.name}: a capsule needs a target that is still there when it is "
            "harvested. Name its file with --target."
        )
    if order.scenario.load is not None:
        check_local(order.scenario.load)
    with contextlib.ExitStack() as stack:
        level_lowered = False
        if order.target is None:
            text, keys = _start_reference(stack, order)
        else:
            text, keys = "", {}
            target = load_target(order.target)
            if not order.level_asked:
                within = within_level(order.scenario, default_level(target))
                level_lowered = within != order.scenario
                order = replace(order, scenario=within)
            _check_usable(target, order)
        folder = make_run_folder(order.runs, scenario=order.scenario.name, seed=order.seed, now=now)
        if order.target is None:
            (folder / TARGET_NAME).write_text(text, encoding="utf-8")
            target = load_target(folder / TARGET_NAME, {**os.environ, **keys})
            _check_usable(target, order)
        else:
            (folder / TARGET_NAME).write_bytes(order.target.read_bytes())
        writer = stack.enter_context(
            JournalWriter(
                folder / JOURNAL_NAME,
                secrets=target.secrets,
                most_mb=target.budget.journal_mb,
            )
        )
        header = _header(order, target, folder, now)
        writer.write(header)
        if cited := _cited(header.checks):
            writer.write(ContractDeclared(clauses=cited))
        if isinstance(target.ingest, HttpIngest):
            writer.write(_ingest_of(target.ingest))
        context = RunContext(
            target=target,
            writer=writer,
            folder=folder,
            seed=order.seed,
            reporter=reporter or SilentReporter(),
            prefix=order.prefix,
            environment=keys,
        )
        if order.target is not None:
            effects = describe_effects(order.scenario, target, level_lowered=level_lowered)
            context.reporter.notice(effects)
        # A disk that is full is the root of whatever went wrong after it, wrapped or not.
        deadline = Deadline(WallClock(), minutes_of(target, order.scenario))
        error = _work(order.scenario, context, deadline, external=order.target is not None)
        error = writer.failure or error
        status = 0 if error is None else exit_status_of(error)
        interrupted = isinstance(error, KeyboardInterrupt)
        if error is None:
            so_far = build_report(read_journal(folder))
            status = EXIT_STATUS[overall(so_far.results, so_far.load, missing=so_far.missing)]
        try:
            writer.finish(
                finished_at=our_stamp(),
                exit_status=status,
                interrupted=interrupted,
                stopped_by="" if error is None else _in_words(error),
            )
        except JournalWriteError as unsealed:
            error = error or unsealed
    journal = read_journal(folder)
    measured = _sensitivity(order, journal) if error is None else None
    report = build_report(journal, measured, known=order.known)
    try:
        write_all(report, folder)
        _strike_files(folder, target)
    except (ReportError, OSError):
        if error is None:
            raise
    return RunResult(folder=folder, report=report, error=error)


def _sensitivity(order: RunRequest, journal: Journal) -> Sensitivity | None:
    """What the run could have noticed, written beside its journal; None where it is not asked."""
    if not order.sensitivity:
        return None
    found = measure_sensitivity(journal, limit=order.sensitivity, seed=order.seed)
    write_sensitivity(found, journal.path.parent)
    return found


def _in_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__


def _strike_files(folder: Path, target: Target) -> None:
    """Strike keys out of what Locust and its workers left: they write down what a target says."""
    redactor = Redactor(target.secrets)
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in (JOURNAL_NAME, TARGET_NAME):
            said = path.read_bytes()
            struck = redactor.file(said)
            if struck != said:
                path.write_bytes(struck)


def _check_usable(target: Target, order: RunRequest) -> None:
    """Raise UsageProblem where a target cannot be used for a run."""
    confirm_host(target, order.allow_hosts)
    harvests = order.scenario.capsule is not None and order.scenario.capsule.harvest
    if target.ingest is None and order.scenario.checks is None and not harvests:
        raise UsageProblem(
            f"{target.path}: {order.scenario.name} sends events, but the target has no ingestion "
            "endpoint. Add an [ingest] part: see docs/targets.md."
        )
    if target.ingest is not None and _sends(order.scenario):
        driver_of(target)  # what its transport needs must be installed
    if order.scenario.load is not None and target.ingest is not None:
        check_target(order.scenario.load, target)
    if order.scenario.proxied is not None and _loads_proxies(order.scenario):
        raise UsageProblem(
            f"{order.scenario.name}: [proxied] and a load through proxies would be reconciled "
            "under one name. Leave [proxied] out, or name another load scenario."
        )
    known = order.scenario.fleet is not None or order.scenario.proxied is not None
    if known and target.ingest is not None:
        customers_of(target)
    tuple(_declared(order.scenario, target))  # what `only` names must be within reach
    if order.scenario.capsule is not None:
        check_capsule(order.scenario.capsule, target)


def _start_reference(
    stack: contextlib.ExitStack, order: RunRequest
) -> tuple[str, Mapping[str, str]]:
    """Start a reference with a data folder of its own; return its target file, and its keys as
    variables of the environment.
    """
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trueup-")))
    reference = stack.enter_context(
        embedded_reference(data=data, options=("--control", *order.reference_options))
    )
    path = stack.enter_context(restart_socket(reference.restart))
    text = target_file(
        reference.serving,
        requests=_reference_requests(order.scenario),
        restart_path=path,
        overrides=order.overrides,
    )
    return text, key_environment(reference.serving)


def _ingest_of(ingest: HttpIngest) -> IngestDeclared:
    """Return the record of an ingestion endpoint, without the values of its headers."""
    return IngestDeclared(
        url=ingest.url,
        method=ingest.method,
        headers=tuple(ingest.headers),
        compression=ingest.compression,
        event_headers=dict(ingest.event_headers),
        format=ingest.format,
    )


def _reference_requests(scenario: Scenario) -> int:
    """Return the budget of requests for the embedded reference."""
    sequences = scenario.stateful.examples if scenario.stateful is not None else 0
    return REFERENCE_REQUESTS + SEQUENCE_REQUESTS * sequences


def _header(order: RunRequest, target: Target, folder: Path, now: datetime) -> Header:
    return Header(
        trueup=version("trueup"),
        schema=SCHEMA,
        run=folder.name,
        seed=order.seed,
        started_at=stamp(now),
        scenario=order.scenario.name,
        target=target.name,
        base_url=target.base_url,
        level=level_of(order.scenario, target),
        checks=tuple(_declared(order.scenario, target)),
        command=order.command,
        only=_only(order.scenario),
    )


def _cited(declared: Sequence[str]) -> dict[str, str]:
    """Return the sentences of the clauses that the declared checks test, by id."""
    cited = {one for check in all_checks() if check.name in declared for one in check.clauses}
    return {one.id: one.sentence for one in load_clauses() if one.id in cited}


def _only(scenario: Scenario) -> tuple[str, ...]:
    """Return the checks that a run is limited to; empty: all of its level."""
    if scenario.capsule is not None:
        return HARVEST_CHECKS if scenario.capsule.harvest else PLANT_CHECKS
    return scenario.checks.only if scenario.checks is not None else ()


def level_of(scenario: Scenario, target: Target) -> int:
    """Return the level that a run of a scenario reaches with a target."""
    wanted = LOAD_LEVEL
    if scenario.checks is not None:
        wanted = scenario.checks.level
    elif scenario.capsule is not None and scenario.capsule.harvest:
        wanted = 0
    return max(level for level in levels(target) if level <= wanted)


def _sends(scenario: Scenario) -> bool:
    """Return whether a scenario sends events to a target that takes them."""
    reads_only = scenario.checks is None or scenario.checks.level == 0
    plants = scenario.capsule is not None and not scenario.capsule.harvest
    parts = (scenario.fleet, scenario.proxied, scenario.load, scenario.stateful)
    return not reads_only or plants or any(part is not None for part in parts)


def _loads_proxies(scenario: Scenario) -> bool:
    """Return whether the load of a scenario goes through proxies."""
    return scenario.load is not None and plan_of(scenario.load, seed=None).proxied is not None


def _declared(scenario: Scenario, target: Target) -> Iterator[str]:
    """Every check that must report, named before the run."""
    if scenario.fleet is not None and target.ingest is not None:
        yield from traffic_checks("fleet")
    if scenario.proxied is not None and target.ingest is not None:
        yield from traffic_checks(PROXIED)
    if scenario.checks is not None:
        part = scenario.checks
        for check in checks_for(target, level=part.level, only=part.only):
            yield check.name
    if scenario.capsule is not None:
        yield from _only(scenario)
    if scenario.stateful is not None and target.ingest is not None:
        yield STATEFUL
    if scenario.load is not None and target.ingest is not None:
        yield from traffic_checks(PROXIED if _loads_proxies(scenario) else "load")


def _work(
    scenario: Scenario, context: RunContext, deadline: Deadline, *, external: bool
) -> BaseException | None:
    """Do the parts in their order; what cut them short, if anything did. A target that is not ours
    is asked once before traffic goes there: the checks meet it themselves. Its ingestion endpoint
    is tried before any event is sent."""
    traffic = (scenario.fleet, scenario.proxied, scenario.load)
    sends = any(part is not None for part in traffic)
    try:
        if external and sends and context.target.ingest is not None:
            recorder = Recorder(context.writer, secrets=context.target.secrets)
            there = asyncio.run(deadline.within(preflight(context.target, recorder)))
            context = replace(context, ahead=there - datetime.now(UTC))
        if _sends(scenario):
            asyncio.run(check_ingest(context.target))
        if external and (sends or level_of(scenario, context.target) >= LOAD_LEVEL):
            asyncio.run(deadline.within(try_ingestion(context.target)))
        if scenario.fleet is not None and context.target.ingest is not None:
            asyncio.run(deadline.within(run_fleet_part(context, scenario.fleet)))
        if scenario.proxied is not None and context.target.ingest is not None:
            asyncio.run(deadline.within(run_proxied_part(context, scenario.proxied)))
        if scenario.checks is not None:
            asyncio.run(deadline.within(run_checks_part(context, scenario.checks)))
        if scenario.capsule is not None:
            asyncio.run(deadline.within(run_capsule_part(context, scenario.capsule)))
        if scenario.stateful is not None and context.target.ingest is not None:
            run_stateful_part(context, scenario.stateful, deadline)
        if scenario.load is not None and context.target.ingest is not None:
            load = run_proxied_load_part if _loads_proxies(scenario) else run_load_part
            asyncio.run(deadline.within(load(context, scenario.load)))
    except (KeyboardInterrupt, Exception) as error:
        return error
    return None
