"""Each client sends what a target file's credentials say, and renews a token that has run out."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.authentication.gate import Gate, certificates_required
from tests.hostile.servers import SeenRequest, listening, response
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import TargetFileError, TargetLost
from trueup.conformance.requests import ApiRequest
from trueup.conformance.target.load import load_target, outside_hosts
from trueup.conformance.target.model import Target
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.transport import tokens
from trueup.scenarios.drivers import driver_of, load_form
from trueup.scenarios.errors import CouldNotTell
from trueup.scenarios.load.job import LoadJob
from trueup.scenarios.load.messages import decode_plan, encode
from trueup.scenarios.load.plan import load_plan
from trueup.scenarios.run.ingestion_access import try_ingestion
from trueup.simulator.delivery import RetryPolicy
from trueup.simulator.reactor import (
    Engine,
    FixedBodies,
    HeadDresser,
    Limits,
    RequestStream,
    address_of,
    request_head,
)

ENVIRONMENT = {
    "K_PUBLIC": "public-0123456789",
    "K_PRIVATE": "private-0123456789",
    "K_ID": "client-0123456789",
    "K_SECRET": "secret/0123456789",
    "K_HMAC": "hmac-key-0123456789",
}
OAUTH = """[credentials.gate]
[credentials.gate.token]
url = "{url}/token"
client_id = {{ env = "K_ID" }}
client_secret = {{ env = "K_SECRET" }}
scope = "write"
"""
SIGNED = """[credentials.gate]
signature = {{ key = {{ env = "K_HMAC" }} }}
"""
CLIENTS = ("read", "delivery", "hook", "reactor")


def target_of(folder: Path, url: str, *parts: str, top: str = "") -> Target:
    """A target whose reads, ingestion and clock need the credentials `gate`."""
    text = f"""
name = "gated"
base_url = "{url}/1.0"
{top}
timeout_s = 5
[tenants.a]
public_key = {{ env = "K_PUBLIC" }}
private_key = {{ env = "K_PRIVATE" }}
customer_id = 1001
credentials = "gate"
[ingest]
via = "http"
url = "{url}/ingest?a=b"
accepted = "accepted"
credentials = "gate"
[clock]
via = "http"
url = "{url}/clock"
body = {{ now = "{{now}}" }}
credentials = "gate"
[budget]
requests_per_s = "unlimited"
"""
    path = folder / "target.toml"
    path.write_text(text + "".join(part.format(url=url) for part in parts), encoding="utf-8")
    return load_target(path, ENVIRONMENT)


async def use(client: str, target: Target, folder: Path) -> list[str]:
    """Make one request by a client; returns errors and statuses other than success."""
    with JournalWriter(folder / f"{time.monotonic_ns()}.ndjson", secrets=target.secrets) as writer:
        recorder = Recorder(writer, secrets=target.secrets)
        match client:
            case "read":
                async with ReadClient(target, recorder, WallClock()) as reads:
                    ask = ApiRequest(path="log/search", query=(("page", "1"),))
                    (made,) = await reads.ask(ask, stage="s")
                    return [] if made.status == 200 else [made.error or f"{made.status}"]
            case "hook":
                hook = await TargetControl(target, recorder, WallClock()).call(
                    "clock", {"now": "2026-11-30 00:00:00"}, stage="s"
                )
                return [hook.error] if hook.error else []
            case "delivery":
                driver = driver_of(target)
                sent = await driver.send([{"log_id": "1"}])
                await driver.close()
                return [one.reason for one in sent if one.reason]
            case _:
                return await asyncio.to_thread(load_once, target)


def with_form(path: Path, form: str) -> Target:
    """The target of a file whose events have another form."""
    text = path.read_text("utf-8").replace('via = "http"', f'via = "http"\nform = "{form}"', 1)
    path.write_text(text, encoding="utf-8")
    return load_target(path, ENVIRONMENT)


def load_once(target: Target) -> list[str]:
    """The reactor for a moment, dressed as a generator is."""
    form = load_form(target)
    assert form.credentials is not None
    _, head = request_head(form.method, form.url, form.head_fields())
    token = next((one.text for one in tokens._known.values()), "")
    stream = RequestStream(
        "ingest",
        address=address_of(form.url, form.unix_socket),
        source=FixedBodies(head, b'{"log_id":"1"}\n'),
        schedule=None,
        rule=form.response_rule,
        retry=RetryPolicy(attempts=1),
        dresser=HeadDresser(form.credentials, form.url, token),
        tls=form.tls,
    )
    engine = Engine([stream], limits=Limits(duration_s=0.2, drain_s=0.2))
    engine.connect(stream)
    engine.run()
    seconds, _ = stream.recorder.take()
    return [reason for second in seconds for reason in second.errors]


@pytest.fixture(autouse=True)
def no_known_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_known", {})
    monkeypatch.setattr(tokens, "RENEW_PAUSE_S", 0.0)


async def test_every_client_sends_a_token_that_is_fetched_once(tmp_path: Path) -> None:
    gate = Gate()
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", OAUTH)
        for client in CLIENTS:
            assert await use(client, target, tmp_path) == [], client
    assert (gate.granted, gate.refused) == (1, 0)
    assert gate.forms == [{"grant_type": ["client_credentials"], "scope": ["write"]}]
    granting = next(one for one in server.requests if one.path == "/token")
    assert granting.headers["authorization"].startswith("Basic ")
    assert {one.path for one in server.requests} >= {"/ingest?a=b", "/clock"}


@pytest.mark.parametrize("client", ["read", "delivery", "hook"])
async def test_a_token_that_was_revoked_is_renewed_and_the_request_sent_again(
    client: str, tmp_path: Path
) -> None:
    gate = Gate(lifetime_s=3600, says_lifetime=False)
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", OAUTH)
        assert await use(client, target, tmp_path) == []
        gate._tokens.clear()
        assert await use(client, target, tmp_path) == []
    assert (gate.granted, gate.refused, gate.let_through) == (2, 1, 2)


async def test_a_token_is_renewed_before_it_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request every 11 s with tokens of 100 s, on a clock that is moved."""
    moved_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + moved_s)
    monkeypatch.setattr(tokens, "time", clock)
    monkeypatch.setattr("tests.authentication.gate.time", clock)
    gate = Gate(lifetime_s=100)
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", OAUTH)
        for _ in range(12):
            assert await use("read", target, tmp_path) == []
            moved_s += 11
    assert (gate.refused, gate.granted) == (0, 2)


