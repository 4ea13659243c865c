"""Faults of tenancy and protocol: H and K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trueup.reference.behaviour import RequestInfo, Row
from trueup.reference.ids import new_uuid
from trueup.reference.mutants.mutant import Mutant, swap
from trueup.reference.query import Condition

__all__ = ["FAULTS"]


def _everyone_when_filtered(
    customer_id: int, everyone: Sequence[int], what: str, conditions: Sequence[Condition]
) -> tuple[int, ...]:
    by_user = any(condition.field.name == "proxy_user_id" for condition in conditions)
    leaks = by_user and what in ("log.search", "log_summary.search")
    return tuple(everyone) if leaks else (customer_id,)


def _everyone_for(*views: str) -> Any:
    def visible_to(
        customer_id: int, everyone: Sequence[int], what: str, _conditions: Sequence[Condition]
    ) -> tuple[int, ...]:
        return tuple(everyone) if what in views else (customer_id,)

    return visible_to


def _sloppy(status: int, title: str, message: str) -> tuple[int, Row | str]:
    match status:
        case 404:
            return 200, {"data": {}, "message": message}
        case 400 | 422:
            return 500, "<html><body><h1>Internal Server Error</h1></body></html>"
        case _:
            return status, {"error": title, "message": message}


def _html(status: int, title: str, message: str) -> tuple[int, Row | str]:
    if status in (400, 422):
        return 500, f"<html><body><h1>{title}</h1></body></html>"
    return status, {"error": title, "message": message, "api_request_id": new_uuid()}


def _always_page_one(_request: RequestInfo, body: Row) -> Row:
    if "item_count" not in body:
        return body
    return {**body, "page": 1, "item_count": body["per_page"]}


FAULTS: Final[tuple[Mutant, ...]] = (
    swap(
        "H1",
        "A search by proxy user shows the rows of that name of all tenants.",
        visible_to=_everyone_when_filtered,
    ),
    swap(
        "H2",
        "A row of another tenant can be retrieved by its id.",
        visible_to=_everyone_for(
            "log.retrieve",
            "log_summary.retrieve",
            "residential_ledger.retrieve",
            "mobile_ledger.retrieve",
        ),
    ),
    swap("H3", "The graph is drawn over all tenants.", visible_to=_everyone_for("analytics.graph")),
    swap("H4", "The control hooks need no key.", let_control=lambda _hook, _right: True),
    swap(
        "K1",
        "A missing id gives 200 with empty data, a bad parameter 500 with HTML, and no error "
        "has an api_request_id.",
        error=_sloppy,
    ),
    swap(
        "K2",
        "The rate limit is counted by address, and whoever exceeds it stays refused.",
        rate_limit=10,
        rate_key=lambda _customer_id, peer: peer,
        rate_penalty_s=3600.0,
    ),
    swap("N30", "Any keys are let in.", let_in=lambda _view, _public, _private: True),
    swap("N31", "A bad parameter gives 500 with HTML.", error=_html),
    swap(
        "N32",
        "Errors are a single field detail instead of the documented body.",
        error=lambda status, _title, message: (status, {"detail": message}),
    ),
    swap(
        "N33",
        "Every page says that it is page 1 and full.",
        response=_always_page_one,
    ),
    swap(
        "N34",
        "The list of proxy users shows those of all tenants.",
        visible_to=_everyone_for("proxy_user.search"),
    ),
    swap(
        "N35",
        "A missing id gives 500.",
        error=lambda status, title, message: (
            500 if status == 404 else status,
            {"error": title, "message": message, "api_request_id": new_uuid()},
        ),
    ),
    swap(
        "N36",
        "The breakdown adds up all tenants.",
        visible_to=_everyone_for("analytics.breakdown"),
    ),
)
