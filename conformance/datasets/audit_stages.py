"""The stages of level 0: an account that can only be read is read twice, with every pair of keys.

Its contents are not known: proxy users and ids are taken from the first responses. Days that are
over (yesterday and before) cannot change between two reads.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from trueup.conformance.datasets.event_times import day_start
from trueup.conformance.datasets.operations import FollowUp, Stage
from trueup.conformance.model import CheckContext
from trueup.conformance.requests import POOLS, ApiRequest
from trueup.conformance.rows import format_time

__all__ = ["audit_stages"]

DAYS: Final = 5
"""Closed days that are looked at; logs of all of them must still be there."""
PAGES: Final = 25
"""Most pages of one list: what is longer is left alone."""
USERS: Final = (-1, -2, -3)
"""Places, in the list of the busiest first, of proxy users that are looked at closely."""
NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")


def audit_stages(context: CheckContext) -> tuple[Stage, Stage]:
    """Return two stages that make the same requests.

    A customer whose number is not known is read as the first one.
    """
    tenants = tuple(context.customers) or ("a",)
    once = Stage(
        name="audit",
        what="reading what is there",
        requests=tuple(each for tenant in tenants for each in _reads(context, tenant)),
        follow_ups=tuple(
            each for tenant in tenants for each in _follow_ups(context, tenant, tenants)
        ),
    )
    return once, replace(once, name="audit-again", what="reading it once more")


def _reads(context: CheckContext, tenant: str) -> list[ApiRequest]:
    """Account figures, ledgers and whole graphs of one customer."""
    made = [busiest_users(context, tenant), a_page_of_logs(tenant)]
    for pool in POOLS:
        if pool in context.claims:
            made += [
                ApiRequest(path=f"{pool}/summary", tenant=tenant),
                ledger(pool, tenant),
            ]
    if "customer" in context.claims:
        made.append(ApiRequest(path="customer/retrieve", tenant=tenant))
    made += _lists(context, tenant)
    made.append(_graph(context, tenant))
    made += [_graph(context, tenant, network=network) for network in NETWORKS]
    return made


def busiest_users(context: CheckContext, tenant: str) -> ApiRequest:
    """Return a request for one page of summaries of the closed days, the busiest users first."""
    first = day_start(context.now) - timedelta(days=DAYS)
    last = day_start(context.now) - timedelta(days=1)
    return ApiRequest(
        path="log_summary/search",
        query=(
            ("min_log_summary_period", format_time(first)),
            ("max_log_summary_period", format_time(last)),
            ("sort_by", "log_summary_requests_desc"),
        ),
        tenant=tenant,
    )


def _lists(context: CheckContext, tenant: str) -> list[ApiRequest]:
    """Return requests for the summaries of the closed days in small and large pages, sorted."""
    first = day_start(context.now) - timedelta(days=DAYS)
    last = day_start(context.now) - timedelta(days=1)
    days = (
        ("min_log_summary_period", format_time(first)),
        ("max_log_summary_period", format_time(last)),
    )
    return [
        ApiRequest(
            path="log_summary/search",
            query=(*days, *more),
            tenant=tenant,
            paged=True,
            per_page=per_page,
            pages=PAGES,
        )
        for per_page, more in (
            (100, ()),
            (20, ()),
            (20, (("sort_by", "log_summary_bytes"),)),
            (20, (("sort_by", "log_summary_bytes_desc"),)),
        )
    ]


def a_page_of_logs(tenant: str) -> ApiRequest:
    """Return a request for one page of logs of a customer."""
    return ApiRequest(path="log/search", query=(("per_page", "20"),), tenant=tenant)


def ledger(pool: str, tenant: str) -> ApiRequest:
    """Return a request for the ledger of a pool."""
    return ApiRequest(path=f"{pool}_ledger/search", tenant=tenant, paged=True, pages=PAGES)


def _graph(context: CheckContext, tenant: str, **filters: str) -> ApiRequest:
    """A graph by day over the closed days."""
    end = day_start(context.now)
    return ApiRequest(
        path="analytics/graph",
        query=(
            ("period_start", format_time(end - timedelta(days=DAYS))),
            ("period_end", format_time(end)),
            ("interval", "day"),
            *filters.items(),
        ),
        tenant=tenant,
    )


def _follow_ups(context: CheckContext, tenant: str, askers: tuple[str, ...]) -> list[FollowUp]:
    """Users with traffic in every view, and rows by id: with the own keys and with the other's."""
    users = busiest_users(context, tenant)
    end = day_start(context.now)
    first, last = format_time(end - timedelta(days=DAYS)), format_time(end - timedelta(seconds=1))
    views = (
        ApiRequest(
            path="log_summary/search",
            query=(
                ("proxy_user_id", "{}"),
                ("min_log_summary_period", first),
                ("max_log_summary_period", last),
            ),
            tenant=tenant,
            paged=True,
            pages=PAGES,
        ),
        ApiRequest(
            path="log/search",
            query=(
                ("proxy_user_id", "{}"),
                ("min_log_request_datetime", first),
                ("max_log_request_datetime", last),
            ),
            tenant=tenant,
            paged=True,
            pages=PAGES,
        ),
        _graph(context, tenant, proxy_user_id="{}"),
        *(_graph(context, tenant, proxy_user_id="{}", network=each) for each in NETWORKS),
    )
    found = [
        FollowUp(source=users, field="proxy_user_id", request=view, places=USERS) for view in views
    ]
    sources = [
        (users, "log_summary_id", "log_summary/retrieve/{}"),
        (a_page_of_logs(tenant), "log_id", "log/retrieve/{}"),
        *(
            (ledger(pool, tenant), f"{pool}_ledger_id", f"{pool}_ledger/retrieve/{{}}")
            for pool in POOLS
            if pool in context.claims
        ),
    ]
    found += [
        FollowUp(
            source=source, field=field, request=ApiRequest(path=path, tenant=asker), places=(0, -1)
        )
        for source, field, path in sources
        for asker in askers
    ]
    return found
