"""Events in a target's format: rows written at once equal events written one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.fleets import common
from trueup.reports.event_format import (
    AMOUNTS,
    EVENT_KEYS,
    TIME_FORMS,
    BodyForm,
    EventFormat,
    FieldFormat,
    show_time,
)
from trueup.reports.results import Json

FLEET = common()
BEGIN = FLEET.model.coverage.count - 5
"""Five coverage events, and drawn ones after them."""
POOLS: dict[str, Json] = {"datacenter": "dc", "isp": 2, "residential": None, "mobile": True}


def left_out(*kept: str) -> dict[str, FieldFormat]:
    return {key: FieldFormat(name="") for key in EVENT_KEYS if key not in kept}


def decoded(text: bytes) -> list[Any]:
    """Lines as values; the order of attributes has no meaning."""
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        if "attributes" in row:
            row["attributes"].sort(key=lambda one: one["key"])
    return rows


def assert_rows_equal_events(events: EventFormat, count: int) -> None:
    lines = bytes(FLEET.batch(BEGIN, count).lines(events))
    alone = b"\n".join(events.text(row) for row in FLEET.batch(BEGIN, count).rows())
    assert decoded(lines) == decoded(alone)


def test_event_keys_are_the_fields_of_the_events() -> None:
    for row in FLEET.batch(BEGIN, 10).rows():
        assert set(row) == set(EVENT_KEYS)


@pytest.mark.parametrize(
    "events",
    [
        EventFormat(),
        EventFormat(constants={"a": 'a "quoted" nämé', "b.c": [1, None], "b.d": {"e": 1}}),
        EventFormat(fields={key: FieldFormat(name=f"their_{key}") for key in EVENT_KEYS}),
        EventFormat(
            fields={key: FieldFormat(name=f"a.b{n % 3}.{key}") for n, key in enumerate(EVENT_KEYS)}
        ),
        EventFormat(fields=left_out("log_hostname")),
        EventFormat(fields=left_out("log_egress_ip_address", "log_concurrency")),
        EventFormat(fields=left_out(), constants={"empty": {}}),
        EventFormat(fields={"log_network": FieldFormat(name="net.pool", values=POOLS)}),
        EventFormat(
            fields={
                "log_egress_ip_address": FieldFormat(name="exit.ip"),
                "asn_id": FieldFormat(name="exit.asn"),
            }
        ),
        EventFormat(
            fields={"log_total_bytes": FieldFormat(split={"up": 20, "u.down": 79, "lost": 1})}
        ),
        EventFormat(
            fields={"log_total_bytes": FieldFormat(name="all", split={"up": 0, "down": 3})}
        ),
        EventFormat(
            sums={"both": ("log_handshake_elapsed_ms", "log_tunnel_elapsed_ms"), "all": AMOUNTS}
        ),
        EventFormat(fields={"log_session_id": FieldFormat(name="s.s")}, form=BodyForm.OTLP_LOGS),
        EventFormat(form=BodyForm.JSON_ARRAY, key="a.b", body={"a.v": 1}),
    ],
    ids=lambda _: "format",
)
def test_rows_in_a_format_equal_the_events_one_by_one(events: EventFormat) -> None:
    assert_rows_equal_events(events, 300)


@pytest.mark.parametrize("form", BodyForm)
def test_rows_of_every_body_form_equal_the_events_one_by_one(form: BodyForm) -> None:
    assert_rows_equal_events(EventFormat(form=form), 300)


@pytest.mark.parametrize("form", [*TIME_FORMS, "iso+05:45", "iso-11:00"])
@pytest.mark.parametrize("body", [BodyForm.NDJSON, BodyForm.OTLP_LOGS])
def test_rows_with_every_time_form_equal_the_events_one_by_one(form: str, body: BodyForm) -> None:
    time = FieldFormat(name="at", time=form)
    for beside in (
        {},
        left_out("log_request_datetime"),
        left_out("log_request_datetime", "asn_id"),
    ):
        fields = {**beside, "log_request_datetime": time}
        assert_rows_equal_events(EventFormat(fields=fields, form=body), 40)


def test_every_time_form_is_the_same_time() -> None:
    """Read back by Python, fractions included where the form holds them."""
    at = datetime(2025, 3, 30, 23, 59, 59, 250_000, tzinfo=UTC)
    for form in (*TIME_FORMS, "iso+02:00", "iso-09:30"):
        shown = show_time("2025-03-30 23:59:59.25", form)
        if form.startswith("epoch"):
            units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[form.removeprefix("epoch-")]
            assert shown == int(at.timestamp() * 1000) * units // 1000
        else:
            read = datetime.fromisoformat(str(shown))
            assert (read if read.tzinfo else read.replace(tzinfo=UTC)) == at


@pytest.mark.parametrize(
    "value", ["yesterday", "2025-02-30 00:00:00", "2025-01-01", None, 5, "9999-12-31 23:59:59"]
)
def test_what_is_no_time_is_sent_as_it_is(value: Any) -> None:
    assert show_time(value, "iso+23:59") == value


@given(
    st.integers(-(2**60), 2**60),
    st.lists(st.integers(0, 10_000), min_size=2, max_size=8).filter(any),
)
def test_parts_of_an_amount_add_up_to_it(amount: int, shares: list[int]) -> None:
    split = {f"p{n}": share for n, share in enumerate(shares)}
    events = EventFormat(fields={"log_total_bytes": FieldFormat(split=split)})
    (row,) = events.rows({"log_total_bytes": amount})
    assert isinstance(row, dict)
    assert sum(row.values()) == amount  # type: ignore[arg-type]
    assert all((value >= 0) == (amount >= 0) or value == 0 for value in row.values())  # type: ignore[operator]


def test_an_impossible_value_stays_impossible() -> None:
    """Checks send events that a target has to refuse: no value is invented for them."""
    events = EventFormat(
        fields={
            "log_network": FieldFormat(name="net", values=POOLS),
            "log_total_bytes": FieldFormat(split={"up": 1, "down": 1}),
        }
    )
    event: dict[str, Json] = {
        "log_network": "carrier-pigeon",
        "log_total_bytes": "many",
        "unknown": 1,
    }
    assert events.rows(event) == [
        {"net": "carrier-pigeon", "up": "many", "down": "many", "unknown": 1}
    ]


NAMES = st.text(
    st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1, max_size=40
)


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(EVENT_KEYS), st.lists(NAMES, min_size=1, max_size=3), max_size=6
    ),
    st.frozensets(st.sampled_from(EVENT_KEYS), max_size=6),
    st.sampled_from(BodyForm),
)
def test_rows_under_any_names_equal_the_events_one_by_one(
    names: dict[str, list[str]], dropped: frozenset[str], form: BodyForm
) -> None:
    """Any names, nested or not, that do not collide."""
    fields = {
        # A prefix of their own keeps names apart.
        **{
            key: FieldFormat(name=".".join([f"{n}-", *parts]))
            for n, (key, parts) in enumerate(names.items())
        },
        **{key: FieldFormat(name="") for key in dropped},
    }
    assert_rows_equal_events(
        EventFormat(fields=fields, constants={"source": "trueup"}, form=form), 12
    )


def test_a_format_is_kept_by_a_journal() -> None:
    events = EventFormat(
        fields={
            "log_total_bytes": FieldFormat(split={"up": 1, "down": 1}),
            "log_network": FieldFormat(values=POOLS),
        },
        sums={"both": AMOUNTS},
        form=BodyForm.JSON_ARRAY,
        key="events",
    )
    assert msgspec.json.decode(msgspec.json.encode(events), type=EventFormat) == events


def test_a_field_arrives_if_its_own_value_is_sent() -> None:
    fields = {
        "log_transport": FieldFormat(name=""),
        "log_method": FieldFormat(name=""),
        "log_id": FieldFormat(name=""),
        "log_total_elapsed_ms": FieldFormat(split={"a": 1, "b": 1}),
        "log_handshake_elapsed_ms": FieldFormat(name=""),
        "log_tunnel_elapsed_ms": FieldFormat(name=""),
        "log_concurrency": FieldFormat(name=""),
    }
    events = EventFormat(
        fields=fields,
        sums={
            "setup": ("log_handshake_elapsed_ms", "log_tunnel_elapsed_ms"),
            "parallel": ("log_concurrency",),
        },
    )
    unsent = events.unsent(["{log_method}", "fixed"])
    assert {*unsent} == {"log_transport", "log_handshake_elapsed_ms", "log_tunnel_elapsed_ms"}
    assert EventFormat().unsent() == ()
