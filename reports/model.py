"""A run as its reports show it: one frozen value, made from the journal alone.

Every renderer takes a `RunReport` and nothing else. The order of checks, which are folded under
which, the counts and the exit status are decided here once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from trueup.reports.errors import JournalError
from trueup.reports.journal.records import (
    CapsulePlanted,
    ContractDeclared,
    CoverageSeen,
    Delivered,
    Exchange,
    FleetDeclared,
    Header,
    Hook,
    IngestDeclared,
    LoadResult,
    Phase,
    ReadingSeen,
    Record,
    Result,
    TieOutSeen,
)
from trueup.reports.journal.storage import Journal
from trueup.reports.known_failures import KnownFailures, KnownFile, match_known
from trueup.reports.metrics.load_metrics import LoadFigures, load_figures
from trueup.reports.metrics.sensitivity import Sensitivity
from trueup.reports.results import (
    EXIT_STATUS,
    CheckResult,
    CoverageRow,
    ExitStatus,
    Json,
    Outcome,
    Reading,
    Verdict,
)
from trueup.reports.verdict_styles import KNOWN_ONLY, STATUSES, VERDICTS, StatusStyle
from trueup.reports.verdicts import VerdictCounts, count_verdicts, overall, severity_order

__all__ = ["CheckRow", "RunReport", "RunStage", "SentEvents", "build_report"]

_LOAD: Final = "load"
"""Stage of the control hooks that are called during a load run."""
_FRESHNESS: Final = "freshness"
MANY_REFUSED: Final = 0.1
"""Share of refused events from which their reasons are shown at the top; the impossible events of
the checks are a twentieth."""
MOST_REASONS: Final = 10
"""Reasons of refusals that a report lists."""
"""Stage of the freshness probes of a load run, and the name of their source in the counts."""
_GIVEN_UP: Final = (EXIT_STATUS[ExitStatus.COULD_NOT_TELL], EXIT_STATUS[ExitStatus.USAGE])
"""Exit statuses in footers of runs that stopped because of the target or of their options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check with the evidence for its verdict."""

    result: CheckResult
    dependants: tuple[CheckResult, ...] = ()
    """Checks that this one blocks, directly or through others."""
    exchanges: tuple[Exchange, ...] = ()
    """Requests and responses of the counter-example, in its order."""
    deliveries: tuple[SentBatch, ...] = ()
    """The deliveries that held events of the counter-example, in order, repetitions included."""
    hooks: tuple[Hook, ...] = ()
    """Calls of control hooks that succeeded before the last of `exchanges`, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBatch:
    """Events of one delivery. `overlaps`: it began before the delivery before it had ended."""

    events: tuple[dict[str, Json], ...]
    overlaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStage:
    """A phase of the run; `duration_s` is None where its end was not recorded."""

    name: str
    state: str
    """`end`, `interrupted`, or `begin` for a phase without a recorded end."""
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvents:
    """Events of one source (`probe`, `fleet`, `load`, `freshness`) by outcome."""

    source: str
    accepted: int
    refused: int
    unknown: int
    reasons: tuple[tuple[str, int], ...] = ()
    """Reasons of refusals and how many events each concerns, the most frequent first."""

    @property
    def many_refused(self) -> bool:
        """Return whether more events were refused than a run's impossible ones explain."""
        count = self.accepted + self.refused + self.unknown
        return self.refused > MANY_REFUSED * count


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything that a report may show of one run."""

    journal: Path
    header: Header
    status: ExitStatus
    counts: VerdictCounts
    rows: tuple[CheckRow, ...]
    """Most severe first; blocked checks are folded under the one that blocks them."""
    missing: tuple[str, ...]
    """Checks that had to report and did not: declared ones, and those of `undeclared`."""
    undeclared: tuple[str, ...]
    """Checks that a run of this level had to evaluate and that its header does not declare: the
    journal was changed, or is not one of ours. Known only where the caller recomputed them."""
    readings: tuple[Reading, ...]
    tie_outs: tuple[TieOutSeen, ...]
    ingest: IngestDeclared | None
    """How events were sent over HTTP; None where they were not, or nothing was recorded of it."""
    coverage: tuple[CoverageRow, ...]
    """Classes of the contract's dimensions, each once; empty where the run recorded none."""
    load: tuple[LoadResult, ...]
    figures: tuple[LoadFigures, ...]
    """The same load runs with the figures derived from them."""
    fleets: tuple[FleetDeclared, ...]
    sent: tuple[SentEvents, ...]
    stages: tuple[RunStage, ...]
    requests: int
    """Number of requests to the target that were recorded."""
    interrupted: bool
    """Cut short by the user, or because the process ended without a footer."""
    ended_early: bool
    """Cut short, or given up because the target could not be checked, so that missing checks were
    not reached. In a run that completed, a missing check is an error of trueup."""
    stopped_by: str
    """What ended the run early, in words; empty where nothing did or it is not known."""
    finished_at: str
    """Empty where the run was cut short."""
    duration_s: float | None
    clauses: Mapping[str, str]
    """Id → sentence of the clauses that the checks test; empty where the run recorded none."""
    planted: CapsulePlanted | None = None
    """The capsule that the run harvested; None: it harvested none."""
    sensitivity: Sensitivity | None = None
    """How many changed responses the run would have noticed, where that was measured."""
    known: KnownFailures | None = None
    """The failures that are known, where a file of them was given."""
    durations: Mapping[str, float]
    """Check → its part of the time of its phases, seconds: the checks of a phase share its requests
    and are evaluated together, so that each has an even part and the sum is the time taken."""
    news: ExitStatus
    """`status` without what is known; the same where no file was given."""

    @property
    def exit_status(self) -> int:
        """Exit status of a process that made this run: that of what is not known."""
        return EXIT_STATUS[self.news]

    @property
    def style(self) -> StatusStyle:
        """How the end of the run is shown."""
        if self.news is ExitStatus.CONFORMS and self.status is not ExitStatus.CONFORMS:
            return KNOWN_ONLY
        return STATUSES[self.news]

    @property
    def results(self) -> tuple[CheckResult, ...]:
        """All results in one list, most severe first, folded ones included."""
        flat = [r for row in self.rows for r in (row.result, *row.dependants)]
        return tuple(sorted(flat, key=severity_order))


