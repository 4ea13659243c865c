"""Who may use which proxy, and what a user name says besides: targeting and sessions. Pure.

Nothing here knows HTTP or SOCKS: both give a user name, a password and the client's address.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from trueup.simulator.proxies.failures import RequestFailed

__all__ = [
    "NO_MEMBERSHIP",
    "NO_TARGETING",
    "Authentication",
    "FleetUser",
    "Identified",
    "Membership",
    "Targeting",
    "UserDirectory",
    "UserNameSyntax",
]

TTL_MINUTES_MAX: Final = 1440
_VALUE_MAX: Final = 64
_UNAUTHORIZED: Final = 407
_KEYS: Final = ("country", "city", "session", "ttl")
_TEMPLATE: Final = re.compile(
    r"(?P<before>[^A-Za-z0-9{}])(?P<word>[A-Za-z0-9]+)(?P<between>[^A-Za-z0-9{}])\{(?P<key>\w+)\}"
)
_CREDENTIALS_MAX: Final = 512
"""Longest user name, or password, in characters."""


class Authentication(IntEnum):
    """How a user proves who they are; the codes of the fleet's events."""

    PASSWORD = 1
    ADDRESS = 2
    BOTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A user on one network: the fleet's sender."""

    sender: int
    service_id: str
    authentication: Authentication
    smartpath: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetUser:
    """A user of a customer's proxies."""

    customer_id: int
    name: str
    password: str = field(repr=False)
    addresses: tuple[str, ...]
    """Client addresses that are this user's alone."""
    memberships: Mapping[str, Membership]
    """Network → what the user is there."""


class Targeting(NamedTuple):
    """What a user name asks of a gateway."""

    country: str = ""
    city: str = ""
    session: str = ""
    ttl_s: int = 0
    """Lifetime of the session; 0: the user's own."""


NO_TARGETING: Final = Targeting()
NO_MEMBERSHIP: Final = Membership(sender=0, service_id="", authentication=Authentication.PASSWORD)
"""What a user is on a network without a service of theirs: refused."""


class Identified(NamedTuple):
    """Who sent a request."""

    user: FleetUser
    membership: Membership
    targeting: Targeting


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNameSyntax:
    """How a user name holds targeting: `USER-country-us-session-a1-ttl-10`.

    No syntax is documented for this API; vendors differ in the words and the separator.
    """

    separator: str = "-"
    keys: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {"country": "country", "city": "city", "session": "session", "ttl": "ttl"}
        )
    )
    """Word in the user name → `country`, `city`, `session` or `ttl` (minutes)."""

    @classmethod
    def from_template(cls, template: str) -> UserNameSyntax:
        """Return the syntax of `{user}-country-{country}-session-{session}` and the like.

        Raises ValueError for a template that does not begin with the user, has no or several
        separators, or names what does not exist.
        """
        user, found, rest = template.partition("{user}")
        parts = list(_TEMPLATE.finditer(rest))
        separators = {mark for part in parts for mark in (part["before"], part["between"])}
        if user or not found or "".join(part[0] for part in parts) != rest or len(separators) > 1:
            raise ValueError(
                "write {user}, then for each of " + ", ".join(_KEYS) + " that can be chosen a "
                "separator, a word, the separator and {name}: {user}-country-{country}"
            )
        named = [part["key"] for part in parts]
        if unknown := sorted(set(named) - set(_KEYS)):
            raise ValueError(f"{{{unknown[0]}}} is none of {', '.join(_KEYS)}")
        words = {part["word"]: part["key"] for part in parts}
        if len(words) < len(parts) or len(set(named)) < len(parts):
            raise ValueError("each word and each name can occur once")
        return cls(separator=next(iter(separators), "-"), keys=MappingProxyType(words))

    @property
    def template(self) -> str:
        """Return the syntax as a template."""
        mark = self.separator
        return "{user}" + "".join(f"{mark}{word}{mark}{{{key}}}" for word, key in self.keys.items())

    def read(self, text: str) -> Targeting:
        """Return the targeting of what follows the user's own name.

        A value may contain the separator, and words that occurred before: `city-new-york-city`.
        Raises RequestFailed with what is allowed.
        """
        values: dict[str, list[str]] = {}
        current: list[str] | None = None
        for part in text.split(self.separator):
            key = self.keys.get(part)
            if key is not None and key not in values and (current is None or current):
                current = values[key] = []
            elif current is None:
                raise _malformed(f"{part[:40]!r} is none of {', '.join(self.keys)}")
            else:
                current.append(part)
        joined = {key: self.separator.join(parts) for key, parts in values.items()}
        for key, value in joined.items():
            if not value or len(value) > _VALUE_MAX or not value.isascii():
                raise _malformed(f"{key} needs a value of 1 to {_VALUE_MAX} ASCII characters")
        if "ttl" in joined and "session" not in joined:
            raise _malformed("a lifetime needs a session")
        return Targeting(
            country=joined.get("country", "").lower(),
            city=joined.get("city", "").lower(),
            session=joined.get("session", ""),
            ttl_s=_ttl_s(joined["ttl"]) if "ttl" in joined else 0,
        )


