"""One log, compared field by field with the event that was sent."""

from __future__ import annotations

from typing import Final

from trueup.conformance.contract.check_names import CONTENT, SPELLING, TENANTS
from trueup.conformance.contract.fields import agrees, is_optional
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import EventRecord, SentEvent
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.rows import Row, as_str
from trueup.reports.results import Json

__all__ = ["compare_log"]

LARGE: Final = 2**31 - 1
"""Sizes from here on do not fit into a signed 32-bit integer."""


def compare_log(
    model: ContractModel,
    finding: RequestFinding,
    unit: JudgedRequest,
    row: Row,
    record: EventRecord,
    where: str,
) -> None:
    """Compare every documented field of a log with what was sent."""
    candidates = [record.event, *record.others]
    event = next((one for one in candidates if _fits(one, row)), record.event)
    compared = 0
    for field, sent in event.shown:
        seen = row.get(field.name)
        if seen is None:
            if is_optional(field):
                finding.optional[f"log.{field.name}"].absent.append((where, sent, unit, event))
            else:
                _wrong(finding, unit, event, field.name, sent, "nothing", where)
            continue
        compared += 1
        if seen == sent and type(seen) is type(sent):
            continue
        if not agrees(field.kind, sent, seen):
            _wrong(finding, unit, event, field.name, sent, seen, where)
    for field, _ in event.shown:
        if row.get(field.name) is not None:
            finding.optional[f"log.{field.name}"].shown += 1
    for field in event.empty:
        seen = row.get(field.name)
        if seen is not None:
            fillers = finding.optional[f"log.{field.name}"].fillers
            fillers.setdefault(repr(seen)[:80], []).append((where, unit))
    finding.observed(CONTENT, compared)
    if event.bytes >= LARGE:
        finding.observed("logs-keep-large-sizes")
    _spelling(model, finding, event, row, where)


def _fits(event: SentEvent, row: Row) -> bool:
    return all(
        row.get(field.name) is None or agrees(field.kind, sent, row.get(field.name))
        for field, sent in event.shown
    )


def _wrong(
    finding: RequestFinding,
    unit: JudgedRequest,
    event: SentEvent,
    name: str,
    sent: Json,
    seen: Json,
    where: str,
) -> None:
    large = name == "log_total_bytes" and event.bytes >= LARGE
    check = "logs-keep-large-sizes" if large else CONTENT
    if name == "customer_id":
        check = TENANTS
    finding.deviate(
        check,
        f"{where} · {name}",
        sent,
        seen,
        events=[event],
        topic=("field", unit.customer, event.log_id, name),
        definite=True,
    )


def _spelling(
    model: ContractModel, finding: RequestFinding, event: SentEvent, row: Row, where: str
) -> None:
    """How a hostname is spelled, where the target file declares it or the run probed it."""
    name = as_str(row, "log_hostname")
    sent = event.raw.get("log_hostname")
    if name is None or not isinstance(sent, str) or name == sent:
        return
    wanted = model.spelled(sent)
    if wanted is not None and name != wanted:
        finding.deviate(
            SPELLING,
            f"{where} · log_hostname",
            wanted,
            name,
            events=[event],
            definite=True,
        )
