"""Transports by name: what docs/brokers.md says, and what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers.started import LEAST, ROOT, trueup
from trueup.conformance.target.load import load_target
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.simulator.delivery import TransportForm, transport_driver
from trueup.simulator.errors import TransportMissing

_PAGE = (ROOT / "docs" / "brokers.md").read_text("utf-8")


def _blocks(language: str, first: str) -> list[str]:
    """Return the code blocks of the page that begin with some text."""
    found = re.findall(rf"^```{language}\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    return [block for block in found if block.startswith(first)]


@pytest.mark.parametrize("name", ["nats", "kafka"])
def test_the_examples_of_the_page_are_valid(tmp_path: Path, name: str) -> None:
    (ingest,) = _blocks("toml", f'[ingest]\nvia = "{name}"')
    (tmp_path / "target.toml").write_text(LEAST + ingest)
    environ = {"A": "abcd", "NATS_PASSWORD": "hush-nats", "KAFKA_PASSWORD": "hush-kafka"}
    target = load_target(tmp_path / "target.toml", environ)
    assert f"hush-{name}" in target.secrets


@pytest.mark.parametrize(("name", "package"), [("nats", "nats-py"), ("kafka", "confluent-kafka")])
def test_an_extra_that_is_not_installed_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    for module in [one for one in sys.modules if one.endswith(f".{name}_broker")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("nats", "nats.aio", "nats.aio.client", "confluent_kafka"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TransportMissing) as caught:
        transport_driver(TransportForm(name=name))
    assert f"needs the package {package}, which is not installed" in str(caught.value)
    assert f"remedy: pip install 'trueup[{name}]'" in str(caught.value)


def test_a_transport_that_is_not_installed_is_named() -> None:
    with pytest.raises(TransportMissing, match="no installed package has a transport"):
        transport_driver(TransportForm(name="pulsar"))


def _install(folder: Path) -> None:
    """Put the page's package where Python finds it, as an installer would."""
    (code,) = _blocks("python", '"""spool_transport.py')
    (project,) = _blocks("toml", "# pyproject.toml")
    entry = re.search(r"^(spool = .*)$", project, re.MULTILINE)
    assert entry is not None
    (folder / "spool_transport.py").write_text(code)
    info = folder / "spool_transport-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spool-transport\nVersion: 1.0\n")
    line = entry[1].replace('"', "")
    (info / "entry_points.txt").write_text(f"[trueup.transports]\n{line}\n")


@contextmanager
def _picked_up(folder: Path, url: str) -> Iterator[None]:
    """Hand the files of a folder to a reference, as a target of its own would."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for path in sorted(folder.glob("*.ndjson"), key=lambda one: one.stat().st_mtime_ns):
                with urllib.request.urlopen(url, data=path.read_bytes()) as response:
                    assert response.status == 200
                path.unlink()
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_the_transport_of_the_page_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ingest,) = _blocks("toml", '[ingest]\nvia = "spool"')
    site, spool = tmp_path / "site", tmp_path / "spool"
    site.mkdir()
    _install(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    ingest = ingest.removeprefix("[ingest]\n").replace("/var/spool/events", str(spool))
    command = ("check", "--level", "2", "--depth", "quick", "--quiet")
    with embedded_reference(options=("--control",)) as reference:
        done = trueup(reference.serving, tmp_path, ingest, *command)
        assert done.returncode == 2
        assert f"ingest.folder: {spool} is no folder" in done.stdout + done.stderr
        spool.mkdir()
        with _picked_up(spool, reference.serving.ingest_url):
            done = trueup(reference.serving, tmp_path, ingest, *command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_trueup_runs_without_the_extras() -> None:
    """Nothing loads a broker's client unless the target file names that broker."""
    code = (
        "import sys; sys.modules['nats'] = sys.modules['confluent_kafka'] = None\n"
        "import trueup.scenarios.cli"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def unused() -> Iterator[Serving]:
    """A reference that gets no events."""
    with embedded_reference(options=("--control",)) as reference:
        yield reference.serving


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("fleet", "--events", "5"), ("load", "steady", "--quiet"), ("run", "--quiet")]
)
def test_no_command_sends_anything_where_the_broker_is_down(
    tmp_path: Path, unused: Serving, command: tuple[str, ...]
) -> None:
    ingest = 'via = "kafka"\nservers = ["127.0.0.1:9"]\ntopic = "events"'
    done = trueup(unused, tmp_path, ingest, *command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "127.0.0.1:9: cannot connect to Kafka" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for journal in tmp_path.glob("runs/*/journal.ndjson"):
        assert '"type":"delivered"' not in journal.read_text()
