"""`trueup target check --probe` and the documented recipes, on the served reference."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import exit_status
from trueup.reports.event_format import EVENT_KEYS
from trueup.reports.results import EventOutcome, Outcome
from trueup.scenarios.cli.event_probe import is_right, probe_lines
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.embedded.target import key_environment
from trueup.scenarios.run.event_probe import EventProbe, ProbeView

_PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text("utf-8")
_BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(toml|sh)\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL
)
_WHOLE = next(text for _, text in _BLOCKS if "[tenants.b]" in text)
_BY_PROGRAM = next(text for _, text in _BLOCKS if "put-events.sh" in text and "argv" in text)
_SCRIPT = next(text for kind, text in _BLOCKS if kind == "sh")


@pytest.fixture(scope="module")
def _shared() -> Iterator[Serving]:
    """A reference for tests that leave its clock alone."""
    with embedded_reference(options=("--control",)) as reference:
        yield reference.serving


def _with_keys(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    for name, value in key_environment(serving).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKEN", "none-is-needed")
    return serving


@pytest.fixture
def serving(_shared: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """A reference that other tests use too, with its keys in the environment."""
    return _with_keys(_shared, monkeypatch)


@pytest.fixture
def own_serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A reference of the test's own, with its keys in the environment."""
    with embedded_reference(options=("--control",)) as reference:
        yield _with_keys(reference.serving, monkeypatch)


def _http(serving: Serving) -> str:
    """The page's target file with events over HTTP, at the reference."""
    text: str = _WHOLE
    for old, new in {
        "http://127.0.0.1:8080/1.0": serving.url,
        "http://127.0.0.1:8080/ingest/events": serving.ingest_url,
        "1955": "1001",
        "1956": "1002",
    }.items():
        assert old in text
        text = text.replace(old, new)
    return text


def _by_program(serving: Serving, folder: Path) -> str:
    """The page's target file with a program, which it prints as well."""
    script = folder / "put-events.sh"
    url = "https://ingest.example.net/events"
    assert url in _SCRIPT
    script.write_text(_SCRIPT.replace(url, serving.ingest_url))
    script.chmod(0o755)
    whole = _http(serving)
    return whole[: whole.index("[ingest]")] + _BY_PROGRAM


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    return exit_status(*words), capsys.readouterr().out


def test_a_probe_appears_in_every_view(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_http(serving))
    status, out = _run(capsys, "target", "check", "--probe", "--yes", "--json", str(file))
    probe = json.loads(out)["probe"]
    assert status == 0
    assert probe["outcome"] == "accepted"
    assert json.loads(probe["sent"])["log_total_bytes"] == 1024
    assert probe["response"].startswith('200 {"accepted":1')
    assert probe["views"]["analytics/graph"]["shown"]["bytes"] == 1024
    assert probe["views"]["log_summary/search"]["shown"]["log_summary_requests"] == 1
    assert all(view["differences"] == [] for view in probe["views"].values())


def test_a_file_whose_event_is_refused_is_not_called_right(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_http(serving) + '\n[ingest.mapping]\nlog_total_bytes = "size"\n')
    status, out = _run(capsys, "target", "check", "--probe", "--yes", str(file))
    assert status == 2
    assert "log_total_bytes" in out
    assert "The target refused the event" in out
    assert "right" not in out
    status, out = _run(capsys, "target", "check", str(file))
    assert status == 0
    assert "right" not in out


def test_a_view_that_shows_it_otherwise_says_what_to_write() -> None:
    """An id of the target's own, and a graph whose points are elsewhere."""
    probe = EventProbe(
        sent="{}",
        response="200",
        outcome=EventOutcome(Outcome.ACCEPTED),
        views=(
            ProbeView(
                name="log/search",
                status=200,
                shown={"log_id": "own-1", "reference": "sent-1"},
                expected={"log_id": "sent-1", "log_error_code": None},
            ),
            ProbeView(
                name="analytics/graph", status=200, shown=None, expected={}, body='{"chart": []}'
            ),
        ),
    )
    assert not is_right(probe)
    text = "\n".join(probe_lines(probe))
    assert 'remedy: `reference` has the id that was sent: log_id = "reference" in [rows]' in text
    assert '{"chart": []}\n  remedy: say in [graph] where a response has its points' in text
    assert "log_error_code" not in text


