"""The recipes of CONTRIBUTING.md work as they are written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.reports.factory import PASSES, journal
from trueup.conformance.checks.registry import CHECKS
from trueup.reference.behaviour import Behaviour
from trueup.reference.mutants import FAULTS, Mutant
from trueup.reference.mutants.mutant import swap
from trueup.reports.event_format import BODY_FORMS, BodyForm
from trueup.reports.model import RunReport, build_report
from trueup.scenarios.cli.report import FORMATS
from trueup.scenarios.mutation.register import ExpectedKill, load_expected_kills

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def recipe(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def code(title: str, language: str) -> str:
    """Return the code block of a recipe, without its indentation."""
    (block,) = re.findall(rf"^   ```{language}\n(.*?)^   ```", recipe(title), re.M | re.S)
    return re.sub(r"^   ", "", block, flags=re.M)


def test_the_fault_of_the_recipe_changes_the_reference_and_names_laws_that_exist() -> None:
    fault: Mutant = eval(code("Add a fault", "python"), {"swap": swap})
    changed = fault.apply(Behaviour())
    log = type("Log", (), {"log_total_bytes": 21})()
    assert (Behaviour().charged_bytes(log), changed.charged_bytes(log)) == (21, 42)
    (row,) = tomllib.loads(code("Add a fault", "toml")).values()
    kill = msgspec.convert(row, ExpectedKill)
    assert set(kill.laws) <= {check.law for check in CHECKS}


def test_every_fault_is_where_the_recipe_puts_it() -> None:
    """In a module of the folder, and in the register with laws and a level."""
    sources = "".join(path.read_text() for path in (ROOT / "reference/mutants").glob("*_faults.py"))
    assert [fault.id for fault in FAULTS if f'"{fault.id}"' not in sources] == []
    assert {fault.id for fault in FAULTS} == set(load_expected_kills())


def test_every_form_of_bodies_is_in_each_place_of_the_recipe() -> None:
    names = {str(form) for form in BodyForm}
    assert set(BODY_FORMS) == set(BodyForm)
    schema = json.loads((ROOT / "conformance/target/target_schema.json").read_text("utf-8"))
    assert names in [set(values) for values in every_enumeration(schema)]
    page = (ROOT / "docs/targets.md").read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []


def every_enumeration(schema: Any) -> list[list[str]]:
    if isinstance(schema, dict):
        own = [schema["enum"]] if "enum" in schema else []
        return own + [found for part in schema.values() for found in every_enumeration(part)]
    return []


def test_the_report_format_of_the_recipe_renders_a_run(tmp_path: Path) -> None:
    names: dict[str, Any] = {"RunReport": RunReport}
    exec(code("Add a report format", "python"), names)
    report = build_report(journal(tmp_path, PASSES))
    lines = names["render_lines"](report).splitlines()
    assert len(lines) == len(report.rows)
    assert lines[0].startswith("pass ")


def test_every_report_format_is_described_on_its_page() -> None:
    page = (ROOT / "docs/reports.md").read_text("utf-8")
    assert [name for name in FORMATS if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", TEXT)))
)
def test_every_path_of_the_recipes_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("title", re.findall(r"^## (Add .*)$", TEXT, re.MULTILINE))
def test_every_name_of_a_recipe_is_defined_in_one_of_its_files(title: str) -> None:
    text = re.sub(r"```.*?```", "", recipe(title), flags=re.S)
    paths = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|json))`", text)
    names = re.findall(r"`(_?[A-Z][A-Za-z_]+|[a-z]+_[a-z_]+)(?:\.(?!py)[a-z]+)?`", text)
    sources = "".join((ROOT / path).read_text("utf-8") for path in paths)
    assert paths
    assert [name for name in names if name not in sources] == []
