"""Events under a target's field names: rows written directly equal events mapped one by one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.fleets import common
from trueup.simulator.encode import supports_row_layout
from trueup.simulator.field_map import EVENT_KEYS, FieldMap

FLEET = common()
BEGIN = FLEET.model.coverage.count - 5
"""Five coverage events, and drawn ones after them."""


def test_event_keys_are_the_fields_of_the_events() -> None:
    for row in FLEET.batch(BEGIN, 10).rows():
        assert set(row) == set(EVENT_KEYS)


@pytest.mark.parametrize(
    "names",
    [
        FieldMap(),
        FieldMap(rename={"log_id": "uid", "log_request_datetime": "at", "log_session_id": "s"}),
        FieldMap(rename={"log_total_bytes": "octets", "log_egress_ip_address": "exit_address"}),
        FieldMap(rename={"log_hostname": 'a "quoted" nämé'}, extras={"v": [1, None]}),
        FieldMap(drop=frozenset({"log_hostname", "log_concurrency", "asn_id"})),
        FieldMap(rename={key: f"their_{key}_of_a_length" for key in EVENT_KEYS}),
        FieldMap(drop=frozenset(EVENT_KEYS[1:9])),
    ],
)
def test_rows_under_other_names_equal_the_mapped_events(names: FieldMap) -> None:
    """Renamed, dropped and added fields."""
    assert supports_row_layout(names)
    lines = bytes(FLEET.batch(BEGIN, 300).lines(names)).splitlines()
    assert [json.loads(line) for line in lines] == [
        names.apply(row) for row in FLEET.batch(BEGIN, 300).rows()
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(EVENT_KEYS), st.text(min_size=1, max_size=40), max_size=6),
    st.frozensets(st.sampled_from(EVENT_KEYS), max_size=6),
)
def test_every_supported_field_map_is_written_correctly(
    rename: dict[str, str], drop: frozenset[str]
) -> None:
    """Any names and any dropped fields for which the layout is supported."""
    names = FieldMap(rename=rename, drop=drop, extras={"source": "trueup"})
    if supports_row_layout(names):
        lines = bytes(FLEET.batch(BEGIN, 12).lines(names)).splitlines()
        mapped = [names.apply(row) for row in FLEET.batch(BEGIN, 12).rows()]
        assert [json.loads(line) for line in lines] == mapped


@pytest.mark.parametrize(
    "names",
    [
        FieldMap(drop=frozenset({"log_id"})),
        FieldMap(rename={"asn_id": "country_id"}),
        FieldMap(extras={"log_hostname": "always.example"}),
    ],
)
def test_unsupported_field_maps_are_recognised(names: FieldMap) -> None:
    """A dropped field with a fixed place, and one name for two fields: mapped event by event."""
    assert not supports_row_layout(names)
