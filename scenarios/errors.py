"""What can go wrong above the rooms, and how each kind ends the process.

    ScenarioError
    ├── UsageProblem        the user asked for something that cannot be: exit status 4
    ├── CouldNotTell        the target could not be judged: exit status 2
    └── OwnError            a fault of ours: exit status 3

The rooms have trees of their own; `scenarios/exit_status.py` maps all of them to exit statuses.
"""

from __future__ import annotations

__all__ = ["CouldNotTell", "OwnError", "ScenarioError", "UsageProblem"]


class ScenarioError(Exception):
    """Root; the message is a letter to a person: what was expected, what came, what to do."""


class UsageProblem(ScenarioError):
    """You: a wrong option, file or value."""


class CouldNotTell(ScenarioError):
    """They: the target did not answer in a way that can be judged."""


class OwnError(ScenarioError):
    """We: something of ours broke."""
