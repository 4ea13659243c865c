"""The commands and the code of docs/fleet.md and docs/access-logs.md run as they are written.

Only the names of files are replaced. Commands that need a target, or many events, are run by
other tests.
"""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import trueup.simulator.fleet
import trueup.simulator.totals
from trueup.scenarios.cli import trueup as command_line
from trueup.simulator.model.profile import load_profile

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "data" / "access_logs"
PAGES = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("fleet.md", "access-logs.md")}
COMMANDS = [
    line
    for page in PAGES.values()
    for line in re.findall(r"^\$ (trueup fleet .*)$", page, re.MULTILINE)
    if not any(word in line for word in ("--target", "--workers", "realism"))
]


def write_logs(folder: Path) -> dict[str, str]:
    """Write a log for each name that the pages use; returns name → path."""
    shutil.copy(LOGS / "squid-native.log", folder / "native.log")
    shutil.copy(LOGS / "haproxy.log", folder / "haproxy.log")
    at = "30/Nov/2026:{:02}:{:02}:00 +0000"
    rows = [
        (at.format(*divmod(n, 60)), f"shop-{n % 5}.example", 100 + n, 2_000 + 17 * n)
        for n in range(150)
    ]
    (folder / "access.log").write_text(
        "".join(
            f'{at} 127.0.0.1 "ann" GET {host} 200 {up} {down} 7\n' for at, host, up, down in rows
        )
    )
    lines = [
        f"2026-11-30 {n // 60:02}:{n % 60:02}:00,{up},{down},{host}"
        for n, (_, host, up, down) in enumerate(rows)
    ]
    (folder / "usage.csv").write_text("\n".join(("when,up,down,site", *lines)) + "\n")
    return {
        "/var/log/squid/access.log": str(folder / "native.log"),
        **{name: str(folder / name) for name in ("access.log", "usage.csv", "haproxy.log")},
    }


def test_the_pages_have_the_commands() -> None:
    assert len([line for line in COMMANDS if " fit " in line]) >= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_of_the_fleet_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = write_logs(tmp_path)
    if "--format" not in line and " fit access.log" in line:
        files["access.log"] = files["/var/log/squid/access.log"]
    runner = CliRunner()
    if " explain " in line:
        drawn = runner.invoke(command_line, ["fleet", "--seed", "7", "--events", "1"]).stdout
        found = re.search(r'"log_id": *"([^"]+)"', drawn)
        assert found is not None
        files["ID"] = found[1]
    if "traffic.toml" in line and " fit " not in line:
        fit = ["fleet", "fit", files["/var/log/squid/access.log"], "--out", "traffic.toml"]
        assert runner.invoke(command_line, fit).exit_code == 0
    for part in line.split(" && "):
        words = [files.get(word, word) for word in shlex.split(part)][1:]
        words = ["500" if word == "100000" else word for word in words]
        done = runner.invoke(command_line, words)
        assert done.exit_code == 0, done.output
        if "fit" in words:
            assert " 0 refused" in done.output or "haproxy" in line, done.output


def test_the_code_of_the_page_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGES["fleet.md"], re.MULTILINE | re.DOTALL)
    start = datetime(2025, 4, 1, tzinfo=UTC)
    names = {
        "Fleet": trueup.simulator.fleet.Fleet,
        "totals": trueup.simulator.totals.totals,
        "load_profile": load_profile,
        "datetime": datetime,
        "UTC": UTC,
        "t0": start,
        "t1": start + timedelta(hours=1),
        "log_id": "00000000-0000-4000-8000-000000000000",
    }
    exec(code.replace("10_000_000", "10_000"), names)
