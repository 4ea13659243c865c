"""The account endpoints: customer, data pools, proxy users and the catalogue of products."""

from __future__ import annotations

import socket
import sqlite3
from typing import Any, Final

import msgspec

from trueup.reference.api.context import Answer, Call, json_body, parameters, whole_number
from trueup.reference.errors import ApiProblem
from trueup.reference.ids import new_password
from trueup.reference.networks import POOLS
from trueup.reference.store.accounts import pool_figures, pool_users, used_bytes

__all__ = [
    "catalogue",
    "create_user",
    "delete_user",
    "edit_user",
    "retrieve_customer",
    "summarise_pool",
]

_USER_FIELDS: Final[dict[str, str]] = {
    "proxy_user_password": "text",
    "proxy_user_access_type": "access",
    "proxy_user_is_strict_security": "flag",
    "proxy_user_enforce_https": "flag",
    "ip_address_authentications": "addresses",
    "proxy_user_metadata": "metadata",
    "proxy_user_residential_bytes_limit": "limit",
    "proxy_user_mobile_bytes_limit": "limit",
}
"""What may be set on a proxy user, and how its value is checked."""
_NOT_KEPT: Final = frozenset({"clear_proxy_user_acl", "restricted_service_ids"})
"""Accepted and without effect here: this server keeps no access lists."""


async def retrieve_customer(call: Call) -> Answer:
    """Return the customer with the figures of both pools."""
    parameters(call.request, (), ignore=call.behaviour.ignore_unknown)
    tenant = next(
        tenant for tenant in call.context.store.tenants if tenant.customer_id == call.customer_id
    )

    def job(connection: sqlite3.Connection) -> dict[str, Any]:
        services = dict(
            connection.execute(
                "SELECT service_type, service_id FROM service WHERE customer_id = ?",
                (call.customer_id,),
            ).fetchall()
        )
        proxies = connection.execute(
            "SELECT SUM(service_quantity) FROM service WHERE customer_id = ? "
            "AND service_type IN ('datacenter', 'isp')",
            (call.customer_id,),
        ).fetchone()[0]
        account: dict[str, Any] = {
            "customer_id": tenant.customer_id,
            "customer_email_address": f"{tenant.name}@example.com",
            "customer_first_name": "Tenant",
            "customer_last_name": tenant.name.removeprefix("tenant-").upper(),
            "credit_balance": 0,
            "customer_proxy_user_limit": 1_000_000,
            "proxy_count": proxies,
        }
        for pool in POOLS:
            figures = call.behaviour.figures(
                "customer", call.customer_id, _figures(connection, call, pool)
            )
            account[f"{pool}_bytes_left"] = figures[f"{pool}_bytes_left"]
            account[f"active_{pool}_service_id"] = services.get(pool)
        return account

    account = await call.read(job, view="customer.retrieve")
    shown = call.behaviour.present("customer", "retrieve", account)
    return 200, {"data": shown, "message": "Customer successfully retrieved."}


def _figures(connection: sqlite3.Connection, call: Call, pool: str) -> dict[str, int]:
    figures = pool_figures(connection, call.customer_id, pool)
    return {f"{pool}_{name}": value for name, value in figures.items()}


async def summarise_pool(call: Call, pool: str) -> Answer:
    """Return what a pool was credited with, what was used and what is left, from its ledger."""
    parameters(call.request, (), ignore=call.behaviour.ignore_unknown)

    def job(connection: sqlite3.Connection) -> tuple[dict[str, int], list[str]]:
        return _figures(connection, call, pool), pool_users(connection, call.customer_id)

    figures, users = await call.read(job, view=f"{pool}.summary")
    data = {**call.behaviour.figures("summary", call.customer_id, figures), "proxy_user_ids": users}
    order = ("bytes", "bytes_used", "bytes_left", "requests")
    shown = {f"{pool}_{name}": data.pop(f"{pool}_{name}") for name in order} | data
    return 200, {
        "data": call.behaviour.present(f"{pool}_summary", "retrieve", shown),
        "message": f"{pool.title()} summary successfully generated.",
    }


async def create_user(call: Call) -> Answer:
    """Create a proxy user; id and password are random if absent. Raises ApiProblem (400, 409)."""
    body = await json_body(call)
    user_id = body.pop("proxy_user_id", None)
    if user_id is None:
        user_id = f"user-{new_password()}"
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 255:
        raise ApiProblem(400, "proxy_user_id must be a string of 1 to 255 characters.")
    values = {"proxy_user_password": new_password(), **_user_values(body)}
    stored = call.behaviour.settings("create", call.customer_id, values)
    now_us = call.context.clock.now_us()

    def job(connection: sqlite3.Connection) -> None:
        columns = {
            "customer_id": call.customer_id,
            "proxy_user_id": user_id,
            "proxy_user_creation_datetime": now_us,
            "proxy_user_last_update_datetime": now_us,
            **stored,
        }
        taken = connection.execute(
            f"INSERT OR IGNORE INTO proxy_user ({', '.join(columns)}) "  # noqa: S608 - our names
            f"VALUES ({', '.join('?' * len(columns))})",
            tuple(columns.values()),
        ).rowcount
        if not taken:
            raise ApiProblem(409, f"A proxy user named {user_id} exists already.")
        call.behaviour.on_create(connection, call.customer_id, user_id)

    await call.context.write(job)
    made = {"proxy_user_id": user_id, "proxy_user_password": values["proxy_user_password"]}
    return 201, {
        "created": [user_id],
        "data": made,
        "message": "Proxy User successfully created.",
    }