async def test_a_run_ends_with_the_reason_when_no_token_can_be_had(tmp_path: Path) -> None:
    gate = Gate(says_lifetime=False)
    gate.grants_left = 1
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", OAUTH)
        assert await use("read", target, tmp_path) == []
        gate._tokens.clear()
        with pytest.raises(TargetLost, match=r"/token: .* status 401 \(invalid_client\)"):
            await use("read", target, tmp_path)
        (reason,) = await use("delivery", target, tmp_path)
    assert reason.startswith("not delivered: ")
    assert "invalid_client" in reason


async def test_a_fresh_token_that_is_refused_ends_a_run(tmp_path: Path) -> None:
    gate = Gate(lifetime_s=-1, says_lifetime=False)
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", OAUTH)
        with pytest.raises(TargetLost, match="401 for a token that was fetched just now"):
            await use("read", target, tmp_path)
    assert gate.refused <= 2


@pytest.mark.parametrize("form", ["print(token)", "import json; print(json.dumps(said))"])
async def test_a_program_prints_the_token(form: str, tmp_path: Path) -> None:
    gate = Gate()
    token = gate.grant()
    program = f"token = {token!r}; said = {{'access_token': token, 'expires_in': 60}}; {form}"
    argv = repr([sys.executable, "-c", program]).replace("{", "{{").replace("}", "}}")
    part = f"[credentials.gate]\ntoken = {{{{ argv = {argv} }}}}\n"
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", part)
        for client in CLIENTS:
            assert await use(client, target, tmp_path) == []
    assert gate.refused == 0


def written(folder: Path) -> str:
    """The only journal of a folder."""
    (journal,) = folder.glob("*.ndjson")
    return journal.read_text("utf-8")


