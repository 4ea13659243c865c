"""The door at which a restart of the embedded reference is asked for."""

from __future__ import annotations

from pathlib import Path

from trueup.scenarios.embedded.restart import request_restart, restart_socket


def test_a_knock_restarts_once_and_says_when_it_is_done() -> None:
    """Two knocks, two restarts."""
    restarts: list[int] = []
    with restart_socket(lambda: restarts.append(1)) as door:
        assert request_restart(door) == ""
        assert request_restart(door) == ""
    assert restarts == [1, 1]


def test_a_restart_that_fails_says_why() -> None:
    """The reason reaches whoever knocked, and the door stays open."""

    def fail() -> None:
        raise RuntimeError("the port is taken")

    with restart_socket(fail) as door:
        assert request_restart(door) == "the port is taken"
        assert request_restart(door) == "the port is taken"


def test_a_knock_at_no_door_is_answered(tmp_path: Path) -> None:
    """No hang and no traceback when the run is gone."""
    assert "nobody answers" in request_restart(tmp_path / "gone")
