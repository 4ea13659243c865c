"""Mutation points of accounts: payments, proxy users, their settings and their use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from trueup.reference.behaviour import Behaviour, PaymentRow
from trueup.reference.events import Log
from trueup.reference.mutants.generated.conditions import Memory, Subject, conditions
from trueup.reference.mutants.generated.ingestion_points import of_event
from trueup.reference.mutants.generated.mutation_point import (
    Alteration,
    Install,
    MutationPoint,
    altering,
)
from trueup.reference.mutants.generated.operators import (
    BOOLEAN,
    BYTES,
    DAY,
    OTHER_POOL,
    TEXT,
    Operator,
    named,
    only_named,
    replacing,
)
from trueup.reference.networks import POOLS
from trueup.reference.times import DAY_US

__all__ = ["POINTS"]

# Payments.

_PAYMENT: Final = conditions(
    "kind", "network=residential", "network=mobile", "customer", "bytes=2^53", "time", "date",
    "after",
)  # fmt: skip


def _of_payment(memory: Memory, row: PaymentRow) -> Subject:
    times, _ = memory.again(("payment", row.customer_id, row.network), 0)
    return Subject(
        customer_id=row.customer_id,
        network=row.network,
        bytes=row.bytes,
        at_us=row.day * DAY_US,
        seen_before=times,
        kind=row.kind,
    )


_REASON: Final = (
    replacing("usage", "is usage", "usage"),
    Operator(name="neighbour", phrase="is that of the one before", change=lambda r, b: b or r),
)


# Keys of payments: what a movement is remembered by.

_REMEMBERED: Final = (
    Operator(name="shared", phrase="is shared by all customers", change=lambda k, _: (0, k[1])),
    Operator(name="cut", phrase="is cut to eight characters", change=lambda k, _: (k[0], k[1][:8])),
    Operator(name="forgotten", phrase="is forgotten", change=lambda k, b: (k[0], f"{k[1]} {b}")),
)


def _payment_key(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
    def payment_key(customer_id: int, key: str) -> tuple[int, str]:
        right = behaviour.payment_key(customer_id, key)
        times, _ = change.memory.again(("key", right), 0)
        subject = Subject(customer_id=customer_id, seen_before=times)
        if not change.applies(subject):
            return right
        wrong: tuple[int, str] = change.operator.change(right, times)
        return wrong

    return {"payment_key": payment_key}


# Proxy users.

_SETTINGS: Final[dict[str, tuple[Operator, ...]]] = {
    "proxy_user_password": named(TEXT, "cut"),
    "proxy_user_access_type": (replacing("all", "is all", "all"),),
    "proxy_user_is_strict_security": BOOLEAN,
    "proxy_user_enforce_https": BOOLEAN,
    "ip_address_authentications": (replacing("empty", "is empty", "[]"),),
    "proxy_user_metadata": (replacing("empty", "is empty", "{}"),),
    **{
        f"proxy_user_{pool}_bytes_limit": (
            *named(BYTES, "plus-one", "zero", "int32"),
            replacing("null", "is null", None),
        )
        for pool in POOLS
    },
}
"""Column of a proxy user's settings → operators."""


def _setting(action: str, name: str) -> Install:
    def subject(
        _memory: Memory, done: str, customer_id: int, _values: Mapping[str, Any]
    ) -> Subject | None:
        return Subject(customer_id=customer_id) if done == action else None

    return altering("settings", subject, field=name)


