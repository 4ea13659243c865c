"""Errors of several tasks: callers get one named error, never a group."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.conformance.stub import Serve, bare_target
from tests.journal_header import journal_in
from trueup.conformance.errors import BudgetExhausted, TargetTrouble, unwrap_group
from trueup.conformance.runner import run_checks
from trueup.reports.errors import JournalWriteError


@pytest.mark.parametrize("error", [BudgetExhausted, TargetTrouble, JournalWriteError])
def test_the_named_error_is_raised_out_of_nested_groups(error: type[Exception]) -> None:
    named = error("the error message")
    group = ExceptionGroup("inner", [ValueError("beside"), ExceptionGroup("deep", [named])])
    with pytest.raises(error) as caught, unwrap_group():
        raise ExceptionGroup("outer", [group])
    assert caught.value is named


def test_a_group_without_a_named_error_is_raised_unchanged() -> None:
    """An unexpected error is internal and is not hidden."""
    with pytest.raises(ExceptionGroup), unwrap_group():
        raise ExceptionGroup("ours", [ValueError("bug")])


def test_an_interruption_passes() -> None:
    with pytest.raises(asyncio.CancelledError), unwrap_group():
        raise asyncio.CancelledError


async def test_a_small_budget_ends_a_run_with_an_error_message(
    serve: Serve, tmp_path: Path
) -> None:
    """The requests of a stage are concurrent, and all of them fail at once."""

    async def empty(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [], "item_count": 0, "total_count": 0})

    target = bare_target(await serve(empty), requests=4)
    with journal_in(tmp_path) as writer, pytest.raises(BudgetExhausted, match="4 requests"):
        await run_checks(target, writer=writer, ingest=None, level=0)