async def edit_user(call: Call) -> Answer:
    """Change the given fields and leave the others. Raises ApiProblem (400, 404, 422)."""
    user_id = call.request.match_info["id"]
    values = _user_values(await json_body(call))
    stored = {
        **call.behaviour.settings("edit", call.customer_id, values),
        "proxy_user_last_update_datetime": call.context.clock.now_us(),
    }

    def job(connection: sqlite3.Connection) -> None:
        used = used_bytes(connection, call.customer_id, user_id)
        for pool in POOLS:
            limit = values.get(f"proxy_user_{pool}_bytes_limit")
            if limit is not None and limit < used[pool]:
                raise ApiProblem(422, f"The {pool} limit is below the {used[pool]} bytes in use.")
        changed = connection.execute(
            f"UPDATE proxy_user SET {', '.join(f'{name} = ?' for name in stored)} "  # noqa: S608
            "WHERE customer_id = ? AND proxy_user_id = ?",
            (*stored.values(), call.customer_id, user_id),
        ).rowcount
        if not changed:
            raise ApiProblem(404, "The requested proxy user could not be found.")
        call.behaviour.on_edit(connection, call.customer_id, user_id)

    await call.context.write(job)
    return 200, {"edited": [user_id], "message": "Proxy User successfully edited."}


async def delete_user(call: Call) -> Answer:
    """Mark a proxy user as deleted; its history is kept. Raises ApiProblem (404)."""
    user_id = call.request.match_info["id"]
    now_us = call.context.clock.now_us()

    def job(connection: sqlite3.Connection) -> None:
        changed = connection.execute(
            "UPDATE proxy_user SET proxy_user_is_deleted = 1, "
            "proxy_user_last_update_datetime = ? WHERE customer_id = ? AND proxy_user_id = ? "
            "AND NOT proxy_user_is_deleted",
            (now_us, call.customer_id, user_id),
        ).rowcount
        if not changed:
            raise ApiProblem(404, "The requested proxy user could not be found.")
        call.behaviour.on_delete(connection, call.customer_id, user_id)

    await call.context.write(job)
    return 200, {"deleted": [user_id], "message": "Proxy User successfully deleted."}


def _user_values(body: dict[str, Any]) -> dict[str, Any]:
    """Columns to set. Raises ApiProblem (400) naming the field."""
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in _NOT_KEPT:
            continue
        if name not in _USER_FIELDS:
            raise ApiProblem(400, f"Unknown field {name}; expected {', '.join(_USER_FIELDS)}.")
        values[name] = _checked(name, _USER_FIELDS[name], value)
    return values


def _checked(name: str, form: str, value: Any) -> Any:
    match form, value:
        case "text", str() if 8 <= len(value) <= 32:
            return value
        case "flag", bool():
            return value
        case "access", "all" | "service_restricted" | "proxy_restricted":
            return value
        case "limit", None:
            return None
        case "limit", _ if (limit := whole_number(value)) is not None and 0 <= limit < 2**63:
            return limit
        case "metadata", dict() if _is_metadata(value):
            return msgspec.json.encode(value).decode()
        case "addresses", list() if len(value) <= 3 and all(map(_is_address, value)):
            return msgspec.json.encode(value).decode()
        case _:
            raise ApiProblem(400, f"{name} must be {_EXPECTED[form]}.")


_EXPECTED: Final = {
    "text": "a string of 8 to 32 characters",
    "flag": "true or false",
    "access": "all, service_restricted or proxy_restricted",
    "limit": "an integer of 0 or more, or null",
    "metadata": "a flat object of at most 30 keys with values of at most 300 characters",
    "addresses": "a list of at most 3 IP addresses",
}


def _is_metadata(value: dict[str, Any]) -> bool:
    plain = all(isinstance(item, str | int | float | bool) for item in value.values())
    return plain and len(value) <= 30 and all(len(str(item)) <= 300 for item in value.values())


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, value)
        except (OSError, ValueError):
            continue
        return True
    return False


async def catalogue(call: Call) -> Answer:
    """Return what can be bought, by product code."""
    parameters(call.request, (), ignore=call.behaviour.ignore_unknown)
    data = {
        f"{pool}_global": {
            "country_id": None,
            "product_cycle_options": ["1:month"],
            "product_is_available": True,
            "product_is_per_ip": False,
            "product_name": f"{pool.title()} Proxies (Global)",
            "product_protocol": None,
            "product_stock": None,
            "product_type": pool,
        }
        for pool in POOLS
    }
    return 200, {"data": data, "message": "Checkout catalog successfully retrieved."}
