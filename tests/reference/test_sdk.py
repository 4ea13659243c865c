"""The public SDK of this API reads the reference unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.reference.served import event, ndjson
from tests.reference.test_process import ask, now_text, running

PROGRAM = """
import json, sys
from byteful import BytefulClient
where = json.load(sys.stdin)
pair = where["tenants"][0]
client = BytefulClient(pair["public_key"], pair["private_key"], base_url=where["url"])
logs = client.log_search(log_network="residential", log_smartpath_routed=True, per_page=5)
log = client.log_retrieve(logs[0].log_id)
summaries = client.log_summary_search(log_summary_hostname="apple.com")
summary = client.log_summary_retrieve(summaries[0].log_summary_id)
ledger = client.residential_ledger_search(residential_ledger_reason="usage")
entry = client.residential_ledger_retrieve(ledger[0].residential_ledger_id)
client.mobile_ledger_retrieve(client.mobile_ledger_search()[0].mobile_ledger_id)
user = client.proxy_user_create()
client.proxy_user_edit("alice", proxy_user_metadata={"a": 1})
made = client.proxy_user_search(proxy_user_is_deleted=False)
client.proxy_user_delete("alice")
print(json.dumps({
    "total": logs.total_count, "bytes": log.log_total_bytes,
    "network": str(log.log_network.value), "when": str(log.log_request_datetime),
    "summary": [summary.log_summary_requests, summary.log_summary_bytes],
    "entry": entry.residential_ledger_bytes,
    "users": made.total_count,
    "used": client.proxy_user_retrieve("alice").proxy_user_residential_bytes_used,
    "graph": str(client.analytics_graph(interval="day")),
    "default graph": str(client.analytics_graph()),
    "breakdown": str(client.analytics_breakdown(return_networks=True)),
    "residential": str(client.residential_summary()),
    "mobile": str(client.mobile_summary()),
    "customer": client.customer_retrieve().customer_id,
    "services": client.service_search().total_count,
    "service": client.service_retrieve(client.service_search()[0].service_id).service_type,
    "adjustments": client.service_adjustment_search().total_count,
    "catalogue": str(client.checkout_catalog()),
}))
"""


def _python() -> str | None:
    """A Python of 3.13 or newer that really runs; a version manager's shim may not."""
    managed = Path.home() / ".pyenv" / "versions"
    found = [shutil.which(name) for name in ("python3.13", "python3.14")]
    found += [str(path) for path in sorted(managed.glob("3.1[34]*/bin/python3"))]
    for candidate in filter(None, found):
        probe = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info >= (3, 13))"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.stdout.strip() == "True":
            return candidate
    return None


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the SDK in an environment of its own."""
    python = _python()
    if python is None:
        pytest.skip("no Python 3.13 or newer on this machine, which byteful-sdk needs")
    home = tmp_path_factory.mktemp("sdk")
    subprocess.run([python, "-m", "venv", home], check=True)
    installed = subprocess.run(
        [home / "bin" / "python", "-m", "pip", "install", "--quiet", "byteful-sdk==0.1.0a1"],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"byteful-sdk cannot be installed: {installed.stderr.strip()[-200:]}")
    return home / "bin" / "python"


@pytest.mark.slow
def test_the_public_sdk_reads_every_view(sdk: Path) -> None:
    with running("--control") as (_, where):
        when = now_text()
        sent = [
            event(
                number, log_request_datetime=when, log_total_bytes=amount, log_smartpath_routed=True
            )
            for number, amount in enumerate((5, 70), 1)
        ]
        assert ask(where["ingest_url"], data=ndjson(sent))[1]["accepted"] == 2
        ended = subprocess.run(
            [sdk, "-c", PROGRAM],
            input=json.dumps(where),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert (seen["total"], seen["bytes"], seen["network"], seen["when"]) == (
        2,
        5,
        "residential",
        when,
    )
    assert seen["summary"] == [2, 75]
    assert (seen["entry"], seen["used"]) == (-75, 75)
    assert (seen["users"], seen["customer"], seen["services"]) == (3, 1001, 4)
    assert "75" in seen["graph"] and "75" in seen["breakdown"] and "75" in seen["residential"]