def test_the_probe_sends_every_field(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that the mapping lacks is refused here, not in the midst of a run."""
    file = tmp_path / "mine.toml"
    file.write_text(_http(serving))
    _, out = _run(capsys, "target", "check", "--probe", "--yes", "--json", str(file))
    assert {*json.loads(json.loads(out)["probe"]["sent"])} == {*EVENT_KEYS}


def test_nothing_is_sent_without_agreement(
    serving: Serving,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "trueup.scenarios.cli.target.send_probe", lambda _: pytest.fail("an event was sent")
    )
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    file = tmp_path / "mine.toml"
    file.write_text(_http(serving))
    status, out = _run(capsys, "target", "check", "--probe", str(file))
    assert status != 0
    assert "right" not in out


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["http", "program"])
def test_each_endpoint_of_the_page_conforms_on_the_reference(
    own_serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str
) -> None:
    text = _http(own_serving) if recipe == "http" else _by_program(own_serving, tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(text + '\n[budget]\nrequests_per_s = "unlimited"\n')
    runs = ("--quiet", "--json", "--runs", str(tmp_path / "runs"))
    status, out = _run(capsys, "check", "--target", str(file), "--depth", "quick", *runs)
    assert status == 0, out
    assert json.loads(out)["level"] == 2


@pytest.mark.slow
def test_the_example_for_the_reference_conforms_again_on_the_target_it_has_moved(
    own_serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command goes by the time that the one before has left behind."""
    file = tmp_path / "reference.toml"
    new = ("target", "new", "--from", "reference", "--url", own_serving.url)
    assert exit_status(*new, str(file)) == 0
    runs = ("--quiet", "--runs", str(tmp_path / "runs"))
    quick = ("--target", str(file), "--depth", "quick", *runs)
    assert exit_status("check", *quick) == 0
    assert exit_status("fleet", "--events", "300", "--target", str(file)) == 0
    assert exit_status("check", "--only", "RANGE", *quick) == 0
    assert exit_status("check", "--level", "2", *quick) == 0
    scenario = tmp_path / "mine.toml"
    scenario.write_text('name = "mine"\nwhat = "fleet"\n[fleet]\nevents = 300\n')
    assert exit_status("run", str(scenario), "--target", str(file), *runs) == 0
    audit(file, own_serving, tmp_path, monkeypatch)


def audit(
    used: Path, own_serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read a target that was used before, by the example for an account that is only read.

    Its clock was moved, which must not be taken for a fault.
    """
    runs = ("--quiet", "--runs", str(tmp_path / "runs"))
    read_only = tmp_path / "read-only.toml"
    new = ("target", "new", "--from", "read-only", "--url", own_serving.url)
    assert exit_status(*new, str(read_only)) == 0
    for part in ("PUBLIC", "PRIVATE"):
        monkeypatch.setenv(f"TRUEUP_{part}_KEY", os.environ[f"TRUEUP_A_{part}_KEY"])
    text = read_only.read_text() + '\n[budget]\nrequests_per_s = "unlimited"\n'
    read_only.write_text(text)
    command = ("check", "--level", "0", "--target", str(read_only), *runs)
    assert exit_status(*command) == 2
    result = tmp_path / "runs" / "latest" / "result.json"
    assert "its clock was moved" in json.loads(result.read_text("utf-8"))["stopped_by"]

    _, clock, rest = used.read_text().partition("[clock]")
    read_only.write_text(text + clock + rest.partition("[maintenance]")[0])
    assert exit_status(*command) == 2
    checks = json.loads(result.read_text("utf-8"))["checks"]
    assert not [check for check in checks if check["verdict"] == "fail"]
    undecided = [check["check"] for check in checks if check["verdict"] == "inconclusive"]
    assert "tenants-are-apart" in undecided
