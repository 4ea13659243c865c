"""What each operator shows in place of a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.conformance.sensitivity.operators import (
    ABSENT,
    NOT_APPLICABLE,
    VALUE_OPERATORS,
    ResponseOperator,
    Surroundings,
    mutate_value,
)
from trueup.reports.results import Json


@pytest.mark.parametrize(
    ("operator", "value", "wrong"),
    [
        (ResponseOperator.ONE_MORE, 41, 42),
        (ResponseOperator.ONE_LESS, 0, -1),
        (ResponseOperator.ZERO, 5, 0),
        (ResponseOperator.DOUBLED, -3, -6),
        (ResponseOperator.SIGN_FLIPPED, 7, -7),
        (ResponseOperator.TRUNCATED, 2**32 + 9, 9),
        (ResponseOperator.TRUNCATED, "apple.com", "apple.co"),
        (ResponseOperator.NEGATED, False, True),
        (ResponseOperator.INVENTED, None, "invented"),
        (ResponseOperator.DAY_SHIFTED, "2026-02-28", "2026-03-01"),
        (ResponseOperator.DAY_SHIFTED, "2026-12-31 23:00:00", "2027-01-01 23:00:00"),
        (ResponseOperator.HOUR_SHIFTED, "2026-12-31T23:30:00.5Z", "2027-01-01T00:30:00.5Z"),
        (ResponseOperator.CASE, "Apple", "aPPLE"),
        (ResponseOperator.CHARACTER, "a9c", "a0c"),
        (ResponseOperator.MISSING, 1, ABSENT),
        (ResponseOperator.NULL, "x", None),
        (ResponseOperator.OTHER_TYPE, 5, "5"),
        (ResponseOperator.OTHER_TYPE, True, "true"),
        (ResponseOperator.OTHER_TYPE, "x", ["x"]),
        (ResponseOperator.ROW_LOST, ["a", "b"], ["a"]),
        (ResponseOperator.ROW_DOUBLED, ["a", "b"], ["a", "b", "b"]),
        (ResponseOperator.ROWS_SWAPPED, ["a", "b"], ["b", "a"]),
    ],
)
def test_an_operator_shows_the_wrong_value(
    operator: ResponseOperator, value: Json, wrong: Json
) -> None:
    found = mutate_value(operator, value)
    assert found == wrong
    assert type(found) is type(wrong)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        (ResponseOperator.ZERO, 0),
        (ResponseOperator.SIGN_FLIPPED, 0),
        (ResponseOperator.TRUNCATED, 2**32 - 1),
        (ResponseOperator.ONE_MORE, True),
        (ResponseOperator.CASE, "123"),
        (ResponseOperator.MISSING, None),
        (ResponseOperator.NULL, None),
        (ResponseOperator.HOUR_SHIFTED, "2026-02-28"),
        (ResponseOperator.DAY_SHIFTED, "2026-13-28"),
        (ResponseOperator.STALE, 5),
        (ResponseOperator.ROWS_SWAPPED, ["a"]),
    ],
)
def test_an_operator_that_changes_nothing_does_not_apply(
    operator: ResponseOperator, value: Json
) -> None:
    assert mutate_value(operator, value) is NOT_APPLICABLE


def test_values_from_elsewhere_are_shown_where_they_differ() -> None:
    around = Surroundings(stale=1, neighbour=2, foreign="theirs")
    assert mutate_value(ResponseOperator.STALE, 2, around) == 1
    assert mutate_value(ResponseOperator.NEIGHBOUR, 2, around) is NOT_APPLICABLE
    assert mutate_value(ResponseOperator.FOREIGN_ROW, ["ours"], around) == ["ours", "theirs"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(_JSON, st.sampled_from(sorted(VALUE_OPERATORS)))
def test_no_operator_returns_the_value_itself_or_raises(
    value: Json, operator: ResponseOperator
) -> None:
    found = mutate_value(operator, value)
    assert found is NOT_APPLICABLE or found != value or type(found) is not type(value)
