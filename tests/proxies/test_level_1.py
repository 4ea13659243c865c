"""Level 1, end to end: the fleet's proxies, their accounting, and a reference."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from trueup.reports.results import Verdict
from trueup.scenarios.cli import trueup
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.mutation.accounting_plan import AccountingPlan
from trueup.scenarios.mutation.accountings import ACCOUNTINGS
from trueup.scenarios.mutation.prove import status_of
from trueup.scenarios.mutation.proxied_trial import LAWS, try_accounting
from trueup.scenarios.mutation.register import load_proxied


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with embedded_reference(options=("--control",)) as reference:
        yield reference.serving


def test_every_faulty_accounting_has_a_law_and_every_variant_is_known() -> None:
    register = load_proxied()
    faults = {name for name in ACCOUNTINGS if name.startswith("P")}
    others = {name for name, kill in register.faults.items() if kill.options}
    assert faults == register.faults.keys() - others
    assert register.variants.keys() <= ACCOUNTINGS.keys() - faults
    assert len(faults) + len(others) >= 25
    assert len(ACCOUNTINGS) - len(faults) >= 8


def test_the_reference_conforms_with_the_proxies_that_report_to_it(
    serving: Serving, tmp_path: Path
) -> None:
    trial = try_accounting(serving, AccountingPlan(id="clean"), tmp_path)
    assert {result.law for result in trial.results} == set(LAWS)
    wrong = [result for result in trial.results if result.verdict is not Verdict.PASS]
    assert not wrong, (wrong, trial.error)


@pytest.mark.parametrize("name", ["P1", "P24", "P27"])
def test_a_faulty_accounting_is_detected_by_its_law(
    serving: Serving, tmp_path: Path, name: str
) -> None:
    trial = try_accounting(serving, AccountingPlan(id=name), tmp_path)
    laws = load_proxied().faults[name].laws
    assert status_of(trial, laws) == "killed", (trial.results, trial.error)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.slow
def test_the_commands_of_the_page_judge_the_fleets_own_proxies(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trueup proxies --access` writes the part with which `trueup check` uses them."""
    file, access = tmp_path / "target.toml", tmp_path / "access.toml"
    file.write_text(target_file(serving, requests=5000))
    for name, value in key_environment(serving).items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "trueup", "proxies", "--port", "0", "--json"]
    command += ["--origin", f"127.0.0.1:{_free_port()}", "--reach", "127.0.0.1:9"]
    command += ["--target", str(file), "--access", str(access)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            assert json.loads(child.stdout.readline())["counting"] == "both"
            part = access.read_text()
            for _ in range(part.count("password")):
                name, _, value = child.stderr.readline().strip().partition("=")
                monkeypatch.setenv(name.removeprefix("export "), value)
            file.write_text(f"{file.read_text()}\n{part}")
            only = [word for law in LAWS for word in ("--only", law)]
            arguments = ["check", "--level", "1", "--target", str(file), "--json", *only]
            result = CliRunner().invoke(
                trueup, [*arguments, "--runs", str(tmp_path / "runs")], standalone_mode=False
            )
        finally:
            child.terminate()
    assert result.exception is None
    assert result.return_value == 0, result.output
    again = CliRunner().invoke(trueup, ["judge", str(tmp_path / "runs" / "latest")])
    assert "verdicts agree with the journal" in again.output
    assert {row["tenant"] for row in _accesses(part)} == {"a", "b"}


def _accesses(part: str) -> list[dict[str, str]]:
    """The tables of a `[proxies]` part."""
    found: list[dict[str, str]] = tomllib.loads(part)["proxies"]["access"]
    return found
