"""The classes of the request table that a request belongs to, derived from the request."""

from __future__ import annotations

from trueup.conformance.datasets.operations import ClassName, FollowUp
from trueup.conformance.requests import ApiRequest

__all__ = ["classes_of_follow_up", "classes_of_request"]

_NOT_FILTERS = ("page", "per_page", "sort_by", "period_start", "period_end", "interval", "limit")
_SIZES = ("1", "2", "7", "50", "100")


def endpoint_of(path: str) -> str:
    """Return the endpoint of a path: without the id of what is retrieved."""
    head, found, _ = path.partition("/retrieve/")
    return f"{head}/retrieve" if found else path


def classes_of_request(request: ApiRequest) -> frozenset[ClassName]:
    """Return the classes of endpoint, customer, keys, paging, order and filters of a request."""
    query = dict(request.query)
    found = {
        "endpoint": endpoint_of(request.path),
        "customer": request.tenant,
        "keys": request.keys,
    }
    if request.path.endswith("/search"):
        own = [name for name in query if name not in _NOT_FILTERS]
        found["filters"] = ("none", "one", "two")[min(len(own), 2)]
        sort = query.get("sort_by", "")
        suffix = next((each for each in ("_asc", "_desc") if sort.endswith(each)), "plain")
        found["direction"] = suffix if sort else "default"
        size = str(request.per_page) if request.paged else query.get("per_page", "100")
        if size in _SIZES:
            found["per_page"] = size
        if request.paged:
            found["page"] = "paged"
    if request.path == "analytics/graph":
        found["interval"] = query.get("interval", "day")
    return frozenset(("request", name, value) for name, value in found.items())


def classes_of_follow_up(follow_up: FollowUp) -> frozenset[ClassName]:
    """Return the classes of endpoint and customer of a request whose id a response provides."""
    return classes_of_request(follow_up.request)
