"""Write the reports of a run into its directory: each file complete or unchanged.

The journal is never touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from trueup.reports.errors import ReportWriteError
from trueup.reports.model import RunReport
from trueup.reports.renderers.curl import curl_script
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.result import render_result

__all__ = ["RUN_FILES", "write_all", "write_text"]

RUN_FILES: Final[Mapping[str, Callable[[RunReport], str]]] = {
    "result.json": render_result,
    "junit.xml": render_junit,
    "report.html": render_html,
}
"""Files that every run has beside its journal, the smallest first."""


def write_all(report: RunReport, out_dir: Path) -> dict[str, Path]:
    """Write every file of `RUN_FILES`, and a script for each check that did not pass.

    The scripts are `evidence/<check>.sh`. Returns name → path. Raises ReportWriteError, naming
    the file, the reason and the remedy.
    """
    paths = {name: write_text(out_dir / name, render(report)) for name, render in RUN_FILES.items()}
    for row in report.rows:
        script = curl_script(report, row)
        if script:
            name = f"evidence/{_file_name(row.result.check)}.sh"
            paths[name] = write_text(out_dir / name, script)
    return paths


def write_text(path: Path, text: str) -> Path:
    """Write a file through a temporary one that replaces it once it is complete and on disk.

    A path that is no regular file (a device, a pipe) is written to directly. Returns the path.
    Raises ReportWriteError; no partial file is left behind.
    """
    neighbour: Path | None = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8", errors="replace")
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        neighbour = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        neighbour.chmod(0o644)
        neighbour.replace(path)
    except OSError as error:
        if neighbour is not None:
            with contextlib.suppress(OSError):
                neighbour.unlink(missing_ok=True)
        raise ReportWriteError(
            f"{path}: the report could not be written: {error.strerror or error}. The journal is "
            "whole; free disk space or choose another folder, then run: trueup report --out FOLDER"
        ) from error
    return path


def _file_name(check: str) -> str:
    """A check's name as a file name without path separators."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", check)[:100].strip("-") or "check"
