"""Figures of an account that others use are compared only while its readings cover their use."""

from __future__ import annotations

import pytest

from tests.conformance.plan_context import NOW
from trueup.conformance.contract.account_states import (
    AccountState,
    OthersUsage,
    Span,
    StageReadings,
)
from trueup.conformance.contract.findings import JudgedRequest


def reading(op: int, stage: str = "inject") -> JudgedRequest:
    return JudgedRequest(
        stage=stage,
        ask="-",
        op=op,
        exchanges=(),
        attempts=1,
        last=True,
        before=(),
        now=NOW,
        asked_at=NOW,
    )


def account(*, others_at: int = 20) -> AccountState:
    """Others used 5 bytes; the ledger was read from 10 to 30, the account from 8 to 40."""
    return AccountState(
        stages={
            "baseline": StageReadings(others=OthersUsage({}, {}, 3)),
            "inject": StageReadings(
                others=OthersUsage({"2026-11-30": 5}, {}, others_at),
                usage_ops=Span(10, 30),
                remains_ops=Span(8, 40),
            ),
        }
    )


@pytest.mark.parametrize(
    ("op", "of_a_day", "of_all"),
    [(7, False, False), (9, False, True), (10, True, True), (30, True, True), (31, False, True),
     (41, False, False)],
)  # fmt: skip
def test_a_figure_read_outside_the_readings_is_not_compared(
    op: int, of_a_day: bool, of_all: bool
) -> None:
    """A listing that was asked for again much later holds what others used meanwhile."""
    assert account().is_known(reading(op), day=True) is of_a_day
    assert account().is_known(reading(op)) is of_all


def test_no_figure_is_compared_if_the_use_of_others_was_read_outside_the_readings() -> None:
    assert not account(others_at=35).is_known(reading(20), day=True)
    assert account(others_at=35).is_known(reading(20))
    assert not account(others_at=45).is_known(reading(20))
    assert not account().is_known(reading(20, stage="money"))


def test_every_figure_of_an_account_that_no_one_else_uses_is_compared() -> None:
    quiet = StageReadings(others=OthersUsage({}, {}, 0))
    alone = AccountState(stages={"baseline": quiet, "inject": quiet})
    assert alone.is_known(reading(99), day=True)
    assert alone.is_known(reading(99, stage="money"))
