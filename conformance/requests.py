"""Requests that several stages share, so that each is made once in a stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from trueup.conformance.rows import format_time
from trueup.reports.results import Json

__all__ = [
    "UNKNOWN_ID",
    "ApiRequest",
    "account",
    "breakdown",
    "customer",
    "graph",
    "ledger",
    "log",
    "logs",
    "proxy_user",
    "search",
    "summaries",
    "summary",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiRequest:
    """One question to the target: a request, or all pages of a search."""

    path: str
    """Below the prefix: `log/search`."""
    query: tuple[tuple[str, str], ...] = ()
    tenant: str = "a"
    keys: str = "own"
    """`own`, or another class of the dimension `keys`."""
    paged: bool = False
    per_page: int = 100
    """Rows of a page, in a paged search."""
    pages: int = 400
    """Pages after which a paged search is given up; its rows are then unusable."""
    again: int = 0
    """Tells repetitions of one question apart."""
    method: str = "GET"
    body: Json = field(default=None, hash=False)

    @property
    def name(self) -> str:
        """Names the question in the journal; equal questions have equal names."""
        pages = f" in pages of {self.per_page}" if self.paged else ""
        again = f" #{self.again}" if self.again else ""
        verb = "" if self.method == "GET" else f"{self.method} "
        query = urlencode(self.query)
        body = "" if self.body is None else f" body {_digest(self.body)}"
        return f"{verb}{self.tenant}:{self.keys} {self.path}?{query}{pages}{again}{body}"


def _digest(body: Json) -> str:
    """Short name of a body, so that requests of one path with other bodies differ."""
    text = json.dumps(body, sort_keys=True)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"
"""An id that nothing has."""
_NO_FILTERS: Final[Mapping[str, str]] = MappingProxyType({})


def search(resource: str, tenant: str = "a", **query: str) -> ApiRequest:
    """Return a request for all pages of a search."""
    return ApiRequest(
        path=f"{resource}/search", query=tuple(query.items()), tenant=tenant, paged=True
    )


def logs(user: str, tenant: str = "a", **more: str) -> ApiRequest:
    """Return a request for all logs of a proxy user."""
    return search("log", tenant, proxy_user_id=user, **more)


def summaries(user: str, tenant: str = "a", **more: str) -> ApiRequest:
    """Return a request for all summaries of a proxy user."""
    return search("log_summary", tenant, proxy_user_id=user, **more)


def log(log_id: str, tenant: str = "a") -> ApiRequest:
    """Return a request for one log by its id."""
    return ApiRequest(path=f"log/retrieve/{log_id}", tenant=tenant)


def summary(log_summary_id: str, tenant: str = "a") -> ApiRequest:
    """Return a request for one log summary by its id."""
    return ApiRequest(path=f"log_summary/retrieve/{log_summary_id}", tenant=tenant)


def graph(
    start: datetime,
    end: datetime,
    interval: str,
    *,
    tenant: str = "a",
    again: int = 0,
    filters: Mapping[str, str] = _NO_FILTERS,
) -> ApiRequest:
    """Return a graph request over [start, end): `proxy_user_id`, `network`, `hostname` filter."""
    query = (*_period(start, end), ("interval", interval), *filters.items())
    return ApiRequest(path="analytics/graph", query=query, tenant=tenant, again=again)


def breakdown(
    start: datetime, end: datetime, *, tenant: str = "a", query: Mapping[str, str]
) -> ApiRequest:
    """Return a breakdown request over [start, end); `query`: filters, parts and order."""
    return ApiRequest(
        path="analytics/breakdown", query=(*_period(start, end), *query.items()), tenant=tenant
    )


def _period(start: datetime, end: datetime) -> tuple[tuple[str, str], ...]:
    return ("period_start", format_time(start)), ("period_end", format_time(end))


def ledger(pool: str, again: int = 0, tenant: str = "a") -> ApiRequest:
    """Return a request for every entry of a pool's ledger."""
    return replace(search(f"{pool}_ledger", tenant), again=again)


def account(pool: str, again: int = 0, tenant: str = "a") -> ApiRequest:
    """Return a request for the account summary of a pool."""
    return ApiRequest(path=f"{pool}/summary", tenant=tenant, again=again)


def customer(again: int = 0, tenant: str = "a") -> ApiRequest:
    """Return a request for the customer itself."""
    return ApiRequest(path="customer/retrieve", tenant=tenant, again=again)


def proxy_user(user: str, tenant: str = "a", again: int = 0) -> ApiRequest:
    """Return a request for one proxy user."""
    return ApiRequest(path=f"proxy_user/retrieve/{user}", tenant=tenant, again=again)
