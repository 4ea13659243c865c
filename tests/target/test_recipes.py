"""Every recipe of docs/targets.md and every file of scenarios/targets, run against the reference.

The reference stands behind a gateway that speaks the form of the recipe. Only addresses and the
numbers of customers are replaced in what is documented.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.started import NATS_SERVER, add_stream, consumer, nats_server
from tests.command_line import exit_status
from tests.target.gateway import (
    ACCOUNTS,
    HMAC_KEY,
    LAB_KEY,
    POOLS,
    TOKEN,
    Event,
    Gateway,
    gateway_to,
    our_time,
    take,
)
from trueup.scenarios.embedded.process import EmbeddedReference, embedded_reference
from trueup.scenarios.embedded.target import key_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TARGETS = ROOT / "scenarios" / "targets"
_PAGE = (ROOT / "docs" / "targets.md").read_text("utf-8")
_BLOCKS: list[str] = re.findall(r"^```toml\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
_WHOLE = next(block for block in _BLOCKS if "[tenants.b]" in block)
_UNLIMITED = '\n[budget]\nrequests_per_s = "unlimited"\n'
_FRESH = "\n[readings]\nfreshness-s = 1\n"


def block(first: str) -> str:
    """Return the TOML block of the page that begins with some text."""
    (found,) = [text for text in _BLOCKS if text.startswith(first)]
    return found


@pytest.fixture(scope="module")
def reference() -> Iterator[EmbeddedReference]:
    """A reference that no test of this module moves the clock of."""
    with embedded_reference(options=("--control",)) as started:
        yield started


@pytest.fixture
def gateway(reference: EmbeddedReference, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    with gateway_to(reference) as served:
        set_keys(served, monkeypatch)
        yield served


def set_keys(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        **key_environment(gateway.reference.serving),
        "TRUEUP_INGEST_TOKEN": f"Bearer {TOKEN}",
        "TRUEUP_LAB_KEY": LAB_KEY,
        "CLIENT_ID": "client-of-the-gateway",
        "CLIENT_SECRET": "secret-of-the-gateway",
        "HMAC_KEY": HMAC_KEY,
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


def addressed(text: str, gateway: Gateway, *, api: str = "") -> str:
    """Return a documented file with the gateway's addresses and the reference's customers."""
    text = text.replace("http://127.0.0.1:8080/1.0", api or gateway.reference.serving.url)
    text = re.sub(r"http://127\.0\.0\.1:808\d(/ingest)?", gateway.url, text)
    text = text.replace("https://login.example.net/oauth2/token", f"{gateway.url}/token")
    for documented, own in ACCOUNTS.items():
        text = text.replace(f"customer_id = {documented}", f"customer_id = {own}")
    return text


def check(folder: Path, text: str, *options: str) -> None:
    """Run the checks on a target file and require that it conforms."""
    (folder / "target.toml").write_text(text)
    file = str(folder / "target.toml")
    runs = ("--runs", str(folder / "runs"))
    assert exit_status("check", "--target", file, "--depth", "quick", *runs, *options) == 0


def probe(folder: Path, text: str) -> None:
    """Send one event, and require that every view shows it with the values that were sent."""
    (folder / "target.toml").write_text(text)
    assert exit_status("target", "check", "--probe", "--yes", str(folder / "target.toml")) == 0


def undo_http(event: Event) -> Event:
    """An event in the form of `http.toml`, as the reference takes it."""
    assert event.pop("source") == "trueup"
    assert "log_transport" not in event
    up, down = take(event, "usage.up"), take(event, "usage.down")
    event["log_total_bytes"] = up + down if isinstance(up, int) and isinstance(down, int) else up
    event["log_hostname"] = take(event, "destination.host")
    event["log_request_datetime"] = our_time(event.pop("time_ms"))
    pool = event.pop("pool")
    event["log_network"] = POOLS.get(pool, pool)
    return event


def undo_page(event: Event) -> Event:
    """An event in the form of the page's mapping, as the reference takes it."""
    took = take(event, "timing.total")
    parts = [event.get(f"log_{part}_elapsed_ms") for part in ("handshake", "tunnel")]
    assert took == (sum(filter(None, parts)) if any(parts) else parts[0])
    event["destination"] = {"host": event.pop("log_hostname")}
    event["time_ms"] = take(event, "event.at")
    event["log_id"] = take(event, "event.uid")
    return undo_http(event)


def test_http_toml_conforms(gateway: Gateway, tmp_path: Path) -> None:
    gateway.undo = undo_http
    gateway.authorised = lambda headers, _: headers["Authorization"] == f"Bearer {TOKEN}"
    text = (TARGETS / "http.toml").read_text("utf-8")
    check(tmp_path, addressed(text, gateway) + _UNLIMITED)
    headers, body = next(seen for seen in gateway.seen if b"usage" in seen[1])
    assert headers["Content-Encoding"] == "gzip"
    assert isinstance(json.loads(body)["events"], list)


