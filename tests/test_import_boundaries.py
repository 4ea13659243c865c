"""Imports at run time between the packages, which import-linter cannot see."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "simulator": {"simulator", "reports"},
    "conformance": {"conformance", "reports"},
    "reports": {"reports"},
    "reference": {"reference"},
    "scenarios": {"scenarios", "simulator", "conformance", "reports"},
}
"""Package → packages whose modules may be loaded when all of its own modules are."""

LOAD_ALL = """
import importlib, pkgutil, sys
name = sys.argv[1]
package = importlib.import_module("trueup." + name)
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if ".locustfiles." not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("\\n".join(sorted(name.removeprefix("trueup.") for name in sys.modules)))
"""


@functools.cache
def modules_after_loading(name: str) -> frozenset[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_loading_a_package_loads_only_packages_that_it_may_import(name: str) -> None:
    """However a package imports, statically or at run time."""
    loaded = {module.partition(".")[0] for module in modules_after_loading(name)}
    assert name in loaded
    assert loaded & set(ALLOWED) <= ALLOWED[name]


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_no_package_loads_locust(name: str) -> None:
    """Importing Locust patches the whole process, so only its own child process does."""
    assert not {"locust", "gevent"} & modules_after_loading(name)


def test_a_forbidden_import_at_run_time_is_detected(tmp_path: Path) -> None:
    """The test above can fail: a forbidden import through importlib is found."""
    package = tmp_path / "trueup" / "reference"
    package.mkdir(parents=True)
    (tmp_path / "trueup" / "conformance.py").write_text("")
    (tmp_path / "trueup" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "forbidden.py").write_text(
        "import importlib\nimportlib.import_module('trueup.con' + 'formance')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, "reference"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert "conformance" in done.stdout.split()
