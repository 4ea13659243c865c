"""The walls between the rooms, where import-linter cannot see: imports made at run time."""

from __future__ import annotations

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
"""Room → rooms whose modules may be loaded once all of its own modules are."""

LOAD_ALL = """
import importlib, pkgutil, sys
room = sys.argv[1]
package = importlib.import_module("trueup." + room)
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if ".locustfiles." not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("\\n".join(sorted(name.removeprefix("trueup.") for name in sys.modules)))
"""


def modules_after_loading(room: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, room], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_loading_a_room_loads_no_room_behind_a_wall(room: str) -> None:
    """Whatever a room imports, however it imports it, stays on its side of the walls."""
    loaded = {name.partition(".")[0] for name in modules_after_loading(room)}
    assert room in loaded
    assert loaded & set(ALLOWED) <= ALLOWED[room]


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_no_room_loads_locust(room: str) -> None:
    """Importing Locust patches the whole process, so only its own child process does."""
    assert not {"locust", "gevent"} & modules_after_loading(room)


def test_a_dynamic_import_across_a_wall_is_seen(tmp_path: Path) -> None:
    """The test above can fail: a module that reaches over a wall by importlib is caught."""
    room = tmp_path / "trueup" / "reference"
    room.mkdir(parents=True)
    (tmp_path / "trueup" / "conformance.py").write_text("")
    (tmp_path / "trueup" / "__init__.py").write_text("")
    (room / "__init__.py").write_text("")
    (room / "sneaky.py").write_text(
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
