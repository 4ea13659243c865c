"""Paths of recorded requests, below whatever prefix a target puts before them."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

__all__ = ["ACTIONS", "RESOURCES", "resource_path"]

RESOURCES: Final = frozenset(
    {
        "log",
        "log_summary",
        "residential_ledger",
        "mobile_ledger",
        "residential",
        "mobile",
        "analytics",
        "customer",
        "proxy_user",
        "service",
        "service_adjustment",
    }
)
ACTIONS: Final = frozenset(
    {"search", "retrieve", "summary", "graph", "breakdown", "create", "edit", "delete"}
)
"""What stands behind a resource; what is retrieved, edited or deleted may stand behind it."""
_GUIDE_PREFIX: Final = "/public/user/"


def resource_path(path: str) -> str:
    """Return a path below the prefix: `log/retrieve/1` for `/1.0/public/user/log/retrieve/1`.

    It begins with the first resource that an action follows. A path without one (there is no
    such endpoint) is cut after the guide's prefix, or else after two parts.
    """
    parts = path.strip("/").split("/")
    for place, (resource, action) in enumerate(pairwise(parts)):
        if resource in RESOURCES and action in ACTIONS:
            return "/".join(parts[place:])
    _, found, rest = path.partition(_GUIDE_PREFIX)
    return rest if found else "/".join(parts[2:])
