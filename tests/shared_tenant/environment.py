"""A running reference and target files for it.

Runs that share one reference cannot each start their own, so it is started here and described by
a target file with its keys in the environment, like a deployment.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.request import Request, urlopen

from trueup.conformance.datasets.depth import Depth
from trueup.reports.results import CheckResult
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, run_scenario
from trueup.scenarios.scenario import ChecksPart, FleetPart, Scenario

__all__ = [
    "Environment",
    "ask",
    "audit_file",
    "describe",
    "move_clock",
    "run_environment",
    "run_in_environment",
    "snapshot",
    "verdicts",
]

REQUESTS = 20_000
"""Budget of one run: a run that needs more has gone astray."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A running reference, its URLs and its keys."""

    serving: Serving
    target: Path
    environment: Mapping[str, str]


def describe(serving: Serving, path: Path) -> Environment:
    """Write a target file with every control hook but the restart."""
    path.write_text(target_file(serving, requests=REQUESTS), encoding="utf-8")
    return Environment(serving=serving, target=path, environment=key_environment(serving))


@contextlib.contextmanager
def run_environment(folder: Path, *options: str) -> Iterator[Environment]:
    """Run a reference with control hooks for the length of a `with` block."""
    with tempfile.TemporaryDirectory(prefix="trueup-") as data:
        options = ("--control", *options)
        with embedded_reference(data=Path(data), options=options) as reference:
            yield describe(reference.serving, folder / "target.toml")


def audit_file(at: Environment, path: Path, *, budget: str = "") -> Path:
    """Write a target file for level 0: two pairs of keys and the default budget."""
    lines = ['name = "account"', f'base_url = "{at.serving.url}"']
    for letter in "ab"[: len(at.serving.tenants)]:
        lines += [f"[tenants.{letter}]"]
        for kind in ("public", "private"):
            variable = f"TRUEUP_{letter.upper()}_{kind.upper()}_KEY"
            lines += [f'{kind}_key = {{ env = "{variable}" }}']
    path.write_text("\n".join([*lines, budget, ""]), encoding="utf-8")
    return path


def run_in_environment(
    at: Environment,
    runs: Path,
    *,
    level: int,
    target: Path | None = None,
    fleet: int = 0,
    only: Sequence[str] = (),
    seed: int = 7,
) -> RunResult:
    """Send `fleet` events of fleet traffic, then run the checks of a level; level -1: no checks.

    The checks have depth `quick`.
    """
    scenario = Scenario(
        name="noise",
        what="the laws among shared tenant",
        fleet=FleetPart(events=fleet) if fleet else None,
        checks=ChecksPart(level=level, only=tuple(only), depth=Depth.QUICK) if level >= 0 else None,
    )
    with patch.dict(os.environ, at.environment):
        return run_scenario(
            RunRequest(scenario=scenario, seed=seed, runs=runs, target=target or at.target)
        )


def verdicts(results: Sequence[CheckResult]) -> dict[str, str]:
    """Return the verdict of each check by its name."""
    return {result.check: str(result.verdict) for result in results}


def ask(at: Environment, path: str, tenant: int = 0) -> dict[str, Any]:
    """Send a GET with a tenant's keys below the public prefix; return the decoded body."""
    keys = at.serving.tenants[tenant]
    headers = {"X-API-Public-Key": keys.public_key, "X-API-Private-Key": keys.private_key}
    request = Request(f"{at.serving.url}/public/user/{path}", headers=headers)
    with urlopen(request, timeout=20) as answer:
        body = json.load(answer)
    assert isinstance(body, dict)
    return body


def move_clock(at: Environment, now: str) -> None:
    """Move the clock of the reference forward to `YYYY-MM-DD HH:MM:SS`."""
    serving = at.serving
    assert serving.control_key is not None
    request = Request(
        f"{serving.control_url}/clock",
        data=json.dumps({"now": now}).encode(),
        headers={"X-Control-Key": serving.control_key, "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def snapshot(at: Environment) -> dict[str, Rows]:
    """Return what the API shows of every tenant: all rows of all searches, and the pools."""
    seen: dict[str, Rows] = {}
    for n in range(len(at.serving.tenants)):
        for kind in ("log", "log_summary", "residential_ledger", "mobile_ledger", "proxy_user"):
            seen[f"{n} {kind}"] = _all_rows(at, f"{kind}/search", n)
        for pool in ("residential", "mobile"):
            seen[f"{n} {pool}"] = [ask(at, f"{pool}/summary", n)["data"]]
    return seen


def _all_rows(at: Environment, path: str, tenant: int) -> Rows:
    rows: Rows = []
    for page in range(1, 1000):
        found = ask(at, f"{path}?per_page=100&page={page}", tenant)["data"]
        rows += found
        if not found:
            return sorted(rows, key=json.dumps)
    raise AssertionError(f"{path} does not end")
