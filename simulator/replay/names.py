"""Names of a log and what stands for them: each value has a code, and the same code throughout.

Replaced names are numbers in order of appearance: the same in every reading of a log, and nothing
of the name is in them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final, Self

from trueup.reports.results import Json

__all__ = ["Names", "is_address"]

NO_USER: Final = "anonymous"
NO_HOST: Final = "unknown.example"
NO_CLIENT: Final = "192.0.2.1"
_NETWORK_4: Final = int(ipaddress.IPv4Address("10.0.0.0"))
_NETWORK_6: Final = int(ipaddress.IPv6Address("2001:db8::"))


def is_address(text: str) -> bool:
    """Return whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Names:
    """The distinct users, hosts, client addresses, methods and error codes of a log."""

    def __init__(self, *, keep: bool) -> None:
        """`keep` keeps names and addresses as they are."""
        self.keep = keep
        self.users: dict[tuple[str, str], int] = {}
        """(customer, user) → code."""
        self.customers: dict[str, int] = {}
        self.hosts: dict[str, int] = {}
        self.clients: dict[str, int] = {}
        self.words: dict[str, int] = {}
        """Methods and error codes, which name no person."""

    def user(self, customer: str, user: str) -> int:
        """Return the code of a user of a customer."""
        self.customers.setdefault(customer, len(self.customers))
        return self.users.setdefault((customer, user), len(self.users))

    def host(self, name: str) -> int:
        """Return the code of a hostname or address."""
        return self.hosts.setdefault(name, len(self.hosts))

    def client(self, name: str) -> int:
        """Return the code of a client's address."""
        return self.clients.setdefault(name, len(self.clients))

    def word(self, text: str) -> int:
        """Return the code of a method or an error code."""
        return self.words.setdefault(text, len(self.words))

    def to_json(self) -> dict[str, Json]:
        """Return what stands for each code, as the events show it, without a name that is not
        kept.
        """
        return {
            "keep": self.keep,
            "users": [self._user(code, user) for code, (_, user) in enumerate(self.users)],
            "customer_of": [self.customers[customer] for customer, _ in self.users],
            "hosts": [self._host(code, name) for code, name in enumerate(self.hosts)],
            "clients": [self._client(code, name) for code, name in enumerate(self.clients)],
            "words": list(self.words),
        }

    def _user(self, code: int, user: str) -> str:
        if not self.keep:
            return f"user-{code + 1}"
        return user or NO_USER

    def _host(self, code: int, name: str) -> str:
        if not name:
            return NO_HOST
        if self.keep:
            return name
        return _address(code, name) if is_address(name) else f"host-{code + 1}.example"

    def _client(self, code: int, name: str) -> str:
        if not name:
            return NO_CLIENT
        return name if self.keep and is_address(name) else _address(code, name)


def _address(code: int, name: str) -> str:
    """Return an address of a private or documentation network: the code's, of the same version."""
    if ":" in name:
        return str(ipaddress.IPv6Address(_NETWORK_6 + code + 1))
    return str(ipaddress.IPv4Address(_NETWORK_4 + (code + 1) % (1 << 24)))


class ShownNames:
    """What stands for each code, read back."""

    def __init__(self, found: Mapping[str, list[str]], customer_of: list[int], keep: bool) -> None:
        self.users, self.hosts = found["users"], found["hosts"]
        self.clients, self.words = found["clients"], found["words"]
        self.customer_of = customer_of
        self.keep = keep

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        """Return the names of `Names.to_json`."""
        lists = {name: _texts(content[name]) for name in ("users", "hosts", "clients", "words")}
        customers = content["customer_of"]
        assert isinstance(customers, list)
        return cls(lists, [int(str(each)) for each in customers], content["keep"] is True)


def _texts(value: Json) -> list[str]:
    assert isinstance(value, list)
    return [str(each) for each in value]
