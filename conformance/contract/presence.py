"""Fields that never lack a value: a target that shows one in some objects shows it in all.

The documents let a target leave most fields out. They do not say that it may show a figure or a
time in one object and leave it out of the next one of the same kind, where both have a value.
Applied to: figures, times and customer numbers of objects. Not applied to: a figure of an object
kind that no response of the run contains. Fields of logs are compared with the sent events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from trueup.conformance.contract.check_names import BODIES, LEDGER_KEPT
from trueup.conformance.contract.findings import Deviation, JudgedRequest, RequestFinding
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.model import POOLS
from trueup.conformance.rows import Row, as_int, get_path, parse_time
from trueup.reports.results import Json

__all__ = ["find_left_out", "find_vanished", "note_presence"]

_SPLIT: Final = ("requests", "bytes", "successful", "error")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "customer": ("residential_bytes_left", "mobile_bytes_left"),
        "log_summary": (
            "customer_id",
            "log_summary_successful",
            "log_summary_error",
            "log_summary_creation_datetime",
            "log_summary_last_update_datetime",
        ),
        "proxy_user": (
            "customer_id",
            "proxy_user_residential_bytes_used",
            "proxy_user_mobile_bytes_used",
            "proxy_user_creation_datetime",
            "proxy_user_last_update_datetime",
        ),
        "graph": _SPLIT,
        "breakdown": _SPLIT,
        **{
            pool: (
                *(f"{pool}_{name}" for name in ("bytes", "bytes_used", "bytes_left", "requests")),
                "proxy_user_ids",
            )
            for pool in POOLS
        },
        **{
            f"{pool}_ledger": (
                "customer_id",
                f"{pool}_ledger_creation_datetime",
                f"{pool}_ledger_last_update_datetime",
            )
            for pool in POOLS
        },
    }
)


def note_presence(
    model: ContractModel, unit: JudgedRequest, finding: RequestFinding, path: str
) -> None:
    """Note which of the fields the objects of a response show, and which they lack."""
    for exchange in unit.exchanges:
        if exchange.status != 200:
            continue
        for kind, row in _objects(model, path, exchange.body):
            resource = kind.partition(" ")[0]
            names = _FIELDS[resource]
            if kind.endswith("_ledger usage"):
                names = (*names, f"{resource}_requests")
            for name in names:
                seen = finding.presence.setdefault((kind, unit.customer, name), [0, 0])
                seen[0 if _has_value(row, name) else 1] += 1


def _has_value(row: Row, name: str) -> bool:
    """Return whether a field has a value; a time that no calendar knows is none."""
    value = row.get(name)
    if name.endswith("_datetime"):
        return parse_time(value) is not None
    return as_int(row, name) is not None if name in _SPLIT else value is not None


def _objects(model: ContractModel, path: str, body: Json) -> Iterator[tuple[str, Row]]:
    """Yield the objects of a response with their kinds."""
    resource, _, action = path.partition("/")
    action = action.partition("/")[0]
    data = get_path(body, "data")
    if action == "graph":
        points = get_path(body, model.graph.get("points", "data.points"))
        beside = model.graph.get("requests", "requests").rpartition(".")[0]
        for point in points if isinstance(points, list) else ():
            near = get_path(point, beside) if beside else point
            if isinstance(near, dict):
                yield "graph", near
    elif action == "breakdown":
        for part in data.values() if isinstance(data, dict) else ():
            for row in part if isinstance(part, list) else ():
                if isinstance(row, dict):
                    yield "breakdown", row
    elif resource in _FIELDS and action in ("search", "retrieve", "summary"):
        for row in data if isinstance(data, list) else [data]:
            if isinstance(row, dict) and row:
                yield f"{resource} {action}{_part(resource, row)}", row


def _part(resource: str, row: Row) -> str:
    """Tell apart objects of one resource that need not have the same fields."""
    if resource.endswith("_ledger"):
        usage = row.get(f"{resource}_reason") == "usage"
        return f" of {resource} usage" if usage else " of payments"
    if resource == "log_summary":
        return "" if row.get("log_summary_hostname") else " without hostname"
    return ""


def find_left_out(findings: Sequence[RequestFinding], made: Counter[str]) -> list[Deviation]:
    """Return the places that lack a field which other objects of their kind show."""
    shown: dict[tuple[str, str, str], int] = defaultdict(int)
    for finding in findings:
        for key, (there, _) in finding.presence.items():
            shown[key] += there
    found: list[Deviation] = []
    for finding in findings:
        for key, (there, absent) in finding.presence.items():
            if not shown[key]:
                continue
            made[BODIES] += there
            if absent:
                kind, _, name = key
                found.append(
                    Deviation(
                        check=BODIES,
                        where=f"{kind} · {name}",
                        expected="a value, as in other objects of this kind",
                        seen=f"none, in {absent} of {there + absent}",
                        unit=finding.unit,
                        exchanges=finding.unit.numbers[-4:],
                        definite=True,
                    )
                )
    return found


def find_vanished(findings: Sequence[RequestFinding], made: Counter[str]) -> list[Deviation]:
    """Return the ledger entries that a whole list lacks although an earlier one shows them."""
    before: dict[tuple[str, str], frozenset[str]] = {}
    found: list[Deviation] = []
    for finding in findings:
        if finding.listing is None:
            continue
        resource, search, listed = finding.listing
        if not resource.endswith("_ledger") or search.conditions or not listed.complete:
            continue
        key = (resource, finding.unit.customer)
        ids = frozenset(str(row.get(f"{resource}_id")) for row in listed.rows)
        earlier = before.get(key, frozenset())
        made[LEDGER_KEPT] += len(earlier)
        found += [
            Deviation(
                check=LEDGER_KEPT,
                where=f"{resource}/search · {name}",
                expected="listed under its id, as before",
                seen="gone",
                unit=finding.unit,
                exchanges=finding.unit.numbers[-4:],
                definite=True,
            )
            for name in sorted(earlier - ids)
        ]
        before[key] = ids
    return found
