"""Evidence reproduces: a script shows its difference on the faulty target and on no other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.embedded import started
from trueup.conformance.datasets.depth import Depth
from trueup.reports.journal.storage import read_journal
from trueup.reports.model import CheckRow, build_report
from trueup.reports.results import Difference, Verdict
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import ChecksPart, Scenario

pytestmark = pytest.mark.slow
ATTEMPTS = 5
"""Runs of a script whose difference is a race, each on a new target."""


def failing(folder: Path, fault: str, law: str) -> tuple[CheckRow, Path]:
    """Run the checks on a faulty reference; the failing row of a law, and its script."""
    checks = ChecksPart(level=3, depth=Depth.QUICK)
    scenario = Scenario(name="check", what="-", checks=checks)
    options = ("--fault", fault)
    request = RunRequest(scenario=scenario, seed=7, runs=folder, reference_options=options)
    result = run_scenario(request)
    if result.error is not None:
        raise result.error
    rows = build_report(read_journal(result.folder)).rows
    row = next(r for r in rows if r.result.law == law and r.result.verdict is Verdict.FAIL)
    return row, result.folder / "evidence" / f"{row.result.check}.sh"


def replayed(script: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Run a script against a new reference; the rows of all JSON responses."""
    with started(*options) as serving:
        environment = {
            "PATH": "/usr/bin:/bin",
            "BASE_URL": serving["url"],
            "INGEST_URL": serving["ingest_url"],
            **{
                f"TRUEUP_{letter}_{kind.upper()}": tenant[kind]
                for letter, tenant in zip("AB", serving["tenants"], strict=False)
                for kind in ("public_key", "private_key")
            },
        }
        done = subprocess.run(
            ["sh", str(script)], env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        # Responses to requests sent at the same time can share a line.
        while line.startswith("{"):
            body, end = json.JSONDecoder().raw_decode(line)
            line = line[end:]
            data = body.get("data")
            yield from data if isinstance(data, list) else [data] if isinstance(data, dict) else ()


def cells(rows: Iterator[dict[str, Any]]) -> dict[tuple[str, int], set[str]]:
    """What summary rows show, in the words of a difference, by its place and the customer."""
    found: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        if "log_summary_requests" in row:
            place = " · ".join(
                str(row[name])
                for name in ("proxy_user_id", "log_summary_network", "log_summary_hostname")
            )
            requests = row["log_summary_requests"]
            shown = f"{requests:,} request{'' if requests == 1 else 's'}, "
            shown += f"{row['log_summary_bytes']:,} bytes"
            place = f"{place} · {row['log_summary_period'][:10]}"
            found.setdefault((place, row["customer_id"]), set()).add(shown)
    return found


def shown_at(
    rows: Iterator[dict[str, Any]], differences: Sequence[Difference]
) -> list[tuple[Difference, set[str]]]:
    """The differences of a check whose cell the responses of a script show, with what they show.

    Both customers have cells of one place; each is an item of its own.
    """
    found = cells(rows)
    return [
        (difference, shown)
        for difference in differences
        for (place, _), shown in found.items()
        if difference.where.startswith("log_summary/search") and difference.where.endswith(place)
    ]


@pytest.mark.parametrize(("fault", "law"), [("A2", "SUM=LOG"), ("B1", "SUM=LOG")])
def test_a_script_shows_its_difference_on_the_faulty_target_only(
    tmp_path: Path, fault: str, law: str
) -> None:
    """Deliveries are repeated whole, and at the same time where they overlapped in the run (B1)."""
    row, script = failing(tmp_path, fault, law)
    assert row.result.counterexample is not None
    differences = row.result.counterexample.differences
    assert any(  # how much a race loses differs from one to the next
        shown - {difference.expected}
        for _ in range(ATTEMPTS)
        for difference, shown in shown_at(replayed(script, "--fault", fault), differences)
    )
    mended = shown_at(replayed(script), differences)
    right = [(d, shown) for d, shown in mended if d.expected in shown]
    assert right
    assert all(shown == {difference.expected} for difference, shown in right)
    assert not any(difference.seen in shown for difference, shown in right)


def test_a_script_says_which_hooks_it_does_not_call(tmp_path: Path) -> None:
    """A hostname that survives consolidation shows only once the clock has been moved."""
    _, script = failing(tmp_path, "D8", "CONSOL")
    text = script.read_text()
    assert "# Not repeated: the clock hook was called" in text
    assert "# Not repeated: the maintenance hook was called" in text
