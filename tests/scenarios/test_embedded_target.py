"""The embedded reference is described by a target file like any other target."""

from __future__ import annotations

from pathlib import Path

from trueup.conformance.target.load import load_target
from trueup.scenarios.embedded.process import Serving, ServingTenant
from trueup.scenarios.embedded.target import key_environment, target_file

SERVING = Serving(
    url="http://127.0.0.1:4711/1.0",
    ingest_url="http://127.0.0.1:4711/ingest/events",
    tenants=(
        ServingTenant(public_key="pub-a", private_key="priv-a", customer_id=1),
        ServingTenant(public_key="pub-b", private_key="priv-b", customer_id=2),
    ),
    control_url="http://127.0.0.1:4711/control",
    control_key="levers",
    ingest_key="inwards",
)


def test_the_target_file_says_how_to_reach_everything(tmp_path: Path) -> None:
    """Tenants, ingestion, clock, money and restart are all there, and the loader agrees."""
    path = tmp_path / "target.toml"
    path.write_text(target_file(SERVING, requests=500, restart_path=Path("/run/door")))
    target = load_target(path, key_environment(SERVING))
    assert target.base_url == SERVING.url
    assert target.tenants["b"].customer_id == 2
    assert None not in (target.ingest, target.clock, target.maintenance, target.money)
    assert target.restart is not None
    assert target.budget.requests == 500


def test_no_key_is_in_the_file() -> None:
    """Whoever finds the run's folder finds no key."""
    text = target_file(SERVING, requests=500)
    assert not [key for key in key_environment(SERVING).values() if key in text]
