"""Which effect on the verdicts counts as noticed, and how it is summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.sensitivity.recorded import recording
from trueup.conformance.sensitivity.blind_spots import Unjudgeable, load_unjudgeable
from trueup.conformance.sensitivity.losses import Loss, false_failures, lost_responses
from trueup.conformance.sensitivity.measure import Effect, Judged, judge_mutant, summarize
from trueup.conformance.sensitivity.mutants import enumerate_mutants
from trueup.conformance.sensitivity.operators import ResponseOperator
from trueup.reports.errors import ReportError
from trueup.reports.journal.records import Exchange
from trueup.reports.metrics.sensitivity import read_sensitivity, sensitivity_json
from trueup.reports.renderers.sensitivity import blind_fields, sensitivity_text
from trueup.reports.results import CheckResult, Impact, Verdict

P, F, W, I, B = (  # noqa: E741
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.WARN,
    Verdict.INCONCLUSIVE,
    Verdict.BLOCKED,
)


def result(verdict: Verdict, check: str = "one") -> CheckResult:
    return CheckResult(
        check=check,
        law="LAW",
        title="A law.",
        verdict=verdict,
        reason="",
        clauses=(),
        level=2,
        impact=Impact.COSMETIC,
        grade="",
        evidence=1,
        evidence_needed=1,
        expected="",
        seen="",
    )


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (P, P, Effect.UNNOTICED),
        (P, F, Effect.NOTICED),
        (P, W, Effect.NOTICED),
        (P, B, Effect.NOTICED),
        (W, F, Effect.NOTICED),
        (I, F, Effect.NOTICED),
        (P, I, Effect.DOUBTED),
        (F, F, Effect.UNNOTICED),
        (F, P, Effect.UNNOTICED),
        (W, W, Effect.UNNOTICED),
    ],
)
def test_a_mutant_is_noticed_where_a_verdict_becomes_worse(
    before: Verdict, after: Verdict, effect: Effect
) -> None:
    found, _, _ = judge_mutant(lambda _changed: [result(after)], [result(before)], {})
    assert found is effect


def test_an_exception_is_not_counted_as_a_noticed_change() -> None:
    def raising(_changed: Mapping[int, Exchange]) -> Sequence[CheckResult]:
        raise ValueError("no such row")

    assert judge_mutant(raising, [result(P)], {}) == (
        Effect.BROKEN,
        None,
        "ValueError: no such row",
    )


def test_what_is_not_noticed_is_explained_by_the_first_entry_that_covers_it() -> None:
    run = recording()
    mutants = [m for m in enumerate_mutants(run) if m.view in ("log", "error")]
    judged = [
        Judged(
            id=mutant.id,
            effect=Effect.NOTICED if mutant.field == "log_total_bytes" else Effect.UNNOTICED,
            law="LOG=SENT" if mutant.field == "log_total_bytes" else "",
            sentence=mutant.sentence(run),
        )
        for mutant in mutants
    ]
    entry = Unjudgeable(
        views=("error",),
        fields=("404 *",),
        operators=(str(ResponseOperator.CASE),),
        stages=("*",),
        why="Any case will do.",
        source="S0",
    )
    found = summarize(
        mutants, judged, run="r", seed=0, enumerated=len(mutants), unjudgeable=[entry]
    )
    cased = [m for m in mutants if m.view == "error" and m.operator is ResponseOperator.CASE]
    sized = [m for m in mutants if m.field == "log_total_bytes"]
    assert cased
    assert found.explained == len(cased)
    assert found.noticed == len(sized) == found.laws["LOG=SENT"]
    assert found.unexplained == len(mutants) - len(cased) - len(sized)
    assert sum(share.mutants for share in found.fields) == len(mutants)
    assert sum(share.noticed for share in found.stages) == len(sized)
    assert {spot.why for spot in found.blind_spots} == {"", "Any case will do."}
    assert "log: log_hostname" in blind_fields(found)
    assert "Any case will do. (S0)" in sensitivity_text(found)


def test_a_measurement_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = summarize((), (), run="r", seed=1, enumerated=0, unjudgeable=())
    assert found.share == 1.0
    assert read_sensitivity(tmp_path) is None
    (tmp_path / "sensitivity.json").write_text(sensitivity_json(found))
    assert read_sensitivity(tmp_path) == found
    (tmp_path / "sensitivity.json").write_text("{}")
    with pytest.raises(ReportError, match="trueup sensitivity"):
        read_sensitivity(tmp_path)


def test_every_entry_of_the_table_is_a_sentence_with_a_source_that_exists() -> None:
    open_points = (Path(__file__).parents[2] / "docs" / "open-points.md").read_text()
    for entry in load_unjudgeable():
        assert entry.why.endswith(".")
        page, _, point = entry.source.partition(", ")
        assert page == "docs/open-points.md"
        assert f"| {point} |" in open_points, point


def test_each_response_is_lost_in_every_way_and_a_sample_is_seeded() -> None:
    run = recording()
    every = lost_responses(run)
    assert len(every) == len(run.exchanges) * len(Loss)
    assert lost_responses(run, limit=5, seed=1) == lost_responses(run, limit=5, seed=1)
    assert len(lost_responses(run, limit=5, seed=1)) == 5
    for loss in every:
        (lost,) = loss.exchanges(run).values()
        usable = lost.status == 200 and lost.body is not None
        assert not usable, loss


def test_a_check_that_fails_for_a_lost_response_is_a_false_failure_and_inconclusive_is_none() -> (
    None
):
    run = recording()
    losses = lost_responses(run, limit=3)

    def judge(verdict: Verdict) -> list[str]:
        found = false_failures(lambda _changed: [result(verdict)], [result(P)], run, losses)
        return [one.check for one in found]

    assert judge(F) == ["one"] * 3
    assert judge(I) == judge(P) == []
