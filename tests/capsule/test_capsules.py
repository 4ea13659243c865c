"""`trueup capsule`: planted at a reference, harvested at several ages, right and with faults."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import exit_status
from trueup.reports.errors import ConfigurationError
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.scenario import CapsulePart, load_scenario

KEY = "a key of the vendor's own"


class Site:
    """A reference with a target file, and the commands at it."""

    def __init__(self, serving: Serving, folder: Path) -> None:
        self.serving = serving
        self.folder = folder
        self.file = folder / "target.toml"
        self.manifest = folder / "capsule.json"
        self.file.write_text(target_file(serving, requests=5000))

    def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
        """Run `trueup capsule …`; returns its exit status and what it prints as JSON."""
        runs = str(self.folder / "runs")
        status = exit_status("capsule", *words, "--json", "--quiet", "--runs", runs)
        return status, json.loads(capsys.readouterr().out)

    def plant(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        status, found = self.run(capsys, "plant", str(self.file), "--manifest", str(self.manifest))
        assert status == 0
        return found

    def harvest(
        self, capsys: pytest.CaptureFixture[str], *words: str
    ) -> tuple[int, dict[str, Any]]:
        return self.run(capsys, "harvest", str(self.file), str(self.manifest), *words)

    def pass_days(self, days: float) -> None:
        """Bring the reference's clock to so many days after the planting; maintain it twice."""
        planted = json.loads(self.manifest.read_text())["planted"]["target_time"]
        for seconds in (0, 60):
            at = datetime.fromisoformat(planted) + timedelta(days=days, seconds=seconds)
            self._control("clock", {"now": at.strftime("%Y-%m-%d %H:%M:%S")})
            self._control("maintenance", {})

    def pay(self, size: int) -> None:
        """Top up the first customer's residential data."""
        customer = self.serving.tenants[0].customer_id
        body = {"customer_id": customer, "network": "residential", "kind": "top_up"}
        self._control("money", body | {"bytes": size, "idempotency_key": "later"})

    def _control(self, hook: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.serving.control_url}/{hook}",
            data=json.dumps(body).encode(),
            headers={
                "X-Control-Key": self.serving.control_key or "",
                "Content-Type": "application/json",
            },
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200


