"""Laws of installed packages: the example of docs/laws.md, and what becomes of faulty packages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import exit_status
from trueup.conformance.checks.check import AddedLaw, Check
from trueup.conformance.checks.compare import judge_added
from trueup.conformance.checks.installed import installed_checks
from trueup.conformance.checks.law import Law, RecordedRun, recorded_run
from trueup.conformance.errors import LawUnusable
from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import load_target
from trueup.laws import Comparison
from trueup.reports.journal.records import Exchange, JudgePlan
from trueup.reports.results import CheckResult, Verdict
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file

ROOT = Path(__file__).parents[2]
_PAGE = (ROOT / "docs" / "laws.md").read_text("utf-8")
PLAN = JudgePlan(prefix="tp-000001", now="2026-03-10 12:00:00", level=0)


def install(
    folder: Path, code: str, entries: dict[str, str], *, package: str = "acme-laws"
) -> None:
    """Put a package with these entry points where Python finds it, as an installer would."""
    module = package.replace("-", "_")
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[trueup.laws]\n{lines}")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with the package of the page."""
    (code,) = re.findall(r"^```python\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    entry = re.search(r'^(\S+) = "(acme_laws:\S+)"$', _PAGE, re.MULTILINE)
    assert entry is not None
    install(tmp_path / "site", code, {entry[1]: entry[2]})
    return tmp_path / "site"


@pytest.fixture
def without_package() -> Iterator[None]:
    """Forget what a test imported of its package."""
    yield
    for name in [name for name in sys.modules if name.startswith("acme_laws")]:
        del sys.modules[name]


def run_example(folder: Path, *options: str) -> dict[str, Any]:
    """Run the law of the page on a reference with these options; returns its result."""
    with embedded_reference(options=("--control", *options)) as reference:
        file = folder / "target.toml"
        file.write_text(target_file(reference.serving, requests=10_000))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in key_environment(reference.serving).items():
                patch.setenv(name, value)
            command = ("check", "--level", "0", "--depth", "quick", "--only", "ACME-ID", "--quiet")
            status = exit_status(*command, "--target", str(file))
    result = json.loads((folder / "runs" / "latest" / "result.json").read_text("utf-8"))
    assert result["exit_status"] == status
    (check,) = result["checks"]
    assert isinstance(check, dict)
    return check


@pytest.mark.slow
@pytest.mark.usefixtures("without_package")
def test_the_law_of_the_page_holds_at_the_reference_and_detects_a_fault(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(example)
    monkeypatch.chdir(tmp_path)
    good = run_example(tmp_path)
    assert good["verdict"] == "pass"
    assert good["check"] == "errors-have-request-ids"
    assert good["package"] == "acme-laws 1.0"
    assert good["evidence"] >= good["evidence_needed"] == 5
    assert exit_status("judge", "runs/latest") == 0

    bad = run_example(tmp_path, "--fault", "K1")
    assert bad["verdict"] == "fail"
    assert "None, first in response" in bad["reason"]
    assert bad["exchanges"]
    latest = tmp_path / "runs" / "latest"
    texts = [(latest / report).read_text("utf-8") for report in ("report.html", "junit.xml")]
    capsys.readouterr()
    assert exit_status("report", "--format", "markdown") == 0
    markdown = capsys.readouterr().out.replace("\\", "")
    for text in (*texts, markdown):
        assert "ACME-7" in text
        assert "An error carries an api_request_id that no other response has." in text
        assert "acme-laws 1.0" in text
    assert exit_status("judge", "runs/latest") == 1

    capsys.readouterr()
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(example)])
    assert exit_status("judge", "runs/latest") == 3
    shown = capsys.readouterr().err
    assert "declares checks that neither" in shown
    assert "remedy: install acme-laws 1.0" in shown