def build_report(
    journal: Journal,
    sensitivity: Sensitivity | None = None,
    *,
    required: Sequence[str] = (),
    known: KnownFile | None = None,
) -> RunReport:
    """Return the report of a run, made from its journal. Pure.

    `required` names the checks that had to be evaluated, recomputed from the run's level and
    records (`trueup.conformance.judge.required_checks`); one that the header leaves out is
    reported as missing, and the run is not said to conform. Left out, the header is trusted.
    `sensitivity` is what was measured on the run later, `known` a file of known failures.
    Raises JournalError, naming the file, where a load record holds what cannot have been measured.
    """
    header, footer = journal.header, journal.footer
    results = [r.result for r in journal.records if isinstance(r, Result)]
    load = [r for r in journal.records if isinstance(r, LoadResult)]
    exchanges = [r for r in journal.records if isinstance(r, Exchange)]
    delivered = [r for r in journal.records if isinstance(r, Delivered)]
    planted = next((r for r in journal.records if isinstance(r, CapsulePlanted)), None)
    begun = planted.opened_at if planted is not None else ""
    reported = {result.check for result in results}
    undeclared = tuple(name for name in required if name not in header.checks)
    missing = tuple(name for name in (*header.checks, *undeclared) if name not in reported)
    interrupted = footer is None or footer.interrupted
    ended_early = interrupted or (footer is not None and footer.exit_status in _GIVEN_UP)
    finished_at = footer.finished_at if footer else ""
    matched = _known(known, results, load, header) if known is not None else None

    def status(results: Sequence[CheckResult], load: Sequence[LoadResult]) -> ExitStatus:
        early = {"ended_early": ended_early, "undeclared": bool(undeclared)}
        return _status(journal, results, load, missing, **early)

    return RunReport(
        journal=journal.path,
        header=header,
        status=status(results, load),
        known=matched,
        durations=_durations(journal.records),
        news=status(*_excused(results, load, matched)),
        counts=count_verdicts(results, missing=len(missing)),
        rows=_rows(
            results,
            exchanges,
            delivered,
            [r for r in journal.records if isinstance(r, Hook) and r.ok and not r.check],
            frozenset(matched.checks if matched else ()),
        ),
        missing=missing,
        undeclared=undeclared,
        # Each part of a run declares its readings; the same one is shown once.
        readings=tuple(
            dict.fromkeys(r.reading for r in journal.records if isinstance(r, ReadingSeen))
        ),
        tie_outs=tuple(r for r in journal.records if isinstance(r, TieOutSeen)),
        ingest=next((r for r in journal.records if isinstance(r, IngestDeclared)), None),
        coverage=_coverage([r for r in journal.records if isinstance(r, CoverageSeen)]),
        load=tuple(load),
        figures=_figures(journal, load),
        fleets=tuple(r for r in journal.records if isinstance(r, FleetDeclared)),
        sent=_sent([each for each in delivered if each.at >= begun]),
        stages=_stages([r for r in journal.records if isinstance(r, Phase)]),
        requests=sum(each.at >= begun for each in exchanges),
        interrupted=interrupted,
        ended_early=ended_early,
        stopped_by=footer.stopped_by if footer else "",
        finished_at=finished_at,
        duration_s=_seconds_between(header.started_at, finished_at),
        clauses=_clauses(journal, results),
        planted=planted,
        sensitivity=sensitivity,
    )


