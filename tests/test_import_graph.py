"""The shape of the packages: no import circles, and few files beside the subpackages."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LOOSE_FILES = {
    "conformance": 16,
    "scenarios": 11,
    "simulator": 12,
    "reports": 12,
    "reference": 17,
}
"""Package → how many modules may lie beside its subpackages."""
ALLOWED_BACK_IMPORTS = {
    ("trueup.simulator.reactor.request_stream", "trueup.simulator.reactor.connection")
}
"""Imports that may close a circle: a type on the path of every request of a load."""


def module_name(path: Path, root: Path) -> str:
    parts = ("trueup", *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_modules(root: Path) -> dict[str, ast.Module]:
    """Return every module of the packages below a folder by its import name."""
    return {
        module_name(path, root): ast.parse(path.read_text("utf-8"))
        for package in MOST_LOOSE_FILES
        for path in sorted((root / package).rglob("*.py"))
    }


def imports_of(tree: ast.Module, known: Mapping[str, ast.Module]) -> Iterator[str]:
    """Yield the known modules that a module imports anywhere, for type checking too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                target = submodule if submodule in known else node.module
                if target in known:
                    yield target


def find_circle(modules: Mapping[str, ast.Module]) -> list[str]:
    """Return the modules of one import circle, or an empty list."""
    graph = {
        name: {
            other
            for other in imports_of(tree, modules)
            if other != name and (name, other) not in ALLOWED_BACK_IMPORTS
        }
        for name, tree in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other() -> None:
    """Neither when they are loaded, nor in functions, nor for type checking alone."""
    modules = read_modules(ROOT)
    assert find_circle(modules) == []
    for name, other in ALLOWED_BACK_IMPORTS:
        assert other in imports_of(modules[name], modules), f"{name}: no exception is needed"


@pytest.mark.parametrize(
    "line",
    [
        "import trueup.reports.first",
        "from trueup.reports import first",
        "from trueup.reports.first import f",
        "def f():\n    from trueup.reports import first",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trueup.reports import first",
    ],
)
def test_a_circle_is_found_however_it_is_written(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "first.py").write_text("from trueup.reports.second import g\ndef f(): ...\n")
    (folder / "second.py").write_text(f"{line}\ndef g(): ...\n")
    assert set(find_circle(read_modules(tmp_path))) == {
        "trueup.reports.first",
        "trueup.reports.second",
    }


@pytest.mark.parametrize("package", MOST_LOOSE_FILES)
def test_a_package_has_few_files_beside_its_subpackages(package: str) -> None:
    """What grows beyond the limit belongs into a subpackage that a newcomer can name."""
    loose = sorted(path.name for path in (ROOT / package).glob("*.py"))
    assert len(loose) <= MOST_LOOSE_FILES[package], loose
