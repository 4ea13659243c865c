"""Fixtures for tests of more than one package."""

from __future__ import annotations

import pytest
from hypothesis import settings

from trueup.conformance.client import http

settings.register_profile("no deadline", deadline=None)  # a busy machine fails no test
settings.load_profile("no deadline")


@pytest.fixture
def short_retry_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a request whose response is lost again as often as ever, but soon."""
    monkeypatch.setattr(http, "RETRY_PAUSES_S", tuple(p / 100 for p in http.RETRY_PAUSES_S))
