"""`pytest --trueup-target FILE`: each check as a pytest item."""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("trueup")
    group.addoption(
        "--trueup-target",
        metavar="FILE",
        default=None,
        help="target file of the implementation that the conformance checks are run against",
    )
