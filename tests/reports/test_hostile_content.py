"""Untrusted content in every renderer: nothing that acts gets out, nothing breaks them."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as Xml

import msgspec
import pytest

from tests.reports.factory import PASSES, RESULTS, changed_load, journal, load_result
from tests.reports.test_html import Page
from tests.reports.test_terminal import screen
from trueup.reports.formatting import json_document, json_text, visible
from trueup.reports.journal.records import (
    CoverageSeen,
    Exchange,
    ReadingSeen,
    Record,
    Result,
    TieOutSeen,
)
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.known_failures import KnownFailure, KnownFile
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.badge import render_badge
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.curl import curl_script
from trueup.reports.renderers.exports import render_csv, render_prometheus
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.known import render_known
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result
from trueup.reports.renderers.writer import write_all
from trueup.reports.results import (
    Counterexample,
    CoverageRow,
    Difference,
    Json,
    Reading,
    TieOut,
)

CONTROL = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), *range(127, 160))))
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LINE_ENDS = "\u2028\u2029"
SURROGATES = "\ud800\udfff"
BAD = f"<b>{CONTROL}{BIDIRECTIONAL}{LINE_ENDS}{SURROGATES}\ufffe"
DEEP: Json = "end"
for _ in range(100_000):
    DEEP = [DEEP]
VALUES: tuple[Json, ...] = (
    2**63,
    -(2**63) - 1,
    2**200,
    10**5_000,
    float("nan"),
    float("inf"),
    BAD,
    {BAD: BAD},
    [],
    DEEP,
)
"""Values that a body or an event may hold and that some encoder refuses."""

TEXT_FORMATS = {
    "terminal": screen,
    "markdown": render_markdown,
    "github": render_annotations,
    "csv": render_csv,
    "known": render_known,
    "junit": render_junit,
    "html": render_html,
    "json": render_result,
    "ctrf": render_ctrf,
    "badge": render_badge,
    "prometheus": render_prometheus,
}


def hostile_report(folder: Path, value: Json = BAD) -> RunReport:
    """Return a report that has `BAD` in every text and `value` in a body and in an event."""
    bad = msgspec.structs.replace(
        RESULTS[0],
        check=BAD,
        law=BAD,
        title=BAD,
        reason=BAD,
        expected=BAD,
        seen=BAD,
        clauses=(BAD,),
        grade=BAD,
        counterexample=Counterexample(
            differences=(Difference(where=BAD, expected=BAD, seen=BAD),) * 20,
            events=({"log_id": value, "log_hostname": value, BAD: value},),
            exchanges=(90,),
        ),
    )
    exchange = Exchange(
        n=90,
        method=BAD,
        path=BAD,
        at=BAD,
        query=((BAD, BAD),),
        tenant="a",
        stage=BAD,
        request_body=value,
        status=200,
        body=value,
        elapsed_ms=float("inf"),
    )
    load = changed_load(
        load_result(missed=True),
        plan={"scenario": BAD, "shape": BAD},
        timeline={"stopped_by": BAD},
        requests={"errors": {BAD: 3}},
    )
    records: tuple[Record, ...] = (
        exchange,
        Result(result=bad),
        ReadingSeen(reading=Reading(name=BAD, value=BAD, how=BAD, why=BAD)),
        TieOutSeen(part=BAD, row=TieOut(view=BAD, scope=BAD, ok=False, seen_requests=2**70)),
        CoverageSeen(
            rows=(
                CoverageRow(
                    table=BAD, dimension=BAD, name=BAD, sentence=BAD, reached=False, why=BAD
                ),
            )
        ),
        load,
    )
    read = journal(folder, PASSES[:3])
    header = msgspec.structs.replace(
        read.header, target=BAD, scenario=BAD, base_url=BAD, run=BAD, command=BAD, checks=(BAD, "x")
    )
    assert read.footer is not None
    footer = msgspec.structs.replace(read.footer, stopped_by=BAD, interrupted=True)
    changed = msgspec.structs.replace(
        read, header=header, records=(header, *read.records[1:-1], *records, footer), footer=footer
    )
    entry = KnownFailure(check=bad.check, reason=BAD, until=date(2030, 1, 1))
    other = KnownFailure(clause=BAD, reason=BAD, until=date(2030, 1, 1))
    return build_report(changed, known=KnownFile(source=BAD, entries=(entry, other)))


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_no_control_or_bidirectional_character_reaches_an_output(form: str, tmp_path: Path) -> None:
    """Whatever text of a journal has them; tabs and line feeds alone pass."""
    text = TEXT_FORMATS[form](hostile_report(tmp_path / "r"))
    assert not set(text) & set(CONTROL + BIDIRECTIONAL + LINE_ENDS + SURROGATES)
    text.encode("utf-8")


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_no_value_of_a_body_breaks_a_renderer(form: str, value: Json, tmp_path: Path) -> None:
    """Integers beyond 64 bits, numbers that are not finite, surrogates, thousands of levels."""
    text = TEXT_FORMATS[form](hostile_report(tmp_path / "r", value))
    if form in ("json", "ctrf", "badge"):
        json.loads(text, parse_constant=pytest.fail)
    if form == "junit":
        Xml.fromstring(text)
    if form == "html":
        Page(text)
    if form == "known":
        assert "known" in tomllib.loads(text)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_files_and_scripts_of_hostile_values_are_written(value: Json, tmp_path: Path) -> None:
    """Every file of a run, and its evidence script, in UTF-8."""
    report = hostile_report(tmp_path / "r", value)
    for path in write_all(report, tmp_path / "out").values():
        assert path.read_text(encoding="utf-8")
    render_csv(report).encode("utf-8")
    for row in report.rows:
        script = curl_script(report, row)
        assert not set(script) & set(CONTROL + BIDIRECTIONAL + SURROGATES)


def test_a_record_with_surrogates_is_written_and_read_back(tmp_path: Path) -> None:
    """UTF-8 cannot hold them: each becomes a question mark, and the record is whole."""
    read = journal(tmp_path / "r", PASSES[:1])
    path = tmp_path / "journal.ndjson"
    with JournalWriter(path) as writer:
        writer.write(read.header)
        writer.write(
            Exchange(n=1, method="GET", path="/", at="", error="a\ud800b", body=["\udfff"])
        )
        writer.finish(finished_at="", exit_status=0)
    exchange = read_journal(path).records[1]
    assert isinstance(exchange, Exchange)
    assert (exchange.error, exchange.body) == ("a?b", ["?"])


def test_json_documents_are_valid_whatever_they_hold() -> None:
    """Numbers that are not finite are null; characters that a terminal interprets are escaped."""
    text = json_document({"a": [float("nan"), float("inf"), 1.5], "b": BAD})
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["a"] == [None, None, 1.5]
    assert document["b"] == BAD.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")


def test_a_value_that_cannot_be_serialized_gives_a_note() -> None:
    """The reader sees why there is no value."""
    assert json_text(DEEP) == json_text(10**5_000)
    assert "cannot" not in json_text(2**200)
    assert json_text(2**200) == str(2**200)


def test_visible_text_keeps_letters_of_every_script() -> None:
    """Only what acts is replaced."""
    assert visible("Ünïcode ﷺ 漢字 👩‍👩‍👧\t\n") == "Ünïcode ﷺ 漢字 👩‍👩‍👧\t\n"
    assert visible(BIDIRECTIONAL) == "\ufffd" * len(BIDIRECTIONAL)
