"""Scenario files: read once, refused with the place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.reports.errors import ConfigurationError
from trueup.scenarios.scenario import load_scenario, scenario_names


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_of_the_catalogue_is_valid_and_named_after_its_file(name: str) -> None:
    """What the help offers can be run."""
    assert load_scenario(name).name == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            'name = "x"\nwhat = "y"\n[fleet]\nevnts = 3\n',
            ["fleet.evnts (line 4)", 'did you mean "events"?'],
        ),
        (
            'name = "x"\nwhat = "y"\n[fleet]\nevents = "3"\n',
            ["fleet.events (line 4)", "a whole number", '"3"'],
        ),
        (
            'name = "x"\nwhat = "y"\n[fleet]\nevents = 99999999999999\n',
            ["fleet.events", "100000000"],
        ),
        ('name = "x"\nwhat = "y"\n[fleet]\ndays = 8\n', ["fleet.days", "a number <= 6.5"]),
        ('name = "x"\nwhat = "y"\nfleet = 3\n', ["fleet (line 3)", "a table"]),
        ('name = "a b"\nwhat = "y"\n', ["name (line 1)", '"a b"']),
        ("name = \n", ["not a TOML file", "line 1"]),
        ('what = "y"\n', ["name", "add `name = …` at the top of the file"]),
        (
            'name = "a b"\n[fleet]\nevnts = 3\ndays = 8\n[checks]\nlevel = 5\n',
            ["5 problems in this scenario", "name (line 1)", "what", "fleet.days", "checks.level"],
        ),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_place(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    """The message names the file, and every wrong key with its line and the remedy."""
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"s\.toml: ") as caught:
        load_scenario(str(path))
    for part in parts:
        assert part in str(caught.value), part


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(ConfigurationError, match="main"):
        load_scenario("mian")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file is no scenario."""
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_scenario(str(path))
