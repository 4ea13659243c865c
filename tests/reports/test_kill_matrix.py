"""The kill matrix: the score, its reasons, and what it must not hide."""

from __future__ import annotations

import json

from tests.reports.golden_files import check_golden
from trueup.reports.renderers.kill_matrix import (
    FaultRow,
    FaultStatus,
    GeneratedRow,
    KillMatrix,
    VariantRow,
    render_matrix_file,
    render_matrix_json,
    render_matrix_markdown,
)
from trueup.reports.results import Verdict

LAWS = {"logs-equal-sent": "LOG=SENT", "sums": "SUM=LOG", "one-row": "KEY"}


def fault(name: str, status: FaultStatus, *failed: str, law: str = "SUM=LOG") -> FaultRow:
    verdicts = {c: Verdict.FAIL if c in failed else Verdict.PASS for c in LAWS}
    void = status in (FaultStatus.VOID, FaultStatus.TIMEOUT)
    return FaultRow(
        id=name,
        what=f"defect {name} | with <b>marks</b>",
        laws=(law,),
        status=status,
        verdicts={} if void else verdicts,
        note="did not start" if void else "",
    )


MATRIX = KillMatrix(
    faults=(
        fault("A1", FaultStatus.KILLED, "logs-equal-sent", law="LOG=SENT"),
        fault("B1", FaultStatus.KILLED, "sums", "logs-equal-sent"),
        fault("B2", FaultStatus.SURVIVED),
        fault("B3", FaultStatus.KILLED_OTHER, "logs-equal-sent"),
        fault("C1", FaultStatus.VOID),
        fault("C2", FaultStatus.TIMEOUT),
    ),
    variants=(
        VariantRow(id="reference", what="nothing", alarms=()),
        VariantRow(id="V1", what="ISO times", alarms=("sums",)),
    ),
    laws=LAWS,
    wall_s=12.3456,
    combinations=(VariantRow(id="V1+V2, declared", what="all of these at once", alarms=()),),
    generated=(
        GeneratedRow(
            id="event.kept:omitted",
            what="An event is lost.",
            status=FaultStatus.KILLED,
            first_law="LOG=SENT",
        ),
        GeneratedRow(
            id="shown.log.search.log_id:empty",
            what="The log_id is empty.",
            status=FaultStatus.KILLED,
            first_law="KEY",
            explained="said to be unseen",
        ),
        GeneratedRow(id="day:utc+9", what="Days are late.", status=FaultStatus.SURVIVED),
        GeneratedRow(
            id="day:utc-8",
            what="Days are early.",
            status=FaultStatus.SURVIVED,
            explained="days are a reading",
        ),
        GeneratedRow(
            id="limit:stops", what="Use stops.", status=FaultStatus.VOID, note="did not start"
        ),
    ),
    generated_in_all=1000,
)


def test_the_json_object_has_its_keys_and_adds_up() -> None:
    """Numbers and lists of names; killed, survivors and void make up all faults."""
    document = json.loads(render_matrix_json(MATRIX))
    assert document == {
        "faults": 6,
        "killed": 2,
        "survivors": ["B2", "B3"],
        "void": ["C1", "C2"],
        "variants": 2,
        "false_alarms": ["V1: sums"],
        "wall_s": 12.346,
        "killed_other": ["B3"],
        "combinations": 1,
        "generated": {
            "in_all": 1000,
            "tried": 5,
            "detected": 2,
            "first_by_law": {"LOG=SENT": 1, "SUM=LOG": 0, "KEY": 1},
            "survivors": [
                {"id": "day:utc+9", "what": "Days are late.", "explained": ""},
                {"id": "day:utc-8", "what": "Days are early.", "explained": "days are a reading"},
            ],
            "void": ["limit:stops"],
            "wrongly_explained": ["shown.log.search.log_id:empty"],
        },
    }
    parts = document["killed"] + len(document["survivors"]) + len(document["void"])
    assert parts == document["faults"]
    assert render_matrix_json(MATRIX).count("\n") == 1


def test_the_file_leaves_out_the_wall_time() -> None:
    """The same proof gives the same file."""
    document = json.loads(render_matrix_file(MATRIX))
    assert document == {
        key: value
        for key, value in json.loads(render_matrix_json(MATRIX)).items()
        if key != "wall_s"
    }


def test_the_page() -> None:
    """As it was looked at: survivors named, the declared law bold, alarms shown."""
    check_golden("kill-matrix.md", render_matrix_markdown(MATRIX))