def _figures(journal: Journal, load: Sequence[LoadResult]) -> tuple[LoadFigures, ...]:
    hooks = [r for r in journal.records if isinstance(r, Hook) and r.stage == _LOAD]
    try:
        return tuple(load_figures(one, hooks) for one in load)
    except JournalError as error:
        raise JournalError(f"{journal.path}: {error}") from error


def _status(
    journal: Journal,
    results: Sequence[CheckResult],
    load: Sequence[LoadResult],
    missing: Sequence[str],
    *,
    ended_early: bool,
    undeclared: bool,
) -> ExitStatus:
    """The status that the records give, unless the run itself ended in an error that outranks it.

    A journal that leaves out checks which had to be evaluated proves nothing but its failures.
    """
    recorded = journal.footer.exit_status if journal.footer else None
    status = overall(results, load, missing=missing, interrupted=ended_early or undeclared)
    by_number = {number: name for name, number in EXIT_STATUS.items()}
    said = by_number.get(recorded) if recorded is not None else None
    if said in (ExitStatus.OUR_ERROR, ExitStatus.USAGE) and status is not ExitStatus.VIOLATES:
        return said
    return status


def _rows(
    results: Sequence[CheckResult],
    exchanges: Sequence[Exchange],
    delivered: Sequence[Delivered],
    hooks: Sequence[Hook],
    known: frozenset[str],
) -> tuple[CheckRow, ...]:
    """Rows, most severe first, those of known failures after the others that need attention; a
    blocked check is folded under the finding that blocks it."""
    by_number = {exchange.n: exchange for exchange in exchanges}
    by_name = {result.check: result for result in results}
    folded: defaultdict[str, list[CheckResult]] = defaultdict(list)
    standing: list[CheckResult] = []
    for result in results:
        cause = _cause(result, by_name)
        if cause is None:
            standing.append(result)
        else:
            folded[cause.check].append(result)
    rows = []

    def order(result: CheckResult) -> tuple[bool, bool, tuple[int, int, str, str]]:
        calm = VERDICTS[result.verdict].tone not in ("bad", "doubt")
        return (calm, result.check in known, severity_order(result))

    for result in sorted(standing, key=order):
        evidence, deliveries = _evidence(result, by_number), _deliveries_of(result, delivered)
        row = CheckRow(
            result=result,
            dependants=tuple(sorted(folded.pop(result.check, ()), key=severity_order)),
            exchanges=evidence,
            deliveries=_sent_batches(deliveries),
            hooks=_hooks_between(deliveries, evidence, hooks),
        )
        rows.append(row)
    return tuple(rows)