def test_the_mapping_of_the_page_arrives_as_its_example_shows(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.undo = undo_page
    probe(tmp_path, addressed(_WHOLE + block("[ingest.mapping]"), gateway))
    target = ("--target", str(tmp_path / "target.toml"))
    assert exit_status("fleet", "--events", "100", *target) == 0
    sent = json.loads(gateway.seen[-1][1].splitlines()[0])
    shown = re.search(r"^```json\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    documented = json.loads(shown[1])
    assert documented.pop("…") == "…"
    for name, value in documented.items():
        assert isinstance(sent[name], type(value)), name
        if isinstance(value, dict):
            assert {*value} == {*sent[name]}


def test_headers_of_the_page_carry_fields_of_the_event(gateway: Gateway, tmp_path: Path) -> None:
    text = addressed(_WHOLE, gateway)
    probe(tmp_path, text.replace('via = "http"\n', f'via = "http"\n{block("batch = 1")}'))
    headers, body = next(seen for seen in gateway.seen if seen[1].strip())
    event = json.loads(body)
    assert headers["X-Account"] == str(event["customer_id"])
    assert headers["Idempotency-Key"] == event["log_id"]


@pytest.mark.parametrize("kind", ["endpoint", "program", "signature"])
def test_credentials_of_the_page_are_accepted(gateway: Gateway, tmp_path: Path, kind: str) -> None:
    name = "signed" if kind == "signature" else "gateway"
    table = {
        "endpoint": "[credentials.gateway.token]",
        "program": "[credentials.gateway]\n",
        "signature": "[credentials.signed.signature]",
    }[kind]
    (tmp_path / "token.txt").write_text(TOKEN)
    gateway.authorised = (
        gateway.signed
        if kind == "signature"
        else lambda headers, _: headers.get("Authorization") == f"Bearer {TOKEN}"
    )
    text = _WHOLE.replace('via = "http"\n', f'via = "http"\ncredentials = "{name}"\n')
    probe(tmp_path, addressed(text + block(table), gateway))


@pytest.mark.skipif(NATS_SERVER is None, reason="needs nats-server: make tools")
def test_broker_toml_conforms(gateway: Gateway, tmp_path: Path) -> None:
    text = addressed((TARGETS / "broker.toml").read_text("utf-8"), gateway)
    documented = "nats://127.0.0.1:4222"
    assert documented in text
    with nats_server(tmp_path / "nats") as url:
        asyncio.run(add_stream(url, "USAGE", "usage.events"))
        with consumer("nats", url, "USAGE", gateway.reference.serving.ingest_url):
            check(tmp_path, text.replace(documented, url) + _UNLIMITED)


def test_the_clock_of_the_page_that_can_be_asked_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _WHOLE + next(text for text in _BLOCKS if "[clock.read]" in text) + _FRESH + _UNLIMITED
    with (
        embedded_reference(options=("--control",)) as reference,
        gateway_to(reference) as gateway,
    ):
        set_keys(gateway, monkeypatch)
        check(tmp_path, addressed(text, gateway), "--level", "3", "--only", "RETAIN-MAX")


def test_the_readings_of_the_page_are_held_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, readings = block("claims = ").split("\n\n", 1)
    text = f"{first}\n{_WHOLE}{readings}{_UNLIMITED}"
    variants = ("--variant", "V1", "--variant", "V3", "--variant", "V7")
    with (
        embedded_reference(options=("--control", *variants)) as reference,
        gateway_to(reference) as gateway,
    ):
        set_keys(gateway, monkeypatch)
        check(tmp_path, addressed(text, gateway))


def test_program_toml_conforms_at_level_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = ("--variant", "V1", "--variant", "V7")
    (tmp_path / "data").mkdir()
    with (
        embedded_reference(data=tmp_path / "data", options=("--control", *variants)) as reference,
        gateway_to(reference) as gateway,
    ):
        set_keys(gateway, monkeypatch)
        gateway.lab_key = LAB_KEY
        curl = "#!/bin/sh\nexec curl --silent --show-error --fail --output /dev/null"
        for program, request in {
            "put-events": f"--data-binary @- {reference.serving.ingest_url}",
            "run-nightly-jobs": f"--request POST {gateway.url}/jobs",
            "restart": f"--request POST {gateway.url}/restart",
        }.items():
            (tmp_path / f"{program}.sh").write_text(f"{curl} {request}\n")
        text = (TARGETS / "program.toml").read_text("utf-8")
        check(tmp_path, addressed(text, gateway, api=f"{gateway.url}/1.0"), "--level", "4")
