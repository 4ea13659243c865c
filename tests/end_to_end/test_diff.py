"""`trueup diff` of a reference and a correct variant of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import exit_status
from trueup.conformance.target.load import load_target
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.run.diff import common_level

READ_ONLY = (
    'name = "{name}"\nbase_url = "http://127.0.0.1:9/1.0"\n[tenants.a]\n'
    'public_key = {{ env = "A_PUB" }}\nprivate_key = {{ env = "A_KEY" }}\n'
)
INGEST = '[ingest]\nvia = "http"\nurl = "http://127.0.0.1:9/events"\n'


@pytest.mark.slow
def test_a_variant_conforms_and_what_is_different_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    with (
        embedded_reference(options=("--control",)) as one,
        embedded_reference(options=("--control", "--variant", "V3")) as two,
    ):
        for letter, reference in zip("AB", (one, two), strict=True):
            text = target_file(reference.serving, requests=5000)
            for name, value in key_environment(reference.serving).items():
                own = name.replace("TRUEUP", letter)
                monkeypatch.setenv(own, value)
                text = text.replace(name, own)
            files.append(tmp_path / f"{letter}.toml")
            files[-1].write_text(text)
        runs = str(tmp_path / "runs")
        words = ("--level", "2", "--depth", "quick", "--quiet", "--json", "--runs", runs)
        status = exit_status("diff", *map(str, files), *words)
    found = json.loads(capsys.readouterr().out)
    assert status == found["exit_status"] == 0
    assert found["verdicts"] == []
    assert found["same_names"]
    differing = {each["name"]: each for each in found["readings"] if each["differs"]}
    assert differing["per-page-most"]["a"]["value"] == "100"
    assert differing["per-page-most"]["b"]["value"] == "50"
    assert found["fields"] == []
    assert found["equal_fields"] > 100
    speed = {each["what"]: each for each in found["speed"]}
    assert speed["until listed"]["a"]["count"] > 0
    assert speed["log/search"]["b"]["p50_ms"] > 0
    assert found["conclusion"].startswith("Both conform. They differ in ")
    assert len([each for each in (tmp_path / "runs").iterdir() if not each.is_symlink()]) == 2


def test_the_level_is_that_which_both_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A_PUB", "A_KEY"):
        monkeypatch.setenv(name, "some-long-key")
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(READ_ONLY.format(name="one"))
    two.write_text(READ_ONLY.format(name="two") + "customer_id = 1\n" + INGEST)
    read_only, ingests = load_target(one), load_target(two)
    assert common_level(read_only, ingests, None) == 0
    assert common_level(ingests, ingests, None) == 2
    assert common_level(ingests, ingests, 4) == 2


def test_nothing_is_sent_where_either_target_cannot_be_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A_PUB", "A_KEY"):
        monkeypatch.setenv(name, "some-long-key")
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(READ_ONLY.format(name="one"))
    two.write_text(READ_ONLY.format(name="two").replace("127.0.0.1", "api.example.net"))
    runs = tmp_path / "runs"
    words = ("diff", str(one), str(two), "--quiet", "--runs", str(runs))
    assert exit_status(*words) == 4
    assert "--allow-host api.example.net" in capsys.readouterr().err
    two.write_text(READ_ONLY.format(name="two"))
    assert exit_status(*words) == 2
    assert "cannot connect" in capsys.readouterr().err
    assert not runs.exists()
