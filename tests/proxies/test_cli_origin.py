"""The command `trueup origin`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from trueup.scenarios.cli import trueup
from trueup.simulator.sockets import listen


def test_one_line_tells_where_it_listens_and_sigterm_ends_it(tmp_path: Path) -> None:
    records, authority = tmp_path / "records.ndjson", tmp_path / "ca.pem"
    command = [sys.executable, "-m", "trueup", "origin", "--json", "--ca", str(authority),
               "--records", str(records)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        with urllib.request.urlopen(f"{told['url']}/bytes/1234") as response:
            assert len(response.read()) == 1234
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert authority.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    (record,) = map(json.loads, records.read_text().splitlines())
    assert record["requests"][0]["response_body_bytes"] == 1234


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "Confirm it with --allow-host 0.0.0.0"),
        (("--host", "localhost"), "expected an IP address"),
        (("--no-tls", "--ca", "x"), "leave --ca and --tls-port out"),
        (("--records", "/nowhere/records"), "No such file or directory"),
        (("--ca", "/nowhere/ca.pem"), "No such file or directory"),
    ],
)
def test_wrong_options_are_refused(arguments: tuple[str, ...], message: str) -> None:
    found = CliRunner().invoke(trueup, ["origin", *arguments])
    assert found.exit_code == 2  # click's own runner; `trueup` itself makes it 4
    assert message in found.output


def test_a_port_in_use_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        found = CliRunner().invoke(trueup, ["origin", "--port", str(port)])
    assert f"127.0.0.1:{port}: cannot listen" in str(found.exception)
