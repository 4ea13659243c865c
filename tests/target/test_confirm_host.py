"""No other machine is contacted unless its host was confirmed, whichever URL names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.conformance.target.load import load_target
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.orchestrator import confirm_host

_TEXT = """
name = "mine"
base_url = "http://{api}/1.0"
[tenants.a]
public_key = {{ env = "A_PUBLIC" }}
private_key = {{ env = "A_PRIVATE" }}
[ingest]
via = "http"
url = "http://{way_in}/events"
"""


def _target(folder: Path, api: str, way_in: str):  # type: ignore[no-untyped-def]
    file = folder / "mine.toml"
    file.write_text(_TEXT.format(api=api, way_in=way_in))
    return load_target(file, {"A_PUBLIC": "pk-1", "A_PRIVATE": "sk-1"})


@pytest.mark.parametrize("here", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3"])
def test_a_target_on_this_machine_needs_no_confirmation(tmp_path: Path, here: str) -> None:
    confirm_host(_target(tmp_path, here, f"{here}:81"), ())


def test_the_host_of_the_ingestion_endpoint_must_be_confirmed_too(tmp_path: Path) -> None:
    target = _target(tmp_path, "127.0.0.1", "ingest.example.net")
    with pytest.raises(UsageProblem, match=r"--allow-host ingest\.example\.net"):
        confirm_host(target, ("127.0.0.1",))
    confirm_host(target, ("ingest.example.net",))


def test_every_host_must_be_confirmed(tmp_path: Path) -> None:
    target = _target(tmp_path, "api.example.net", "ingest.example.net")
    with pytest.raises(UsageProblem, match=r"leads to ingest\.example\.net, not"):
        confirm_host(target, ("api.example.net",))
    confirm_host(target, ("api.example.net", "ingest.example.net"))
