"""When a generated mutant is wrong: conditions over what is known where it decides.

A `Subject` holds what a point knows of the event, row or request in its hands; a field that it does
not know is None, and no condition on it holds there. A `Memory` holds what a process has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trueup.reference.networks import NETWORKS
from trueup.reference.times import DAY_US, day_of, format_date

__all__ = ["CONDITIONS", "Condition", "Memory", "Subject", "conditions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a point knows of what it decides about. Amounts in bytes, instants in microseconds."""

    now_us: int = 0
    customer_id: int | None = None
    user: str | None = None
    network: str | None = None
    protocol: str | None = None
    hostname: str | None = None
    bytes: int | None = None
    failed: bool | None = None
    at_us: int | None = None
    seen_before: int | None = None
    """How often the same thing (summary, key, row) was decided about before."""
    first_us: int | None = None
    """When the same thing was decided about for the first time."""
    page: int | None = None
    is_last: bool | None = None
    descending: bool | None = None
    filtered: bool | None = None
    combined: bool | None = None
    """Whether a filter stands beside another one."""
    interval: str | None = None
    kind: str | None = None
    """Kind of a payment, such as top_up."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """What one process with a generated mutant has seen since it started."""

    customers: tuple[int, ...] = ()
    restarted: bool = False
    now_us: int = 0
    """The time of the delivery in hand."""
    rounds: int = 0
    """Rounds of maintenance."""
    batch: int = 0
    """Distinct events of the delivery in hand."""
    refused: int = 0
    """Refused lines of the delivery in hand."""
    edited: set[tuple[int, str]] = field(default_factory=set)
    deleted: set[tuple[int, str]] = field(default_factory=set)
    limits: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict)
    """Proxy user → pool → its limit in bytes; a pool without a limit is absent."""
    seen: dict[Any, int] = field(default_factory=dict)
    """Thing → how often it was counted by `again`."""
    since: dict[Any, int] = field(default_factory=dict)
    """Thing → when it was first counted by `again`."""
    before: dict[Any, Any] = field(default_factory=dict)
    """Place → its last value."""

    @property
    def limited(self) -> set[tuple[int, str]]:
        """The proxy users that have a limit."""
        return {user for user, limits in self.limits.items() if limits}

    def again(self, thing: Any, now_us: int) -> tuple[int, int]:
        """Count a thing; return how often and since when it had been counted."""
        times = self.seen.get(thing, 0)
        self.seen[thing] = times + 1
        return times, self.since.setdefault(thing, now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When a mutant is wrong. `phrase` ends the sentence of the mutant."""

    name: str
    phrase: str
    holds: Callable[[Subject, Memory], bool]


def _customer(place: int) -> Callable[[Subject, Memory], bool]:
    return lambda subject, memory: (
        subject.customer_id is not None
        and subject.customer_id in memory.customers
        and memory.customers.index(subject.customer_id) == place
    )


def _age_days(subject: Subject) -> int:
    """Calendar days before today; -1 where the instant is not known."""
    return -1 if subject.at_us is None else day_of(subject.now_us) - day_of(subject.at_us)


def _date(subject: Subject, shift_us: int = 0) -> str:
    return "" if subject.at_us is None else format_date(day_of(subject.at_us + shift_us))[5:]


def _is(name: str, wanted: Any) -> Callable[[Subject, Memory], bool]:
    return lambda subject, _memory: getattr(subject, name) == wanted


def _user(group: str) -> Callable[[Subject, Memory], bool]:
    return lambda subject, memory: (subject.customer_id, subject.user) in getattr(memory, group)


