"""Validation of response bodies: strict, except where the documents say nothing."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from trueup.conformance.contract import schemas
from trueup.conformance.contract.schema_check import compile_schema
from trueup.conformance.contract.schemas import (
    ENDPOINTS,
    MOST_PROBLEMS,
    _fits,
    _validator,
    problems,
    schema,
)
from trueup.conformance.errors import ConformanceError
from trueup.reports.results import Json

_LOG: dict[str, Any] = {
    "log_id": "123e4567-e89b-12d3-a456-426614174000",
    "proxy_user_id": "stevejobs",
    "log_network": "isp",
    "log_protocol": "http",
    "log_hostname": "apple.com",
    "log_client_ip_address": "17.172.224.1",
    "log_total_bytes": 5120,
    "log_request_datetime": "2025-04-01 13:00:00",
    "country_id": "us",
    "city_alias": "cupertino",
    "asn_id": 1299,
}


def _search(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = {
        "data": list(rows),
        "item_count": len(rows),
        "message": "Search successful.",
        "page": 1,
        "per_page": 100,
        "total_count": len(rows),
    }
    return body | changes


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"log_request_datetime": "2025-04-01T13:00:00Z"},
        {"log_request_datetime": "2025-04-01 13:00:00.123456"},
        {"log_status_code": None, "log_session_id": None, "something_new": {"a": [1]}},
        {"log_total_bytes": 2**63 - 1},
        {"city_alias": None},
    ],
    ids=lambda change: next(iter(change), "as in the guide"),
)
def test_documented_bodies_are_valid(change: dict[str, Any]) -> None:
    assert problems("log/search", _search(_LOG | change)) == []


def test_a_total_count_of_minus_one_is_valid() -> None:
    assert problems("log/search", _search(_LOG, total_count=-1)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"log_total_bytes": "5 KB"},
            'data[0].log_total_bytes: expected a whole number, 0 or more, found "5 KB"',
        ),
        (
            {"log_total_bytes": -1},
            "data[0].log_total_bytes: expected a whole number, 0 or more, found the number -1",
        ),
        (
            {"log_total_bytes": True},
            "data[0].log_total_bytes: expected a whole number, 0 or more, "
            "found true (true or false)",
        ),
        (
            {"log_network": "satellite"},
            "data[0].log_network: expected datacenter, isp, residential or mobile, "
            'found "satellite"',
        ),
        (
            {"log_request_datetime": 1743512400},
            "data[0].log_request_datetime: expected a date and time such as 2025-04-01 13:00:00 "
            "or 2025-04-01T13:00:00Z, found the number 1743512400",
        ),
        (
            {"log_status_code": "200"},
            'data[0].log_status_code: expected a whole number, null or no such key, found "200"',
        ),
    ],
)
def test_an_invalid_value_is_reported_with_its_path(change: dict[str, Any], said: str) -> None:
    assert problems("log/search", _search(_LOG | change)) == [said]


@pytest.mark.parametrize("key", sorted(_LOG))
def test_each_of_the_eleven_fields_of_the_guide_is_required(key: str) -> None:
    row = {name: value for name, value in _LOG.items() if name != key}
    body: dict[str, Json] = {"data": row, "message": "Log successfully retrieved."}
    assert problems("log/retrieve/x", body) == [f'data: the key "{key}" is missing']


def test_a_body_that_is_not_an_object_is_reported() -> None:
    assert problems("log/search", []) == ["the body: expected an object, found a list of 0"]
    assert problems("error", None) == [
        "the body: expected an object with error and message, found null"
    ]


def test_a_removed_hostname_is_null_empty_or_absent() -> None:
    row = {
        "log_summary_id": "1",
        "proxy_user_id": "stevejobs",
        "log_summary_network": "isp",
        "log_summary_requests": 2,
        "log_summary_bytes": 3,
        "log_summary_period": "2025-04-01",
    }
    for gone in ({}, {"log_summary_hostname": None}, {"log_summary_hostname": ""}):
        assert problems("log_summary/search", _search(row | gone)) == []


def test_of_many_problems_some_are_shown_and_the_rest_counted() -> None:
    found = problems("log/search", _search(*({} for _ in range(10))))
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1] == "and 90 more problems"


def test_an_endpoint_without_a_schema_is_our_own_error() -> None:
    with pytest.raises(ConformanceError, match='no schema for "log/delete"'):
        problems("log/delete", {})


def test_a_thousand_rows_are_validated_in_less_than_a_second() -> None:
    body = _search(*(dict(_LOG) for _ in range(1000)))
    began = time.perf_counter()
    assert problems("log/search", body) == []
    assert time.perf_counter() - began < 0.5


def test_an_unknown_keyword_is_rejected_when_compiling() -> None:
    with pytest.raises(ValueError, match='"maxLength" is not known'):
        compile_schema({"type": "string", "maxLength": 3}, schema)


def test_every_schema_is_a_valid_json_schema() -> None:
    for file in sorted((Path(schemas.__file__).parent / "schemas").iterdir()):
        Draft202012Validator.check_schema(schema(file.stem))


def test_every_schema_file_is_used() -> None:
    files = {file.stem for file in (Path(schemas.__file__).parent / "schemas").iterdir()}
    used: set[str] = set()

    def subschemas(name: str) -> None:
        if name in used:
            return
        used.add(name)
        text = json.dumps(schema(name))
        for other in files:
            if f'"{other}.json' in text:
                subschemas(other)

    for name in ENDPOINTS.values():
        subschemas(name)
    assert used == files


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "isp", "http", "2025-04-01", "2025-04-01 13:00:00", "2025-04-01T13:00Z"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(_LOG)), _JSON, st.booleans())
def test_the_compiled_schema_and_jsonschema_agree(key: str, value: Any, retrieve: bool) -> None:
    """One field of a valid body is replaced by an arbitrary value."""
    row = copy.deepcopy(_LOG) | {key: value}
    body: Any = {"data": row, "message": ""} if retrieve else _search(row)
    name = "log_retrieve" if retrieve else "log_search"
    assert _fits(name)(body) == _validator(name).is_valid(body)


@given(st.sampled_from(sorted(set(ENDPOINTS.values()))), _JSON)
def test_they_agree_on_arbitrary_bodies(name: str, body: Any) -> None:
    assert _fits(name)(body) == _validator(name).is_valid(body)
