"""Measure the checks with the finished product, through its public interfaces only.

`python benchmarks/judge.py [--json] [--seeds N] [--only PART]...` starts embedded references,
checks them and prints what that took and whether the evaluation is reliable: the same verdicts for
every seed, the same from a journal, no key in any file, no trace of an audit, short
counter-examples. Each part is bounded in time. Exit status 1 if a goal is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from tests.shared_tenant.environment import (
    audit_file,
    run_environment,
    run_in_environment,
    snapshot,
)
from tests.shared_tenant.leaking_proxy import behind_leaking_proxy, occurrences
from trueup.reports.journal.records import Delivered, Exchange, Hook
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import CheckResult, Verdict
from trueup.scenarios.mutation.register import (
    VariantSetup,
    load_mutants,
    load_variant_setups,
    quick_ids,
)
from trueup.scenarios.mutation.trial import Trial, TrialPlan
from trueup.scenarios.mutation.trial import run_trial as try_one
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, run_scenario
from trueup.scenarios.scenario import ChecksPart, Scenario

Figures = dict[str, Any]
PART_LIMIT_S: Final = 150.0
"""No part takes longer; what was not reached is reported."""
MOST_REQUESTS: Final = 1200
MOST_WALL_S: Final = 20.0
FLEET: Final = 3000
"""Events that an audited account has."""
SLOW: Final = ("V6", "V11")
"""Variants whose trials take longest: summaries late, and reads by replicas that lag.
`--only slowest` measures all."""
FAULTY: Final = ("A2", "D5", "G3")
WORKERS: Final = len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """A figure that must be reached: its path in the figures, and its test."""

    figure: str
    what: str
    met: Callable[[Any], bool]


def check(runs: Path, _seeds: int) -> Figures:
    """Return requests and wall time of complete checks of the reference."""
    return {f"L{level}": _whole(_plain(runs, level=level)) for level in (3, 4)}


def _plain(runs: Path, *, level: int = 3, options: Sequence[str] = (), seed: int = 7) -> RunResult:
    scenario = Scenario(name="benchmark", what="the laws", checks=ChecksPart(level=level))
    done = run_scenario(
        RunRequest(scenario=scenario, seed=seed, runs=runs, reference_options=options)
    )
    if done.error is not None:
        raise done.error
    return done


def _whole(done: RunResult) -> Figures:
    return {
        "requests": done.report.requests,
        "wall_s": done.report.duration_s,
        "checks": len(done.report.results),
        "exit_status": done.exit_status,
    }


def audit(runs: Path, _seeds: int) -> Figures:
    """Return figures of an audit of level 0 at the default pace, and of what it left behind."""
    with (
        run_environment(runs) as at,
        behind_leaking_proxy(at, runs / "wire.toml") as (behind, wire),
    ):
        run_in_environment(at, runs / "fleet", level=-1, fleet=FLEET)
        before = snapshot(at)
        target = audit_file(behind, runs / "audit.toml")
        done = run_in_environment(behind, runs / "audit", level=0, target=target)
        after = snapshot(at)
    records = read_journal(done.folder).records
    asked = [record for record in records if isinstance(record, Exchange)]
    wrote = [record for record in records if isinstance(record, Delivered | Hook)]
    return _whole(done) | {
        "requests_per_s": round(len(asked) / max(done.report.duration_s or 0, 0.001), 2),
        "not_get_in_journal": sum(record.method != "GET" for record in asked),
        "deliveries_and_hooks_in_journal": len(wrote),
        "not_get_on_the_wire": sum(n for (verb, _), n in wire.seen.items() if verb != "GET"),
        "rows_of_the_account": sum(map(len, before.values())),
        "account_changed": before != after,
        "verdicts": _count_verdicts(done.report.results),
        "undecided": {
            result.check: result.reason
            for result in done.report.results
            if result.verdict is Verdict.INCONCLUSIVE
        },
    }


def _count_verdicts(results: Sequence[CheckResult]) -> dict[str, int]:
    verdicts = [str(result.verdict) for result in results]
    return {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}


# --- many trials


def _try(plan: TrialPlan) -> tuple[str, Trial]:
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        return plan.id, try_one(plan, Path(folder))


def _trials(plans: Sequence[TrialPlan]) -> list[tuple[str, Trial]]:
    """Run trials in processes of their own, one a core, in the order of the plans, until the time
    limit.
    """
    until = time.monotonic() + PART_LIMIT_S
    spawn = multiprocessing.get_context("spawn")
    done: list[tuple[str, Trial]] = []
    with ProcessPoolExecutor(WORKERS, spawn) as pool:
        for first in range(0, len(plans), WORKERS):
            if time.monotonic() > until:
                break
            done += pool.map(_try, plans[first : first + WORKERS])
    return done


def _variant(name: str, seed: int = 7) -> TrialPlan:
    if name == "reference":
        return TrialPlan(id=name, options=(), seed=seed)
    how = load_variant_setups().get(name, VariantSetup())
    return TrialPlan(
        id=name, options=("--variant", name, *how.options), seed=seed, overrides=how.overrides
    )


def slowest(_runs: Path, _seeds: int) -> Figures:
    """Return the wall time of one trial of every variant, the slowest first."""
    trials = _trials([_variant(entry.id) for entry in load_mutants().variants])
    ranked = sorted(trials, key=lambda each: -each[1].wall_s)
    return {"wall_s": {name: round(trial.wall_s, 2) for name, trial in ranked}}


def flips(_runs: Path, seeds: int) -> Figures:
    """Return the checks whose verdict is not the same with every seed."""
    slow = max(_trials([_variant(name) for name in SLOW]), key=lambda each: each[1].wall_s)[0]
    return {name: _flips_of(name, seeds) for name in ("reference", slow)}


def _flips_of(name: str, seeds: int) -> Figures:
    trials = [trial for _, trial in _trials([_variant(name, n) for n in range(1, seeds + 1)])]
    said: dict[str, set[str]] = {}
    for trial in trials:
        for result in trial.results:
            said.setdefault(result.check, set()).add(str(result.verdict))
    flipped = {found: sorted(verdicts) for found, verdicts in said.items() if len(verdicts) > 1}
    return {
        "seeds": len(trials),
        "checks": len(said),
        "flips": len(flipped),
        "flipped": flipped,
        "void": [trial.error for trial in trials if not trial.results],
        "wall_s_median": round(statistics.median(trial.wall_s for trial in trials), 2),
        "requests_median": statistics.median(trial.requests for trial in trials),
    }


# --- judging again, and secrets


def agreement(runs: Path, _seeds: int) -> Figures:
    """Return whether `trueup judge` reaches a run's verdicts from its journal."""
    found: Figures = {}
    for name in ("clean", *FAULTY):
        options = () if name == "clean" else ("--fault", name)
        done = _plain(runs / name, level=4, options=options)
        again = subprocess.run(
            [sys.executable, "-m", "trueup", "judge", str(done.folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = again.stdout.strip().splitlines() or [again.stderr.strip()]
        found[name] = {
            "verdicts": _count_verdicts(done.report.results),
            "agrees": again.returncode == done.exit_status and "agree with" in said[-1],
            "said": said[-1],
        }
    found["disagreeing"] = sum(not found[name]["agrees"] for name in ("clean", *FAULTY))
    return found


def secrets(runs: Path, _seeds: int) -> Figures:
    """Return where a key is found in the files of a run, by how the target repeats keys."""
    found: Figures = {}
    os.environ["BENCHMARK_INGEST_KEY"] = "the-real-ingest-key"
    for ways in ((), ("bodies",), ("headers",), ("refusals",)):
        folder = runs / ("-".join(ways) or "discreet")
        folder.mkdir()
        with (
            run_environment(folder, "--ingest-key-env", "BENCHMARK_INGEST_KEY") as at,
            behind_leaking_proxy(at, folder / "wire.toml", repeats=ways) as (behind, wire),
        ):
            done = run_in_environment(behind, folder / "runs", level=2, fleet=200)
        found["-".join(ways) or "discreet"] = {
            "repeated": sum(wire.echoed.values()),
            "files": sum(file.is_file() for file in done.folder.rglob("*")),
            "occurrences": occurrences(done.folder),
        }
    found["occurrences"] = sum(len(each["occurrences"]) for each in found.values())
    return found


# --- evidence


def examples(_runs: Path, _seeds: int) -> Figures:
    """Return sizes of counter-examples over the quick mutants, and failed checks before and after
    folding.
    """
    quick = quick_ids()
    names = [entry.id for entry in load_mutants().faults if entry.id in quick]
    trials = _trials([TrialPlan(id=n, options=("--fault", n), seed=7) for n in names])
    shown = [r for _, trial in trials for r in trial.results if r.verdict is Verdict.FAIL]
    cases = [result.counterexample for result in shown if result.counterexample]
    red = {name: _red(trial.results) for name, trial in trials}
    return {
        "faults": len(trials),
        "failed_checks": len(shown),
        "with_counterexample": len(cases),
        "events": _spread([len(case.events) for case in cases]),
        "requests": _spread([len(case.exchanges) for case in cases]),
        "red_before_folding": _spread([before for before, _ in red.values()]),
        "red_after_folding": _spread([after for _, after in red.values()]),
        "most_red": max(red, key=lambda name: red[name][1]),
        "not_convicted": [name for name, (_, after) in red.items() if not after],
    }


def _red(results: Sequence[CheckResult]) -> tuple[int, int]:
    """Return the failures with those folded under another, and without."""
    failed = sum(result.verdict is Verdict.FAIL for result in results)
    folded = sum(
        result.verdict is Verdict.BLOCKED
        and bool(result.counterexample and result.counterexample.differences)
        for result in results
    )
    return failed + folded, failed


def _spread(values: Sequence[int]) -> Figures:
    if not values:
        return {"n": 0}
    ranked = sorted(values)
    p95 = ranked[min(len(ranked) - 1, round(0.95 * (len(ranked) - 1)))]
    return {"median": statistics.median(ranked), "p95": p95, "most": ranked[-1]}


PARTS: Final[Mapping[str, Callable[[Path, int], Figures]]] = {
    part.__name__: part for part in (check, audit, flips, agreement, secrets, examples, slowest)
}
DEFAULT: Final = tuple(name for name in PARTS if name != "slowest")
GOALS: Final = (
    Goal(figure="check.L3.requests", what="at most 1,200", met=lambda n: n <= MOST_REQUESTS),
    Goal(figure="check.L3.wall_s", what="under 20 s", met=lambda s: s < MOST_WALL_S),
    Goal(figure="check.L3.exit_status", what="0", met=lambda n: n == 0),
    Goal(figure="check.L4.exit_status", what="0", met=lambda n: n == 0),
    Goal(figure="audit.exit_status", what="0 or 2: no alarm", met=lambda n: n in (0, 2)),
    Goal(figure="audit.not_get_in_journal", what="0", met=lambda n: n == 0),
    Goal(figure="audit.deliveries_and_hooks_in_journal", what="0", met=lambda n: n == 0),
    Goal(figure="audit.not_get_on_the_wire", what="0", met=lambda n: n == 0),
    Goal(figure="audit.account_changed", what="no", met=lambda yes: not yes),
    Goal(figure="flips.*.flips", what="0", met=lambda n: n == 0),
    Goal(figure="flips.*.void", what="none", met=lambda names: not names),
    Goal(figure="agreement.disagreeing", what="0", met=lambda n: n == 0),
    Goal(figure="secrets.occurrences", what="0", met=lambda n: n == 0),
    Goal(figure="examples.not_convicted", what="none", met=lambda names: not names),
)


def missed(figures: Figures) -> list[str]:
    """Return the goals that were measured and not met, a sentence each."""
    return [
        f"{where}: {value}, expected {goal.what}"
        for goal in GOALS
        for where, value in _at(figures, goal.figure.split("."), "")
        if not goal.met(value)
    ]


def _at(figures: Figures, path: Sequence[str], where: str) -> list[tuple[str, Any]]:
    if not path:
        return [(where, figures)]
    names = list(figures) if path[0] == "*" else [name for name in path[:1] if name in figures]
    return [
        found
        for name in names
        for found in _at(figures[name], path[1:], f"{where}.{name}".lstrip("."))
    ]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--seeds", type=click.IntRange(2, 100), default=20, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="May be given again.")
def main(as_json: bool, seeds: int, only: tuple[str, ...]) -> None:
    """Measure the judge on the embedded reference."""
    figures: Figures = {}
    since = time.monotonic()
    for name in only or DEFAULT:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
            figures[name] = PARTS[name](Path(folder), seeds)
        took = time.monotonic() - began
        if not as_json:
            click.echo(f"{name} ({took:.1f} s)\n{_table(figures[name])}\n")
    figures["wall_s"] = round(time.monotonic() - since, 1)
    figures["missed"] = missed(figures)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        click.echo("\n".join(f"missed: {line}" for line in figures["missed"]) or "all goals met")
    sys.exit(1 if figures["missed"] else 0)


def _table(figures: Figures, indent: str = "  ") -> str:
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict) and any(isinstance(each, dict) for each in value.values()):
            lines += [f"{indent}{name}", _table(value, indent + "  ")]
        else:
            shown = json.dumps(value) if isinstance(value, dict | list) else value
            lines.append(f"{indent}{name:<32} {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
