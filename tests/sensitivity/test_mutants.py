"""Mutants are enumerated without chance and selected evenly."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from tests.sensitivity.recorded import Exchanges, recorded_run, recording
from trueup.conformance.sensitivity.losses import lost_responses
from trueup.conformance.sensitivity.mutants import enumerate_mutants, select
from trueup.conformance.sensitivity.operators import ResponseOperator
from trueup.conformance.sensitivity.recording import Recording
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json


def test_equal_seeds_give_equal_mutants_and_other_seeds_other_rows() -> None:
    one, again = (enumerate_mutants(recording(), seed=3) for _ in range(2))
    assert one == again
    assert one != enumerate_mutants(recording(), seed=4)


def test_every_mutant_changes_something_and_has_an_id_of_its_own() -> None:
    run = recording()
    mutants = enumerate_mutants(run)
    assert len({mutant.id for mutant in mutants}) == len(mutants) > 200
    for mutant in mutants:
        assert mutant.exchanges(run), mutant.id
        assert str(mutant.operator) in mutant.sentence(run)


def test_every_operator_that_the_run_allows_is_tried_on_every_field_of_a_log() -> None:
    mutants = enumerate_mutants(recording())
    of_bytes = {
        mutant.operator
        for mutant in mutants
        if (mutant.view, mutant.field) == ("log", "log_total_bytes")
    }
    assert of_bytes == {
        ResponseOperator.ONE_MORE,
        ResponseOperator.ONE_LESS,
        ResponseOperator.ZERO,
        ResponseOperator.DOUBLED,
        ResponseOperator.SIGN_FLIPPED,
        ResponseOperator.NEIGHBOUR,
        ResponseOperator.MISSING,
        ResponseOperator.NULL,
        ResponseOperator.OTHER_TYPE,
    }
    kinds = Counter(mutant.operator for mutant in mutants if mutant.view == "log")
    for operator in (
        ResponseOperator.ROW_LOST,
        ResponseOperator.ROW_DOUBLED,
        ResponseOperator.FOREIGN_ROW,
        ResponseOperator.ROWS_SWAPPED,
        ResponseOperator.PAGE_BOUNDARY,
        ResponseOperator.EXTRA_ROW,
        ResponseOperator.DAY_SHIFTED,
        ResponseOperator.CASE,
        ResponseOperator.INVENTED,
    ):
        assert kinds[operator], operator


def test_a_stale_value_is_one_that_an_earlier_stage_showed() -> None:
    records = recorded_run()
    last = max(n for n, record in enumerate(records) if isinstance(record, Exchange))
    point: dict[str, Json] = {"datetime": "2026-03-01 11:00:00", "requests": 9, "bytes": 99}
    first = next(r for r in records if isinstance(r, Exchange) and "graph" in r.path)
    later = Exchange(
        n=12,
        method="GET",
        path=first.path,
        at="",
        query=first.query,
        tenant="a",
        stage="second",
        status=200,
        body={"data": {"points": [point]}, "message": "."},
        ask=first.ask,
    )
    run = Recording([*records[: last + 1], later])
    stale = next(
        mutant
        for mutant in enumerate_mutants(run)
        if (mutant.field, mutant.operator) == ("bytes", ResponseOperator.STALE)
    )
    (changed,) = stale.exchanges(run).values()
    assert changed.n == 12
    assert changed.body == {"data": {"points": [{**point, "bytes": 15}]}, "message": "."}


def test_rows_with_equal_sort_keys_are_not_swapped() -> None:
    """The order of ties is not documented, so that such a mutant would be no fault."""
    run = recording()
    swaps = [m for m in enumerate_mutants(run) if m.operator is ResponseOperator.ROWS_SWAPPED]
    assert {mutant.field for mutant in swaps if mutant.view == "log"} == {
        "order: not asked",
        "order: log_total_bytes_desc",
    }
    records = [
        record
        if not isinstance(record, Exchange) or record.ask != "sorted"
        else _with_equal_sizes(record)
        for record in recorded_run()
    ]
    fields = {m.field for m in enumerate_mutants(Recording(records)) if "order" in m.field}
    assert "order: log_total_bytes_desc" not in fields


def _with_equal_sizes(record: Exchange) -> Exchange:
    assert isinstance(record.body, dict)
    rows = record.body["data"]
    assert isinstance(rows, list)
    equal = [{**row, "log_total_bytes": 1} for row in rows if isinstance(row, dict)]
    return replace(record, body={**record.body, "data": equal})


def test_a_selection_holds_every_group_before_it_holds_any_twice() -> None:
    mutants = enumerate_mutants(recording())
    groups = {mutant.group for mutant in mutants}
    assert len(groups) < len(mutants)
    chosen = select(mutants, len(groups))
    assert {mutant.group for mutant in chosen} == groups
    assert len(chosen) == len(groups)
    few = select(mutants, 10)
    assert len({mutant.group for mutant in few}) == 10
    assert select(mutants, None) == mutants


_ODD: tuple[Json, ...] = (
    None,
    [],
    5,
    {"data": None},
    {"data": [1, None, "x", [], {}]},
    {"data": [{"log_id": None, "log_total_bytes": 2**70}, {"log_id": ["x"], "n": 1e308}]},
    {"data": [{"t": "9999-12-31 23:59:59"}], "total_count": "7", "per_page": 0},
    {"data": {"points": [{"datetime": 5, "requests": "x"}, 3]}},
    {"data": [{"log_id": "\ud800", "\ud800": "\ud800"}]},
)
"""What a target may send, whatever it was asked."""


@pytest.mark.parametrize("body", _ODD, ids=str)
def test_odd_responses_are_changed_or_left_alone_but_never_raise(body: Json) -> None:
    run = Exchanges()
    for path in ("log/search", "log/retrieve/1", "analytics/graph", "analytics/breakdown", "x"):
        for status in (200, 302, 404):
            run.add(path, body, stage="s", status=status, query={"page": "2", "sort_by": "n"})
    recording = Recording(run.records)
    for mutant in enumerate_mutants(recording):
        mutant.exchanges(recording)
        (mutant.id + mutant.sentence(recording)).encode()
    for lost in lost_responses(recording):
        lost.exchanges(recording)
