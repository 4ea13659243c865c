"""Loads whose token runs out meanwhile: it is renewed, or the load ends with that as its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.authentication.gate import Gate, certificates_required
from tests.hostile.commands import FASTHTTP, KEYS, PLAN, run_command, write_target
from tests.hostile.servers import listening

pytestmark = pytest.mark.slow

USERS: dict[str, tuple[str, ...]] = {
    "reactor": (),
    "two processes": ("--processes", "2"),
    "FastHttpUser": ("--locustfile", str(FASTHTTP)),
}


def load(folder: Path, gate: Gate, user: str, *, duration_s: float) -> dict[str, Any]:
    """Load a gated target, which stores nothing; returns the figures of the load."""
    with listening(gate.behave) as server:
        return load_gated(folder, user, duration_s, token=server.port, port=server.port)


def load_gated(
    folder: Path,
    user: str,
    duration_s: float,
    *,
    token: int,
    port: int = 9,
    unix_socket: str = "",
    tls: str = "",
) -> dict[str, Any]:
    """Load what listens on a port or a socket; `token` is the port at which tokens are granted.

    `tls` is the table of that name; the target's URLs are https then.
    """
    target = write_target(folder, base=port, ingest=port)
    text = target.read_text("utf-8")
    oauth = f"""
[credentials.gate.token]
url = "http://127.0.0.1:{token}/token"
client_id = {{ env = "K_PUBLIC" }}
client_secret = {{ env = "K_PRIVATE" }}
"""
    for part in ("[tenants.a]", "[ingest]"):
        text = text.replace(part, f'{part}\ncredentials = "gate"')
    if unix_socket:
        text = f'unix_socket = "{unix_socket}"\n{text}'
    if tls:
        text = text.replace("http://", "https://") + tls
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


@pytest.mark.parametrize("user", USERS)
def test_a_load_over_tls_shows_its_certificate(user: str, tmp_path: Path) -> None:
    context = certificates_required(tmp_path)
    gate = Gate()
    with listening(gate.behave) as granting, listening(gate.behave, tls=context) as server:
        found = load_gated(
            tmp_path,
            user,
            3,
            token=granting.port,
            port=server.port,
            tls='[tls]\nauthority = "authority.pem"\ncertificate = "client.pem"\n',
        )
    assert gate.let_through > 50
    assert found["errors"] == {}


@pytest.mark.parametrize("user", ["reactor", "FastHttpUser"])
def test_a_load_reaches_a_unix_socket(user: str, tmp_path: Path) -> None:
    gate = Gate()
    path = tmp_path / "target.sock"
    with listening(gate.behave) as granting, listening(gate.behave, unix_socket=str(path)):
        found = load_gated(tmp_path, user, 3, token=granting.port, unix_socket=path.name)
    assert gate.let_through > 50
    assert found["errors"] == {}


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
