"""Scenario files: read once, refused with the place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.scenario import load_scenario, scenario_names


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_of_the_catalogue_is_valid_and_named_after_its_file(name: str) -> None:
    """What the help offers can be run."""
    assert load_scenario(name).name == name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('name = "x"\nwhat = "y"\n[fleet]\nevnts = 3\n', r"unknown field `evnts`.*\$\.fleet"),
        ('name = "x"\nwhat = "y"\n[fleet]\nevents = "3"\n', r"\$\.fleet\.events"),
        ('name = "x"\nwhat = "y"\n[fleet]\nevents = 99999999999999\n', r"\$\.fleet\.events"),
        ('name = "x"\nwhat = "y"\n[fleet]\ndays = 8\n', r"\$\.fleet\.days"),
        ('name = "a b"\nwhat = "y"\n', r"\$\.name"),
        ("name = \n", "not TOML.*line 1"),
        ('what = "y"\n', "name"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    """The message names the file and the key."""
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageProblem, match=rf"(?s)s\.toml: .*{complaint}"):
        load_scenario(str(path))


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    """Whoever mistypes sees what there is."""
    with pytest.raises(UsageProblem, match="main"):
        load_scenario("mian")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file is no scenario."""
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load_scenario(str(path))
