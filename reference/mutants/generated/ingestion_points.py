"""Mutation points between a delivery and the stored rows: logs, summaries and ledgers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from trueup.reference.behaviour import Amounts, Behaviour, PoolDay, SummaryCell
from trueup.reference.events import Log, Refusal
from trueup.reference.ids import new_uuid
from trueup.reference.mutants.generated.conditions import Memory, Subject, conditions
from trueup.reference.mutants.generated.mutation_point import Alteration, MutationPoint
from trueup.reference.mutants.generated.operators import (
    BOOLEAN,
    BYTES,
    CODE,
    COUNT,
    DAY,
    INSTANT_TEXT,
    ROWS,
    TEXT,
    Operator,
)
from trueup.reference.networks import NETWORKS, POOLS
from trueup.reference.times import HOUR_US, day_of, from_datetime, to_datetime

__all__ = ["POINTS", "of_event"]

_EVENT: Final = conditions(
    "network", "customer", "user", "bytes", "outcome", "protocol", "hostname", "time", "date",
    "hour", "delivery", "after", "age=today", "age=past",
)  # fmt: skip
_REPEAT: Final = conditions("network", "customer", "bytes", "gap", "delivery", "after", "age=past")


def of_event(log: Log, memory: Memory) -> Subject:
    """Return what is known of an event of the delivery in hand."""
    now_us = memory.now_us
    known = memory.before.get(("event", log.log_id))
    if known is None:
        cell = (
            log.customer_id,
            log.proxy_user_id,
            log.log_network,
            log.log_hostname,
            day_of(log.at_us),
        )
        known = (memory.again(cell, now_us)[0], now_us)
        memory.before["event", log.log_id] = known
    return Subject(
        now_us=now_us,
        customer_id=log.customer_id,
        user=log.proxy_user_id,
        network=log.log_network,
        protocol=log.log_protocol,
        hostname=log.log_hostname,
        bytes=log.log_total_bytes,
        failed=not log.successful,
        at_us=log.at_us,
        seen_before=known[0],
        first_us=known[1],
    )


# Logs as they are stored.


def _stored(name: str, read: Callable[[Log], Any], write: Callable[[Any], Any]) -> Any:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        def one(log: Log) -> Log:
            value = read(log)
            if value is None:
                return log
            place = ("stored", log.customer_id)
            changed = change.to(value, of_event(log, change.memory), place=place)
            return msgspec.structs.replace(log, **{name: write(changed)})

        return {"stored": lambda logs: [one(log) for log in logs]}

    return install


def _same(value: Any) -> Any:
    return value


_STORED: Final[dict[str, tuple[Operator, ...]]] = {
    "proxy_user_id": (TEXT[3],),
    "log_network": (TEXT[3],),
    "log_protocol": (TEXT[3],),
    "log_hostname": TEXT[1:2] + TEXT[3:],
    "log_client_ip_address": (TEXT[3],),
    "log_total_bytes": BYTES,
    "log_authentication_type": CODE,
    "country_id": TEXT,
    "city_alias": TEXT,
    "asn_id": CODE,
    "log_status_code": CODE,
    "log_error_code": TEXT,
    "service_id": TEXT,
    "proxy_id": TEXT,
    "log_session_id": TEXT,
    "log_method": TEXT,
    "log_protocol_version": TEXT,
    "log_transport": (TEXT[3],),
    "log_local_ip_address": (TEXT[3],),
    "log_local_port": CODE,
    "log_egress_ip_address": (TEXT[3],),
    "log_total_elapsed_ms": COUNT,
    "log_handshake_elapsed_ms": COUNT,
    "log_tunnel_elapsed_ms": COUNT,
    "log_concurrency": COUNT,
    "log_is_tls_enabled": BOOLEAN,
    "log_smartpath_enabled": BOOLEAN,
    "log_smartpath_routed": BOOLEAN,
}


def _shown_text(log: Log) -> str:
    return to_datetime(log.at_us).isoformat(sep=" ", timespec="microseconds")


def _stored_instant(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    def one(log: Log) -> Log:
        changed = change.to(_shown_text(log), of_event(log, change.memory))
        moved = to_datetime(_instant(changed))
        return msgspec.structs.replace(log, log_request_datetime=moved)

    return {"stored": lambda logs: [one(log) for log in logs]}


def _instant(text: str) -> int:
    return from_datetime(type(to_datetime(0)).fromisoformat(text))


def _logs() -> tuple[MutationPoint, ...]:
    points = [
        MutationPoint(
            id=f"stored.{name}",
            what=f"The {name} of a stored log",
            operators=operators,
            conditions=_EVENT,
            install=_stored(name, lambda log, name=name: getattr(log, name), _same),  # type: ignore[misc]
            depth=6 if name == "log_total_bytes" else 2,
        )
        for name, operators in _STORED.items()
    ]
    instant = MutationPoint(
        id="stored.log_request_datetime",
        what="The log_request_datetime of a stored log",
        operators=INSTANT_TEXT,
        conditions=_EVENT,
        install=_stored_instant,
    )
    return (*points, instant)


# Events that are kept, logged, counted and charged.

_INCLUSION: Final = (
    Operator(name="omitted", phrase="leaves an event out", change=lambda _log, _: ()),
    Operator(name="doubled", phrase="has an event twice", change=lambda log, _: (log, log)),
)


def _selected(change: Alteration, logs: Sequence[Log]) -> list[Log]:
    """The events, each as often as the change has it."""
    kept: list[Log] = []
    for log in logs:
        subject = of_event(log, change.memory)
        kept += change.operator.change(log, None) if change.applies(subject) else (log,)
    return kept


def _events() -> tuple[MutationPoint, ...]:
    rows: tuple[tuple[str, str, str, tuple[Operator, ...]], ...] = (
        ("kept", "take", "What is kept of an accepted delivery", _INCLUSION[:1]),
        ("logged", "stored", "What is logged of a delivery", _INCLUSION[:1]),
        ("counted", "counted", "What the summaries count of a delivery", _INCLUSION),
        ("charged", "charged", "What the ledgers charge of a delivery", _INCLUSION),
    )

    def installer(field: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
        def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
            if field == "take":
                return {"take": lambda logs, _now_us: _selected(change, logs)}
            return {field: lambda logs: _selected(change, logs)}

        return install

    return tuple(
        MutationPoint(
            id=f"event.{name}",
            what=what,
            operators=operators,
            conditions=_EVENT,
            install=installer(field),
            depth=12,
        )
        for name, field, what, operators in rows
    )


def _delivery(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    def take(logs: list[Log], now_us: int) -> list[Log]:
        kept: list[Log] = change.to(logs, Subject(now_us=now_us)) if logs else logs
        return kept

    return {"take": take}


def _repeat(field: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        def again(logs: Sequence[Log]) -> list[Log]:
            return [log for log in logs if change.applies(of_event(log, change.memory))]

        return {field: again}

    return install


_AGAIN: Final = (
    Operator(name="counted-again", phrase="is added once more", change=lambda logs, _: logs),
)


# A delivery with a refused line: as a whole or not at all.


def _whole(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    """Such a delivery is refused as a whole, and its ids are taken for known from then on."""
    known: set[str] = set()

    def refuse_whole(logs: Sequence[Log], refused: int) -> str | None:
        if not refused or not logs or not change.applies(of_event(logs[0], change.memory)):
            return None
        known.update(log.log_id for log in logs)
        return "the delivery has a line that was refused"

    def take(logs: list[Log], _now_us: int) -> list[Log]:
        return [log for log in logs if log.log_id not in known]

    return {"refuse_whole": refuse_whole, "take": take}


# What is added up.


def _amounts(index: int) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def amounts(log: Log) -> Amounts:
            right = list(behaviour.amounts(log))
            right[index] = change.to(int(right[index]), of_event(log, change.memory))
            return Amounts(*right)

        return {"amounts": amounts}

    return install


def _cell(name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def cell(log: Log, now_us: int) -> SummaryCell:
            right = behaviour.cell(log, now_us)
            subject = of_event(log, change.memory)
            # A neighbour of another customer would be a leak rather than a mistake in adding up.
            place = ("cell", log.customer_id)
            value = change.to(getattr(right, name), subject, place=place)
            return right._replace(**{name: value})

        return {"cell": cell}

    return install


def _pool(name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def pool_day(log: Log, now_us: int) -> PoolDay | None:
            right = behaviour.pool_day(log, now_us)
            if right is None:
                return None
            value = change.to(getattr(right, name), of_event(log, change.memory))
            return right._replace(**{name: value})

        return {"pool_day": pool_day}

    return install


def _charged_bytes(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
    return {
        "charged_bytes": lambda log: change.to(
            behaviour.charged_bytes(log), of_event(log, change.memory)
        )
    }


def _zone(hours: int) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    """Days of another zone; the operator is ignored."""

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def shifted(log: Log) -> int:
            return day_of(log.at_us + hours * HOUR_US)

        def cell(log: Log, now_us: int) -> SummaryCell:
            right = behaviour.cell(log, now_us)
            wrong = change.applies(of_event(log, change.memory))
            return right._replace(day=shifted(log)) if wrong else right

        def pool_day(log: Log, now_us: int) -> PoolDay | None:
            right = behaviour.pool_day(log, now_us)
            wrong = right is not None and change.applies(of_event(log, change.memory))
            return right._replace(day=shifted(log)) if right and wrong else right

        return {"cell": cell, "pool_day": pool_day}

    return install


_OTHER_POOL: Final = (
    Operator(
        name="other",
        phrase="is the other pool's",
        change=lambda pool, _: next(each for each in POOLS if each != pool),
    ),
)
_OTHER_NETWORK: Final = (
    *(each for each in TEXT if each.name == "neighbour"),
    Operator(
        name="other",
        phrase="is the next network of the list",
        change=lambda name, _: NETWORKS[(NETWORKS.index(name) + 1) % len(NETWORKS)],
    ),
)


def _zoned(name: str) -> tuple[Operator, ...]:
    return (Operator(name=name, phrase=f"begin at the midnight of {name}", change=lambda v, _: v),)


def _sums() -> tuple[MutationPoint, ...]:
    points = [
        MutationPoint(
            id=f"amounts.{name}",
            what=f"What an event adds to the {name} of its summary",
            operators=BYTES if name == "bytes" else COUNT,
            conditions=_EVENT,
            install=_amounts(index),
            depth=10 if name == "bytes" else 5,
        )
        for index, name in enumerate(Amounts._fields)
    ]
    cells: tuple[tuple[str, tuple[Operator, ...]], ...] = (
        ("proxy_user_id", (TEXT[3],)),
        ("network", _OTHER_NETWORK),
        ("hostname", (TEXT[1], TEXT[3])),
        ("day", DAY),
    )
    points += [
        MutationPoint(
            id=f"cell.{name}",
            what=f"The {name} of the summary that an event is added to",
            operators=operators,
            conditions=_EVENT,
            install=_cell(name),
            depth=5,
        )
        for name, operators in cells
    ]
    pools: tuple[tuple[str, tuple[Operator, ...]], ...] = (("network", _OTHER_POOL), ("day", DAY))
    points += [
        MutationPoint(
            id=f"charge.{name}",
            what=f"The {name} of the ledger row that an event is added to",
            operators=operators,
            conditions=_EVENT,
            install=_pool(name),
            depth=5,
        )
        for name, operators in pools
    ]
    points.append(
        MutationPoint(
            id="charge.bytes",
            what="What an event adds to the bytes of its ledger row",
            operators=BYTES,
            conditions=_EVENT,
            install=_charged_bytes,
            depth=8,
        )
    )
    points += [
        MutationPoint(
            id="day",
            what="The days of summaries and ledgers",
            operators=_zoned(name),
            conditions=conditions("network", "customer", "date", "after", "age=past"),
            install=_zone(hours),
            depth=3,
        )
        for name, hours in (("utc-8", -8), ("utc-1", -1), ("utc+1", 1), ("utc+9", 9))
    ]
    return tuple(points)


# What is refused.

_VALID: Final[dict[str, Any]] = {
    "log_total_bytes": 0,
    "log_network": "isp",
    "log_protocol": "http",
    "log_client_ip_address": "0.0.0.0",  # noqa: S104 - an address in a log, not one to listen on
    "log_hostname": "unknown",
    "proxy_user_id": "unknown",
    "log_id": None,
    "log_status_code": None,
}
"""Field → the substitute of an impossible value; None draws one or leaves it out."""

_ACCEPTED: Final = (
    Operator(name="accepted", phrase="is replaced and accepted", change=lambda value, _: value),
)


def _lenient(name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(_change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def read_line(line: bytes, fold: Callable[[str], str]) -> Log:
            try:
                return behaviour.read_line(line, fold)
            except Refusal as refusal:
                if f"$.{name}`" not in str(refusal) and f"`{name}`" not in str(refusal):
                    raise
            event = msgspec.json.decode(line, type=dict[str, Any])
            instead = new_uuid() if name == "log_id" else _VALID[name]
            return behaviour.read_line(msgspec.json.encode({**event, name: instead}), fold)

        return {"read_line": read_line}

    return install


POINTS: Final = (
    *_logs(),
    *_events(),
    MutationPoint(
        id="delivery",
        what="The list of new events of a delivery",
        operators=tuple(each for each in ROWS if each.name in ("drop-last", "drop-first", "empty")),
        conditions=conditions("delivery=batch", "delivery=refusing", "after"),
        install=_delivery,
        depth=6,
    ),
    MutationPoint(
        id="repeat.counted",
        what="In the summaries, an event that is delivered again",
        operators=_AGAIN,
        conditions=_REPEAT,
        install=_repeat("counted_again"),
        depth=12,
    ),
    MutationPoint(
        id="repeat.charged",
        what="In the ledgers, an event that is delivered again",
        operators=_AGAIN,
        conditions=_REPEAT,
        install=_repeat("charged_again"),
        depth=12,
    ),
    MutationPoint(
        id="refusal",
        what="An event that was refused along with an impossible one",
        operators=(
            Operator(
                name="known",
                phrase="is taken for known when it comes again",
                change=lambda value, _: value,
            ),
        ),
        conditions=conditions("network", "customer", "outcome", "age=past", "after"),
        install=_whole,
        depth=5,
    ),
    *_sums(),
    *(
        MutationPoint(
            id=f"refused.{name}",
            what=f"An impossible {name} of an event",
            operators=_ACCEPTED,
            conditions=conditions(),
            install=_lenient(name),
        )
        for name in _VALID
    ),
)
"""Every point of ingestion."""
