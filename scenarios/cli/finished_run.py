"""A finished run, as the commands take it that work on its journal: report, judge, sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trueup.conformance.judge import required_checks
from trueup.reports.journal.storage import JOURNAL_NAME, Journal, read_journal
from trueup.reports.known_failures import KnownFile
from trueup.reports.metrics.sensitivity import Sensitivity
from trueup.reports.model import RunReport, build_report
from trueup.scenarios.errors import UsageProblem

__all__ = ["LATEST_RUN", "read_run", "report_of"]

LATEST_RUN: Final = Path("runs/latest")
"""The run that is meant where none is given: a link to the newest."""


def read_run(run: Path) -> Journal:
    """Return the journal of the run in a folder, or of a journal file.

    Raises UsageProblem where there is none, JournalError where it cannot be read.
    """
    path = run / JOURNAL_NAME if run.is_dir() else run
    if not path.exists():
        where = f"{run}: no run here"
        if run.is_dir():
            where = f"{run}: there is no {JOURNAL_NAME} in this folder"
        raise UsageProblem(
            f"{where}. Name a run's folder or its journal (they are kept below runs/), or make "
            "one with `trueup run`."
        )
    return read_journal(path)


def report_of(
    journal: Journal, sensitivity: Sensitivity | None = None, *, known: KnownFile | None = None
) -> RunReport:
    """Return the report of a run, with the checks that its records call for as required.

    A check that was removed from the journal is thereby reported as missing. `known` is a file of
    known failures. Raises JournalError where a load record holds what cannot have been measured.
    """
    return build_report(journal, sensitivity, required=required_checks(journal), known=known)
