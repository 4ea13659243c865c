"""Description of a target file, and of the target, before any check is run.

Pure: it combines a `Target`, the readings that were probed and the trouble that occurred into one
value, for the terminal and for programs. The caller sends the requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.interpretations import READINGS
from trueup.conformance.target.load import levels, outside_hosts
from trueup.conformance.target.model import (
    CommandHook,
    CommandIngest,
    HookForm,
    HttpIngest,
    IngestForm,
    ProxyTraffic,
    Target,
    TransportIngest,
)
from trueup.conformance.target.proxies import numbered_addresses
from trueup.reports.results import Json, Reading

__all__ = ["LEVELS", "LevelReached", "ReadingShown", "TargetCheck", "look_at"]

_NEEDS_MONEY: Final = frozenset({"money", "idempotent-money"})
LEVELS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        0: ("read", ""),
        1: ("send requests through its proxies", "proxies"),
        2: ("inject time-stamped events", "ingest"),
        3: ("move its clock", "clock"),
        4: ("restart it", "restart"),
    }
)
"""Level → what it is, and the table of the target file that opens it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelReached:
    """One level, and how the target reaches it, or why it does not."""

    level: int
    what: str
    reached: bool
    how: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingShown:
    """One open point: `declared`, `probed`, or `open` with the value that would be assumed."""

    name: str
    value: str
    how: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetCheck:
    """The result of `trueup target check`."""

    target: str
    path: str
    address: str
    outside_hosts: tuple[str, ...]
    tenants: tuple[str, ...]
    levels: tuple[LevelReached, ...]
    claims: tuple[str, ...]
    readings: tuple[ReadingShown, ...]
    requests_per_s: float | None
    requests: int
    notes: tuple[str, ...]
    """What will leave checks inconclusive, one sentence each."""
    asked: bool
    """False: no request was sent."""
    trouble: str = ""
    """Why the target cannot be tested; empty if it can."""

    def to_json(self) -> dict[str, Json]:
        """Return the result as one JSON object."""
        return {
            "target": self.target,
            "path": self.path,
            "address": self.address,
            "outside_hosts": list(self.outside_hosts),
            "tenants": list(self.tenants),
            "levels": [
                {"level": one.level, "what": one.what, "reached": one.reached, "how": one.how}
                for one in self.levels
            ],
            "claims": list(self.claims),
            "readings": {one.name: {"value": one.value, "how": one.how} for one in self.readings},
            "budget": {"requests_per_s": self.requests_per_s, "requests": self.requests},
            "notes": list(self.notes),
            "reachable": (not self.trouble) if self.asked else None,
            "trouble": self.trouble,
        }


def look_at(
    target: Target, *, found: Sequence[Reading] = (), asked: bool = False, trouble: str = ""
) -> TargetCheck:
    """Return what is known of a target; `found` are the probed readings."""
    return TargetCheck(
        target=target.name,
        path=str(target.path),
        address=f"{target.base_url}{target.prefix}",
        outside_hosts=outside_hosts(target),
        tenants=tuple(sorted(target.tenants)),
        levels=tuple(_level(target, level) for level in LEVELS),
        claims=tuple(sorted(target.claims)),
        readings=_readings(target, found),
        requests_per_s=target.budget.requests_per_s,
        requests=target.budget.requests,
        notes=tuple(_notes(target)),
        asked=asked,
        trouble=trouble,
    )


def _notes(target: Target) -> Iterator[str]:
    for claim in sorted(target.claims & _NEEDS_MONEY):
        if target.money is None:
            yield f"`{claim}` is claimed, but without [money] it counts as not testable."
    if "b" not in target.tenants:
        yield "Without [tenants.b] the separation of accounts cannot be tested."
    for name, tenant in target.tenants.items():
        if target.ingest is not None and tenant.customer_id is None:
            yield (
                f"tenants.{name} has no customer_id: events can go in only if customer/retrieve "
                "tells it."
            )
    if target.clock is not None and target.ingest is None:
        yield "The clock can be moved, but without [ingest] there are no events to test retention."


def _level(target: Target, level: int) -> LevelReached:
    what, table = LEVELS[level]
    reached = level in levels(target)
    form: IngestForm | HookForm | ProxyTraffic | None = getattr(target, table) if table else None
    if level == 0:
        how = "with the keys of the target file"
    elif form is None:
        how = f"no [{table}] in the target file"
    elif not reached:
        how = "needs [ingest] as well"
    else:
        how = _form(form)
    return LevelReached(level=level, what=what, reached=reached, how=how)


def _form(form: IngestForm | HookForm | ProxyTraffic) -> str:
    match form:
        case ProxyTraffic():
            return _proxied(form)
        case CommandIngest() | CommandHook():
            return f"command {form.argv[0].rsplit('/', 1)[-1]}"
        case HttpIngest():
            packed = "" if form.compression == "none" else f", {form.compression}"
            return f"{form.method}, {form.format.form}{packed}"
        case TransportIngest():
            where = form.options.get("subject") or form.options.get("topic")
            return f"{form.name} {where}" if where else form.name
        case _:
            return form.method


def _proxied(proxies: ProxyTraffic) -> str:
    """Return which proxies are used, and where the origin is."""
    networks = dict.fromkeys(one.network for one in proxies.access)
    spoken = dict.fromkeys(name for one in proxies.access for name in one.protocols)
    origin = proxies.hostname if numbered_addresses(proxies.hostname) else proxies.listen
    port = proxies.port or "a free port"
    return f"{', '.join(networks)} by {', '.join(spoken)}; origin: {origin}, {port}"


def _readings(target: Target, found: Sequence[Reading]) -> tuple[ReadingShown, ...]:
    known = {reading.name: reading for reading in found}
    shown = []
    for name, row in READINGS.items():
        if name in target.readings:
            value, how = target.readings[name], "declared"
        elif name in known:
            value, how = known[name].value, known[name].how
        else:
            value, how = row.default, "open" if row.probed else "default"
        shown.append(ReadingShown(name=name, value=value, how=how))
    return tuple(shown)
