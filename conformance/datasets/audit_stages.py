"""The stages of level 0: an account that can only be read is read twice, with every pair of keys.

Its contents are not known: proxy users and ids are taken from the first responses. Days that are
over (yesterday and before) cannot change between two reads.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.event_times import day_start
from trueup.conformance.datasets.operations import FollowUp, Stage
from trueup.conformance.model import NETWORKS, POOLS, CheckContext
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import format_time

__all__ = ["audit_stages"]

DAYS: Final = 5
"""Closed days that are looked at; logs of all of them must still be there."""
PAGES: Final = 25
"""Most pages of one list: what is longer is left alone."""
USERS: Final = (-1, -2, -3)
"""Places, in the list of the busiest first, of proxy users that are looked at closely."""


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
    made = [_busiest_users(context, tenant), _a_page_of_logs(tenant)]
    for pool in POOLS:
        if pool in context.claims:
            made += [requests.account(pool, tenant=tenant), _ledger(pool, tenant)]
    if "customer" in context.claims:
        made.append(requests.customer(tenant=tenant))
    made += _lists(context, tenant)
    made.append(_graph(context, tenant))
    made += [_graph(context, tenant, network=network) for network in NETWORKS]
    return made


def _closed_days(context: CheckContext, tenant: str, **more: str) -> ApiRequest:
    """All summaries of the closed days."""
    midnight = day_start(context.now)
    days = {
        "min_log_summary_period": format_time(midnight - timedelta(days=DAYS)),
        "max_log_summary_period": format_time(midnight - timedelta(days=1)),
    }
    return replace(requests.search("log_summary", tenant, **days, **more), pages=PAGES)


def _busiest_users(context: CheckContext, tenant: str) -> ApiRequest:
    """One page of summaries of the closed days, the busiest users first."""
    found = _closed_days(context, tenant, sort_by="log_summary_requests_desc")
    return ApiRequest(path=found.path, query=found.query, tenant=tenant)


def _lists(context: CheckContext, tenant: str) -> list[ApiRequest]:
    """The summaries of the closed days in small and large pages, sorted."""
    plain = _closed_days(context, tenant)
    orders = ("log_summary_bytes", "log_summary_bytes_desc")
    small = [plain, *(_closed_days(context, tenant, sort_by=order) for order in orders)]
    return [plain, *(replace(each, per_page=20) for each in small)]


def _a_page_of_logs(tenant: str) -> ApiRequest:
    return ApiRequest(path="log/search", query=(("per_page", "20"),), tenant=tenant)


def _ledger(pool: str, tenant: str) -> ApiRequest:
    return replace(requests.ledger(pool, tenant=tenant), pages=PAGES)


def _graph(context: CheckContext, tenant: str, **filters: str) -> ApiRequest:
    """A graph by day over the closed days."""
    end = day_start(context.now)
    return requests.graph(end - timedelta(days=DAYS), end, "day", tenant=tenant, filters=filters)


def _follow_ups(context: CheckContext, tenant: str, askers: tuple[str, ...]) -> list[FollowUp]:
    """Users with traffic in every view, and rows by id: with the own keys and with the other's."""
    users = _busiest_users(context, tenant)
    end = day_start(context.now)
    first, last = format_time(end - timedelta(days=DAYS)), format_time(end - timedelta(seconds=1))
    times = (("log_summary", "log_summary_period"), ("log", "log_request_datetime"))
    views = (
        *(
            replace(
                requests.search(
                    resource, tenant, proxy_user_id="{}", **{f"min_{at}": first, f"max_{at}": last}
                ),
                pages=PAGES,
            )
            for resource, at in times
        ),
        _graph(context, tenant, proxy_user_id="{}"),
        *(_graph(context, tenant, proxy_user_id="{}", network=each) for each in NETWORKS),
    )
    found = [
        FollowUp(source=users, field="proxy_user_id", request=view, places=USERS) for view in views
    ]
    sources = [
        (users, "log_summary_id", "log_summary/retrieve/{}"),
        (_a_page_of_logs(tenant), "log_id", "log/retrieve/{}"),
        *(
            (_ledger(pool, tenant), f"{pool}_ledger_id", f"{pool}_ledger/retrieve/{{}}")
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
