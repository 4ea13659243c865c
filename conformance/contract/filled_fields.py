"""What logs show in fields that their events were sent without.

A target may fill these in with any value of the documented type (S18), and then filters, sort
orders and counts of errors go by what it filled in. That is learnt from the rows of the run: from
those of searches that do not filter by the field itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from trueup.conformance.contract.fields import LOG_FIELDS
from trueup.conformance.contract.findings import JudgedRequest
from trueup.conformance.contract.history import EventRecord, History
from trueup.conformance.contract.matching import OPEN, Open, parse_search
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.rows import Row, as_row, as_str, get_path, rows_of
from trueup.reports.results import Json

__all__ = ["FilledFields", "collect_filled"]


@dataclass(frozen=True, slots=True)
class FilledFields:
    """Fields that a target fills in, and what each log shows in them."""

    values: Mapping[str, Mapping[tuple[str, str], Json | Open]] = field(default_factory=dict)
    """Field → (customer, log id) → what it shows where nothing was sent; open if that changes."""
    unshown: frozenset[str] = frozenset(LOG_FIELDS)
    """Fields that no log shows: what the target holds in them is open."""

    def value(self, customer: str, log_id: str, name: str) -> Json | Open:
        """Return what a log shows in a field that was sent without a value."""
        if name in self.unshown and name in LOG_FIELDS:
            return OPEN
        shown = self.values.get(name)
        return None if shown is None else shown.get((customer, log_id), OPEN)

    def of(self, names: Set[str]) -> FilledFields:
        """Return what is known of some of the fields."""
        values = {name: shown for name, shown in self.values.items() if name in names}
        return FilledFields(values=values, unshown=self.unshown & names)


def collect_filled(history: History, units: Iterable[JudgedRequest]) -> FilledFields:
    """Return what the logs of a run show in fields that were sent without a value."""
    units = [unit for unit in units if resource_path(unit.first.path).startswith(_LOGS)]
    filled: set[str] = set()
    unshown = set(LOG_FIELDS)
    for unit in units:
        for row, record in _rows(history, unit):
            if unshown:
                unshown -= {name for name in unshown if row.get(name) is not None}
            for each in record.event.empty:
                if row.get(each.name) is not None:
                    filled.add(each.name)
            filled.update(name for name in record.event.unsent if row.get(name) is not None)
    values: dict[str, dict[tuple[str, str], Json | Open]] = {name: {} for name in filled}
    for unit in units if filled else ():
        asked = {c.field.name for c in parse_search(unit.first.query, LOG_FIELDS).conditions}
        for row, record in _rows(history, unit):
            key = (record.event.customer, record.event.log_id)
            for name in filled - asked:
                if record.event.value(name) is None:
                    shown = row.get(name)
                    known = values[name].setdefault(key, shown)
                    if known != shown:
                        values[name][key] = OPEN
    return FilledFields(values=values, unshown=frozenset(unshown))


_LOGS: Final = ("log/search", "log/retrieve/")


def _rows(history: History, unit: JudgedRequest) -> Iterator[tuple[Row, EventRecord]]:
    """Yield the logs of a request's responses, with the records of their events."""
    for exchange in unit.exchanges:
        if exchange.status != 200:
            continue
        for row in rows_of(exchange.body) or (as_row(get_path(exchange.body, "data")),):
            record = history.records.get((unit.customer, (as_str(row, "log_id") or "").lower()))
            if record is not None:
                yield row, record
