"""What a run refuses before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import ChecksPart, FleetPart, LoadPart, Scenario

TARGET = """
name = "x"
base_url = "http://{host}/1.0"
[tenants.a]
public_key = {{ env = "T_PUBLIC" }}
private_key = {{ env = "T_PRIVATE" }}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("T_PUBLIC", "public-key")
    monkeypatch.setenv("T_PRIVATE", "private-key")
    return tmp_path


def request(folder: Path, scenario: Scenario, host: str, *allowed: str) -> RunRequest:
    (folder / "t.toml").write_text(TARGET.format(host=host))
    return RunRequest(
        scenario=scenario,
        seed=7,
        runs=folder / "runs",
        target=folder / "t.toml",
        allow_hosts=allowed,
    )


CHECKS = Scenario(name="c", what="-", checks=ChecksPart(level=0))
LOAD = Scenario(name="l", what="-", load=LoadPart(scenario="steady"))


def test_a_target_elsewhere_is_refused_until_its_host_is_named(folder: Path) -> None:
    """No packet leaves this machine by mistake, and no folder is made."""
    with pytest.raises(UsageProblem, match=r"--allow-host api\.example\.net"):
        run_scenario(request(folder, CHECKS, "api.example.net"))
    with pytest.raises(UsageProblem, match="--allow-host"):
        run_scenario(request(folder, CHECKS, "api.example.net", "example.net"))
    assert not (folder / "runs").exists()


def test_load_without_an_ingestion_endpoint_is_refused(folder: Path) -> None:
    """A load that would send nothing is not called done."""
    with pytest.raises(UsageProblem, match=r"no ingestion endpoint"):
        run_scenario(request(folder, LOAD, "127.0.0.1:9"))


@pytest.mark.parametrize("part", ["load", "fleet"])
def test_no_traffic_goes_to_a_target_that_is_not_there(folder: Path, part: str) -> None:
    """Status 2 in seconds, and a report that names the address instead of a failed check."""
    parts: dict[str, Any] = {"load": LoadPart(scenario="steady"), "fleet": FleetPart(events=10)}
    wanted = request(folder, Scenario(name="l", what="-", **{part: parts[part]}), "127.0.0.1:9")
    ingest = '[ingest]\nvia = "http"\nurl = "http://127.0.0.1:9/in"\n'
    (folder / "t.toml").write_text(TARGET.format(host="127.0.0.1:9") + "customer_id = 1\n" + ingest)
    result = run_scenario(wanted)
    assert result.exit_status == 2
    assert "connection refused" in result.report.stopped_by
    assert not result.report.sent
    assert (result.folder / "junit.xml").exists()


@pytest.mark.usefixtures("short_retry_pauses")
def test_an_unreachable_target_leaves_a_readable_run(folder: Path) -> None:
    """Status 2, a sealed journal, a report that says so."""
    result = run_scenario(request(folder, CHECKS, "127.0.0.1:9"))
    assert result.exit_status == 2
    assert "127.0.0.1:9" in str(result.error)
    assert (result.folder / "report.html").exists()
    assert result.report.finished_at


@pytest.mark.usefixtures("short_retry_pauses")
def test_the_report_says_what_stopped_the_run(folder: Path) -> None:
    """Whoever opens the report later reads what the terminal said, without a key."""
    result = run_scenario(request(folder, CHECKS, "127.0.0.1:9"))
    assert "127.0.0.1:9" in result.report.stopped_by
    page = (result.folder / "report.html").read_text()
    assert "Stopped." in page
    assert "private-key" not in page
