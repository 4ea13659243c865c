"""Loads whose token runs out meanwhile: it is renewed, or the load ends with that as its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.authentication.gate import Gate
from tests.hostile.commands import KEYS, PLAN, run_command, write_target
from tests.hostile.servers import listening

pytestmark = pytest.mark.slow

FASTHTTP = Path("scenarios/locustfiles/fasthttp.py").resolve()
USERS: dict[str, tuple[str, ...]] = {
    "reactor": (),
    "two processes": ("--processes", "2"),
    "FastHttpUser": ("--locustfile", str(FASTHTTP)),
}


def load(folder: Path, gate: Gate, user: str, *, duration_s: float) -> dict[str, Any]:
    """Load a gated target, which stores nothing; returns the figures of the load."""
    with listening(gate.behave) as server:
        target = write_target(folder, base=server.port, ingest=server.port)
        text = target.read_text("utf-8")
        oauth = f"""
[credentials.gate.token]
url = "http://127.0.0.1:{server.port}/token"
client_id = {{ env = "K_PUBLIC" }}
client_secret = {{ env = "K_PRIVATE" }}
"""
        for part in ("[tenants.a]", "[ingest]"):
            text = text.replace(part, f'{part}\ncredentials = "gate"')
        target.write_text(text + oauth, encoding="utf-8")
        (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
        arguments = ["load", "plan.toml", "--json", "--quiet", "--target", str(target)]
        arguments += ["--duration", f"{duration_s:g}", *USERS[user]]
        ended = run_command(arguments, folder, limit_s=150)
    document = json.loads(ended.output[ended.output.index("{") : ended.output.rindex("}") + 1])
    (found,) = document["load"]
    for path in (folder / "runs").rglob("*"):
        if path.is_file() and not path.is_symlink():
            said = path.read_bytes()
            assert b"abcdefghijklmnop" not in said, path
            assert not any(key.encode() in said for key in KEYS.values()), path
    found["errors"] = {why: n for why, n in found["errors"].items() if why.startswith("HTTP")}
    stopped_by = document["stopped_by"] or found["stopped_by"]
    return {**found, "run_stopped_by": stopped_by, "status_of_run": ended.status}


@pytest.mark.parametrize("user", USERS)
def test_a_token_is_renewed_while_a_load_runs(user: str, tmp_path: Path) -> None:
    gate = Gate(lifetime_s=7.0)
    found = load(tmp_path, gate, user, duration_s=12)
    assert gate.granted >= 2
    assert gate.let_through > 150
    assert found["errors"] == {}
    assert found["stopped_by"] is None


def test_a_token_that_is_revoked_is_replaced(tmp_path: Path) -> None:
    """The generators are refused for a second or two, and every event still arrives."""
    gate = Gate(lifetime_s=4.0, says_lifetime=False)
    found = load(tmp_path, gate, "reactor", duration_s=9)
    assert gate.granted >= 2
    assert gate.refused > 0
    assert found["events"]["refused"] == 0
    assert found["stopped_by"] is None


def test_a_load_without_a_further_token_ends_with_the_reason(tmp_path: Path) -> None:
    gate = Gate(lifetime_s=12.0)
    gate.grants_left = 1
    found = load(tmp_path, gate, "reactor", duration_s=60)
    assert "invalid_client" in found["run_stopped_by"]
    assert found["status_of_run"] == 2
    assert gate.refused < 100
