"""Brokers, consumers and a reference, started for a test and ended with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
from nats.js.api import StreamConfig

from trueup.scenarios.embedded.process import Serving, die_with_parent
from trueup.scenarios.embedded.target import TargetOverrides, key_environment, target_file

NATS_SERVER = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""Debian's server; None where `make tools` has not installed it."""
Ended = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]
LEAST = """
name = "mine"
base_url = "http://127.0.0.1:8080/1.0"

[tenants.a]
public_key = { env = "A" }
private_key = { env = "A" }
customer_id = 1

"""
"""A target file to which a table `[ingest]` is added."""


@contextmanager
def nats_server(folder: Path, *flags: str, jetstream: bool = True) -> Iterator[str]:
    """Run a NATS server on a free port of the loopback; yield its URL."""
    assert NATS_SERVER is not None
    ports = folder / "ports"
    ports.mkdir(parents=True)
    command = [NATS_SERVER, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(ports), *flags]
    if jetstream:
        command += ["-js", "-sd", str(folder / "jetstream")]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    ) as server:
        try:
            yield _nats_url(ports, server)
        finally:
            server.terminate()
            server.wait(timeout=10)


def _nats_url(ports: Path, server: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 10
    while time.monotonic() < until and server.poll() is None:
        for file in ports.iterdir():
            text = file.read_text()
            if text:
                url: str = json.loads(text)["nats"][0]
                return url
        time.sleep(0.02)
    raise AssertionError("nats-server did not come up")


async def add_stream(url: str, name: str, subject: str, **config: int) -> None:
    client = await nats.connect(url)
    stream = StreamConfig(name=name, subjects=[subject], max_msg_size=config.get("max_msg_size"))
    await client.jetstream().add_stream(stream)
    await client.close()


@contextmanager
def kafka_mock(topic: str) -> Iterator[str]:
    """Run librdkafka's mocked broker with one topic; yield its `HOST:PORT`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.brokers.mock_kafka", topic],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextmanager
def consumer(kind: str, server: str, source: str, url: str) -> Iterator[None]:
    """Run the consumer between a broker and the ingestion URL of a reference."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.brokers.consumer", kind, server, source, url],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)


def trueup(serving: Serving, folder: Path, ingest: str, *command: str) -> Ended:
    """Run a command of trueup on a reference whose events come in by `ingest`, a TOML table."""
    file = folder / "target.toml"
    file.write_text(target_behind(serving, ingest))
    return subprocess.run(
        [sys.executable, "-m", "trueup", *command, "--target", str(file)],
        env={**os.environ, **key_environment(serving)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def target_behind(serving: Serving, ingest: str, *, freshness_s: float = 5) -> str:
    """Return the target file of a reference whose events come in by `ingest`, a TOML table."""
    overrides = TargetOverrides(readings={"freshness-s": f"{freshness_s:g}"})
    text = target_file(serving, requests=100_000, overrides=overrides)
    before, _, rest = text.partition("[ingest]")
    _, _, after = rest.partition("\n\n")
    return f"{before}[ingest]\n{ingest}\n\n{after}"
