"""Fixtures for tests of more than one package."""

from __future__ import annotations

import pytest

from trueup.conformance.client import http


@pytest.fixture
def short_retry_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a request whose response is lost again as often as ever, but soon."""
    monkeypatch.setattr(http, "RETRY_PAUSES_S", tuple(p / 100 for p in http.RETRY_PAUSES_S))