_ROWS: Final[tuple[tuple[str, str, Callable[[Subject, Memory], bool]], ...]] = (
    ("always", "", lambda _subject, _memory: True),
    *((f"network={name}", f"for {name} traffic", _is("network", name)) for name in NETWORKS),
    ("customer=first", "for the first customer", _customer(0)),
    ("customer=second", "for the second customer", _customer(1)),
    ("user=edited", "for a proxy user that was edited", _user("edited")),
    ("user=deleted", "for a proxy user that was deleted", _user("deleted")),
    ("user=limited", "for a proxy user with a limit", _user("limited")),
    ("bytes=zero", "where there are no bytes", _is("bytes", 0)),
    ("bytes=2^31", "from 2^31 bytes on", lambda s, _: abs(s.bytes or 0) >= 2**31),
    ("bytes=2^53", "from 2^53 bytes on", lambda s, _: abs(s.bytes or 0) >= 2**53),
    ("outcome=error", "for failed requests", _is("failed", True)),
    ("protocol=socks", "for the socks protocol", _is("protocol", "socks")),
    (
        "hostname=long",
        "for hostnames of more than 63 characters",
        lambda s, _: len(s.hostname or "") > 63,
    ),
    ("time=first", "the first time", _is("seen_before", 0)),
    ("time=later", "from the second time on", lambda s, _: bool(s.seen_before)),
    (
        "gap=hour",
        "when an hour has passed since the first time",
        lambda s, _: s.first_us is not None and s.now_us - s.first_us >= DAY_US // 24,
    ),
    ("age=today", "for the current day", lambda s, _: _age_days(s) == 0),
    ("age=past", "for days before the current one", lambda s, _: _age_days(s) > 0),
    ("age=7d", "for days more than a week ago", lambda s, _: _age_days(s) > 7),
    ("age=90d", "for days more than 90 days ago", lambda s, _: _age_days(s) > 90),
    ("date=month-start", "on the first day of a month", lambda s, _: _date(s)[3:] == "01"),
    (
        "date=month-end",
        "on the last day of a month",
        lambda s, _: _date(s, DAY_US)[3:] == "01",
    ),
    ("date=year-edge", "on 31 December and 1 January", lambda s, _: _date(s) in ("12-31", "01-01")),
    (
        "hour=midnight",
        "in the first hour of a day",
        lambda s, _: s.at_us is not None and s.at_us % DAY_US < DAY_US // 24,
    ),
    ("delivery=alone", "in a delivery of one event", lambda _, m: m.batch == 1),
    ("delivery=batch", "in a delivery of several events", lambda _, m: m.batch > 1),
    ("delivery=refusing", "in a delivery with a refused line", lambda _, m: m.refused > 0),
    ("page=later", "on pages after the first", lambda s, _: (s.page or 1) > 1),
    ("row=last", "in the last row of a page", _is("is_last", True)),
    ("sort=descending", "in descending order", _is("descending", True)),
    ("filter=some", "under a filter", _is("filtered", True)),
    ("filter=none", "without a filter", _is("filtered", False)),
    ("beside=another", "beside another filter", _is("combined", True)),
    ("beside=none", "as the only filter", _is("combined", False)),
    *(
        (f"interval={name}", f"by {name}", _is("interval", name))
        for name in ("minute", "hour", "day", "month")
    ),
    *(
        (f"kind={name}", f"for a {name.replace('_', '-')}", _is("kind", name))
        for name in ("purchase", "top_up", "refund", "adjustment")
    ),
    ("after=restart", "after a restart", lambda _, m: m.restarted),
    ("after=maintenance", "after maintenance", lambda _, m: m.rounds > 0),
)

CONDITIONS: Final[Mapping[str, Condition]] = {
    name: Condition(name=name, phrase=phrase, holds=holds) for name, phrase, holds in _ROWS
}
"""Every condition, by its name."""


def conditions(*names: str) -> tuple[Condition, ...]:
    """Return `always` and the conditions with these names or, without `=`, of these groups."""
    wanted: list[str] = ["always"]
    for name in names:
        wanted += (
            [name]
            if name in CONDITIONS
            else [known for known in CONDITIONS if known.startswith(f"{name}=")]
        )
    return tuple(CONDITIONS[name] for name in dict.fromkeys(wanted))