async def test_a_token_is_struck_from_everything_that_is_written(tmp_path: Path) -> None:
    gate = Gate()
    token = gate.grant()
    part = f"""[credentials.gate]
token = {{{{ argv = ["/bin/echo", "{token}"] }}}}
"""

    def echo(sock: socket.socket, request: SeenRequest) -> None:
        sock.sendall(response(f"you sent {request.headers['authorization']}".encode()))

    with listening(echo) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", part)
        await use("read", target, tmp_path)
    said = written(tmp_path)
    assert "you sent Bearer [key]" in said
    assert token not in said


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_signs_its_requests(client: str, tmp_path: Path) -> None:
    gate = Gate(key=ENVIRONMENT["K_HMAC"])
    with listening(gate.behave) as server:
        target = target_of(tmp_path, f"http://127.0.0.1:{server.port}", SIGNED)
        assert await use(client, target, tmp_path) == []
    assert gate.let_through >= 1
    assert gate.refused == 0


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_private_authority_and_a_client_certificate(client: str, tmp_path: Path) -> None:
    context = certificates_required(tmp_path)
    gate = Gate(key=ENVIRONMENT["K_HMAC"])
    whole = '[tls]\nauthority = "authority.pem"\ncertificate = "client.pem"\n'
    with listening(gate.behave, tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await use(client, target_of(tmp_path, url, SIGNED, whole), tmp_path) == []
        assert gate.let_through >= 1
        before = gate.let_through
        without = '[tls]\nauthority = "authority.pem"\n'
        assert await use(client, target_of(tmp_path, url, SIGNED, without), tmp_path) != []
        assert await use(client, target_of(tmp_path, url, SIGNED), tmp_path) != []
    assert gate.let_through == before


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_reaches_an_address_of_ipv6(client: str, tmp_path: Path) -> None:
    gate = Gate(key=ENVIRONMENT["K_HMAC"])
    with listening(gate.behave, "::1") as server:
        target = target_of(tmp_path, f"http://[::1]:{server.port}", SIGNED)
        assert outside_hosts(target) == ()
        with JournalWriter(tmp_path / "preflight.ndjson") as writer:
            await preflight(target, Recorder(writer))
        assert await use(client, target, tmp_path) == []
    assert {one.headers["host"] for one in server.requests} == {f"[::1]:{server.port}"}


def test_a_generator_does_not_get_what_tokens_are_fetched_by(tmp_path: Path) -> None:
    target = target_of(tmp_path, "http://127.0.0.1:1", OAUTH)
    job = LoadJob(plan=load_plan("steady"), ingest=load_form(target), fleet=None, out_dir=tmp_path)
    plan = decode_plan(encode(job.generator_plan()))
    assert plan.over_http.credentials is not None
    assert plan.over_http.credentials.token is None
    assert plan.over_http.response_rule.renews


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("", "credentials.gate"),
        ("[credentials.gate]\n", "a token or a signature"),
        ("[credentials.gate]\ntoken = {{ argv = ['/no/such'] }}\n", "a program that can be run"),
        ("[credentials.gate]\nsignature = {{ key = {{ env = 'NOT_SET' }} }}\n", "NOT_SET"),
        (
            "[credentials.gate]\n"
            "signature = {{ key = {{ env = 'K_HMAC' }}, template = '{{metod}}' }}\n",
            "{metod}",
        ),
        (f"{SIGNED}[tls]\nauthority = 'none.pem'\n", "tls.authority"),
        (f"{SIGNED}[tls]\nauthority = 'target.toml'\n", "PEM files"),
    ],
)
def test_a_mistake_is_named_before_anything_is_sent(part: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TargetFileError) as mistake:
        target_of(tmp_path, "http://127.0.0.1:1", part)
    assert said in str(mistake.value)


@pytest.mark.parametrize("form", ["ndjson", "json-array", "json-object", "otlp-logs"])
@pytest.mark.parametrize(
    ("status", "extra", "said"),
    [
        ("401 No", (), "HTTP 401: wrong key"),
        ("403 No", (), "HTTP 403: wrong key"),
        ("307 X", ("Location: http://127.0.0.2:9/",), "127.0.0.2:9, which the target file"),
        ("400 No", (), ""),
        ("200 OK", (), ""),
        ("500 No", (), ""),
    ],
)
async def test_the_ingestion_key_is_tried_before_any_event_is_sent(
    form: str, status: str, extra: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    def refuse(sock: socket.socket, _request: SeenRequest) -> None:
        sock.sendall(response(b'{"message":"wrong key"}', *extra, status=status))

    with listening(refuse) as server:
        url = f"http://127.0.0.1:{server.port}"
        target = target_of(tmp_path, url, SIGNED)
        target = with_form(target.path, form)
        if said:
            with pytest.raises(CouldNotTell, match=re.escape(said)):
                await try_ingestion(target)
        else:
            await try_ingestion(target)
    (made,) = server.requests
    assert b"log_id" not in made.body


@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_reaches_a_unix_socket(client: str, tmp_path: Path) -> None:
    """The URL names the host for `Host`; nothing listens there."""
    gate = Gate(key=ENVIRONMENT["K_HMAC"])
    path = tmp_path / "target.sock"
    with listening(gate.behave, unix_socket=str(path)) as server:
        target = target_of(
            tmp_path, "http://localhost:1", SIGNED, top='unix_socket = "target.sock"'
        )
        with JournalWriter(tmp_path / "preflight.ndjson") as writer:
            await preflight(target, Recorder(writer))
        assert await use(client, target, tmp_path) == []
    assert {one.headers["host"] for one in server.requests} == {"localhost:1"}
    assert gate.refused == 0


def test_a_unix_socket_stands_for_the_origin_of_base_url_only(tmp_path: Path) -> None:
    target = target_of(tmp_path, "http://localhost:1", SIGNED, top='unix_socket = "target.sock"')
    assert target.socket_of("http://localhost:1/ingest") == str(tmp_path / "target.sock")
    assert target.socket_of("http://localhost:2/ingest") == ""
    assert target.socket_of("https://localhost:1/ingest") == ""
