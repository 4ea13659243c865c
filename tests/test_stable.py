"""docs/stable.md: the public names and versions that it lists are those of the code."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from trueup.conformance.checks.installed import GROUP as LAWS
from trueup.reports.journal.records import SCHEMA
from trueup.reports.renderers.result import RESULT_SCHEMA_VERSION
from trueup.reports.results import EXIT_STATUS
from trueup.simulator.delivery.transports import GROUP as TRANSPORTS

ROOT = Path(__file__).parents[1]
_PAGE = (ROOT / "docs" / "stable.md").read_text("utf-8")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = re.findall(r"^\| `(trueup[a-z._]*)` \| (?!the command)", _PAGE, re.MULTILINE)


def test_the_table_of_modules_lists_every_module_beside_the_packages() -> None:
    files = {path.stem for path in (ROOT / "src" / "trueup").glob("*.py")} - {
        "__init__",
        "__main__",
    }
    assert {*MODULES} == {"trueup", *(f"trueup.{name}" for name in files)}


@pytest.mark.parametrize("module", MODULES)
def test_a_public_module_names_what_is_public(module: str) -> None:
    loaded = import_module(module)
    assert loaded.__all__
    assert not [name for name in loaded.__all__ if not hasattr(loaded, name)]


def test_versions_of_schemas_and_exit_statuses_are_those_of_the_code() -> None:
    assert f"Its header has a `schema` (now {SCHEMA})" in _PAGE
    assert f"Its `schema_version` (now {RESULT_SCHEMA_VERSION})" in _PAGE
    statuses = {int(number) for number in re.findall(r"\b(\d) [a-z]", _status_row())}
    assert statuses == {*EXIT_STATUS.values()}


def _status_row() -> str:
    row = re.search(r"^\| exit statuses:.*$", _PAGE, re.MULTILINE)
    assert row is not None
    return row[0]


def test_entry_points_are_those_of_the_code() -> None:
    for group in (LAWS, TRANSPORTS):
        assert f"| group `{group}` |" in _PAGE
    assert {*_PROJECT["scripts"]} == {"trueup"}


def test_every_python_version_of_the_classifiers_is_accounted_for() -> None:
    """The page says how each of them was tried, and the oldest is what an installer accepts."""
    classifiers = " ".join(_PROJECT["classifiers"])
    versions = re.findall(r"Python :: (3\.\d+)", classifiers)
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert _PROJECT["requires-python"] == f">={versions[0]}"
    _, _, section = _PAGE.partition("## Python versions")
    assert not [version for version in versions if version not in section]
    assert "Typing :: Typed" in classifiers
    assert (ROOT / "src" / "trueup" / "py.typed").is_file()
