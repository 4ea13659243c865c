"""Proxy users: their customer, their settings, and the usage that each pool counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.check_names import BODIES, EDITED, TENANTS
from trueup.conformance.contract.fields import ApiField, FieldKind
from trueup.conformance.contract.findings import Deviation, JudgedRequest, RequestFinding
from trueup.conformance.contract.listing import (
    expect_match,
    expect_order,
    expect_pages,
    read_listing,
)
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import MISSING_STATUSES, ContractModel
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.model import POOLS
from trueup.conformance.rows import Row, as_int, as_row, as_str
from trueup.reports.results import Json, Outcome

__all__ = [
    "USER_FIELDS",
    "find_revived",
    "judge_user_change",
    "judge_user_retrieve",
    "judge_user_search",
]

USED: Final = "used-bytes-are-the-traffic"

USER_FIELDS: Final[Mapping[str, ApiField]] = MappingProxyType(
    {
        field.name: field
        for field in (
            ApiField(name="proxy_user_id", kind=FieldKind.TEXT),
            ApiField(name="proxy_user_password", kind=FieldKind.TEXT),
            ApiField(name="proxy_user_access_type", kind=FieldKind.TEXT),
            ApiField(name="proxy_user_ip_address_authentication_limit", kind=FieldKind.WHOLE),
            *(
                ApiField(name=f"proxy_user_{n}", kind=FieldKind.SWITCH)
                for n in ("is_deleted", "is_strict_security", "is_default")
            ),
            *(
                ApiField(name=f"proxy_user_{n}_datetime", kind=FieldKind.TIME)
                for n in ("creation", "last_update")
            ),
        )
    }
)
SETTINGS: Final = (
    "proxy_user_password",
    "proxy_user_access_type",
    "proxy_user_is_strict_security",
    "proxy_user_enforce_https",
    "proxy_user_residential_bytes_limit",
    "proxy_user_mobile_bytes_limit",
    "proxy_user_metadata",
    "ip_address_authentications",
)


def judge_user_search(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, search: SearchRequest
) -> None:
    """Judge `proxy_user/search`: rows of this customer, each as its events and edits say."""
    listing = read_listing(finding, search, USED)
    if listing is None:
        return
    expect_pages(finding, listing, search, model.reading, _name, None)
    expect_order(finding, listing, search)
    finding.listing = ("proxy_user", search, listing.listed())
    foreign = model.history.names_of_others(unit.customer)
    own = model.history.names_of(unit.customer)
    for row in listing.rows:
        name = _name(row)
        finding.seen_rows["proxy_user", unit.customer, name] = row
        finding.observed(TENANTS)
        if name in foreign:
            finding.deviate(
                TENANTS,
                f"proxy_user/search · {name}",
                "own users only",
                "a user of another customer",
                definite=True,
            )
            continue
        expect_match(finding, search, row, f"proxy_user/search · {name}")
        if name in own:
            judge_user_row(model, unit, finding, row, name, "proxy_user/search")
    if listing.complete and search.of_users:
        listed = {_name(row) for row in listing.rows}
        for name in filter(search.is_of_user, model.history.created_users(unit.customer, unit.op)):
            if not _deleted(model, unit, name):
                finding.observed(EDITED)
                if name not in listed:
                    where = f"proxy_user/search · {name}"
                    finding.deviate(EDITED, where, "listed, as it was created", "not listed")


def _name(row: Row) -> str:
    return as_str(row, "proxy_user_id") or ""


def judge_user_retrieve(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, name: str
) -> None:
    """Judge `proxy_user/retrieve/{id}`."""
    exchange = unit.first
    served = model.served(exchange)
    where = f"proxy_user/retrieve/{name}"
    mine = name in model.history.names_of(unit.customer)
    if name in model.history.names_of_others(unit.customer):
        finding.compare_refusal(TENANTS, where, served=served)
        return
    row = model.data(exchange)
    if not served or row is None:
        if _deleted(model, unit, name):
            return
        if name in model.history.created_users(unit.customer, unit.op):
            finding.deviate(EDITED, where, "served, as it was created", f"status {exchange.status}")
        elif model.history.has_user(unit.customer, name, unit.op):
            finding.cannot_use_response(exchange, USED)
        return
    finding.seen_rows["proxy_user retrieved", unit.customer, name] = row
    if mine:
        judge_user_row(model, unit, finding, row, name, where)


def _deleted(model: ContractModel, unit: JudgedRequest, name: str) -> bool:
    """Whether the last change that may have been made is its deletion."""
    actions = [
        change.action
        for change in model.history.changes_of(unit.customer, name, unit.op)
        if change.outcome is not Outcome.REFUSED
    ]
    return actions[-1:] == ["delete"]


def judge_user_row(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    name: str,
    where: str,
) -> None:
    """Hold one user's row to its events and to its last edits."""
    place = where if where.endswith(name) else f"{where} · {name}"
    finding.compare_owner(place, row, model.customer_number(unit.customer))
    changed = {change.action for change in model.history.changes_of(unit.customer, name, unit.op)}
    cells = model.cells(unit.customer, name, unit.op, charged=True)
    for pool in POOLS:
        seen = as_int(row, f"proxy_user_{pool}_bytes_used")
        key = f"proxy_user.proxy_user_{pool}_bytes_used"
        if pool in model.reading.claims:
            finding.note_optional(key, place, seen, "a number")
        if seen is None or "delete" in changed:
            continue  # what a user's figures are after its deletion is open (S16)
        total = CellSum.of(one for cell, one in cells.items() if cell.network == pool)
        check = "edits-keep-used-bytes" if "edit" in changed else USED
        finding.observed(check)
        if not total.allows_bytes(seen):
            finding.deviate(
                check,
                f"{place} · proxy_user_{pool}_bytes_used",
                f"{total.bytes:,}",
                f"{seen:,}",
                events=total.certain,
                topic=("used", unit.customer, name, pool),
                counts=(total.counts(), total.counts()._replace(bytes=seen)),
            )
    _settings(model, unit, finding, row, name, place)


