"""What build servers use: `trueup report --ci`, the action, the GitLab job, the Dockerfile."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.command_line import exit_status
from tests.reports.factory import PASSES, RESULTS, journal
from trueup.reports.renderers.writer import RUN_FILES

ROOT = Path(__file__).parents[2]
KNOWN = '[[known]]\ncheck = "money-in"\nreason = "Ümlaut, ABC-1"\nuntil = 2030-01-01\n'
STUB = """#!/bin/bash
# Stands for a run: puts a finished one where --runs says, and ends as it ended.
printf '%s\\n' "$@" > "$STUB_ARGUMENTS"
test "$1" = report && exec "{python}" -m trueup "$@"
test -n "$STUB_STATUS" && exit "$STUB_STATUS"
while test "$1" != --runs; do shift; done
mkdir -p "$2" && cp -r "{run}" "$2/latest" && exit 1
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that an action would make: one check cannot be tested."""
    made = journal(tmp_path / "made", (RESULTS[3], *PASSES), only=("AUTH",), exit_status=1)
    return made.path.parent


def test_a_build_server_gets_every_file_and_the_status_of_the_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    out = tmp_path / "out"
    assert exit_status("report", str(run), "--ci", "--out", str(out)) == 1
    names = {path.name for path in out.iterdir() if path.is_file()}
    assert names == {*RUN_FILES, "ctrf.json", "summary.md"}
    assert str(out / "summary.md") in capsys.readouterr().out.splitlines()
    assert exit_status("report", str(run), "--ci", "--format", "html") == 4


def test_github_gets_a_summary_and_annotations(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary is appended: other steps of the job write there too."""
    summary = tmp_path / "summary"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert exit_status("report", str(run), "--ci", "--out", str(tmp_path / "out")) == 1
    assert summary.read_text(encoding="utf-8").startswith("before\n## ❌ Does not conform")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("::error title=money-in (MONEY-IN)::") for line in lines)
    assert all(line.startswith("::") for line in lines)


@pytest.mark.parametrize("form", ["markdown", "json", "github", "html"])
def test_what_programs_read_is_utf_8_whatever_the_locale(form: str, run: Path) -> None:
    """A terminal of another encoding changes the screen, never a format."""
    command = [sys.executable, "-m", "trueup", "report", str(run), "--format", form]
    made = {
        encoding: subprocess.run(
            command,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        ).stdout
        for encoding in ("latin-1", "utf-8")
    }
    assert made["latin-1"] == made["utf-8"]
    assert made["utf-8"].decode("utf-8")


def test_text_for_people_is_shown_in_any_encoding(run: Path) -> None:
    """Marks that the terminal's encoding lacks are replaced; nothing ends with a traceback."""
    for arguments in (("trend", str(run.parent)), ("compare", str(run), str(run))):
        if arguments[0] == "trend":
            assert exit_status("report", str(run), "--out", str(run)) == 0
        done = subprocess.run(
            [sys.executable, "-m", "trueup", "report", *arguments],
            env={**os.environ, "PYTHONIOENCODING": "latin-1"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode("latin-1")


def scripts(path: str) -> list[str]:
    """The shell scripts of a YAML file: its blocks after `run: |` and `- |`."""
    found = []
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r" *(run: \||- \|)", line):
            indent = len(line) - len(line.lstrip())
            block = []
            for inside in lines[number + 1 :]:
                if inside.strip() and len(inside) - len(inside.lstrip()) <= indent:
                    break
                block.append(inside)
            found.append(textwrap.dedent("\n".join(block)))
    return found


def step(
    script: str, tmp_path: Path, run: Path, **environment: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a step as a server does, with a stub instead of `trueup`; its result and the arguments
    of the last call.
    """
    venv = tmp_path / "trueup-venv" / "bin"
    venv.mkdir(parents=True, exist_ok=True)
    stub = venv / "trueup"
    stub.write_text(STUB.format(python=sys.executable, run=run), encoding="utf-8")
    stub.chmod(0o755)
    arguments = tmp_path / "arguments"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            **inherited,
            "PATH": f"{venv}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "RUNNER_TEMP": str(tmp_path),
            "STUB_ARGUMENTS": str(arguments),
            "STUB_STATUS": "",
            "TRUEUP_OUT": "out",
            "TRUEUP_KNOWN": "",
            "TRUEUP_ARGUMENTS": "check",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done, arguments.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", ["action.yml", "ci/trueup.gitlab-ci.yml"])
def test_the_steps_run_trueup_report_it_and_end_with_its_status(
    path: str, run: Path, tmp_path: Path
) -> None:
    """1 while a failure is new, 0 once it is known, and that of trueup where nothing ran."""
    script = scripts(path)[-1]
    done, _ = step(script, tmp_path, run)
    assert done.returncode == 1, done.stderr
    junit = Xml.parse(tmp_path / "out" / "junit.xml").getroot()
    assert junit is not None
    assert junit[0].attrib["failures"] == "1"
    shutil.rmtree(tmp_path / "trueup-runs", ignore_errors=True)
    (tmp_path / "known file.toml").write_text(KNOWN, encoding="utf-8")
    done, arguments = step(script, tmp_path, run, TRUEUP_KNOWN="known file.toml")
    assert arguments[-2:] == ["--known", "known file.toml"]
    document = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert document["known"]["excused"] == 1
    assert done.returncode == document["exit_status"] != 1
    shutil.rmtree(tmp_path / "trueup-runs", ignore_errors=True)
    done, arguments = step(
        script,
        tmp_path,
        run,
        STUB_STATUS="4",
        TRUEUP_ARGUMENTS="check --target 'a file' $(touch owned)",
    )
    assert done.returncode not in (0, 1, 2)
    assert arguments[:4] == ["check", "--target", "a file", "$(touch"]
    assert not (tmp_path / "owned").exists()


def test_the_scripts_of_the_templates_are_valid_shell() -> None:
    for path, count in (("action.yml", 2), ("ci/trueup.gitlab-ci.yml", 1)):
        found = scripts(path)
        assert len(found) == count
        for script in found:
            subprocess.run(["bash", "-n", "-c", script], check=True)
            assert "${{" not in script, "inputs reach a script by its environment only"


def test_the_container_is_made_of_files_that_are_there_and_pinned() -> None:
    """Its parts are those of the wheel; the image has an exact version, the same everywhere."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (image,) = re.findall(r"^FROM (\S+)$", text, flags=re.M)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image)
    assert f"image: {image}\n" in (ROOT / "ci" / "trueup.gitlab-ci.yml").read_text("utf-8")
    copied = {
        name for line in re.findall(r"^COPY (.+) \S+$", text, flags=re.M) for name in line.split()
    }
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), flags=re.M))
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {part.partition("/")[0] for part in parts} <= copied
    assert "--require-hashes" in text
    version = project["project"].get("version", "0.2.0")
    assert f'TRUEUP_VERSION: "{version}"' in (ROOT / "ci/trueup.gitlab-ci.yml").read_text("utf-8")
