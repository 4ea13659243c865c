"""Load scenarios: every one in the catalogue can be read, and a wrong one says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from trueup.reports.errors import ConfigurationError
from trueup.scenarios.load.plan import load_names, load_plan, with_changes
from trueup.scenarios.load.traffic import arrivals_per_second, load_fleet
from trueup.scenarios.scenario import load_scenario

ASKED_FOR = {
    "steady",
    "ramp",
    "spike",
    "daily",
    "midnight",
    "hot-key",
    "many-hostnames",
    "ledger-heavy",
    "mixed-reads",
    "soak",
    "malformed-lines",
    "retry-storm",
}
NOW = datetime(2026, 5, 4, 13, 0, 0, tzinfo=UTC)


def test_the_catalogue_has_every_scenario_that_was_asked_for() -> None:
    """Twelve ways to break a target."""
    assert set(load_names()) >= ASKED_FOR


@pytest.mark.parametrize("name", load_names())
def test_a_scenario_says_what_it_breaks_and_its_fleet_can_be_drawn(name: str) -> None:
    """The name is the file's, the line is there, and the overrides fit the profile."""
    plan = load_plan(name)
    assert plan.name == name
    assert len(plan.breaks) > 20
    assert plan.thresholds
    fleet = load_fleet(plan, customers=(1, 2), now=NOW)
    assert len(fleet.batch(0, 50).rows()) == 50


def test_the_midnight_scenario_has_events_on_both_sides_of_midnight() -> None:
    """Half of its events fall on the day before."""
    plan = load_plan("midnight")
    fleet = load_fleet(plan, customers=(1, 2), now=NOW)
    count = int(plan.shape.rate * plan.shape.duration_s * plan.requests.batch)
    days = [str(row["log_request_datetime"])[:10] for row in fleet.batch(0, count).rows()]
    assert set(days) == {"2026-05-03", "2026-05-04"}
    assert 0.2 < days.count("2026-05-03") / count < 0.8


def test_the_hot_key_scenario_has_one() -> None:
    """The busiest user-and-hostname pair has over a third of all events."""
    fleet = load_fleet(load_plan("hot-key"), customers=(1, 2), now=NOW)
    pairs = [(row["proxy_user_id"], row["log_hostname"]) for row in fleet.batch(0, 4000).rows()]
    assert max(pairs.count(pair) for pair in set(pairs)) > len(pairs) / 3


def test_the_fleets_own_arrivals_are_as_many_as_planned_but_not_even() -> None:
    """Counted by second they sum to about the plan, and vary more than an even schedule."""
    plan = with_changes(load_plan("soak"), duration_s=30)
    fleet = load_fleet(plan, customers=(1, 2), now=NOW)
    rates = arrivals_per_second(fleet.identity("load"), plan, 0)
    assert len(rates) == 30
    assert 0.3 < sum(rates) / (plan.shape.rate * 30) < 3
    assert max(rates) > 1.05 * min(rates)


@pytest.mark.parametrize(
    "text, word",
    [
        ("name = 'x'", "what"),
        ("name = 'x'\nwhat = ''\nbreaks = ''\ncolour = 1", "colour"),
        ("name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nkind = 'wave'", "choose one of"),
        ("name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 'fast'", "shape.rate"),
        ("name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 1\nwarmup_s = 20", "warmup_s"),
        (
            "name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 1\n[thresholds]\np99 = 1",
            "response_p99_ms",
        ),
        ("name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 1\n[reads]\nshare = 0.5", "path"),
        ("this is not toml", "not a TOML file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_key(
    tmp_path: Path, text: str, word: str
) -> None:
    """The error names the file, the key and the remedy."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(str(path))
    assert str(path) in str(caught.value)
    assert word in str(caught.value)


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    """Each with its key, its line, what was expected, what came; no raw validator."""
    path = tmp_path / "mine.toml"
    path.write_text(
        "name = 'x'\nbreaks = ''\n[shape]\nrate = 'fast'\narrivals = 'evn'\nduraton_s = 3\n"
        "[requests]\nbatch = 0\n[reads]\npaths = [1]\n[thresholds]\nerror_share = 'none'\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_plan(str(path))
    said = str(caught.value)
    for part in (
        "mine.toml: 8 problems",
        "  what\n    expected: a value\n    found:    nothing",
        'shape.rate (line 4)\n    expected: a number\n    found:    "fast"',
        'shape.arrivals (line 5)\n    expected: one of "even", "poisson", "fleet"',
        "shape.duraton_s (line 6)",
        'did you mean "duration_s"?',
        "requests.batch (line 8)\n    expected: a whole number >= 1\n    found:    the number 0",
        "reads.paths (line 10)\n    expected: a string, in quotes, in each place",
        "thresholds (line 11)\n    expected: a number, in each place",
    ):
        assert part in said, part
    assert "`" not in said.replace("`what = …`", "")


def test_unknown_names_are_reported_with_the_other_mistakes(tmp_path: Path) -> None:
    """A shape, an option of it, a limit and a profile: four more in the same error."""
    path = tmp_path / "mine.toml"
    path.write_text(
        "name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 'fast'\nkind = 'zigzag'\n"
        "[thresholds]\nresponse_p97_ms = 5\n[fleet]\nprofile = 'nosuch'\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_plan(str(path))
    said = str(caught.value)
    for part in (
        "mine.toml: 4 problems",
        "shape.rate (line 5)",
        "shape.kind (line 6)",
        "thresholds.response_p97_ms (line 8)",
        "fleet.profile (line 10)",
    ):
        assert part in said, part
    path.write_text(
        "name = 'x'\nwhat = ''\nbreaks = ''\n[shape]\nrate = 5\nkind = 'step'\n"
        "[shape.options]\nstep = 4\n[fleet.overrides]\n'mix.unknown' = 4\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_plan(str(path))
    said = str(caught.value)
    assert "2 problems" in said
    assert 'did you mean "steps"?' in said
    assert "mix.unknown" in said


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_no_plan_is_made_of_impossible_numbers(wrong: float) -> None:
    """Rate and length must be numbers that a run can have."""
    with pytest.raises(ConfigurationError):
        with_changes(load_plan("steady"), rate=wrong)
    with pytest.raises(ConfigurationError):
        with_changes(load_plan("steady"), duration_s=wrong)


def test_a_word_of_an_earlier_version_is_refused_with_the_new_one(tmp_path: Path) -> None:
    """Keys and names of scenarios that were renamed: the error says what they are called now."""
    path = tmp_path / "old.toml"
    path.write_text("name = 'x'\nwhat = ''\nbreaks = ''\n[requests]\ntwin_every = 3\n")
    with pytest.raises(ConfigurationError, match="it is called duplicate_every since"):
        load_plan(str(path))
    path.write_text("name = 'x'\nwhat = ''\n[histories]\nexamples = 3\n")
    with pytest.raises(ConfigurationError, match="it is called stateful since"):
        load_scenario(str(path))
    with pytest.raises(ConfigurationError, match="malformed-lines"):
        load_plan("poison-lines")


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    """No such name, no such file: here is what there is."""
    with pytest.raises(ConfigurationError, match="steady"):
        load_plan("stedy")


def test_a_changed_plan_keeps_its_warm_up_shorter_than_itself() -> None:
    """A quick look at a long scenario still has something to count."""
    plan = with_changes(load_plan("soak"), duration_s=4, rate=7, seed=9)
    assert (plan.shape.duration_s, plan.shape.warmup_s) == (4, 1)
    assert (plan.shape.rate, plan.seed) == (7, 9)
