"""Make a manifest from the journal of a planting: which records it keeps, and without which names.

A harvest needs what was sent and what it is compared with: readings, and what accounts and ledgers
showed. Responses are cut down to that. Names of proxy users and hosts that are not of the capsule
belong to others and are replaced by names that say nothing, each by the same one.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from trueup.conformance.capsule.manifest import CapsuleRecord, Manifest, ManifestDate
from trueup.conformance.checks.evaluate import capsule_dates
from trueup.conformance.contract.capsule_dates import PhaseDates, Timing
from trueup.conformance.contract.evaluation import evaluate
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.datasets.capsule import PLANT
from trueup.conformance.model import POOLS
from trueup.conformance.rows import parse_time
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Delivered, Exchange, JudgePlan, ReadingSeen, Record
from trueup.reports.results import Json, Outcome

__all__ = ["dates_now", "manifest_of", "sent_by_customer"]

BASELINE: Final = "baseline"
_CUSTOMER: Final = ("customer_id", *(f"{pool}_bytes_left" for pool in POOLS))
_NAMES: Final = ("proxy_user_id", "log_summary_hostname")


def manifest_of(
    records: Sequence[Record], target: Target, *, trueup: str, run: str, complete: bool
) -> Manifest | None:
    """Return the manifest of what the records of a planting say; None where nothing was sent.

    `trueup` is our version, `run` the name of the run; `complete`: whether it came to its end.
    """
    sent = [r for r in records if isinstance(r, Delivered) and r.source == "probe"]
    plan = next((r for r in records if isinstance(r, JudgePlan) and not r.part), None)
    now = None if plan is None else parse_time(plan.now)
    if plan is None or now is None or not sent:
        return None
    evaluation = evaluate(records)
    outcomes: Counter[Outcome] = Counter()
    end = len(records)
    for record in evaluation.model.history.records.values():
        outcomes[record.outcome(end)] += 1
    ours = evaluation.model.history.clock.ours[0]
    return Manifest.of(
        trueup=trueup,
        prefix=plan.prefix,
        target=(target.name, target.base_url),
        customers=plan.customers,
        planted=(ours.isoformat(timespec="milliseconds").replace("+00:00", "Z"), now),
        run=run,
        complete=complete,
        outcomes={str(outcome): count for outcome, count in outcomes.items()},
        dates=tuple(
            ManifestDate(part=str(dates.phase), when=dates.words())
            for dates in capsule_dates(evaluation)
        ),
        records=tuple(_kept(records, plan.prefix)),
    )


def dates_now(records: Sequence[Record]) -> tuple[tuple[PhaseDates, Timing], ...]:
    """Return when the parts of the capsule of a run can be judged, and which could when it ran."""
    evaluation = evaluate(records)
    now = parse_time(evaluation.plan.now)
    assert now is not None, "a plan contains a time"
    return tuple((dates, dates.timing(now)) for dates in capsule_dates(evaluation))


def _kept(records: Sequence[Record], prefix: str) -> Iterator[CapsuleRecord]:
    readings: dict[str, ReadingSeen] = {}
    salt = secrets.token_bytes(16)
    for record in records:
        match record:
            case ReadingSeen():
                readings[record.reading.name] = record
            case Delivered(source="probe"):
                yield record
            case Exchange(status=200, method="GET") if record.stage in (BASELINE, PLANT):
                kept = _cut_down(record, prefix, salt)
                if kept is not None:
                    yield kept
            case _:
                pass
    yield from readings.values()


def _cut_down(exchange: Exchange, prefix: str, salt: bytes) -> Exchange | None:
    """Return what a manifest keeps of a response; None where it needs none of it."""
    path = resource_path(exchange.path)
    body = exchange.body if isinstance(exchange.body, dict) else {}
    pools = {name for pool in POOLS for name in (f"{pool}/summary", f"{pool}_ledger/search")}
    if path == "customer/retrieve":
        data = body.get("data")
        shown = data if isinstance(data, dict) else {}
        body = {"data": {name: shown[name] for name in _CUSTOMER if name in shown}}
    elif path == "log_summary/search" and exchange.stage == BASELINE:
        if "log_summary_network" not in dict(exchange.query):
            return None
    elif path not in pools:
        return None
    return replace(exchange, headers={}, body=_without_names(body, prefix, salt))


def _without_names(value: Json, prefix: str, salt: bytes) -> Json:
    """Replace names of others wherever a response has them."""
    if isinstance(value, list):
        return [_without_names(each, prefix, salt) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Json] = {}
    for name, each in value.items():
        if name in _NAMES and isinstance(each, str):
            found[name] = _alias(each, prefix, salt)
        elif name == "proxy_user_ids" and isinstance(each, list):
            found[name] = [_alias(user, prefix, salt) for user in each if isinstance(user, str)]
        else:
            found[name] = _without_names(each, prefix, salt)
    return found


def _alias(name: str, prefix: str, salt: bytes) -> str:
    if not name or prefix in name.lower():
        return name
    return f"other-{blake2b(name.encode('utf-8', 'replace'), key=salt, digest_size=6).hexdigest()}"


def sent_by_customer(
    records: Sequence[Record], customers: Mapping[str, int]
) -> dict[str, list[dict[str, Json]]]:
    """Return the events that were accepted or may have been, each once, by customer."""
    letters = {number: letter for letter, number in customers.items()}
    found: dict[str, dict[str, dict[str, Json]]] = {letter: {} for letter in customers}
    for record in records:
        if not isinstance(record, Delivered):
            continue
        for each in record.outcomes:
            if each.outcome is Outcome.REFUSED:
                continue
            for event in record.events[each.first : each.first + each.count]:
                number = event.get("customer_id")
                letter = letters.get(number) if isinstance(number, int) else None
                if letter is not None:
                    found[letter].setdefault(str(event.get("log_id")), event)
    return {letter: list(events.values()) for letter, events in found.items()}