def _cause(result: CheckResult, by_name: Mapping[str, CheckResult]) -> CheckResult | None:
    """The check at the end of the chain of `blocked_by` that starts at a blocked result.

    None where the result is not blocked, or where the chain ends at no finding: it then stands
    alone, so that no blocked check disappears under one that passed.
    """
    followed = {result.check}
    cause: CheckResult | None = result
    while cause is not None and cause.verdict is Verdict.BLOCKED:
        cause = by_name.get(cause.blocked_by)
        if cause is not None and cause.check in followed:
            return None
        followed |= {cause.check} if cause is not None else set()
    if cause is None or cause is result:
        return None
    return cause if VERDICTS[cause.verdict].tone in ("bad", "doubt") else None


def _clauses(journal: Journal, results: Sequence[CheckResult]) -> dict[str, str]:
    """Sentences of the contract, and those that packages with checks of their own add."""
    texts: dict[str, str] = {}
    for record in journal.records:
        if isinstance(record, ContractDeclared):
            texts |= record.clauses
    for result in results:
        texts |= result.clause_texts
    return texts


def _known(
    file: KnownFile, results: Sequence[CheckResult], load: Sequence[LoadResult], header: Header
) -> KnownFailures:
    """The file compared with the run; a blocked check shares the fate of its cause."""
    by_name = {result.check: result for result in results}
    causes = {
        result.check: cause.check
        for result in results
        if (cause := _cause(result, by_name)) is not None
    }
    return match_known(file, results, causes, load, header.started_at)


def _excused(
    results: Sequence[CheckResult], load: Sequence[LoadResult], known: KnownFailures | None
) -> tuple[list[CheckResult], list[LoadResult]]:
    """Results in which known failures are warnings, and loads without thresholds known to fail."""
    if known is None:
        return list(results), list(load)
    left = [
        replace(result, verdict=Verdict.WARN) if result.check in known.checks else result
        for result in results
    ]
    # Accepted events are wrong only where a check of the reconciliation fails, which counts itself.
    wrong = any(result.verdict is Verdict.FAIL for result in left) or not known.checks
    return left, [
        replace(
            one,
            thresholds=tuple(t for t in one.thresholds if t.name not in known.thresholds),
            events=one.events
            if wrong or one.events.correct is None
            else replace(one.events, correct=one.events.accepted),
        )
        for one in load
    ]


def _coverage(records: Sequence[CoverageSeen]) -> tuple[CoverageRow, ...]:
    """Every class once, in the order of its first record; one that was reached stays so."""
    rows: dict[tuple[str, str, str], CoverageRow] = {}
    for record in records:
        for row in record.rows:
            key = (row.table, row.dimension, row.name)
            if key not in rows or row.reached:
                rows[key] = row
    return tuple(rows.values())


def _evidence(result: CheckResult, by_number: Mapping[int, Exchange]) -> tuple[Exchange, ...]:
    if result.counterexample is None:
        return ()
    return tuple(by_number[n] for n in result.counterexample.exchanges if n in by_number)


def _deliveries_of(result: CheckResult, delivered: Sequence[Delivered]) -> tuple[Delivered, ...]:
    """Return every delivery of an event of the counter-example."""
    if result.counterexample is None:
        return ()
    wanted = {_id_of(event) for event in result.counterexample.events} - {""}
    return tuple(d for d in delivered if any(_id_of(event) in wanted for event in d.events))


