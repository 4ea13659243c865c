"""Mutation points of accounts: payments, proxy users, their settings and their use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from trueup.reference.behaviour import Behaviour, PaymentRow
from trueup.reference.events import Log
from trueup.reference.mutants.generated.conditions import Subject, conditions
from trueup.reference.mutants.generated.ingestion_points import of_event
from trueup.reference.mutants.generated.mutation_point import Alteration, MutationPoint
from trueup.reference.mutants.generated.operators import BYTES, DAY, Operator
from trueup.reference.networks import POOLS
from trueup.reference.times import DAY_US

__all__ = ["POINTS"]

# Payments.

_PAYMENT: Final = conditions(
    "kind", "network=residential", "network=mobile", "customer", "bytes=2^53", "time", "date",
    "after",
)  # fmt: skip
_OTHER: Final = {"residential": "mobile", "mobile": "residential"}


def _of_payment(row: PaymentRow, change: Alteration) -> Subject:
    times, _ = change.memory.again(("payment", row.customer_id, row.network), 0)
    return Subject(
        now_us=0,
        customer_id=row.customer_id,
        network=row.network,
        bytes=row.bytes,
        at_us=row.day * DAY_US,
        seen_before=times,
        kind=row.kind,
    )


def _payment_field(name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def payment(row: PaymentRow) -> PaymentRow | None:
            right = behaviour.payment(row)
            if right is None:
                return None
            value = change.to(getattr(right, name), _of_payment(row, change))
            return right._replace(**{name: value})

        return {"payment": payment}

    return install


def _payment_row(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
    def payment(row: PaymentRow) -> PaymentRow | None:
        right = behaviour.payment(row)
        return None if change.applies(_of_payment(row, change)) else right

    return {"payment": payment}


_OMITTED: Final = (Operator(name="omitted", phrase="is not written", change=lambda _row, _: None),)
_OTHER_POOL: Final = (
    Operator(name="other", phrase="is the other pool's", change=lambda pool, _: _OTHER[pool]),
)
_REASON: Final = (
    Operator(name="usage", phrase="is usage", change=lambda _reason, _: "usage"),
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
        subject = Subject(now_us=0, customer_id=customer_id, seen_before=times)
        if not change.applies(subject):
            return right
        wrong: tuple[int, str] = change.operator.change(right, times)
        return wrong

    return {"payment_key": payment_key}


# Proxy users.

_SETTINGS: Final[dict[str, tuple[Operator, ...]]] = {
    "proxy_user_password": (
        Operator(name="cut", phrase="lacks its last character", change=lambda v, _: v[:-1]),
    ),
    "proxy_user_access_type": (
        Operator(name="all", phrase="is all", change=lambda _value, _: "all"),
    ),
    **{
        name: (Operator(name="inverted", phrase="is inverted", change=lambda v, _: not v),)
        for name in ("proxy_user_is_strict_security", "proxy_user_enforce_https")
    },
    "ip_address_authentications": (
        Operator(name="empty", phrase="is empty", change=lambda _value, _: "[]"),
    ),
    "proxy_user_metadata": (
        Operator(name="empty", phrase="is empty", change=lambda _value, _: "{}"),
    ),
    **{
        f"proxy_user_{pool}_bytes_limit": (
            *(each for each in BYTES if each.name in ("plus-one", "zero", "int32")),
            Operator(name="null", phrase="is null", change=lambda _value, _: None),
        )
        for pool in POOLS
    },
}
"""Column of a proxy user's settings → operators."""


