"""The command `trueup proxies`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from trueup.scenarios.cli import trueup
from trueup.scenarios.cli.proxies import usage_clock
from trueup.simulator.proxies import utc_now
from trueup.simulator.sockets import listen

COMMAND = (sys.executable, "-m", "trueup", "proxies", "--port", "0", "--proxies", "1")


def test_one_line_tells_all_that_a_client_needs_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    command = [*COMMAND, "--json", "--ca", str(authority)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        assert {proxy["network"] for proxy in told["proxies"]} == {
            "datacenter", "isp", "residential", "mobile",
        }  # fmt: skip
        (gateway,) = [proxy for proxy in told["proxies"] if proxy["network"] == "mobile"]
        user = next(u for u in told["users"] if u["networks"].get("mobile") == "password")
        url = f"http://{user['user']}:{user['password']}@{gateway['host']}:{gateway['http_port']}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": url}))
        with opener.open("http://shop.example/bytes/777") as response:
            assert len(response.read()) == 777
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
        assert child.stdout.read() == b""
    assert time.monotonic() - started < 10
    assert authority.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_figures_at_the_end_are_those_of_the_requests() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines: list[str] = []
        while not lines or "curl -x" not in lines[-1]:
            lines.append(child.stdout.readline())
        url = lines[-1].split()[2]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": url}))
        with opener.open("http://shop.example/bytes/777") as response:
            response.read()
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
        assert child.wait(20) == 0
    assert rest.startswith("1 requests · 0 open · ")
    assert "1 complete; 0 of no known user" in rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--origin", "example.com:80"), "expected an IP address"),
        (("--origin", "10.0.0.1:80"), "Confirm it with --allow-host 10.0.0.1"),
        (("--origin", "127.0.0.1"), "write HOST:PORT"),
        (("--reach", "10.0.0.1:22"), "Confirm it with --allow-host 10.0.0.1"),
        (("--tls-origin", "127.0.0.1:1"), "--tls-origin needs --origin"),
        (("--origin", "127.0.0.1:1", "--ca", "x"), "--ca is for an origin of their own"),
        (("--access", "x"), "--access needs --origin"),
        (("--access", "/nowhere/x", "--origin", "127.0.0.1:1"), "No such file or directory"),
        (("--spool", "x"), "add --target FILE"),
        (("--user-names", "{user}-country"), "write {user}, then"),
        (("--customers", "one"), "whole numbers"),
        (("--customers", "-5"), "between 0 and"),
        (("--profile", "nobody"), "no such fleet profile"),
        (("--network", "moon"), "'moon' is not one of"),
        (("--ca", "/nowhere/ca.pem"), "No such file or directory"),
    ],
)
def test_wrong_options_are_refused(arguments: tuple[str, ...], message: str) -> None:
    found = CliRunner().invoke(trueup, ["proxies", *arguments])
    assert found.exit_code == 2  # click's own runner; `trueup` itself makes it 4
    assert message in found.output


def test_an_address_in_use_is_named() -> None:
    with listen("127.67.0.1", 0) as taken:
        port = taken.getsockname()[1]
        arguments = ["proxies", "--network", "mobile", "--port", str(port)]
        found = CliRunner().invoke(trueup, arguments)
    assert f"127.67.0.1:{port}: cannot listen" in str(found.exception)


def test_the_clock_has_its_time_at_the_first_request_and_goes_on() -> None:
    """Without either option it is the machine's."""
    first = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)
    clock = usage_clock(0.0, first.replace(tzinfo=None))
    assert clock() == first
    assert timedelta(0) <= clock() - first < timedelta(minutes=10)
    ahead = usage_clock(-86_400.0, None)() - datetime.now(UTC)
    assert abs(ahead + timedelta(days=1)) < timedelta(minutes=10)
    assert usage_clock(0.0, None) is utc_now
