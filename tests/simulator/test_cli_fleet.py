"""The command `trueup fleet`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from tests.simulator.fleets import common
from trueup.scenarios.cli import trueup


def run(*arguments: str) -> Result:
    """Run `trueup fleet` with these arguments."""
    return CliRunner().invoke(trueup, ["fleet", *arguments])


def test_standard_output_has_the_events_of_the_fleet_as_ndjson() -> None:
    found = run("--seed", "7", "--events", "60")
    assert found.exit_code == 0
    assert [json.loads(line) for line in found.stdout.splitlines()] == common().batch(0, 60).rows()


def test_json_csv_and_parquet_hold_the_same_events(tmp_path: Path) -> None:
    rows = common().batch(20, 100).rows()
    for form in ("json", "csv", "parquet"):
        out = tmp_path / form
        found = run("--seed", "7", "--first", "20", "--events", "100", "--format", form,
                    "--out", str(out))  # fmt: skip
        assert found.exit_code == 0, found.output
    assert json.loads((tmp_path / "json").read_text()) == rows
    read = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text())))
    assert [row["log_id"] for row in read] == [row["log_id"] for row in rows]
    assert [int(row["log_total_bytes"]) for row in read] == [r["log_total_bytes"] for r in rows]
    assert pyarrow.parquet.read_table(tmp_path / "parquet").to_pylist() == rows


def test_explain_prints_the_event_or_reports_a_foreign_id() -> None:
    """The id alone is enough; the fleet of another seed does not have it."""
    known = run("explain", common().log_id(77), "--seed", "7")
    assert json.loads(known.stdout)["position"] == 77
    assert json.loads(known.stdout)["event"] == common().row(77)
    other = run("explain", common().log_id(77), "--seed", "8")
    assert other.exit_code == 2 and "foreign" in other.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "mix.moon=1"), "mix has datacenter, isp, residential, mobile"),
        (("--set", "mix"), "write name=value"),
        (("--set", "host.wyde=1"), 'did you mean "host.wide"'),
        (("--start", "soon"), "is no moment"),
        (("--customers", "one"), "whole numbers such as"),
        (("--start", "0001-01-01"), "not on 0001-01-01"),
        (("--customers=-5",), "between 0 and 2^63-1"),
        (("--customers", str(2**63)), "between 0 and 2^63-1"),
        (("--rate", "0"), "above 0"),
        (("--rate", "1e-300", "--events", "2"), "from 10^-6"),
        (("--rate", "1e-6", "--events", "300000"), "after the year 9999"),
        (("--rate", "1e-6", "--events", "300000", "--fingerprint"), "after the year 9999"),
        (("--profile", "nobody"), "no such fleet profile"),
        (("--events", "-1"), "-1 is not in the range"),
        (("--out", "/nowhere/at/all"), "cannot be written"),
        (("--fingerprint", "--first", "3"), "leave --first out"),
        (("--seed", "3", "explain", "x"), "put the options behind the command"),
        (("fit", __file__), "The format is not recognised"),
        (("fit", __file__, "--format", "squad"), "is no format of logs; choose one of squid"),
        (("fit", __file__, "--format", "csv:x"), "csv takes no template"),
        (("fit", __file__, "--format", "squid:%>a %ru"), "has no time of the request"),
        (("fit", __file__, "--zone", "Mars"), "is no time zone; write an IANA name"),
        (("fit", __file__, "--field", "byte=x"), "write NAME=COLUMN"),
    ],
)
def test_invalid_values_are_refused_with_the_remedy(
    arguments: tuple[str, ...], message: str
) -> None:
    """No traceback; the option, what was expected, the remedy."""
    found = run(*arguments)
    assert found.exit_code not in (0, 1), found.output
    assert message in found.output


def test_parquet_is_not_written_to_a_terminal() -> None:
    """Also if the terminal is named as a file."""
    ours, theirs = os.openpty()
    try:
        found = run("--events", "5", "--format", "parquet", "--out", os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert found.exit_code == 2
    assert "use --out FILE" in found.output


def test_a_weight_can_be_set_alone() -> None:
    """`--set mix.mobile=0` keeps the other weights."""
    found = run("--events", "300", "--set", "mix.mobile=0", "--set", "coverage.enabled=false")
    networks = {json.loads(line)["log_network"] for line in found.stdout.splitlines()}
    assert networks == {"datacenter", "isp", "residential"}


def target_file(folder: Path, command: str) -> Path:
    """Write a target file whose ingestion is a program."""
    file = folder / "t.toml"
    file.write_text(
        'name = "program"\nbase_url = "http://127.0.0.1:9/1.0"\n'
        '[tenants.a]\npublic_key = { env = "A" }\nprivate_key = { env = "B" }\ncustomer_id = 5\n'
        f'[ingest]\nvia = "command"\nargv = ["sh", "-c", "{command}"]\n'
    )
    return file


def test_events_are_delivered_to_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own tenants, from the last six days, every event once."""
    monkeypatch.setenv("A", "public-key-1")
    monkeypatch.setenv("B", "private-key-2")
    file = target_file(tmp_path, "cat >> got.ndjson")
    found = run("--target", str(file), "--events", "1500")
    assert found.exit_code == 0, found.output
    assert "1,500 accepted" in found.output
    rows = [json.loads(line) for line in (tmp_path / "got.ndjson").read_text().splitlines()]
    assert len({row["log_id"] for row in rows}) == len(rows) == 1500
    assert {row["customer_id"] for row in rows} == {5}
    wrong = run("--target", str(file), "--format", "csv")
    assert wrong.exit_code == 2 and "leave --out" in wrong.output


@pytest.mark.slow
def test_realism_figures_differ_from_their_controls(tmp_path: Path) -> None:
    """Bursts, long memory, tails and dependence between fields, which the controls lack."""
    page = tmp_path / "page.html"
    found = run("realism", "--events", "1500000", "--json", "--out", str(page))
    rows = {(r["network"], r["metric"]): r for r in json.loads(found.stdout)["figures"]}
    memory = rows["all", "Haar H, octaves 3-10, aperiodic"]
    assert 0.65 < memory["model"] < 0.95 and memory["control"] < 0.6
    assert rows["all", "IDC 60 s"]["model"] > 2 * rows["all", "IDC 60 s"]["control"]
    for network in ("datacenter", "isp", "residential", "mobile"):
        assert rows[network, "KS distance to law"]["model"] < 0.02
        assert rows[network, "KS distance to law"]["control"] > 0.1
    assert rows["all", "U(country | asn)"]["model"] == pytest.approx(1)
    assert rows["all", "H(host | user) / H(host)"]["model"] < 0.45
    assert rows["all", "sessions beyond their TTL"]["model"] == 0
    assert rows["all", "JSD of networks, bits"]["model"] < 0.002
    text = page.read_text()
    assert text.count("<svg") >= 10 and "http://" not in text.replace("http://www.w3.org", "")
