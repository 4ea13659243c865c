"""The parts of a plan: frozen values that state what is done to a target and what is requested.

A stage performs its operations in order, then makes its requests. This module performs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from urllib.parse import quote

from trueup.conformance.model import Event
from trueup.conformance.requests import ApiRequest

__all__ = [
    "ChangeUser",
    "ClassName",
    "Deliver",
    "FollowUp",
    "Maintain",
    "Operation",
    "Pay",
    "Plan",
    "Read",
    "Restart",
    "Stage",
    "Together",
]

ClassName: TypeAlias = tuple[str, str, str]
"""(table, dimension, class), as in `dimensions.toml`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliver:
    """Hand events over in one delivery.

    Where the whole delivery is refused, those of its events that are `possible` are delivered
    again without the others, in smaller and smaller parts until the cause stands alone.
    """

    dataset: str
    events: tuple[Event, ...]
    refusable: frozenset[int] = frozenset()
    """Places of events that a target may refuse: wrong ones, and repetitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pay:
    """Call the money hook: data is bought, given back or corrected."""

    tenant: str
    network: str
    kind: str
    bytes: int
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeUser:
    """Make a request that changes something: a proxy user is created, edited or deleted."""

    request: ApiRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """Make requests in the midst of the operations."""

    requests: tuple[ApiRequest, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """Restart the target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Maintain:
    """Run the target's maintenance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Together:
    """Operations that begin at the same time."""

    operations: tuple[Deliver | Pay, ...]


Operation: TypeAlias = Deliver | Pay | ChangeUser | Read | Restart | Maintain | Together


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """Requests for something that only the response to another request tells, such as an id."""

    source: ApiRequest
    """A search of the same stage; it is made first where the stage does not make it."""
    field: str
    """Field of its rows whose value is put into the requests."""
    request: ApiRequest
    """The request, with `{}` for the value in its path or in the values of its query."""
    places: tuple[int, ...] = (0, -1)
    """Rows that are taken, counted as in a list; fewer where the list is shorter."""

    def fill(self, value: str) -> ApiRequest:
        """Return the request for one value."""
        return replace(
            self.request,
            path=self.request.path.replace("{}", quote(value, safe="")),
            query=tuple((name, text.replace("{}", value)) for name, text in self.request.query),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of a run."""

    name: str
    what: str
    """For a person: what happens in it."""
    at: datetime | None = None
    """Where the target's clock is moved first; None: it is left alone."""
    operations: tuple[Operation, ...] = ()
    requests: tuple[ApiRequest, ...] = ()
    """Requests in any order."""
    follow_ups: tuple[FollowUp, ...] = ()
    snapshots: tuple[tuple[ApiRequest, ...], ...] = ()
    """Requests that are made one after the other, and again until first and last agree."""
    classes: frozenset[ClassName] = frozenset()
    """Classes that a run has reached once this stage is done."""

    @property
    def writes(self) -> bool:
        """Whether the stage delivers or changes anything."""
        return any(not isinstance(each, Read | Maintain) for each in self.operations)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one run does and asks, in order."""

    depth: str
    seed: int
    stages: tuple[Stage, ...]
