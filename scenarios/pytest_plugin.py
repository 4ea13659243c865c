"""`pytest --trueup-target FILE`: each check as a pytest item, for teams that live in pytest.

All selected checks run once, together, when the first item is due; each item then stands for one
verdict. Law and clauses are pytest marks (`law_PAGE`, `clause_LOG_3`), so `-m` selects by them, and
`-k` by name. Failing and not-testable checks fail. Undecided checks are skipped, with their
verdict as the reason; where one could not be decided, the session does not end with 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from trueup.reports.results import CheckResult, Verdict

if TYPE_CHECKING:
    from trueup.conformance.checks.check import Check

__all__ = ["pytest_configure", "pytest_sessionfinish"]

_UNDECIDED: Final = (Verdict.INCONCLUSIVE, Verdict.BLOCKED)
_RESULTS: Final = pytest.StashKey[dict[str, CheckResult]]()
_FOLDER: Final = pytest.StashKey[Path]()
_LEVEL: Final = pytest.StashKey[int]()
_REACHED: Final = pytest.StashKey[frozenset[str]]()


def _mark(kind: str, name: str) -> str:
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}"


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("trueup_target")
    from trueup.conformance.errors import ConformanceError
    from trueup.conformance.selection import all_checks, checks_for
    from trueup.conformance.target.load import load_target
    from trueup.scenarios.run.effects import default_level

    try:
        target = load_target(Path(given))
        offered = all_checks()
    except ConformanceError as error:
        raise pytest.UsageError(str(error)) from error
    level: int | None = config.getoption("trueup_level")
    if level is None:
        level = default_level(target)
    config.stash[_LEVEL] = level
    reached = checks_for(target, level=level)
    config.stash[_REACHED] = frozenset(check.name for check in reached)
    config.pluginmanager.register(_Checks(offered), "trueup-checks")
    for check in offered:
        for mark in _marks(check):
            config.addinivalue_line("markers", f"{mark}: of trueup's check {check.name}")


def _marks(check: Check) -> list[str]:
    return [_mark("law", check.law), *(_mark("clause", clause) for clause in check.clauses)]


class _Checks:
    """Registered only where a target is given."""

    def __init__(self, offered: Sequence[Check]) -> None:
        self._offered = offered

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        node = CheckCollector.from_parent(session, name="trueup", nodeid="trueup")
        for check in self._offered:
            item = CheckItem.from_parent(node, name=check.name)
            item.level = check.level
            for mark in _marks(check):
                item.add_marker(mark)
            items.append(item)


class CheckCollector(pytest.Collector):
    """The parent of all checks; they are not found by looking, so it finds none."""

    def collect(self) -> Iterator[CheckItem]:
        return iter(())


class CheckFailed(Exception):
    """Carries a result whose verdict is a failure."""

    def __init__(self, result: CheckResult, folder: Path) -> None:
        super().__init__(result.reason)
        self.result = result
        self.folder = folder


class CheckItem(pytest.Item):
    """One check; its outcome is the verdict."""

    level = 0

    def runtest(self) -> None:
        if self.name not in self.config.stash[_REACHED]:
            pytest.skip(f"not reached: needs level {self.level} of this target and run")
        result = _results(self.session)[self.name]
        self.add_report_section("call", "trueup", f"{result.verdict}: {result.reason}")
        match result.verdict:
            case Verdict.PASS | Verdict.WARN:
                return
            case Verdict.FAIL | Verdict.NOT_TESTABLE:
                raise CheckFailed(result, self.session.stash[_FOLDER])
            case _:
                pytest.skip(f"{result.verdict}: {result.reason}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None
    ) -> str:
        if not isinstance(excinfo.value, CheckFailed):
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        result = excinfo.value.result
        lines = [f"{result.law}: {result.title}", f"{result.verdict}: {result.reason}"]
        if result.counterexample is not None:
            lines += [
                f"  {place.where}: expected {place.expected}, saw {place.seen}"
                for place in result.counterexample.differences
            ]
        lines.append(f"Report: {excinfo.value.folder / 'report.html'}")
        return "\n".join(lines)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return Path(str(self.config.getoption("trueup_target"))), None, f"trueup: {self.name}"


def _results(session: pytest.Session) -> dict[str, CheckResult]:
    """Run the selected checks, once."""
    if _RESULTS not in session.stash:
        from trueup.conformance.datasets.depth import Depth
        from trueup.scenarios.exit_status import exit_status_of, format_error
        from trueup.scenarios.run.check_target import check_target_file

        config = session.config
        reached = config.stash[_REACHED]
        selected = [
            item.name
            for item in session.items
            if isinstance(item, CheckItem) and item.name in reached
        ]
        try:
            held = check_target_file(
                Path(config.getoption("trueup_target")),
                runs=Path(config.getoption("trueup_runs")),
                seed=config.getoption("trueup_seed"),
                level=config.stash[_LEVEL],
                depth=Depth(config.getoption("trueup_depth")),
                only=selected,
                allow_hosts=config.getoption("trueup_allow_host"),
            )
        except Exception as error:
            pytest.exit(format_error(error), returncode=exit_status_of(error))
        session.stash[_FOLDER] = held.folder
        session.stash[_RESULTS] = {result.check: result for result in held.results}
    return session.stash[_RESULTS]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    results = session.stash.get(_RESULTS, {})
    undecided = [name for name, result in results.items() if result.verdict in _UNDECIDED]
    if exitstatus == pytest.ExitCode.OK and undecided:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
