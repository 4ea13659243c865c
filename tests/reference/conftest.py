"""Fixtures of the tests of the reference."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def hangup_has_its_default() -> Iterator[None]:
    """SIGHUP ends a process, also where the tests themselves were started by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
