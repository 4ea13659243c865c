"""Profiles: parameters with their sources, overrides, files, tables and fits."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.simulator.fleets import START, fleet
from trueup.simulator.errors import DataError, ProfileError
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import GRADES, Profile, Value, load_profile
from trueup.simulator.model.sizes import size_laws
from trueup.simulator.random import quantiles
from trueup.simulator.realism.fit import fit_log
from trueup.simulator.tools.make_page import parameter_table

DOCS = Path(__file__).parents[2] / "docs" / "fleet.md"


def test_every_parameter_has_a_unit_a_grade_and_a_source() -> None:
    for row in load_profile("default").parameters.values():
        assert row.grade in GRADES and len(row.source) > 3, row
        assert row.unit or isinstance(row.value, bool), row


def test_every_parameter_is_used_by_the_model() -> None:
    asked: set[str] = set()

    class Watched(Profile):
        def __getitem__(self, name: str) -> Value:
            asked.add(name)
            return super().__getitem__(name)

    plain = load_profile("default")
    watched = Watched(name=plain.name, parameters=plain.parameters)
    Fleet(watched, seed=1, start=START, customers=(1,), events_per_s=1.0).row(100)
    assert set(plain.parameters) - asked == {"fleet.events_per_s"}, "the command line's default"


def test_overrides_change_the_digest_and_the_traffic() -> None:
    """And only the parameter that was named."""
    plain, changed = load_profile("default"), load_profile("default", {"host.wide": 0})
    assert plain.sha256 != changed.sha256
    assert changed.integer("host.wide") == 0 and changed.parameters["host.wide"].grade == "U"
    assert changed["host.assets"] == plain["host.assets"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("host.wyde", 1, 'did you mean "host.wide"'),
        ("host.wide", "many", "a number of at least 0"),
        ("host.wide", -1, "at least 0"),
        ("host.wide", 0.5, "whole number"),
        ("mix", {"mobile": -1}, 'weight of "mobile"'),
        ("mix", {"mobile": 0}, "above 0"),
        ("mix", "mobile", "weights such as"),
        ("coverage.enabled", "maybe", "true or false"),
    ],
)
def test_an_invalid_override_is_refused_by_name(name: str, value: object, message: str) -> None:
    """The parameter, what was expected, the remedy."""
    with pytest.raises(ProfileError, match=message):
        load_profile("default", {name: value})  # type: ignore[dict-item]


def test_an_invalid_profile_file_is_refused_by_name(tmp_path: Path) -> None:
    """Missing, not TOML, without parameters, with a parameter that has no grade."""
    for content, message in (
        (None, "no such fleet profile"),
        ("[[", "not a TOML file"),
        ("x = 1", "a \\[parameters\\] table"),
        ('based_on = "default"\n[parameters]\n"host.wide" = 3', "a table with value, unit, grade"),
    ):
        path = tmp_path / "p.toml"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ProfileError, match=message):
            load_profile(path if content is None else _unique(path, message))


def test_all_mistakes_of_a_profile_are_named_at_once(tmp_path: Path) -> None:
    """In a file by their lines, in overrides by their names: each with what was expected."""
    path = tmp_path / "wrong.toml"
    row = 'unit = "1", grade = "A", source = "s"'
    path.write_text(
        f'based_on = "default"\n[parameters]\n"host.wide" = {{ value = -1, {row} }}\n'
        f'"host.assets" = 3\n"mix" = {{ value = {{ mobile = 0 }}, {row} }}\n'
    )
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    for part in ("3 problems", "parameters.host.wide.value (line 3)", "(line 4)", "(line 5)"):
        assert part in str(caught.value), part
    with pytest.raises(ProfileError) as caught:
        load_profile("default", {"host.wyde": 1, "host.wide": "many", "coverage.enabled": 3})
    assert "3 problems" in str(caught.value)


def _unique(path: Path, message: str) -> Path:
    """Move the file to a name of its own, because profiles are cached by path."""
    other = path.with_name(f"{abs(hash(message))}.toml")
    path.rename(other)
    return other


def test_committed_tables_equal_those_computed_with_decimal() -> None:
    """The tables are a cache; and the body is lognormal."""
    law = next(iter(size_laws(load_profile("default"))))
    assert (quantiles.body_tail(*law) == quantiles._body_tail(*law)).all()
    median = quantiles.lognormal(Decimal(60), Decimal("0.5"))
    assert (median == quantiles._lognormal(Decimal(60), Decimal("0.5"), 1024)).all()
    assert 59 <= np.median(median) <= 61


def test_a_changed_data_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet drawn from other data could not be drawn again."""
    quantiles._sums()
    (tmp_path / "hosts.csv").write_text("hostname,category\n")
    monkeypatch.setattr(quantiles, "DATA", tmp_path)
    with pytest.raises(DataError, match="committed SHA-256"):
        quantiles.data_bytes("hosts.csv")


def test_a_fit_recovers_the_parameters_of_the_fleet(tmp_path: Path) -> None:
    """A profile fitted from the fleet's own log has its mix and sizes."""
    some = fleet(coverage__enabled=False)
    path = tmp_path / "log.ndjson"
    path.write_bytes(some.batch(0, 30_000).ndjson(compact=True) + b"{broken\n")
    fit = fit_log(path)
    assert fit.report.refused == 1
    assert (fit.report.first_refused[0].line, fit.report.read) == (30001, 30_000)
    assert fit.report.first_refused[0].reason.startswith("not JSON")
    fitted = tmp_path / "fitted.toml"
    fitted.write_text(fit.text)
    profile = load_profile(fitted)
    columns = some.batch(0, 30_000).columns()
    assert dict(profile.weights("mix"))["mobile"] == (columns.network == 3).sum()
    sizes = dict(profile.weights("size.mobile.observed"))
    mobile = columns.total_bytes[columns.network == 3]
    assert sum(int(size) * count for size, count in sizes.items()) == mobile.sum()
    assert profile.parameters["mix"].source == "fitted from log.ndjson"


def test_the_documentation_lists_the_parameters_of_the_default_profile() -> None:
    """docs/fleet.md has the table that `make_page` writes."""
    assert parameter_table() in DOCS.read_text(encoding="utf-8")
