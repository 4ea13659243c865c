"""An audit at level 0 changes nothing on the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared_tenant.environment import (
    audit_file,
    run_environment,
    run_in_environment,
    snapshot,
)
from tests.shared_tenant.leaking_proxy import behind_leaking_proxy
from trueup.reports.journal.records import Delivered, Exchange, Hook
from trueup.reports.journal.storage import read_journal

pytestmark = pytest.mark.slow

FAST = '[budget]\nrequests_per_s = "unlimited"'
"""The audit's questions are the same at any pace; the benchmark measures the default one."""


def test_an_audit_sends_only_get_requests_and_changes_nothing(tmp_path: Path) -> None:
    """On the wire, in the journal and in the account itself: nothing was written."""
    with (
        run_environment(tmp_path) as at,
        behind_leaking_proxy(at, tmp_path / "wire.toml") as (behind, wire),
    ):
        sent = run_in_environment(at, tmp_path / "fleet", level=-1, fleet=1500)
        assert sent.error is None
        before = snapshot(at)
        target = audit_file(behind, tmp_path / "audit.toml", budget=FAST)
        audited = run_in_environment(behind, tmp_path / "audit", level=0, target=target)
        after = snapshot(at)
    assert audited.error is None
    assert any(result.evidence for result in audited.report.results)
    records = read_journal(audited.folder).records
    asked = [record for record in records if isinstance(record, Exchange)]
    assert asked
    assert [record.method for record in asked if record.method != "GET"] == []
    assert [record for record in records if isinstance(record, Delivered | Hook)] == []
    assert dict(wire.seen) == {("GET", "api"): len(asked)}
    assert sum(map(len, before.values())) > 1500
    assert before == after