def _sent_batches(deliveries: Sequence[Delivered]) -> tuple[SentBatch, ...]:
    """Return deliveries with all of their events.

    Those that were sent with an event are kept: what became of it may hang on them.
    """
    found: list[SentBatch] = []
    ended: datetime | None = None
    for one in deliveries:
        end = _time(one.at)
        began = end - timedelta(milliseconds=one.elapsed_ms) if end is not None else None
        overlaps = began is not None and ended is not None and began < ended
        found.append(SentBatch(events=one.events, overlaps=overlaps))
        ended = end
    return tuple(found)


def _hooks_between(
    deliveries: Sequence[Delivered], evidence: Sequence[Exchange], hooks: Sequence[Hook]
) -> tuple[Hook, ...]:
    """Return the hooks that were called from the first event shown to the last response."""
    first = min((delivery.at for delivery in deliveries), default="")
    last = max((exchange.at for exchange in evidence), default="")
    return tuple(hook for hook in hooks if first <= hook.at <= last)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _id_of(event: Mapping[str, Json]) -> str:
    """The id of an event; empty where it has none that is a text."""
    found = event.get("log_id")
    return found if isinstance(found, str) else ""


def _sent(deliveries: Sequence[Delivered]) -> tuple[SentEvents, ...]:
    counts: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for delivery in deliveries:
        for outcome in delivery.outcomes:
            marks = delivery.source == _LOAD and delivery.stage == _FRESHNESS
            source = _FRESHNESS if marks else delivery.source
            counts[source][outcome.outcome] += outcome.count
            if outcome.outcome is Outcome.REFUSED:
                reasons[source][outcome.reason] += outcome.count
    return tuple(
        SentEvents(
            source=source,
            accepted=count[Outcome.ACCEPTED],
            refused=count[Outcome.REFUSED],
            unknown=count[Outcome.UNKNOWN],
            reasons=tuple(reasons[source].most_common(MOST_REASONS)),
        )
        for source, count in counts.items()
    )


def _stages(phases: Sequence[Phase]) -> tuple[RunStage, ...]:
    began: dict[str, str] = {}
    stages: dict[str, RunStage] = {}
    for phase in phases:
        if phase.state == "begin":
            began[phase.name] = phase.at
            stages[phase.name] = RunStage(name=phase.name, state="begin", duration_s=None)
        else:
            seconds = _seconds_between(began.get(phase.name, ""), phase.at)
            stages[phase.name] = RunStage(name=phase.name, state=phase.state, duration_s=seconds)
    return tuple(stages.values())


def _durations(records: Sequence[Record]) -> dict[str, float]:
    """Check → an even part of the time of the phases that its verdict rests on.

    A verdict rests on the phase in which it is written down, or on those that ended since the
    verdicts before it.
    """
    shares: dict[str, float] = {}
    began: dict[str, str] = {}
    spans: list[tuple[str, str]] = []
    group: list[str] = []

    def share() -> None:
        spent = _seconds_between(spans[0][0], spans[-1][1]) if spans else None
        shares.update(dict.fromkeys(group, (spent or 0.0) / max(len(group), 1)))
        spans.clear()
        group.clear()

    for record in records:
        match record:
            case Phase(state="begin"):
                if group and not began:
                    share()
                began[record.name] = record.at
            case Phase():
                start = began.pop(record.name, "")
                if group:
                    spans.clear()
                spans.append((start, record.at))
                if group and not began:
                    share()
            case Result():
                group.append(record.result.check)
            case _:
                pass
    share()
    return shares


def _seconds_between(start: str, end: str) -> float | None:
    """Seconds from one ISO 8601 time to another; None where either cannot be read."""
    try:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0.0, seconds)
