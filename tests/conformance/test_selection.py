"""Which checks a run holds a target to: names that exist, and levels that reach them."""

from __future__ import annotations

import pytest

from tests.conformance.test_unusable_responses import target_at
from trueup.conformance.errors import BadSelection
from trueup.conformance.selection import checks_for
from trueup.reports.results import ExitStatus

READ_ONLY = target_at("http://127.0.0.1:1/1.0")


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (("NOSUCH",), "called NOSUCH"),
        (("AUTH", "sum=lgo"), "did you mean SUM=LOG"),
        (("keys-are-require",), "keys-are-required"),
    ],
)
def test_an_unknown_name_is_a_usage_error(only: tuple[str, ...], said: str) -> None:
    """The letter names what is unknown and what looks like it."""
    with pytest.raises(BadSelection) as caught:
        checks_for(READ_ONLY, level=4, only=only)
    assert said in str(caught.value)
    assert caught.value.exit_status is ExitStatus.USAGE


def test_checks_that_no_level_reaches_are_a_usage_error() -> None:
    with pytest.raises(BadSelection, match="FRESH needs level 2; this run reaches 0"):
        checks_for(READ_ONLY, level=4, only=("FRESH",))


def test_a_known_name_out_of_reach_is_left_out_beside_others() -> None:
    """Asking for more than a level shows is no mistake while something is left."""
    assert [c.law for c in checks_for(READ_ONLY, level=4, only=("FRESH", "AUTH"))] == ["AUTH"]
