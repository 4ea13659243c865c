"""Two targets side by side, from two literal journals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.journal_header import header
from trueup.reports.comparison.target_differences import TargetDifferences, compare_targets, form_of
from trueup.reports.journal.records import (
    Delivered,
    Exchange,
    Footer,
    JudgePlan,
    OutcomeRange,
    ReadingSeen,
    Record,
    Result,
)
from trueup.reports.journal.storage import Journal
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.target_differences import differences_document, differences_text
from trueup.reports.results import CheckResult, ExitStatus, Json, Outcome, Reading, Verdict


def _asked(
    n: int,
    body: Json,
    *,
    path: str = "log/search",
    query: tuple[tuple[str, str], ...] = (),
    status: int | None = 200,
    ms: float = 2.0,
    tenant: str = "a",
) -> Exchange:
    return Exchange(
        n=n,
        method="GET",
        path=f"/public/user/{path}",
        at=f"2026-11-30T12:00:0{n}.000Z",
        query=query,
        stage="inject",
        status=status,
        body=body,
        elapsed_ms=ms,
        tenant=tenant,
        ask=f"{tenant}:own {path}?{query}",
    )


def _rows(*rows: Mapping[str, Json]) -> Json:
    return {"data": [dict(row) for row in rows]}


def _side(
    seen: Sequence[Record],
    *,
    verdicts: Mapping[str, Verdict],
    readings: Mapping[str, str],
    claims: tuple[str, ...] = (),
) -> tuple[RunReport, Sequence[Record]]:
    """A run whose journal is sealed: its report and its records."""
    status = 1 if Verdict.FAIL in verdicts.values() else 0
    first = header(checks=tuple(verdicts), target="mine", base_url="http://127.0.0.1:1/1.0")
    footer = Footer(finished_at="-", records=0, sha256="", exit_status=status)
    records: list[Record] = [
        first,
        JudgePlan(prefix="cx1", now="2026-11-30 12:00:00", level=2, claims=claims),
        *(
            ReadingSeen(reading=Reading(name=name, value=value, how="probed"))
            for name, value in readings.items()
        ),
        *seen,
        *(
            Result(
                result=CheckResult(
                    check=name, law="SUM=LOG", title="t", verdict=verdict, reason="because of it"
                )
            )
            for name, verdict in verdicts.items()
        ),
        footer,
    ]
    journal = Journal(path=Path("journal"), header=first, records=tuple(records), footer=footer)
    return build_report(journal), records


def _delivered(at: str) -> Delivered:
    return Delivered(
        source="probe",
        outcomes=(OutcomeRange(first=0, count=1, outcome=Outcome.ACCEPTED),),
        at=at,
        check="probe inject",
        stage="inject",
        events=({"log_id": "e1"},),
        elapsed_ms=4.0,
    )


ONE: Final = _side(
    [
        _delivered("2026-11-30T12:00:00.500Z"),
        _asked(1, _rows({"log_id": "e0", "log_method": "GET", "log_bytes": 1})),
        _asked(2, _rows({"log_id": "e1", "log_method": None, "log_bytes": 2})),
        _asked(3, None, path="log/retrieve/none", status=404),
        _asked(4, {"data": {"customer_id": 1}}, path="customer/retrieve"),
        _asked(5, _rows({"log_id": "x", "private": 1}), tenant="crossed"),
    ],
    verdicts={"summaries-equal-logs": Verdict.PASS, "logs-are-single": Verdict.PASS},
    readings={"hostname-case": "kept", "time-form": "space"},
    claims=("mobile", "charged"),
)
TWO: Final = _side(
    [
        _delivered("2026-11-30T12:00:00.500Z"),
        _asked(1, _rows({"log_id": "e1", "log_bytes": "1"}), ms=20.0),
        _asked(3, None, path="log/retrieve/none", status=400),
    ],
    verdicts={"summaries-equal-logs": Verdict.FAIL, "logs-are-single": Verdict.PASS},
    readings={"hostname-case": "folded", "time-form": "space", "usage-sign": "negative"},
    claims=("mobile",),
)


def _compared() -> TargetDifferences:
    return compare_targets(ONE, TWO)


def test_verdicts_that_differ_are_named_with_their_reasons_and_the_others_counted() -> None:
    found = _compared()
    assert [(each.check, each.one, each.two, each.reasons[1]) for each in found.verdicts] == [
        ("summaries-equal-logs", Verdict.PASS, Verdict.FAIL, "because of it")
    ]
    assert found.equal_verdicts == {Verdict.PASS: 1}
    assert found.status is ExitStatus.VIOLATES


def test_the_worse_status_of_both_is_that_of_the_comparison() -> None:
    """A check that reported nothing is an error of trueup, and no conformance of the other."""
    missing = _side([], verdicts={}, readings={})
    assert compare_targets(ONE, missing).status is ExitStatus.OUR_ERROR
    assert compare_targets(missing, TWO).status is ExitStatus.VIOLATES


def test_readings_and_claims_stand_side_by_side() -> None:
    found = _compared()
    assert [each.name for each in found.differing_readings] == ["hostname-case"]
    assert [each.name for each in found.readings] == ["hostname-case", "time-form", "usage-sign"]
    assert found.claims == (("charged",), ())


def test_fields_are_compared_by_presence_and_form_and_not_by_value() -> None:
    """What was asked with false keys does not count; log_id is text at both."""
    found = _compared()
    assert [(each.view, each.field, each.one, each.two) for each in found.fields] == [
        ("log/search", "data[].log_bytes", ("integer",), ("digits as text",)),
        ("log/search", "data[].log_method", ("null", "text"), ()),
    ]
    assert found.equal_fields == 2
    assert found.views == (("customer/retrieve",), ())


def test_equal_requests_with_other_statuses_are_named_by_their_shortest() -> None:
    found = _compared()
    (one,) = found.statuses
    assert (one.view, one.one, one.two, one.requests) == ("log/retrieve", 404, 400, 1)
    assert found.equal_requests == 1


def test_speed_has_reads_deliveries_and_the_time_until_events_are_listed() -> None:
    speed = {each.what: (each.one, each.two) for each in _compared().speed}
    assert speed["log/search"] == ((2, 2.0, 2.0), (1, 20.0, 20.0))
    assert speed["delivery of events"] == ((1, 4.0, 4.0), (1, 4.0, 4.0))
    assert speed["until listed"] == ((1, 1502.0, 1502.0), (1, 520.0, 520.0))


def test_the_text_fits_a_terminal_of_80_columns_and_names_what_differs() -> None:
    text = differences_text(_compared())
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "  summaries-equal-logs               pass                 fail",
        "  hostname-case                        kept (probed)        folded (probed)",
        "  charged                              claimed",
        "    data[].log_method                  null or text         absent",
        "  customer/retrieve: only A shows it",
        "They differ in 1 verdict, 1 reading, 1 claim, 2 fields, 1 view, 1 status.",
    ):
        assert " ".join(words.split()) in " ".join(text.split()), words


def test_a_target_compared_with_itself_does_not_differ() -> None:
    found = compare_targets(ONE, ONE)
    assert (found.verdicts, found.differing_readings, found.fields) == ((), (), ())
    assert "Both conform. No difference was found." in differences_text(found)
    assert found.status is ExitStatus.CONFORMS


def test_the_document_has_everything() -> None:
    document = differences_document(_compared())
    assert json.loads(json.dumps(document)) == document
    assert document["exit_status"] == 1
    assert document["claims"] == {"only_a": ["charged"], "only_b": []}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "integer"),
        (1.5, "number"),
        ("2026-11-30", "date"),
        ("2026-11-30 12:00:00", "time with a space"),
        ("2026-11-30T12:00:00.5Z", "time with T and Z"),
        ("2026-11-30T12:00:00+01:00", "time with an offset"),
        ("7d1f3f0e-6f0f-4a3c-9d51-8f5d3f1a2b3c", "UUID"),
        ("apple.com", "text"),
        ([], "list"),
        ({}, "object"),
    ],
)
def test_a_value_has_a_form(value: Json, form: str) -> None:
    assert form_of(value) == form


def test_hostile_text_is_shown_without_control_characters() -> None:
    hostile = _side(
        [_asked(1, _rows({"log_id": "e0", "\x1b[31mred": "x" * 9_999}))], verdicts={}, readings={}
    )
    text = differences_text(compare_targets(ONE, hostile))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
