"""Decisions without a server: instants, amounts, windows, queries, events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.served import event, ndjson
from trueup.reference.amounts import join, split
from trueup.reference.errors import ApiProblem
from trueup.reference.events import FUTURE_LIMIT_US, Refusal, admit, fold_hostname, read_line
from trueup.reference.graph import (
    INTERVALS,
    ChartPoint,
    bucket_start,
    points,
    preset_window,
    window_parts,
)
from trueup.reference.query import Between, Equal, Like, parse_flag, parse_query
from trueup.reference.resources import RESOURCES
from trueup.reference.retention import DayRow, consolidate_before, merge, purge_before, visible_from
from trueup.reference.times import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    SECOND_US,
    ceil_day,
    day_of,
    floor_day,
    format_date,
    format_instant,
    month_start,
    next_month,
    parse_instant,
)

INSTANTS = st.integers(-62_000_000_000, 250_000_000_000).map(lambda seconds: seconds * SECOND_US)
NOW = parse_instant("2026-03-15 10:30:00")[0]
LOG = RESOURCES["log"]


@given(INSTANTS)
def test_an_instant_survives_being_written_and_read(at_us: int) -> None:
    """To the second, whatever the century."""
    assert parse_instant(format_instant(at_us)) == (at_us, SECOND_US)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("2025-04-01", DAY_US),
        ("2025-04-01 13:00", MINUTE_US),
        ("2025-04-01T13:00:00Z", SECOND_US),
        ("2025-04-01 13:00:00.5", 1),
    ],
)
def test_the_unit_of_an_instant_is_what_it_leaves_open(text: str, unit: int) -> None:
    assert parse_instant(text)[1] == unit


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-13-01", "2025-04-01 25:00:00", "1", "٢٠٢٥-04-01"]
)
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


@given(INSTANTS)
def test_days_and_months_hold_their_instants(at_us: int) -> None:
    assert floor_day(at_us) <= at_us <= ceil_day(at_us)
    assert month_start(at_us) <= at_us < next_month(at_us)
    assert format_date(day_of(at_us)) == format_instant(at_us)[:10]


@given(st.lists(st.integers(-(2**93), 2**93), max_size=50))
def test_limbs_add_up_exactly_and_sort_as_values_do(values: list[int]) -> None:
    """Sums of limbs join to the sum, far beyond 64 bits."""
    limbs = [split(value) for value in values]
    assert join(sum(high for high, _ in limbs), sum(low for _, low in limbs)) == sum(values)
    assert [join(*pair) for pair in sorted(limbs)] == sorted(values)


def test_a_log_lives_exactly_seven_days() -> None:
    """Seven times 24 hours to the microsecond, and admission ends where visibility does."""
    edge = NOW - 7 * DAY_US
    assert visible_from(NOW, "search", 1001) == purge_before(NOW) == edge
    assert admit(edge, NOW) is None
    assert admit(edge - 1, NOW) is not None
    assert admit(NOW + FUTURE_LIMIT_US, NOW) is None
    assert admit(NOW + FUTURE_LIMIT_US + 1, NOW) is not None


def test_a_day_is_consolidated_once_it_began_more_than_ninety_days_ago() -> None:
    midnight = floor_day(NOW)
    assert consolidate_before(midnight) == day_of(midnight) - 90
    assert consolidate_before(midnight + 1) == day_of(midnight) - 89


def test_merging_keeps_every_counter_and_the_oldest_id() -> None:
    rows = [
        DayRow(
            log_summary_id=name,
            hostname=name,
            requests=3,
            successful=2,
            error=1,
            bytes=2**70,
            created_us=created,
        )
        for name, created in (("b", 5), ("a", 9))
    ]
    (merged,) = merge(rows)
    assert (merged.log_summary_id, merged.hostname, merged.created_us) == ("b", "", 5)
    assert (merged.requests, merged.successful, merged.error, merged.bytes) == (6, 4, 2, 2**71)


@given(
    st.integers(-40, 3),
    st.integers(0, 40),
    st.sampled_from(["day", "month"]),
    st.integers(0, DAY_US - 1),
)
def test_window_parts_cover_a_window_of_whole_days_once(
    first: int, length: int, interval: str, clock_us: int
) -> None:
    """Days from summaries and instants from logs meet without a gap or an overlap."""
    today = floor_day(NOW)
    start, end = today + first * DAY_US, today + (first + length) * DAY_US
    visible = visible_from(today + clock_us, "graph", 1001)
    split_at = window_parts(start, end, visible, interval)
    days, logs = split_at.days, split_at.logs
    old = (days[1] - days[0]) * DAY_US
    assert old + (logs[1] - logs[0]) == end - start
    assert logs[1] == logs[0] or logs[0] >= visible
    if days[0] < days[1]:
        assert days[0] * DAY_US == start
        assert logs[0] == days[1] * DAY_US


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        (NOW - 8 * DAY_US, NOW, "hour"),
        (NOW - 8 * DAY_US, NOW, "day"),
        (floor_day(NOW) - 20 * DAY_US, NOW - 10 * DAY_US, "day"),
    ],
)
def test_a_window_without_kept_data_is_refused(start: int, end: int, interval: str) -> None:
    """Old hours, and old days cut in the middle, are 422."""
    with pytest.raises(ApiProblem) as refusal:
        window_parts(start, end, visible_from(NOW, "graph", 1001), interval)
    assert refusal.value.status == 422


def test_points_fill_empty_buckets_and_add_within_one() -> None:
    found = [ChartPoint(at_us=5, requests=1, bytes=2), ChartPoint(at_us=HOUR_US + 1, requests=3)]
    shown = points(0, 3 * HOUR_US, "hour", [*found, found[0]])
    assert [(point.at_us, point.requests, point.bytes) for point in shown] == [
        (0, 2, 4),
        (HOUR_US, 3, 0),
        (2 * HOUR_US, 0, 0),
    ]
    assert points(7, 7, "hour", ()) == []
    with pytest.raises(ApiProblem):
        points(0, 365 * DAY_US, "minute", ())


@given(INSTANTS, st.sampled_from(sorted(INTERVALS)))
def test_a_bucket_starts_at_or_before_its_instants(at_us: int, interval: str) -> None:
    start = bucket_start(at_us, interval)
    assert start <= at_us
    assert bucket_start(start, interval) == start


def test_presets_are_windows_of_whole_days() -> None:
    assert [format_instant(edge) for edge in preset_window("last_7_days", NOW)] == [
        "2026-03-09 00:00:00",
        "2026-03-16 00:00:00",
    ]
    assert format_instant(preset_window("last_month", NOW)[0]) == "2026-02-01 00:00:00"
    assert format_instant(preset_window("this_week", NOW)[0]) == "2026-03-09 00:00:00"
    assert format_instant(preset_window("this_year", NOW)[0]) == "2026-01-01 00:00:00"
    with pytest.raises(ApiProblem, match="preset must be one of"):
        preset_window("someday", NOW)


def test_a_query_is_read_into_typed_conditions() -> None:
    query = parse_query(
        LOG,
        [
            ("log_hostname", "apple.com"),
            ("min_log_total_bytes", "5"),
            ("not_asn_id", "7"),
            ("like_city_alias", "cup"),
            ("log_is_tls_enabled", "True"),
            ("max_log_request_datetime", "2025-04-01"),
            ("sort_by", "log_total_bytes_desc"),
            ("per_page", "5"),
        ],
    )
    kinds = [type(condition) for condition in query.conditions]
    assert kinds == [Equal, Between, Between, Like, Between, Between]
    low, negated, like, until = (query.conditions[index] for index in (1, 2, 3, 5))
    assert isinstance(low, Between) and (low.low, low.high) == (5, None)
    assert isinstance(negated, Between) and negated.negated
    assert isinstance(like, Like) and like.pattern == "%cup%"
    assert isinstance(until, Between) and until.high == parse_instant("2025-04-02")[0]
    assert query.sort.descending and query.per_page == 5


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("page", "0", "page must be 1 or more"),
        ("page", "x", "page must be an integer"),
        ("page", "9" * 30, "page must lie"),
        ("per_page", "101", "per_page must be from 1 to 100"),
        ("per_page", "0", "per_page must be from 1 to 100"),
        ("sort_by", "nosuch", "Cannot sort by nosuch"),
        ("nosuch", "1", "Unknown parameter nosuch"),
        ("like_asn_id", "1", "like_ works on text"),
        ("min_log_hostname", "a", "min_ works on numbers"),
        ("log_network", "wifi", "must be one of datacenter, isp, residential, mobile"),
        ("log_is_tls_enabled", "maybe", "must be true or false"),
        ("log_request_datetime", "soon", "YYYY-MM-DD HH:MM:SS"),
        ("asn_id", "1.5", "asn_id must be an integer"),
    ],
)
def test_a_bad_parameter_is_named(name: str, value: str, hint: str) -> None:
    with pytest.raises(ApiProblem, match=hint) as refusal:
        parse_query(LOG, [(name, value)])
    assert refusal.value.status == 400


def test_a_parameter_given_twice_is_an_error() -> None:
    with pytest.raises(ApiProblem, match="more than once"):
        parse_query(LOG, [("page", "1"), ("page", "2")])


def test_flags_have_three_spellings() -> None:
    assert [parse_flag("x", text) for text in ("True", "true", "1")] == [True] * 3
    assert [parse_flag("x", text) for text in ("False", "false", "0")] == [False] * 3


def test_hostnames_are_folded() -> None:
    assert fold_hostname("WWW.Apple.COM.") == "www.apple.com"
    assert fold_hostname(".") == "."
    assert fold_hostname("BÜCHER.example") == "bücher.example"


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"log_id": "x"}, r"log_id"),
        ({"log_id": "0000000A-0000-4000-8000-000000000000"}, r"log_id"),
        ({"customer_id": "1001"}, r"customer_id"),
        ({"proxy_user_id": ""}, r"proxy_user_id"),
        ({"log_network": "wifi"}, r"log_network"),
        ({"log_protocol": "socks5"}, r"log_protocol"),
        ({"log_hostname": "a" * 254}, r"log_hostname"),
        ({"log_client_ip_address": "1.2.3"}, r"log_client_ip_address"),
        ({"log_egress_ip_address": "::g"}, r"log_egress_ip_address"),
        ({"log_total_bytes": -1}, r"log_total_bytes"),
        ({"log_total_bytes": 2**63}, r"log_total_bytes"),
        ({"log_total_bytes": 1.5}, r"log_total_bytes"),
        ({"log_request_datetime": "2025-04-01T00:00:00Z"}, r"log_request_datetime"),
        ({"log_request_datetime": 1743465600}, r"log_request_datetime"),
        ({"log_status_code": 1000}, r"log_status_code"),
        ({"log_local_port": 65536}, r"log_local_port"),
        ({"log_is_tls_enabled": 1}, r"log_is_tls_enabled"),
        ({"log_transport": "sctp"}, r"log_transport"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, object], hint: str) -> None:
    line = ndjson([event(1, **{"log_request_datetime": "2025-04-01 00:00:00", **fields})])
    with pytest.raises(Refusal, match=hint):
        read_line(line)


@pytest.mark.parametrize("line", [b"", b"[1]", b"null", b"{", b"\x00", b"[" * 5000, b'{"log_id":'])
def test_garbage_is_refused_with_a_reason(line: bytes) -> None:
    with pytest.raises(Refusal):
        read_line(line)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(Refusal, match="log_request_datetime"):
        read_line(ndjson([event(1)]))
