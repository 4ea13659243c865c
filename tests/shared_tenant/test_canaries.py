"""Keys are never written to a file, even if the target repeats them everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared_tenant.environment import run_environment, run_in_environment
from tests.shared_tenant.leaking_proxy import CANARIES, behind_leaking_proxy, occurrences
from trueup.reports.journal.redaction import STRUCK

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("repeats", "ways"),
    [
        pytest.param((), (), id="discreet"),
        pytest.param(("bodies",), ("beside", "error", "page"), id="bodies"),
        pytest.param(("headers",), ("headers",), id="headers"),
        pytest.param(("refusals",), ("refusals",), id="refusals"),
    ],
)
def test_no_file_of_a_run_contains_a_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repeats: tuple[str, ...],
    ways: tuple[str, ...],
) -> None:
    """Tenant, control and ingest keys, in whole or their first 20 characters."""
    monkeypatch.setenv("NOISE_INGEST_KEY", "the-real-ingest-key")
    with (
        run_environment(tmp_path, "--ingest-key-env", "NOISE_INGEST_KEY") as at,
        behind_leaking_proxy(at, tmp_path / "wire.toml", repeats=repeats) as (behind, wire),
    ):
        result = run_in_environment(behind, tmp_path / "runs", level=2, fleet=200)
    assert result.error is None
    assert wire.seen["POST", "ingest"] > 0, "events went in with the ingest key"
    assert wire.seen["POST", "control"] > 0, "control hooks were called with the control key"
    assert {way: wire.echoed[way] > 0 for way in ways} == dict.fromkeys(ways, True)
    assert occurrences(result.folder) == []
    if "bodies" in repeats:
        assert STRUCK in (result.folder / "journal.ndjson").read_text("utf-8")


def test_a_key_in_a_file_would_be_found(tmp_path: Path) -> None:
    """The search itself: whole, cut short, written as JSON writes it, and absent."""
    (tmp_path / "sub").mkdir()
    key = CANARIES["control"]
    texts = {"whole": key, "cut": key[:20], "json": key.replace("/", "\\/"), "none": key[:5]}
    for name, text in texts.items():
        (tmp_path / "sub" / name).write_text(f"...{text}", encoding="utf-8")
    assert occurrences(tmp_path) == [f"sub/{name}: control" for name in ("cut", "json", "whole")]