def _settings(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    name: str,
    place: str,
) -> None:
    values: dict[str, Json] = {}
    for change in model.history.changes_of(unit.customer, name, unit.op):
        if change.outcome is Outcome.UNKNOWN:
            return
        if change.outcome is Outcome.REFUSED:
            continue
        if change.action in ("create", "delete"):
            values.clear()
        values |= {n: v for n, v in change.values.items() if n in SETTINGS}
        if change.values.get("clear_proxy_user_acl"):
            values["ip_address_authentications"] = []
    ever = model.history.was_deleted(unit.customer, name, unit.op)
    if isinstance(row.get("proxy_user_is_deleted"), bool) and not ever:
        values["proxy_user_is_deleted"] = False  # what becomes of a deleted user is open (S16)
    for setting, value in values.items():
        if setting not in row:
            continue
        seen = row[setting]
        same = seen == value or (
            isinstance(seen, list)
            and isinstance(value, list)
            and sorted(map(str, seen)) == sorted(map(str, value))
        )
        finding.observed(EDITED)
        if not same:
            finding.deviate(EDITED, f"{place} · {setting}", value, seen, definite=True)


def find_revived(
    model: ContractModel, findings: Sequence[RequestFinding], made: Counter[str]
) -> list[Deviation]:
    """Return deviations of deleted users that are there again although nothing created them.

    Whether a deleted user is shown, and how, is open (S16). What was shown of it stays: one that
    was shown as deleted is not shown as a user again, and one that a request did not find is not
    found by the same request later, unless it is marked as deleted there.
    """
    found: list[Deviation] = []
    before: dict[tuple[str, str, int, str], str] = {}
    for finding in findings:
        unit = finding.unit
        for name, place, shown in _shown_of_deleted(model, finding):
            life = model.history.begin_of_life(unit.customer, name, unit.op)
            keys = [(unit.customer, name, life, question) for question in (place, "")]
            earlier = before.get(keys[0], "")
            if shown == _THERE:
                earlier = earlier or before.get(keys[1], "")
            made[EDITED] += 1 if earlier else 0
            if shown in (_THERE, _UNMARKED) and earlier:
                found.append(
                    Deviation(
                        check=EDITED,
                        where=f"proxy user {name} · deleted, and not created again",
                        expected=f"{earlier}, as before",
                        seen=shown,
                        unit=unit,
                        exchanges=unit.numbers[-4:],
                    )
                )
            elif shown in (_ABSENT, _MARKED):
                before.setdefault(keys[0 if shown == _ABSENT else 1], shown)
    return found


_THERE: Final = "there, and not as deleted"
_UNMARKED: Final = "there"
_ABSENT: Final = "not there"
_MARKED: Final = "shown as deleted"


def _shown_of_deleted(
    model: ContractModel, finding: RequestFinding
) -> Iterator[tuple[str, str, str]]:
    """Yield what a finding shows of users that are deleted: (user, request, what it shows)."""
    unit = finding.unit
    if unit.customer not in model.history.customers or finding.unusable:
        return
    place = unit.ask.partition(" #")[0]
    rows = {
        name: row
        for (resource, _, name), row in finding.seen_rows.items()
        if resource in ("proxy_user", "proxy_user retrieved")
    }
    absent: set[str] = set()
    _, _, retrieved = unit.first.path.partition("/proxy_user/retrieve/")
    if retrieved and unit.first.status in MISSING_STATUSES:
        absent.add(retrieved)
    elif finding.listing is not None and finding.listing[0] == "proxy_user":
        _, search, listed = finding.listing
        if listed.complete and search.of_users:
            absent = {n for n in model.history.names_of(unit.customer) if search.is_of_user(n)}
    for name in {*rows, *absent}:
        if _deleted(model, unit, name):
            row = rows.get(name)
            if row is None:
                yield name, place, _ABSENT
            else:
                yield name, place, _mark(row.get("proxy_user_is_deleted"))


def _mark(deleted: Json) -> str:
    if deleted is True:
        return _MARKED
    return _THERE if deleted is False else _UNMARKED


def judge_user_change(unit: JudgedRequest, finding: RequestFinding) -> None:
    """Judge the response to a change of a proxy user: it names the user."""
    exchange = unit.first
    if (exchange.status or 0) >= 300:
        return
    parts = exchange.path.strip("/").split("/")
    action = parts[parts.index("proxy_user") + 1] if "proxy_user" in parts else ""
    key = {"create": "created", "edit": "edited", "delete": "deleted"}.get(action)
    listed = as_row(exchange.body).get(key) if key else None
    if listed is not None and not isinstance(listed, list):
        finding.deviate(BODIES, f"proxy_user/{action} · {key}", "a list", listed, definite=True)
    if isinstance(listed, list) and parts[-1] != action:
        finding.observed(BODIES)
        if parts[-1] not in [str(each) for each in listed]:
            finding.deviate(
                BODIES,
                f"proxy_user/{action} · {key}",
                f"[{parts[-1]}]",
                listed,
                definite=True,
            )
