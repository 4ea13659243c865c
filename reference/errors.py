"""Errors of the reference, and who receives them.

    ReferenceProblem           anything below
    ├── ApiProblem             the caller's request: becomes an HTTP response
    ├── StartProblem           for the user who started the server: one line on stderr, exit status
    └── StoreProblem           the disk or the database: 503 to callers, or a refusal to start

Each message says what was expected, what came and what to do; none carries a key.
"""

from __future__ import annotations

__all__ = ["ApiProblem", "ReferenceProblem", "StartProblem", "StoreProblem"]


class ReferenceProblem(Exception):
    """Base of every error that the reference raises on purpose."""


class ApiProblem(ReferenceProblem):
    """A response other than success, decided while a request is handled."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class StartProblem(ReferenceProblem):
    """The server cannot start; `status` is the exit status of the process."""

    def __init__(self, message: str, *, status: int = 4) -> None:
        super().__init__(message)
        self.status = status


class StoreProblem(ReferenceProblem):
    """The store could not read or write; nothing of the failed work was kept."""
