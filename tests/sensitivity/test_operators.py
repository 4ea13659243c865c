"""What each operator shows in place of a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.conformance.sensitivity.operators import (
    ABSENT,
    NOT_APPLICABLE,
    VALUE_OPERATORS,
    Operator,
    Surroundings,
    mutate_value,
)
from trueup.reports.results import Json


@pytest.mark.parametrize(
    ("operator", "value", "wrong"),
    [
        (Operator.ONE_MORE, 41, 42),
        (Operator.ONE_LESS, 0, -1),
        (Operator.ZERO, 5, 0),
        (Operator.DOUBLED, -3, -6),
        (Operator.SIGN_FLIPPED, 7, -7),
        (Operator.TRUNCATED, 2**32 + 9, 9),
        (Operator.TRUNCATED, "apple.com", "apple.co"),
        (Operator.NEGATED, False, True),
        (Operator.INVENTED, None, "invented"),
        (Operator.DAY_SHIFTED, "2026-02-28", "2026-03-01"),
        (Operator.DAY_SHIFTED, "2026-12-31 23:00:00", "2027-01-01 23:00:00"),
        (Operator.HOUR_SHIFTED, "2026-12-31T23:30:00.5Z", "2027-01-01T00:30:00.5Z"),
        (Operator.CASE, "Apple", "aPPLE"),
        (Operator.CHARACTER, "a9c", "a0c"),
        (Operator.MISSING, 1, ABSENT),
        (Operator.NULL, "x", None),
        (Operator.OTHER_TYPE, 5, "5"),
        (Operator.OTHER_TYPE, True, "true"),
        (Operator.OTHER_TYPE, "x", ["x"]),
        (Operator.ROW_LOST, ["a", "b"], ["a"]),
        (Operator.ROW_DOUBLED, ["a", "b"], ["a", "b", "b"]),
        (Operator.ROWS_SWAPPED, ["a", "b"], ["b", "a"]),
    ],
)
def test_an_operator_shows_the_wrong_value(operator: Operator, value: Json, wrong: Json) -> None:
    found = mutate_value(operator, value)
    assert found == wrong
    assert type(found) is type(wrong)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        (Operator.ZERO, 0),
        (Operator.SIGN_FLIPPED, 0),
        (Operator.TRUNCATED, 2**32 - 1),
        (Operator.ONE_MORE, True),
        (Operator.CASE, "123"),
        (Operator.MISSING, None),
        (Operator.NULL, None),
        (Operator.HOUR_SHIFTED, "2026-02-28"),
        (Operator.DAY_SHIFTED, "2026-13-28"),
        (Operator.STALE, 5),
        (Operator.ROWS_SWAPPED, ["a"]),
    ],
)
def test_an_operator_that_changes_nothing_does_not_apply(operator: Operator, value: Json) -> None:
    assert mutate_value(operator, value) is NOT_APPLICABLE


def test_values_from_elsewhere_are_shown_where_they_differ() -> None:
    around = Surroundings(stale=1, neighbour=2, foreign="theirs")
    assert mutate_value(Operator.STALE, 2, around) == 1
    assert mutate_value(Operator.NEIGHBOUR, 2, around) is NOT_APPLICABLE
    assert mutate_value(Operator.FOREIGN_ROW, ["ours"], around) == ["ours", "theirs"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(_JSON, st.sampled_from(sorted(VALUE_OPERATORS)))
def test_no_operator_returns_the_value_itself_or_raises(value: Json, operator: Operator) -> None:
    found = mutate_value(operator, value)
    assert found is NOT_APPLICABLE or found != value or type(found) is not type(value)