def _setting(action: str, name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def settings(done: str, customer_id: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
            right = behaviour.settings(done, customer_id, values)
            if done != action or right.get(name) is None:
                return right
            subject = Subject(now_us=0, customer_id=customer_id)
            return {**right, name: change.to(right[name], subject)}

        return {"settings": settings}

    return install


def _kept_setting(name: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    """An edit that names other settings resets this one."""

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def on_edit(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
            behaviour.on_edit(connection, customer_id, user)
            if change.applies(Subject(now_us=0, customer_id=customer_id)):
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
            operators=(
                Operator(
                    name="reset",
                    phrase="is reset",
                    change=lambda _value, _, value=value: value,  # type: ignore[misc]
                ),
            ),
            conditions=conditions("customer"),
            install=_kept_setting(name),
            depth=1,
        )


# What editing or deleting a proxy user does to its usage.

_USAGE_LOST: Final = tuple(
    Operator(
        name=name,
        phrase=phrase,
        change=lambda _value, _, statement=statement: statement,  # type: ignore[misc]
    )
    for name, phrase, statement in (
        ("lose-logs", "loses its logs", "DELETE FROM log"),
        ("lose-summaries", "loses its summaries", "DELETE FROM summary"),
        (
            "halve-summaries",
            "has its summaries halved",
            "UPDATE summary SET requests = requests / 2, bytes_low = bytes_low / 2",
        ),
    )
)


def _usage_lost(event: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        earlier = getattr(behaviour, event)

        def hook(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
            earlier(connection, customer_id, user)
            if change.applies(Subject(now_us=0, customer_id=customer_id)):
                connection.execute(
                    f"{change.operator.change(None, None)} "
                    "WHERE customer_id = ? AND proxy_user_id = ?",
                    (customer_id, user),
                )

        return {event: hook}

    return install


# What a proxy user used.


def _used(pool: str) -> Callable[[Alteration, Behaviour], dict[str, Any]]:
    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def used(customer_id: int, user: str, asked: str, now: Mapping[str, int]) -> int:
            right = behaviour.used(customer_id, user, asked, now)
            if asked != pool:
                return right
            subject = Subject(now_us=0, customer_id=customer_id, user=user, bytes=right)
            wrong: int = change.to(right, subject)
            return wrong

        return {"used": used}

    return install


def _limited(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    """Counting stops for a proxy user that has a limit, once it has used that much."""
    spent: dict[tuple[int, str, str], int] = {}

    def counted(logs: list[Log]) -> list[Log]:
        kept = []
        for log in logs:
            key = (log.customer_id, log.proxy_user_id, log.log_network)
            limit = change.memory.before.get(("limit", *key))
            total = spent.get(key, 0) + log.log_total_bytes
            over = limit is not None and total > limit
            if not (over and change.applies(of_event(log, change.memory))):
                kept.append(log)
                spent[key] = total
        return kept

    return {"counted": counted, "charged": counted, **_note_limits(change, _behaviour)}


def _note_limits(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
    def noting(earlier: Callable[[sqlite3.Connection, int, str], None]) -> Any:
        def note(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
            earlier(connection, customer_id, user)
            limits = connection.execute(
                "SELECT proxy_user_residential_bytes_limit, proxy_user_mobile_bytes_limit "
                "FROM proxy_user WHERE customer_id = ? AND proxy_user_id = ?",
                (customer_id, user),
            ).fetchone()
            for pool, limit in zip(POOLS, limits or (), strict=False):
                change.memory.before["limit", customer_id, user, pool] = limit

        return note

    return {"on_create": noting(behaviour.on_create), "on_edit": noting(behaviour.on_edit)}


POINTS: Final = (
    *(
        MutationPoint(
            id=f"payment.{name}",
            what=f"The {name} of a payment's ledger row",
            operators=operators,
            conditions=_PAYMENT,
            install=_payment_field(name),
            depth=depth,
        )
        for name, operators, depth in (
            ("bytes", BYTES, 8),
            ("day", DAY, 5),
            ("network", _OTHER_POOL, 4),
            ("reason", _REASON, 4),
        )
    ),
    MutationPoint(
        id="payment.row",
        what="The ledger row of a payment",
        operators=_OMITTED,
        conditions=_PAYMENT,
        install=_payment_row,
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
        operators=(
            Operator(name="stops", phrase="stops at the limit", change=lambda value, _: value),
        ),
        conditions=conditions("network=residential", "network=mobile", "customer", "after"),
        install=_limited,
        depth=4,
    ),
)
"""Every point of accounts."""
