"""Searches with all filters at once: each filter is decisive, whatever the others leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from tests.conformance.literal import summary
from tests.conformance.plan_context import context_at
from trueup.conformance.contract.fields import HINTED, LOG_FIELDS
from trueup.conformance.contract.matching import parse_search
from trueup.conformance.contract.summaries import SUMMARY_FIELDS
from trueup.conformance.datasets.near_misses import near_events, near_requests
from trueup.conformance.model import Event
from trueup.conformance.requests import ApiRequest

CONTEXT = context_at()
REQUESTS = near_requests(CONTEXT)
LOGS = [each for each in REQUESTS if each.path == "log/search"]
SUMMARIES = [each for each in REQUESTS if each.path == "log_summary/search"]
IMPLIED = {"not_": {"proxy_user_id"}, "min_": {"min_log_summary_requests"}}
"""Operator → filters that the others imply: of the successful and failed requests, the sum."""


def events(tenant: str) -> list[Event]:
    return [event for each in near_events(CONTEXT, tenant) for event in each.events]


def summaries(tenant: str) -> list[dict[str, Any]]:
    cells: defaultdict[tuple[object, ...], list[Event]] = defaultdict(list)
    for each in events(tenant):
        day = str(each["log_request_datetime"])[:10]
        key = (each["proxy_user_id"], each["log_network"], each["log_hostname"], day)
        cells[key].append(each)
    rows = []
    for own in cells.values():
        good = sum(1 for each in own if each["log_status_code"] == 200)
        failed = sum(1 for each in own if (each["log_status_code"] or 0) in (404, 405, 403, 502))
        rows.append(summary([*own], log_summary_successful=good, log_summary_error=failed))
    return rows


def found(query: Sequence[tuple[str, str]], request: ApiRequest) -> int:
    """How many rows certainly meet the filters of a query."""
    of_logs = request.path == "log/search"
    rows = events(request.tenant) if of_logs else summaries(request.tenant)
    asked = parse_search(query, LOG_FIELDS if of_logs else SUMMARY_FIELDS)
    assert not asked.unusual
    return sum(asked.matches(row.get) is True for row in rows)


@pytest.mark.parametrize("request_", [*LOGS, *SUMMARIES], ids=lambda each: each.name[:60])
def test_without_any_one_filter_other_rows_are_found(request_: ApiRequest) -> None:
    query = request_.query[:-1]
    whole = found(query, request_)
    assert 0 < whole <= 20
    idle = {
        name
        for name, value in query
        if found([(n, v) for n, v in query if n != name], request_) == whole
    }
    assert idle <= {
        each for operator, names in IMPLIED.items() if operator in request_.name for each in names
    }


@pytest.mark.parametrize("operator", ["", "min_", "max_", "like_", "not_"])
def test_every_filter_of_logs_is_among_them(operator: str) -> None:
    asked = {name for request in LOGS for name, _ in request.query}
    names = {name for name, field in LOG_FIELDS.items() if field.filterable} - {"log_id"}
    assert any(name.startswith(operator) for name in asked - names) or not operator
    assert {name for name in names if name in asked} == names - {"customer_id"}


def test_fields_that_a_target_may_refuse_are_in_every_second_request() -> None:
    refusable = [
        any(name.endswith(field) for name, _ in request.query for field in HINTED)
        for request in LOGS
    ]
    assert refusable == [False, True] * 5
