"""The stages of level 0: only reads, and lists in pages of more than one size and order."""

from __future__ import annotations

from dataclasses import replace

from tests.conformance.plan_context import context_at
from trueup.conformance.datasets.audit_stages import audit_stages


def test_an_audit_only_reads_and_reads_everything_twice() -> None:
    first, second = audit_stages(replace(context_at(), level=0))
    requests = [*first.requests, *(each.request for each in first.follow_ups)]
    assert {request.method for request in requests} == {"GET"}
    assert first.operations == ()
    assert (first.requests, first.follow_ups) == (second.requests, second.follow_ups)


def test_an_audit_lists_the_closed_days_in_small_and_large_pages_and_both_orders() -> None:
    stage, _ = audit_stages(replace(context_at(), level=0))
    lists = {
        (request.per_page, dict(request.query).get("sort_by", ""))
        for request in stage.requests
        if request.paged and request.path == "log_summary/search"
    }
    assert lists == {
        (100, ""),
        (20, ""),
        (20, "log_summary_bytes"),
        (20, "log_summary_bytes_desc"),
    }
