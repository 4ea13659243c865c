"""Golden files: what was looked at once and must not change unseen."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Compare with the golden file; TRUEUP_GOLDEN=write writes it anew, to be looked at."""
    path = _FOLDER / name
    if os.environ.get("TRUEUP_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"{path} differs; look, then TRUEUP_GOLDEN=write"
    )
