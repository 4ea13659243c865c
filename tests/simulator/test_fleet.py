"""A fleet's events are a pure function of their numbers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.simulator.fleets import START, common, fleet
from trueup.simulator.errors import FleetError
from trueup.simulator.fleet import Fleet
from trueup.simulator.random.random_words import MODEL_VERSION, Words, words

LOG_FIELDS = {
    "log_id", "customer_id", "proxy_user_id", "log_network", "log_protocol", "log_hostname",
    "log_client_ip_address", "log_total_bytes", "log_request_datetime", "log_authentication_type",
    "country_id", "city_alias", "asn_id", "log_status_code", "log_error_code", "service_id",
    "proxy_id", "log_session_id", "log_method", "log_protocol_version", "log_transport",
    "log_local_ip_address", "log_local_port", "log_egress_ip_address", "log_total_elapsed_ms",
    "log_handshake_elapsed_ms", "log_tunnel_elapsed_ms", "log_concurrency", "log_is_tls_enabled",
    "log_smartpath_enabled", "log_smartpath_routed",
}  # fmt: skip


def test_every_row_has_every_field_of_the_log_object() -> None:
    """The fields of the guide and of the log object, in coverage events too, and no others."""
    rows = common().batch(0, 300).rows()
    assert len(rows) == 300
    assert all(row.keys() == LOG_FIELDS for row in rows)


def test_events_do_not_depend_on_the_batch_they_are_requested_in() -> None:
    whole = common().batch(0, 500).ndjson()
    parts = [common().batch(first, 50).ndjson() for first in reversed(range(0, 500, 50))]
    assert b"".join(reversed(parts)) == whole


@pytest.mark.parametrize("most", [1, 7, 100, 999, 5000])
@pytest.mark.parametrize("first", [0, 30, 5_000])
def test_pieces_of_any_size_hold_the_same_lines(first: int, most: int) -> None:
    """Over frames, days and coverage events: the same bytes, complete pieces but for the last, and
    a None before each for which something was drawn.
    """
    slow = fleet(rate=0.02)
    steps = list(slow.batch(first, 2_000).pieces(most))
    pieces = [step for step in steps if step is not None]
    assert b"".join(text for _count, text in pieces) == slow.batch(first, 2_000).ndjson()
    assert [bytes(text).count(b"\n") for _count, text in pieces] == [n for n, _text in pieces]
    assert all(count % most == 0 for count, _text in pieces[:-1])
    assert sum(count for count, _text in pieces) == 2_000
    assert steps.count(None) >= len(pieces) - 1


def test_the_words_of_a_stream_are_philox() -> None:
    """A generator that is reset returns what a new one returns, whatever was drawn before, in any
    thread, and with more streams than are cached.
    """
    keys = [(n << 64) + n * n + 1 for n in range(200)]

    def fresh(key: int, first: int) -> list[int]:
        block, skip = divmod(first, 4)
        raw: Words = np.random.Philox(key=key, counter=block).random_raw(9 + skip)
        return [int(word) for word in raw[skip:]]

    asked = [(key, first) for key in keys for first in (0, 3, 1 << 48)]
    with ThreadPoolExecutor(3) as threads:
        seen = list(threads.map(lambda one: words(one[0], one[1], 9).tolist(), asked))
    assert seen == [fresh(*one) for one in asked]


def test_a_new_fleet_draws_the_same_events_at_a_high_number() -> None:
    """Nothing before an event is needed to draw it."""
    far = 40_000_000_000
    assert fleet().batch(far, 20).rows() == [common().row(far + k) for k in range(20)]


def test_all_forms_of_a_batch_hold_the_same_values() -> None:
    """Padded and compact NDJSON, the array and the rows hold the same values."""
    batch = common().batch(0, 400)
    rows = batch.rows()
    assert [json.loads(line) for line in batch.ndjson(compact=True).splitlines()] == rows
    assert json.loads(batch.json_array()) == rows
    assert [row["log_id"] for row in rows] == batch.log_ids()
    assert b" " not in batch.ndjson(compact=True).replace(b"2025-04-01 ", b"")


def test_the_number_of_an_event_follows_from_its_id() -> None:
    """Any id of the fleet can be inverted; one of another fleet, or an invented one, is foreign."""
    for position in (0, 39, 40, 1_000_003, 2**47):
        assert common().position(common().log_id(position)) == position
    for sister in (fleet(seed=8), fleet(customers=(1955,)), fleet(rate=26.0)):
        assert common().position(sister.log_id(5)) is None
    assert common().position("123e4567-e89b-42d3-a456-426614174000") is None
    assert common().position("not an id") is None


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.000_02, 0.0004, 0.5, 25.0, 30_000.0])
def test_no_event_is_before_the_start_or_later_than_its_number(rate: float) -> None:
    """start <= time <= start + (i+1) / rate: callers rely on it to send events of the past only."""
    some = fleet(rate=rate)
    for first in (0, 60, 1_048_500, 5_000_000):
        count = 200 if rate > 0.001 else 40
        for position, row in enumerate(some.batch(first, count).rows(), start=first):
            text = str(row["log_request_datetime"])
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            assert some.start <= moment <= some.start + timedelta(seconds=(position + 1) / rate)
            assert moment <= some.latest(position)


def test_a_window_holds_all_of_its_events() -> None:
    """Every event of that time is in the window's run, which is not much longer."""
    some = fleet(rate=2.0)
    t0, t1 = START + timedelta(hours=30), START + timedelta(hours=31)
    first, count = some.window(t0, t1)
    inside = [
        number
        for number, second in zip(
            range(180_000, 280_000), some.batch(180_000, 100_000).columns().second, strict=True
        )
        if t0.timestamp() <= second < t1.timestamp()
    ]
    assert first <= inside[0] and inside[-1] < first + count
    assert count < 3 * len(inside)
    assert some.window(t1, t0)[1] == 0


def test_identity_draws_the_same_fleet_again() -> None:
    """The record in the journal is enough, overrides included."""
    some = fleet(seed=-3, rate=0.125, mix='{"mobile": 1}', host__wide=0)
    again = Fleet.from_identity(some.identity())
    assert again.batch(10, 200).ndjson() == some.batch(10, 200).ndjson()
    assert {row["log_network"] for row in again.batch(100, 200).rows()} == {"mobile"}


def test_another_model_or_profile_is_refused() -> None:
    import msgspec

    known = common().identity()
    with pytest.raises(FleetError, match=f"this trueup has model {MODEL_VERSION}"):
        Fleet.from_identity(msgspec.structs.replace(known, model_version="0"))
    with pytest.raises(FleetError, match="has changed"):
        Fleet.from_identity(msgspec.structs.replace(known, profile_sha256="0" * 64))


def test_invalid_fleets_are_refused_with_the_remedy() -> None:
    with pytest.raises(FleetError, match="time zone"):
        fleet(start=datetime(2025, 4, 1))  # noqa: DTZ001
    with pytest.raises(FleetError, match="customer"):
        fleet(customers=())
    for customer in (-5, 2**63):
        with pytest.raises(FleetError, match=f"between 0 and 2\\^63-1, not {customer}"):
            fleet(customers=(1955, customer))
    for rate in (0, 1e-300, float("nan"), float("inf")):
        with pytest.raises(FleetError, match="events_per_s"):
            fleet(rate=rate)
    with pytest.raises(FleetError, match="between 1970-01-02 and 2200-01-01, not on 0001-01-01"):
        fleet(start=datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(FleetError, match="after the year 9999"):
        fleet(rate=0.0001).batch(10**9, 1)
    with pytest.raises(FleetError, match="do not exist"):
        common().batch(-1, 2)
