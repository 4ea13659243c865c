"""Schemathesis, in an environment of its own, finds nothing by the reference's OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reference.test_process import keys, running

PINNED = "schemathesis==4.32.5"
CONFIGURATION = """
# 422 is a response to valid requests as well: the clock moves forward only.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"""
LEFT_OUT = "|".join(
    (
        "/ingest/",  # It has no encoder for NDJSON.
        # One resource of seven; the others come from the same table and code.
        "/(log|log_summary|mobile_ledger|residential_ledger|service|proxy_user)/(search|retrieve)",
    )
)


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, installed beside a Python of its own."""
    home = tmp_path_factory.mktemp("schemathesis")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    installed = subprocess.run(
        [home / "bin" / "python", "-m", "pip", "install", "--quiet", PINNED],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"{PINNED} cannot be installed: {installed.stderr.strip()[-200:]}")
    return home / "bin" / "schemathesis"


@pytest.mark.slow
def test_schemathesis_finds_nothing(schemathesis: Path, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with running("--control") as (_, where):
        headers = {**keys(where), "X-Control-Key": where["control_key"]}
        ended = subprocess.run(
            [
                *(schemathesis, "--config-file", "schemathesis.toml", "run"),
                where["url"].removesuffix("/1.0") + "/openapi.json",
                *(text for name, value in headers.items() for text in ("-H", f"{name}: {value}")),
                *("--exclude-path-regex", LEFT_OUT, "--phases", "coverage,fuzzing"),
                *("--max-examples", "10", "--seed", "1", "--continue-on-failure", "--no-color"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=300,
        )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    assert "Tested: 17" in ended.stdout