def _kept_setting(name: str) -> Install:
    """An edit that names other settings resets this one."""

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def on_edit(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
            behaviour.on_edit(connection, customer_id, user)
            if change.applies(Subject(customer_id=customer_id)):
                connection.execute(
                    f"UPDATE proxy_user SET {name} = ? "  # noqa: S608 - our names
                    "WHERE customer_id = ? AND proxy_user_id = ?",
                    (change.operator.change(None, None), customer_id, user),
                )

        return {"on_edit": on_edit}

    return install


_RESET: Final[dict[str, Any]] = {
    "proxy_user_access_type": "all",
    "proxy_user_is_strict_security": 0,
    "ip_address_authentications": "[]",
    "proxy_user_metadata": "{}",
    "proxy_user_residential_bytes_limit": None,
    "proxy_user_mobile_bytes_limit": None,
    "proxy_user_creation_datetime": 0,
}
"""Column → what an edit must not set it back to."""


def _settings() -> Iterator[MutationPoint]:
    for name, operators in _SETTINGS.items():
        for action in ("create", "edit"):
            yield MutationPoint(
                id=f"setting.{action}.{name}",
                what=f"The {name} that is stored by a proxy user's {action}",
                operators=operators,
                conditions=conditions("customer", "after"),
                install=_setting(action, name),
                depth=2,
            )
    for name, value in _RESET.items():
        yield MutationPoint(
            id=f"setting.kept.{name}",
            what=f"The {name} of a proxy user whose settings are edited",
            operators=(replacing("reset", "is reset", value),),
            conditions=conditions("customer"),
            install=_kept_setting(name),
            depth=1,
        )


# What editing or deleting a proxy user does to its usage.

_USAGE_LOST: Final = (
    replacing("lose-logs", "loses its logs", "DELETE FROM log"),
    replacing("lose-summaries", "loses its summaries", "DELETE FROM summary"),
    replacing(
        "halve-summaries",
        "has its summaries halved",
        "UPDATE summary SET requests = requests / 2, bytes_low = bytes_low / 2",
    ),
)


def _usage_lost(event: str) -> Install:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        earlier = getattr(behaviour, event)

        def hook(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
            earlier(connection, customer_id, user)
            if change.applies(Subject(customer_id=customer_id)):
                connection.execute(
                    f"{change.operator.change(None, None)} "
                    "WHERE customer_id = ? AND proxy_user_id = ?",
                    (customer_id, user),
                )

        return {event: hook}

    return install


# What a proxy user used.


def _used(pool: str) -> Install:
    def subject(
        _memory: Memory, customer_id: int, user: str, asked: str, now: Mapping[str, int]
    ) -> Subject | None:
        if asked != pool:
            return None
        return Subject(customer_id=customer_id, user=user, bytes=now.get(pool, 0))

    return altering("used", subject)


def _limited(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    """Counting stops for a proxy user that has a limit, once it has used that much."""

    def counting() -> Callable[[list[Log]], list[Log]]:
        spent: dict[tuple[int, str, str], int] = {}

        def counted(logs: list[Log]) -> list[Log]:
            kept = []
            for log in logs:
                user = (log.customer_id, log.proxy_user_id)
                limit = change.memory.limits.get(user, {}).get(log.log_network)
                total = spent.get((*user, log.log_network), 0) + log.log_total_bytes
                over = limit is not None and total > limit
                if not (over and change.applies(of_event(log, change.memory))):
                    kept.append(log)
                    spent[*user, log.log_network] = total
            return kept

        return counted

    return {"counted": counting(), "charged": counting()}


POINTS: Final = (
    *(
        MutationPoint(
            id=f"payment.{name}",
            what=f"The {name} of a payment's ledger row",
            operators=operators,
            conditions=_PAYMENT,
            install=altering("payment", _of_payment, field=name),
            depth=depth,
        )
        for name, operators, depth in (
            ("bytes", BYTES, 8),
            ("day", DAY, 5),
            ("network", OTHER_POOL, 4),
            ("reason", _REASON, 4),
        )
    ),
    MutationPoint(
        id="payment.row",
        what="The ledger row of a payment",
        operators=(replacing("omitted", "is not written", None),),
        conditions=_PAYMENT,
        install=altering("payment", _of_payment),
        depth=16,
    ),
    MutationPoint(
        id="payment.key",
        what="The idempotency key of a payment",
        operators=_REMEMBERED,
        conditions=conditions("customer", "time=later", "after"),
        install=_payment_key,
        depth=8,
    ),
    *_settings(),
    *(
        MutationPoint(
            id=f"user.{name}",
            what=f"A proxy user that is {name}",
            operators=_USAGE_LOST,
            conditions=conditions("customer", "after"),
            install=_usage_lost(event),
            depth=5,
        )
        for name, event in (
            ("edited", "on_edit"),
            ("deleted", "on_delete"),
        )
    ),
    *(
        MutationPoint(
            id=f"used.{pool}",
            what=f"The {pool} bytes that a proxy user has used",
            operators=BYTES,
            conditions=conditions("customer", "user", "bytes", "after"),
            install=_used(pool),
            depth=6,
        )
        for pool in POOLS
    ),
    MutationPoint(
        id="limit",
        what="What a proxy user with a limit uses",
        operators=(only_named("stops", "stops at the limit"),),
        conditions=conditions("network=residential", "network=mobile", "customer", "after"),
        install=_limited,
        depth=4,
    ),
)
"""Every point of accounts."""
