"""Words and figures: readable, and harmless whatever comes from outside."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.reports.formatting import (
    amount,
    between,
    cut,
    duration,
    milliseconds,
    one_line,
    plural,
    rate,
    signed,
    visible,
)


@given(st.text())
def test_visible_text_holds_nothing_that_acts(text: str) -> None:
    """No control characters but tab and line end, no surrogates, no direction overrides."""
    for character in visible(text):
        assert unicodedata.category(character) != "Cs"
        assert unicodedata.category(character) != "Cc" or character in "\t\n"
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(max_size=400), st.integers(min_value=1, max_value=60))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    """Whatever the text, no line end and no more than the limit."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line


def test_cut_text_says_how_much_is_missing() -> None:
    """A reader must know that there is more."""
    assert cut("x" * 12, 12) == "x" * 12
    assert cut("x" * 2012, 12) == "x" * 12 + " … (2,000 more characters)"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (amount(1234567), "1,234,567"),
        (amount(2**63 - 726), "9,223,372,036,854,775,082"),
        (between(6154, 13154), "6,154 … 13,154"),
        (between(7, 7), "7"),
        (signed(-12), "−12"),
        (signed(3), "+3"),
        (rate(12345.6), "12,346"),
        (rate(12.34), "12.3"),
        (rate(0.251), "0.25"),
        (milliseconds(None), "–"),
        (milliseconds(0.0093), "9.3 µs"),
        (milliseconds(0.42), "0.42 ms"),
        (milliseconds(6.81), "6.8 ms"),
        (milliseconds(381.2), "381 ms"),
        (milliseconds(1500), "1.50 s"),
        (duration(0.41), "0.4 s"),
        (duration(52.3), "52 s"),
        (duration(125), "2 min 5 s"),
        (duration(7500), "2 h 5 min"),
        (duration(None), "–"),
        (plural(1, "event"), "1 event"),
        (plural(2, "reply", "replies"), "2 replies"),
    ],
)
def test_figures_read_well(shown: str, expected: str) -> None:
    """The unit that reads best, and no more digits than mean something."""
    assert shown == expected
