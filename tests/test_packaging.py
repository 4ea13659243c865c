"""The wheel: what is in it, and that it does not disturb projects with packages of our names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("simulator", "conformance", "scenarios", "reports", "reference")

REPORT_MODULES = """
import sys

def pytest_sessionfinish():
    loaded = sorted(n for n in sys.modules if n.partition(".")[0] == "trueup")
    print("loaded:", *loaded, sys.modules["trueup"].__file__)
"""


def run(
    *command: str, cwd: Path, site: Path | None = None, statuses: tuple[int, ...] = (0,)
) -> str:
    environment = dict(os.environ) | ({"PYTHONPATH": str(site)} if site else {})
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in statuses, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that is built from an sdist, as an installer without a wheel would do."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    run("-m", "tarfile", "-e", str(sdist), str(folder), cwd=folder)
    source = folder / sdist.name.removesuffix(".tar.gz")
    assert not [path for path in source.rglob("*") if path.is_symlink()]
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel, to be put first on the path."""
    folder = tmp_path_factory.mktemp("site")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target")
    run(*pip, str(folder), str(wheel), cwd=folder)
    return folder


@pytest.mark.slow
def test_the_wheel_holds_every_tracked_file_once_below_trueup(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {name.partition("/")[0] for name in names} == {"trueup", "trueup-0.2.0.dist-info"}
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {f"trueup/{name}" for name in listed.stdout.split()}
    own = {f"trueup/{path.name}" for path in (ROOT / "src" / "trueup").iterdir() if path.is_file()}
    assert {name for name in names if name.startswith("trueup/")} == tracked | own


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["packages", "modules"])
def test_a_project_with_packages_of_our_names_runs_its_tests(
    site: Path, tmp_path: Path, layout: str
) -> None:
    for package in PACKAGES:
        if layout == "packages":
            (tmp_path / package).mkdir()
            (tmp_path / package / "__init__.py").write_text(f"OWNER = 'project {package}'")
        else:
            (tmp_path / f"{package}.py").write_text(f"OWNER = 'project {package}'")
    lines = [f"import {package}" for package in PACKAGES]
    lines += ["def test_own_packages() -> None:"]
    lines += [f"    assert {package}.OWNER == 'project {package}'" for package in PACKAGES]
    (tmp_path / "test_project.py").write_text("\n".join(lines))
    (tmp_path / "conftest.py").write_text(REPORT_MODULES)
    said = run("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", cwd=tmp_path, site=site)
    assert "1 passed" in said
    (loaded,) = (line for line in said.splitlines() if "loaded:" in line)
    *modules, file = loaded.split("loaded: ")[1].split()
    assert modules == ["trueup", "trueup.pytest_plugin"]
    assert Path(file).is_relative_to(site)


@pytest.mark.slow
def test_the_command_works_in_a_project_with_packages_of_our_names(
    site: Path, tmp_path: Path
) -> None:
    for package in PACKAGES:
        (tmp_path / f"{package}.py").write_text("raise RuntimeError('the project was imported')")
    first = run("-m", "trueup", "fleet", "--seed", "7", "--events", "1", cwd=tmp_path, site=site)
    assert '"log_id"' in first
    assert "faults" in run("-m", "trueup.reference", "mutants", "--json", cwd=tmp_path, site=site)


@pytest.mark.slow
def test_a_load_runs_in_a_project_with_packages_of_our_names(site: Path, tmp_path: Path) -> None:
    """Locust, the reference and every other child process find trueup, never the project.

    Status 2 is accepted: a busy machine may leave it open whether response times were met.
    """
    for package in PACKAGES:
        (tmp_path / f"{package}.py").write_text("raise RuntimeError('the project was imported')")
    options = ("--rate", "5", "--duration", "2", "--quiet", "--json")
    for more in ((), ("--processes", "2")):
        command = ("-m", "trueup", "load", "steady", *options, *more)
        printed = run(*command, cwd=tmp_path, site=site, statuses=(0, 2))
        result = json.loads(printed)
        (load,) = result["load"]
        assert load["events"]["correct"] == load["events"]["accepted"] > 0


@pytest.mark.slow
def test_a_type_checker_sees_the_types_of_the_wheel_in_a_clean_environment(
    wheel: Path, tmp_path: Path
) -> None:
    """The environment has only the wheel; the law of docs/laws.md is checked strictly."""
    clean = tmp_path / "venv"
    run("-m", "venv", "--without-pip", str(clean), cwd=tmp_path)
    python = str(clean / "bin" / "python")
    pip = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, str(wheel), cwd=tmp_path)
    page = (ROOT / "docs" / "laws.md").read_text("utf-8")
    (law,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "use.py").write_text(
        f"{law}\n\nfrom trueup.conformance.target.load import load_target\n"
        "from trueup.transports import BatchOutcome\n"
        "reveal_type(load_target)\nreveal_type(REQUEST_IDS.needed)\nreveal_type(BatchOutcome.of)\n"
    )
    mypy = ("-m", "mypy", "--no-incremental", "--strict", "--python-executable", python)
    found = run(*mypy, "use.py", cwd=tmp_path)
    assert "conformance.target.model.Target" in found
    assert 'Revealed type is "int"' in found.replace("builtins.", "")
    assert "BatchOutcome" in found
    assert run(
        *mypy, "-c", "import trueup.laws as laws; laws.Law(needed='3')", cwd=tmp_path, statuses=(1,)
    )


@pytest.mark.slow
def test_schemas_are_installed_where_programs_look_for_them(site: Path) -> None:
    """Both kinds of schema are package data."""
    for name in (
        "trueup/conformance/target/target_schema.json",
        "trueup/reports/schemas/result.schema.json",
        "trueup/conformance/contract/schemas/log_search.json",
    ):
        assert json.loads((site / name).read_text("utf-8"))


def test_bare_names_cannot_be_imported_from_the_checkout(tmp_path: Path) -> None:
    for package in PACKAGES:
        code = f"import importlib.util as u; assert u.find_spec({package!r}) is None"
        run("-c", code, cwd=tmp_path)