def _ttl_s(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= TTL_MINUTES_MAX:
        raise _malformed(f"a lifetime is 1 to {TTL_MINUTES_MAX} minutes, not {text!r}")
    return 60 * int(text)


def _malformed(text: str) -> RequestFailed:
    return RequestFailed("http_request_error", f"user name: {text}")


def _denied(text: str, status: int = _UNAUTHORIZED) -> RequestFailed:
    return RequestFailed("http_request_denied", text, status=status)


class UserDirectory:
    """All users of the proxies, by name and by address."""

    def __init__(self, users: Iterable[FleetUser], syntax: UserNameSyntax) -> None:
        self.users = tuple(users)
        self.syntax = syntax
        self._by_name = {user.name: user for user in self.users}
        self._by_address = {address: user for user in self.users for address in user.addresses}

    def find(self, name: str | None, address: str) -> tuple[FleetUser | None, str]:
        """Return the user whom a request names, or whose address it comes from, and what follows
        the user's own name; None where there is none.
        """
        if not name:
            return self._by_address.get(address), ""
        if len(name) > _CREDENTIALS_MAX:
            return None, ""
        separator = self.syntax.separator
        end = len(name)
        while end > 0:
            user = self._by_name.get(name[:end])
            if user is not None:
                return user, name[end + len(separator) :]
            end = name.rfind(separator, 0, end)
        return None, ""

    def may_go_without_password(self, network: str, address: str) -> bool:
        """Return whether a client at this address needs no credentials on a network."""
        user = self._by_address.get(address)
        membership = user.memberships.get(network) if user else None
        return membership is not None and membership.authentication is Authentication.ADDRESS

    def admit(
        self,
        user: FleetUser,
        rest: str,
        *,
        network: str,
        customer_id: int | None,
        named: bool,
        password: str | None,
        address: str,
    ) -> Identified:
        """Return who sent a request, if they may use a proxy.

        `customer_id` is the owner of a static proxy; None for a gateway. `rest` follows the user's
        own name, `named` says that there was a name. Raises RequestFailed: 407 where credentials
        are missing or wrong, 403 where they are right and this proxy or address is not for them.
        """
        membership = user.memberships.get(network)
        kind = membership.authentication if membership else Authentication.PASSWORD
        if kind is not Authentication.ADDRESS and not (
            named
            and password is not None
            and len(password) <= _CREDENTIALS_MAX
            and hmac.compare_digest(password.encode(), user.password.encode())
        ):
            raise _denied("the user name or the password is missing or wrong")
        if kind is not Authentication.PASSWORD and address not in user.addresses:
            raise _denied(f"this user may not connect from {address}", 403)
        if membership is None:
            raise _denied(f"this user has no service on {network}", 403)
        if customer_id is not None and customer_id != user.customer_id:
            raise _denied("this proxy belongs to another customer", 403)
        targeting = self.syntax.read(rest) if rest else NO_TARGETING
        if customer_id is not None and targeting != NO_TARGETING:
            raise _malformed(f"{network} proxies have fixed addresses: no targeting")
        return Identified(user, membership, targeting)
