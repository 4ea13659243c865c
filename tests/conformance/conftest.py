"""Fixtures of the conformance tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.conformance.stub import Handler, Serve, served_by


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server with one handler for every request until the test ends; gives its base URL."""
    async with AsyncExitStack() as servers:

        async def start(handler: Handler) -> str:
            return await servers.enter_async_context(served_by(handler))

        yield start
