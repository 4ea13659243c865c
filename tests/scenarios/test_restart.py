"""The socket at which a restart of the embedded reference is requested."""

from __future__ import annotations

from pathlib import Path

from trueup.scenarios.embedded.restart import request_restart, restart_socket


def test_each_request_restarts_once_and_returns_when_it_is_done() -> None:
    """Two requests, two restarts."""
    restarts: list[int] = []
    with restart_socket(lambda: restarts.append(1)) as path:
        assert request_restart(path) == ""
        assert request_restart(path) == ""
    assert restarts == [1, 1]


def test_a_restart_that_fails_returns_the_reason() -> None:
    """The reason reaches the client, and the socket stays open."""

    def fail() -> None:
        raise RuntimeError("the port is taken")

    with restart_socket(fail) as path:
        assert request_restart(path) == "the port is taken"
        assert request_restart(path) == "the port is taken"


def test_a_request_to_a_missing_socket_returns_the_reason(tmp_path: Path) -> None:
    """No hang and no traceback when the run has ended."""
    assert "cannot connect" in request_restart(tmp_path / "gone")