@pytest.mark.slow
def test_pytest_offers_the_law_of_the_page(example: Path, tmp_path: Path) -> None:
    with embedded_reference(options=("--control",)) as reference:
        (tmp_path / "target.toml").write_text(target_file(reference.serving, requests=10_000))
        command = (sys.executable, "-m", "pytest", "--trueup-target", "target.toml", "-rA")
        done = subprocess.run(
            [*command, "--trueup-level", "0", "-m", "law_ACME_ID", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env={**os.environ, **key_environment(reference.serving), "PYTHONPATH": str(example)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "errors-have-request-ids" in done.stdout


@pytest.mark.usefixtures("without_package")
def test_laws_of_packages_are_selected_with_those_of_trueup(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(example)
    keys = "[tenants.a]\npublic_key = { env = 'A' }\nprivate_key = { env = 'A' }\n"
    (tmp_path / "t.toml").write_text(f"name = 't'\nbase_url = 'http://127.0.0.1:1/1.0'\n{keys}")
    target = load_target(tmp_path / "t.toml", {"A": "abcd"})
    assert checks_for(target, level=0)[-1].name == "errors-have-request-ids"
    assert [c.law for c in checks_for(target, level=0, only=("ACME-ID",))] == ["ACME-ID"]


_LAW = """
from trueup.laws import Comparison, Impact, Law

def law(**more):
    values = dict(law="ACME", title="It holds.", clauses={"A-1": "It holds."}, compare=list)
    return Law(**(values | more))
"""


@pytest.mark.parametrize(
    ("code", "name", "shown"),
    [
        ("import no_such_module", "mine", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(0)", "mine", "SystemExit: 0"),
        ("LAW = list", "mine", "expected a trueup.laws.Law, found type"),
        (_LAW, "mine", "AttributeError: module 'acme_laws' has no attribute 'LAW'"),
        (f"{_LAW}LAW = law()", "sorting-is-stable", ""),
        (f"{_LAW}LAW = law()", "keys-are-required", "it is that of a check of trueup"),
        (f"{_LAW}LAW = law()", "fleet-logs-equal-sent", "it is that of a check of trueup"),
        (f"{_LAW}LAW = law()", "Not_a_name", "expected lower-case words joined by hyphens"),
        (f"{_LAW}LAW = law(law='SORT')", "mine", "law: SORT is a law of trueup"),
        (f"{_LAW}LAW = law(law='<b>')", "mine", "found '<b>'"),
        (f"{_LAW}LAW = law(title='')", "mine", "title: expected a sentence"),
        (f"{_LAW}LAW = law(clauses={{}})", "mine", "with one clause or more"),
        (f"{_LAW}LAW = law(clauses={{'A-1': 1}})", "mine", "a mapping from ids to texts"),
        (f"{_LAW}LAW = law(compare=None)", "mine", "compare: expected a function"),
        (
            f"{_LAW}LAW = law(needed=0)",
            "mine",
            "needed: expected a whole number from 1 on, found 0",
        ),
        (f"{_LAW}LAW = law(level=7)", "mine", "level: expected 0 to 4, found 7"),
        (f"{_LAW}LAW = law(impact='much')", "mine", "expected a trueup.laws.Impact, found 'much'"),
    ],
)
@pytest.mark.usefixtures("without_package")
def test_a_package_whose_law_cannot_be_used_is_named_before_anything_is_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
    name: str,
    shown: str,
) -> None:
    install(tmp_path / "site", code, {name: "acme_laws:LAW"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    if not shown:
        assert [check.name for check in installed_checks()] == [name]
        return
    monkeypatch.chdir(tmp_path)
    assert exit_status("check", "--level", "0") == 4
    printed = capsys.readouterr().err
    assert f"law {name} of acme-laws 1.0: acme_laws:LAW cannot be used" in printed
    assert shown in printed
    assert "remedy: correct or uninstall the package" in printed
    assert "Traceback" not in printed
    assert not [*tmp_path.glob("runs/*/journal.ndjson")]


@pytest.mark.usefixtures("without_package")
def test_every_problem_of_every_package_is_shown_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    install(site, f"{_LAW}LAW = law(needed=-1, title=7)", {"mine": "acme_laws:LAW"})
    install(site, "", {"mine": "acme_laws_two:LAW"}, package="acme-laws-two")
    monkeypatch.syspath_prepend(site)
    with pytest.raises(LawUnusable) as caught:
        installed_checks()
    for problem in (
        "needed: expected",
        "title: expected",
        "2 entry points have this name",
        "two:LAW",
    ):
        assert problem in str(caught.value)


def judged(compare: Callable[[RecordedRun], Iterable[Any]], *, needed: int = 1) -> CheckResult:
    """Return the result of a law over two responses."""
    law = Law(law="ACME", title="t", clauses={"A-1": "It holds."}, compare=compare, needed=needed)
    check = Check(
        name="mine",
        law=law.law,
        title=law.title,
        clauses=tuple(law.clauses),
        needed=needed,
        added=AddedLaw(package="acme-laws 1.0", clause_texts=law.clauses, compare=compare),
    )
    responses = [
        Exchange(n=n, method="GET", path="log/search", at="-", stage="s", ask=f"r{n}", status=200)
        for n in (1, 2)
    ]
    (result,) = judge_added((PLAN, *responses), [check])
    return result


def comparisons(run: RecordedRun) -> Iterator[Comparison]:
    for response in run.responses:
        yield Comparison(
            where=response.path, expected=200, seen=response.status, exchanges=(response.n,)
        )


def test_enough_comparisons_that_agree_are_a_pass_and_too_few_are_inconclusive() -> None:
    assert (judged(comparisons, needed=2).verdict, judged(comparisons).evidence) == ("pass", 2)
    short = judged(comparisons, needed=3)
    assert short.verdict is Verdict.INCONCLUSIVE
    assert short.reason.startswith("2 of at least 3 comparisons")
    assert judged(lambda _run: ()).verdict is Verdict.INCONCLUSIVE


def test_one_difference_fails_and_shows_the_values_and_the_response() -> None:
    def compare(run: RecordedRun) -> Iterator[Comparison]:
        yield from comparisons(run)
        yield Comparison(where="row 7", expected=["a"], seen=None, exchanges=(2,))

    result = judged(compare, needed=50)
    assert result.verdict is Verdict.FAIL
    assert result.reason == 'row 7: expected ["a"], saw null'
    assert result.counterexample is not None
    assert result.counterexample.exchanges == (2,)
    assert result.clause_texts == {"A-1": "It holds."}


def test_a_law_that_raises_is_inconclusive_with_the_line() -> None:
    def broken(run: RecordedRun) -> Iterator[Comparison]:
        yield from comparisons(run)
        raise KeyError("no such field")

    def ends(_run: RecordedRun) -> Iterator[Comparison]:
        raise SystemExit(0)

    result = judged(broken)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "acme-laws 1.0 could not compare: test_installed_laws.py, line " in result.reason
    assert "KeyError: 'no such field'" in result.reason
    assert judged(ends).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("compare", [lambda _run: [True], lambda _run: None, list])
def test_a_law_that_returns_no_comparisons_is_inconclusive(
    compare: Callable[[RecordedRun], Iterable[Any]],
) -> None:
    result = judged(compare)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "could not compare" in result.reason


def test_a_law_sees_the_last_attempt_of_each_request_and_all_attempts_apart() -> None:
    attempts = [
        Exchange(n=n, method="GET", path="log/search", at="-", stage="s", ask="a", attempt=n)
        for n in (1, 2)
    ]
    run = recorded_run((PLAN, *attempts))
    assert [exchange.n for exchange in run.responses] == [2]
    assert [exchange.n for exchange in run.exchanges] == [1, 2]
