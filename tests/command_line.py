"""`trueup …` in the process of the test."""

from __future__ import annotations

import pytest

from trueup.scenarios.cli import main


def exit_status(*arguments: str) -> int:
    """Run `trueup` with these arguments; returns its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code or 0
    assert isinstance(code, int)
    return code
