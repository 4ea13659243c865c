"""Selection of checks: existing names, and levels that include them."""

from __future__ import annotations

import pytest

from tests.conformance.stub import bare_target
from trueup.conformance.errors import BadSelection
from trueup.conformance.selection import checks_for
from trueup.reports.results import ExitStatus

READ_ONLY = bare_target("http://127.0.0.1:1/1.0")


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (("NOSUCH",), "called NOSUCH"),
        (("AUTH", "sum=lgo"), "did you mean SUM=LOG"),
        (("keys-are-require",), "keys-are-required"),
    ],
)
def test_an_unknown_name_is_a_usage_error(only: tuple[str, ...], said: str) -> None:
    """The message names the unknown one and similar names."""
    with pytest.raises(BadSelection) as caught:
        checks_for(READ_ONLY, level=4, only=only)
    assert said in str(caught.value)
    assert caught.value.exit_status is ExitStatus.USAGE


def test_checks_that_no_level_reaches_are_a_usage_error() -> None:
    with pytest.raises(BadSelection, match="FRESH needs level 2; this run reaches 0"):
        checks_for(READ_ONLY, level=4, only=("FRESH",))


def test_a_known_name_above_the_level_is_left_out() -> None:
    """This is no error if other checks remain."""
    assert [c.law for c in checks_for(READ_ONLY, level=4, only=("FRESH", "AUTH"))] == ["AUTH"]