def _started(
    options: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.delenv("TRUEUP_CAPSULE_KEY", raising=False)
    with embedded_reference(options=("--control", *options)) as reference:
        for name, value in key_environment(reference.serving).items():
            monkeypatch.setenv(name, value)
        yield Site(reference.serving, folder)


@pytest.fixture
def site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A reference of the test's own, with the options of an indirect parameter."""
    yield from _started(getattr(request, "param", ()), tmp_path, monkeypatch)


def _verdicts(found: dict[str, Any], verdict: str) -> set[str]:
    return {each["check"] for each in found["checks"] if each["verdict"] == verdict}


def _parts(found: dict[str, Any]) -> dict[str, str]:
    return {each["part"]: each["now"] for each in found["capsule"]["parts"]}


@pytest.mark.slow
def test_a_correct_target_conforms_at_every_age(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUEUP_CAPSULE_KEY", KEY)
    planted = site.plant(capsys)
    assert planted["capsule"]["events"] == {"accepted": 281, "refused": 0, "unknown": 0}
    assert planted["capsule"]["signature"] == "verified"
    events = [
        event
        for record in json.loads(site.manifest.read_text())["records"]
        if record["kind"] == "delivered"
        for event in record["events"]
    ]
    assert {event["log_network"] for event in events} == {
        "datacenter",
        "isp",
        "residential",
        "mobile",
    }
    assert len({event["customer_id"] for event in events}) == 2
    assert len({event["log_request_datetime"][:10] for event in events}) >= 7

    status, now = site.harvest(capsys)
    assert (status, _verdicts(now, "fail")) == (0, set())
    assert _parts(now)["logs, one by one"] == "now"
    assert _parts(now)["logs removed after 7 days"] == "too early"
    assert now["capsule"]["sha256"] == planted["capsule"]["sha256"]

    site.pay(5_555)  # the customer buys data meanwhile
    site.pass_days(1)
    status, next_day = site.harvest(capsys)
    assert status == 0
    assert {"logs-are-kept", "logs-are-complete", "summaries-equal-logs"} <= _verdicts(
        next_day, "pass"
    )
    assert "logs-are-removed" in _verdicts(next_day, "not-applicable")

    site.pass_days(8)
    status, past_7 = site.harvest(capsys)
    assert status == 0
    assert _parts(past_7)["logs removed after 7 days"] == "in part"
    assert {"logs-are-removed", "account-equals-ledger"} <= _verdicts(past_7, "pass")
    assert "logs-are-complete" in _verdicts(past_7, "not-applicable")

    site.pass_days(95)
    status, past_90 = site.harvest(capsys)
    assert status == 0
    consolidated = {
        "hostnames-are-removed",
        "consolidated-rows-are-single",
        "consolidation-keeps-totals",
        "ledger-usage-is-the-traffic",
        "used-bytes-are-the-traffic",
        "graph-equals-summaries",
    }
    assert consolidated <= _verdicts(past_90, "pass")
    assert _parts(past_90)["summaries consolidated after 90 days"] == "now"
    assert exit_status("judge", str(site.folder / "runs" / "latest")) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("site", "days", "check"),
    [
        pytest.param(("--fault", "D1"), 1, "logs-are-kept", id="logs-purged-after-6-days"),
        pytest.param(("--fault", "D3"), 8, "logs-are-removed", id="old-logs-still-retrieved"),
        pytest.param(("--fault", "D5"), 95, "consolidation-keeps-totals", id="one-hostname-kept"),
        pytest.param(("--fault", "D8"), 95, "hostnames-are-removed", id="hostnames-never-removed"),
        pytest.param(("--fault", "E8"), 95, "ledger-is-kept", id="ledger-purged"),
    ],
    indirect=["site"],
)
def test_a_fault_that_needs_time_is_detected(
    site: Site, days: float, check: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.plant(capsys)
    site.pass_days(days)
    status, found = site.harvest(capsys)
    assert status == 1
    assert check in _verdicts(found, "fail")


@pytest.mark.slow
def test_a_manifest_has_no_keys_and_no_names_of_others_and_fits_its_target_only(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others use the account: their names are in the ledgers' summaries that the manifest keeps."""
    at = datetime.now(UTC) - timedelta(minutes=5)
    event = {
        "log_id": "7d1f3f0e-6f0f-4a3c-9d51-8f5d3f1a2b3c",
        "customer_id": site.serving.tenants[0].customer_id,
        "proxy_user_id": "another-user-1",
        "log_network": "residential",
        "log_protocol": "http",
        "log_hostname": "private.example.org",
        "log_client_ip_address": "198.51.100.1",
        "log_total_bytes": 12_345,
        "log_request_datetime": at.strftime("%Y-%m-%d %H:%M:%S"),
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "dallas",
        "asn_id": 7018,
        "log_status_code": 200,
    }
    sent = urllib.request.Request(
        site.serving.ingest_url,
        data=json.dumps(event).encode(),
        headers={
            "Content-Type": "application/x-ndjson",
            "X-Ingest-Key": site.serving.ingest_key or "",
        },
    )
    with urllib.request.urlopen(sent, timeout=30) as response:
        assert json.load(response)["accepted"] == 1
    site.plant(capsys)
    text = site.manifest.read_text()
    for secret in (*key_environment(site.serving).values(), "another-user", "private.example"):
        assert secret not in text
    assert '"other-' in text
    assert site.harvest(capsys)[0] == 0

    other = site.file.read_text().replace(
        f"customer_id = {site.serving.tenants[0].customer_id}", "customer_id = 4711"
    )
    site.file.write_text(other)
    words = ("capsule", "harvest", str(site.file), str(site.manifest), "--quiet")
    assert exit_status(*words) == 4
    assert "the capsule was planted for customer 1001" in capsys.readouterr().err

    elsewhere = site.serving.url.replace("127.0.0.1", "localhost")
    site.file.write_text(other.replace(site.serving.url, elsewhere))
    assert exit_status(*words) == 4
    assert "--moved if it has another address" in capsys.readouterr().err
    monkeypatch.setenv("TRUEUP_CAPSULE_KEY", KEY)
    assert exit_status(*words) == 4
    assert "is not signed" in capsys.readouterr().err


def test_a_manifest_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent: the target of this file does not run."""
    for name in ("A_PUB", "A_KEY"):
        monkeypatch.setenv(name, "some-long-key")
    file, manifest = tmp_path / "target.toml", tmp_path / "capsule.json"
    file.write_text(
        'name = "mine"\nbase_url = "http://127.0.0.1:9/1.0"\n[tenants.a]\n'
        'public_key = { env = "A_PUB" }\nprivate_key = { env = "A_KEY" }\ncustomer_id = 1\n'
        '[ingest]\nvia = "http"\nurl = "http://127.0.0.1:9/events"\n'
    )
    manifest.write_text("mine\n")
    words = ("capsule", "plant", str(file), "--quiet", "--manifest")
    runs = ("--runs", str(tmp_path / "runs"))
    assert exit_status(*words, str(manifest), *runs) == 4
    assert "already exists" in capsys.readouterr().err
    assert manifest.read_text() == "mine\n"
    assert exit_status(*words, str(tmp_path / "none" / "capsule.json"), *runs) == 4
    assert "no folder" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_scenario_with_a_capsule_has_no_other_part(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = 'name = "mine"\nwhat = "a capsule"\n[capsule]\nmanifest = "capsule.json"\n'
    file.write_text(text)
    assert load_scenario(str(file)).capsule == CapsulePart(manifest="capsule.json")
    file.write_text(text + "[checks]\nlevel = 2\n")
    with pytest.raises(ConfigurationError, match=r"no other part beside \[capsule\]"):
        load_scenario(str(file))


def test_a_capsule_is_not_planted_at_the_embedded_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nwhat = "a capsule"\n[capsule]\nmanifest = "capsule.json"\n')
    assert exit_status("run", str(file), "--runs", str(tmp_path / "runs")) == 4
    assert "Name its file with --target" in capsys.readouterr().err
