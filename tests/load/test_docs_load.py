"""docs/load.md names what there is, and nothing that there is not: compared in both directions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import click
import msgspec

from trueup.scenarios.cli.load import command
from trueup.scenarios.load.capacity_search import MOST_STEPS, RESOLUTION
from trueup.scenarios.load.execute import LIMIT_STEP_S
from trueup.scenarios.load.job import WORKERS_S
from trueup.scenarios.load.plan import LoadPlan, load_names, load_plan
from trueup.scenarios.load.thresholds import THRESHOLDS
from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE, SHAPES

PAGE = Path("docs/load.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    """The rows of the table that begins with `head`, cell by cell."""
    _, found, rest = PAGE.partition(f"\n{head}\n")
    assert found, f"the page has no table {head}"
    rows = rest.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def marked(text: str) -> list[str]:
    """Everything that stands between backticks, in order."""
    return re.findall(r"`([^`]+)`", text)


KEYS = {cells[0]: cells for cells in table("| key | type, default | meaning |")}


def meaning(key: str) -> str:
    """The whole row of a key."""
    return " | ".join(next(cells for first, cells in KEYS.items() if f"`{key}`" in first))


def keys_of(part: type[msgspec.Struct], before: str = "") -> set[str]:
    """Every key of a scenario file, those of its parts with the part's name."""
    found: set[str] = set()
    for field in msgspec.structs.fields(part):
        kinds = [field.type, *get_args(field.type)]
        tables = [one for one in kinds if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        for one in tables:
            found |= keys_of(one, f"{field.encode_name}.")
        if not tables:
            found.add(before + field.encode_name)
    return found


def test_every_key_of_a_scenario_has_its_row_and_every_row_its_key() -> None:
    """A name without a part belongs to the part of the name before it."""
    named: set[str] = set()
    for first in KEYS:
        part = ""
        for name in marked(first):
            part = name.rpartition(".")[0] or part
            named.add(name if "." in name or not part else f"{part}.{name}")
    assert named == {"thresholds.*" if key == "thresholds" else key for key in keys_of(LoadPlan)}


def test_every_threshold_is_documented_with_its_side() -> None:
    """Most allowed before least, as the table of thresholds has them."""
    most, _, least = meaning("thresholds.*").partition("(most allowed)")
    assert set(marked(most)) - {"thresholds.*"} == {n for n, row in THRESHOLDS.items() if row.most}
    assert set(marked(least)) == {n for n, row in THRESHOLDS.items() if not row.most}


def test_what_noise_never_excuses_is_named() -> None:
    """The thresholds that are neither time nor rate, and no other."""
    (sentence,) = re.findall(r"doubles none: (.*?) are never excused", PAGE, flags=re.S)
    assert set(marked(sentence)) == {name for name, row in THRESHOLDS.items() if not row.timed}


def test_every_shape_and_each_of_its_options_is_named() -> None:
    """In the row of the kind and in the row of the options, and no other."""
    assert set(marked(KEYS["`shape.kind`"][2])) == {*SHAPES, AS_FAST_AS_POSSIBLE}
    said = dict(re.findall(r"`([a-z-]+)`: ((?:`\w+`(?:, )?)+)", KEYS["`shape.options`"][2]))
    assert {kind: set(marked(names)) for kind, names in said.items()} == {
        kind: set(options) for kind, (_, options) in SHAPES.items() if options
    }


def test_every_option_of_the_command_has_its_row_and_every_row_its_option() -> None:
    """Also those that other commands share; the arguments by their name."""
    named = {
        word.split()[0]
        for cells in table("| option | means |")
        for word in marked(cells[0])
    }  # fmt: skip
    offered = {
        max(one.opts, key=len) if isinstance(one, click.Option) else str(one.name).upper()
        for one in command.params
    }
    assert named == offered


def test_how_a_search_goes_is_that_of_the_code() -> None:
    """Length of a step, width at the end, most steps."""
    flat = " ".join(PAGE.split())
    assert "steps of at most six seconds" in flat
    assert LIMIT_STEP_S == 6
    assert f"within {RESOLUTION * 100:.0f} % of each other" in flat
    assert f"at most {MOST_STEPS} steps" in flat
    assert f"waits {WORKERS_S:.0f} s for its workers" in flat


def test_every_scenario_stands_with_the_line_of_what_it_breaks() -> None:
    """Word for word as in its file, so that neither is mended alone."""
    rows = {marked(name)[0]: breaks for name, breaks in table("| name | is meant to break |")}
    assert rows == {name: load_plan(name).breaks for name in load_names()}
