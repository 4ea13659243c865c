"""Errors of scenarios and of the command line, and how each kind ends the process.

    ScenarioError
    ├── UsageProblem        the user asked for something that cannot be: exit status 4
    ├── CouldNotTell        the target could not be judged: exit status 2
    └── OwnError            a fault of ours: exit status 3

The other packages have trees of their own; `scenarios/exit_status.py` maps all of them.
"""

from __future__ import annotations

__all__ = ["CouldNotTell", "OwnError", "ScenarioError", "UsageProblem"]


class ScenarioError(Exception):
    """Root; the message says what was expected, what was found, and what to do."""


class UsageProblem(ScenarioError):
    """You: a wrong option, file or value."""


class CouldNotTell(ScenarioError):
    """They: the target did not respond in a way that can be judged."""


class OwnError(ScenarioError):
    """We: something of ours broke."""
