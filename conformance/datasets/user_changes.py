"""Changes of proxy users, class by class: created, edited, limited, deleted, created again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from trueup.conformance.datasets.event_values import user_name
from trueup.conformance.datasets.operations import ChangeUser
from trueup.conformance.model import CheckContext
from trueup.conformance.requests import ApiRequest, proxy_user
from trueup.reports.results import Json

__all__ = [
    "CHANGES",
    "CLAIM",
    "CREATED",
    "LIMIT",
    "create_users",
    "delete_users",
    "edit_again",
    "edit_users",
    "foreign_changes",
    "later_user_changes",
    "re_create_users",
]

CLAIM: Final = "proxy-user-edit"
CREATED: Final = (
    *("created", "edited", "limited", "access-list"),
    *("deleted", "deleted-longer", "re-created"),
)
"""Classes of users that are created over the API before their first event."""
CHANGES: Final[Mapping[str, tuple[str, ...]]] = {
    "create": CREATED,
    "edit": ("edited", "limited"),
    "delete": ("deleted", "re-created"),
}
"""Change → classes of users that are changed so."""
LIMIT: Final = 1_000
"""Bytes that the limited user may use of each pool; its events use more."""
ROOMY: Final = 2**60
"""A limit that no proxy user reaches."""
IDLE: Final = "u-settings"
"""A proxy user without traffic, so that any limit may be set: also to zero."""


def create_users(
    context: CheckContext, tenant: str, names: tuple[str, ...]
) -> tuple[ChangeUser, ...]:
    """Return changes that create the users of the given classes with their settings."""
    settings = {
        user_name(context, name): _settings(context, tenant, name)
        for name in names
        if name in CREATED
    }
    return _created(context, tenant, {**settings, context.user(IDLE): _all_set(context, tenant)})


def _created(
    context: CheckContext, tenant: str, users: Mapping[str, Mapping[str, Json]]
) -> tuple[ChangeUser, ...]:
    """Changes that create users with their settings; none without the claim. `users`: by name."""
    if CLAIM not in context.claims:
        return ()
    return tuple(
        _change(
            "proxy_user/create",
            "POST",
            tenant,
            {"proxy_user_id": user, "proxy_user_password": f"pw-{context.prefix}", **settings},
        )
        for user, settings in users.items()
    )


def _all_set(context: CheckContext, tenant: str) -> Mapping[str, Json]:
    """Every setting with a value other than its default."""
    return {
        "proxy_user_residential_bytes_limit": 1,
        "proxy_user_mobile_bytes_limit": 2**31,
        "proxy_user_is_strict_security": True,
        "proxy_user_enforce_https": True,
        "proxy_user_metadata": {"share": 0.25, "words": '\u00e9 "q" ' + 290 * "w", "for": tenant},
        "ip_address_authentications": _addresses(context, f"{tenant}/{IDLE}"),
    }


def _settings(context: CheckContext, tenant: str, name: str) -> Mapping[str, Json]:
    metadata: Json = {"note": name, "count": 0, "kept": False, "for": tenant}
    match name:
        case "limited":
            return {
                "proxy_user_metadata": metadata,
                "proxy_user_residential_bytes_limit": LIMIT,
                "proxy_user_mobile_bytes_limit": LIMIT,
            }
        case "access-list":
            return {
                "proxy_user_metadata": metadata,
                "ip_address_authentications": _addresses(context, tenant),
                "proxy_user_is_strict_security": True,
            }
        case "edited":
            return {
                "proxy_user_residential_bytes_limit": ROOMY,
                "proxy_user_mobile_bytes_limit": ROOMY + 1,
                "proxy_user_is_strict_security": True,
            }
        case _:
            return {"proxy_user_metadata": metadata}


def _addresses(context: CheckContext, tenant: str) -> list[Json]:
    """Three addresses that no other run uses: an address belongs to one proxy user at a time."""
    digest = sha256(f"{context.prefix}/{tenant}".encode()).digest()
    return [f"10.{digest[n]}.{digest[n + 1]}.{digest[n + 2] % 250 + 1}" for n in (0, 3, 6)]


def edit_users(
    context: CheckContext, tenant: str, names: tuple[str, ...]
) -> tuple[ChangeUser, ...]:
    """Return changes of users: metadata for the edited, one limit less for the limited."""
    pool = "mobile" if tenant == "a" else "residential"
    empty: dict[str, Json] = {
        "proxy_user_residential_bytes_limit": 0,
        "proxy_user_mobile_bytes_limit": 0,
        "proxy_user_is_strict_security": False,
        "proxy_user_enforce_https": False,
        "proxy_user_metadata": {},
        "ip_address_authentications": _addresses(context, f"{tenant}/{IDLE}")[1:2],
    }
    return _edits(
        context,
        tenant,
        names,
        [
            ("edited", {"proxy_user_metadata": {"note": "conformance", "edited": True}}),
            ("limited", {f"proxy_user_{pool}_bytes_limit": None}),
            (IDLE, empty),
        ],
    )


def edit_again(
    context: CheckContext, tenant: str, names: tuple[str, ...]
) -> tuple[ChangeUser, ...]:
    """Return changes of settings that were set before, to other values and to none.

    The type of access is changed by itself: a target may refuse it without a list of proxies.
    """
    full: dict[str, Json] = {
        "proxy_user_residential_bytes_limit": None,
        "proxy_user_mobile_bytes_limit": 2**53,
        "proxy_user_password": f"pw-{context.prefix}-2",
        "ip_address_authentications": [],
    }
    return _edits(
        context,
        tenant,
        names,
        [
            ("edited", {"proxy_user_residential_bytes_limit": 2 * ROOMY}),
            ("access-list", {"proxy_user_is_strict_security": False}),
            ("created", {"proxy_user_metadata": {"note": "later"}}),
            (IDLE, full),
            (IDLE, {"proxy_user_access_type": "proxy_restricted"}),
        ],
    )


def foreign_changes(
    context: CheckContext,
) -> tuple[tuple[ChangeUser, ...], tuple[ApiRequest, ...]]:
    """Return changes that each customer tries on a user that only the other one has.

    With them the requests that show the users as their owners made them.
    """
    if CLAIM not in context.claims or len(context.customers) < 2:
        return (), ()
    changes: list[ChangeUser] = []
    reads: list[ApiRequest] = []
    tenants = list(context.customers)
    for owner, other in zip(tenants, reversed(tenants), strict=True):
        user = context.user(f"u-own-{owner}")
        body: dict[str, Json] = {"proxy_user_id": user, "proxy_user_metadata": {"of": owner}}
        foreign: dict[str, Json] = {"proxy_user_metadata": {"of": other}}
        changes += [
            _change("proxy_user/create", "POST", owner, body),
            _change(f"proxy_user/edit/{user}", "PATCH", other, foreign),
            _change(f"proxy_user/delete/{user}", "DELETE", other, None),
        ]
        reads.append(proxy_user(user, owner))
    return tuple(changes), tuple(reads)


def later_user_changes(
    context: CheckContext, names: tuple[str, ...], turn: int
) -> tuple[tuple[ChangeUser, ...], tuple[ApiRequest, ...]]:
    """Return changes of a later stage, and requests for the users that they leave.

    Every setting of the edited user changes, a user is created, and the one that an earlier
    stage has created is deleted.
    """
    if CLAIM not in context.claims:
        return (), ()
    edited: dict[str, Json] = {
        "proxy_user_residential_bytes_limit": ROOMY + 2 * turn,
        "proxy_user_mobile_bytes_limit": ROOMY + 3 * turn,
        "proxy_user_is_strict_security": turn % 2 == 0,
        "proxy_user_metadata": {"note": "edited", "turn": turn},
        "proxy_user_enforce_https": turn % 2 == 1,
        "proxy_user_password": f"pw-{context.prefix}-{turn}",
    }
    changes: list[ChangeUser] = []
    reads: list[ApiRequest] = []
    for tenant in context.customers:
        new, former = (context.user(f"u-made-{number}") for number in (turn, turn - 1))
        body: dict[str, Json] = {"proxy_user_id": new, "proxy_user_password": f"pw-{new}"}
        changes += _edits(context, tenant, names, [("edited", edited)])
        changes.append(_change("proxy_user/create", "POST", tenant, body))
        if turn:
            changes.append(_change(f"proxy_user/delete/{former}", "DELETE", tenant, None))
        reads += [proxy_user(user, tenant) for user in (user_name(context, "edited"), new)]
    return tuple(changes), tuple(reads)


def _edits(
    context: CheckContext,
    tenant: str,
    names: tuple[str, ...],
    bodies: Sequence[tuple[str, dict[str, Json]]],
) -> tuple[ChangeUser, ...]:
    if CLAIM not in context.claims:
        return ()
    own = {name: user_name(context, name) for name in names} | {IDLE: context.user(IDLE)}
    return tuple(
        _change(f"proxy_user/edit/{own[name]}", "PATCH", tenant, body)
        for name, body in bodies
        if name in own
    )


def delete_users(
    context: CheckContext, tenant: str, names: tuple[str, ...]
) -> tuple[ChangeUser, ...]:
    """Return changes that delete the users of the classes that are deleted."""
    if CLAIM not in context.claims:
        return ()
    return tuple(
        _change(f"proxy_user/delete/{user_name(context, name)}", "DELETE", tenant, None)
        for name in CHANGES["delete"]
        if name in names
    )


def re_create_users(
    context: CheckContext, tenant: str, names: tuple[str, ...]
) -> tuple[ChangeUser, ...]:
    """Return changes that create deleted users again, under the same names."""
    again = [name for name in names if name == "re-created"]
    return _created(
        context,
        tenant,
        {user_name(context, name): _settings(context, tenant, name) for name in again},
    )


def _change(path: str, method: str, tenant: str, body: dict[str, Json] | None) -> ChangeUser:
    return ChangeUser(request=ApiRequest(path=path, method=method, tenant=tenant, body=body))
