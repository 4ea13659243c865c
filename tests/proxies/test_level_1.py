"""Level 1, end to end: the fleet's proxies, their accounting, and a reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trueup.reports.results import Verdict
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.mutation.accounting_plan import AccountingPlan
from trueup.scenarios.mutation.accountings import ACCOUNTINGS
from trueup.scenarios.mutation.prove import status_of
from trueup.scenarios.mutation.proxied_trial import LAWS, try_accounting
from trueup.scenarios.mutation.register import load_proxied


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with embedded_reference(options=("--control",)) as reference:
        yield reference.serving


def test_every_faulty_accounting_has_a_law_and_every_variant_is_known() -> None:
    register = load_proxied()
    faults = {name for name in ACCOUNTINGS if name.startswith("P")}
    others = {name for name, kill in register.faults.items() if kill.options}
    assert faults == register.faults.keys() - others
    assert register.variants.keys() <= ACCOUNTINGS.keys() - faults
    assert len(faults) + len(others) >= 25
    assert len(ACCOUNTINGS) - len(faults) >= 8


def test_the_reference_conforms_with_the_proxies_that_report_to_it(
    serving: Serving, tmp_path: Path
) -> None:
    trial = try_accounting(serving, AccountingPlan(id="clean"), tmp_path)
    assert {result.law for result in trial.results} == set(LAWS)
    wrong = [result for result in trial.results if result.verdict is not Verdict.PASS]
    assert not wrong, (wrong, trial.error)


@pytest.mark.parametrize("name", ["P1", "P24", "P27"])
def test_a_faulty_accounting_is_detected_by_its_law(
    serving: Serving, tmp_path: Path, name: str
) -> None:
    trial = try_accounting(serving, AccountingPlan(id=name), tmp_path)
    laws = load_proxied().faults[name].laws
    assert status_of(trial, laws) == "killed", (trial.results, trial.error)
