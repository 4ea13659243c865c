"""Placeholders in braces in control hooks, and how they are filled in.

A string that is exactly one placeholder takes the type of its value: `"{bytes}"` becomes an
integer. Inside a longer string the value is written as text. Unknown placeholders are rejected when
the file is read, so that a misspelt one is never sent to a target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from trueup.conformance.model import POOLS
from trueup.conformance.rows import format_time
from trueup.reports.results import Json

__all__ = [
    "HOOK_PLACEHOLDERS",
    "HOOK_VALUES",
    "PLACEHOLDERS",
    "REQUIRED",
    "clock_values",
    "fill",
    "fill_text",
    "money_values",
    "names_in",
]

PLACEHOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "now": "The time to move to, UTC: `YYYY-MM-DD HH:MM:SS`.",
        "advance_s": "Seconds to move forward, a whole number.",
        "customer_id": "The tenant, a whole number.",
        "network": "`residential` or `mobile`.",
        "kind": "`purchase`, `top_up`, `refund` or `adjustment`.",
        "bytes": "Bytes, a whole number; refunds and some adjustments are negative.",
        "idempotency_key": "A string that stays the same if the same call is repeated.",
        "service_id": "The service that is paid for; empty for none.",
    }
)
"""Placeholder → meaning."""

HOOK_PLACEHOLDERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "clock": frozenset({"now", "advance_s"}),
        "maintenance": frozenset(),
        "money": frozenset(PLACEHOLDERS) - {"now", "advance_s"},
        "restart": frozenset(),
    }
)
"""Hook → placeholders that it may contain."""

HOOK_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "network": POOLS,
        "kind": ("purchase", "top_up", "refund", "adjustment"),
    }
)
"""Placeholder → all values that it takes, where they are a fixed list."""

REQUIRED: Final[Mapping[str, tuple[frozenset[str], ...]]] = MappingProxyType(
    {
        "clock": (frozenset({"now", "advance_s"}),),
        "money": (frozenset({"network"}), frozenset({"kind"}), frozenset({"bytes"})),
    }
)
"""Hook → groups of placeholders; a hook needs one of each group."""


def clock_values(to: datetime, advance_s: int) -> dict[str, Json]:
    """Return the values of a call of the clock hook: the time to move to, and how far that is."""
    return {"now": format_time(to), "advance_s": advance_s}


def money_values(customer: int, network: str, kind: str, amount: int, key: str) -> dict[str, Json]:
    """Return the values of a call of the money hook: one payment of `amount` bytes."""
    return {
        "customer_id": customer,
        "network": network,
        "kind": kind,
        "bytes": amount,
        "idempotency_key": key,
        "service_id": "",
    }


_BRACES: Final = re.compile(r"\{([A-Za-z_]\w*)\}")


def names_in(template: Json) -> Iterator[str]:
    """Yield every placeholder name in a template, in order, known or not."""
    match template:
        case str():
            yield from _BRACES.findall(template)
        case Mapping():
            for key, value in template.items():
                yield from _BRACES.findall(str(key))
                yield from names_in(value)
        case list() | tuple():
            for value in template:
                yield from names_in(value)


def fill_text(template: str, values: Mapping[str, Json]) -> str:
    """Return the text with the placeholders of `values` filled in; others are unchanged."""
    return _BRACES.sub(
        lambda found: str(values[found[1]]) if found[1] in values else found[0], template
    )


def fill(template: Json, values: Mapping[str, Json]) -> Json:
    """Return the template with its placeholders replaced at any depth; values keep their type."""
    match template:
        case str():
            whole = _BRACES.fullmatch(template)
            if whole is not None and whole[1] in values:
                return values[whole[1]]
            return fill_text(template, values)
        case Mapping():
            return {fill_text(key, values): fill(value, values) for key, value in template.items()}
        case list():
            return [fill(value, values) for value in template]
        case _:
            return template
