"""From value classes to an event: the values of each class of a row of the event table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from trueup.conformance.datasets.covering import Row
from trueup.conformance.model import CheckContext, Event
from trueup.reports.results import Json

__all__ = ["LATER_USER", "EventBuilder", "exact_time", "host_name", "user_name"]

_SIZES: Final[Mapping[str, int]] = {
    "0": 0,
    "1": 1,
    "999": 999,
    "1000": 1000,
    "1023": 1023,
    "1024": 1024,
    "2^31-1": 2**31 - 1,
    "2^31": 2**31,
    "2^31+1": 2**31 + 1,
    "2^32": 2**32,
    "2^53-1": 2**53 - 1,
    "2^53": 2**53,
    "2^53+1": 2**53 + 1,
}
_DISTINCT_MOST: Final = 24
"""Events of a cell after which the sizes 4^k begin anew."""

_OUTCOMES: Final[Mapping[str, tuple[tuple[int | None, str | None], ...]]] = {
    "success": ((200, None), (206, None), (200, None), (201, None)),
    "no-content": ((204, None),),
    "redirect": tuple((status, None) for status in (301, 302, 304, 307, 308)),
    "client-error": tuple(
        (status, None) for status in (404, 403, 429, 407, 400, 410, 499, 405, 418, 451)
    ),
    "server-error": tuple((status, None) for status in (502, 500, 503, 504, 520, 599)),
    "error-code": tuple(
        (None, name)
        for name in ("connection_timeout", "connection_refused", "dns_error", "dns_timeout")
    ),
    "both": ((200, "connection_terminated"), (200, "http_response_timeout")),
    "neither": ((None, None),),
}
"""Class → (status, error code) of its events in turn; error codes are names of RFC 9209."""

_TEXTS: Final = (
    "service_id",
    "proxy_id",
    "log_session_id",
    "log_method",
    "log_protocol_version",
)
_NUMBERS: Final = (
    "log_local_port",
    "log_total_elapsed_ms",
    "log_handshake_elapsed_ms",
    "log_tunnel_elapsed_ms",
    "log_concurrency",
)
_FLAGS: Final = ("log_is_tls_enabled", "log_smartpath_enabled", "log_smartpath_routed")
_OTHERS: Final = ("log_transport", "log_local_ip_address", "log_egress_ip_address")
_KINDS: Final = ("set", "false", "zero", "set", "absent")
"""What optional fields of events are that no covering array decides, in turn."""
_PLACES: Final = (
    ("us", "cupertino", 1299),
    ("us", "dallas", 7018),
    ("fr", "paris", 3215),
    ("fr", "lyon", 3215),
    ("de", "berlin", 3320),
    ("gb", "london", 2856),
    ("br", "sao_paulo", 28573),
    ("us", "paris", 65_551),
    ("jp", "osaka", 4_200_000_001),
)
"""Country, city and network of a client: a city in two countries, an ASN of more than 31 bits."""
_METHODS: Final = ("GET", "POST", "CONNECT", "PUT", "HEAD", "PATCH", "OPTIONS")
_PORTS: Final = (1, 32_768, 65_535)
_DURATIONS: Final = (32_768, 65_536, 86_400_001)
"""Milliseconds beyond 15 and 16 bits, and a little more than a day."""
_SESSION_TEXTS: Final = (
    "a session of more than 40 characters, in words",
    """it's "quoted" \\ 50%_off""",
    "s\u00e9ance-\U0001f6f0",
)
LATER_USER: Final = "u-later"
"""The proxy user of the small deliveries that later stages make."""
_SESSIONS: Final = 5
_SERVICES: Final = 3


def exact_time(at: datetime) -> str:
    """Return a time as events contain it: `YYYY-MM-DD HH:MM:SS`, and a fraction if it has one."""
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    if not at.microsecond:
        return text
    return f"{text}.{at.microsecond:06d}".rstrip("0")


def user_name(context: CheckContext, user: str) -> str:
    """Return the proxy user of a class of users; the same name in both customers."""
    if user == "deleted-longer":
        return f"{user_name(context, 'deleted')}-longer"
    return context.user(f"u-{user}")


def host_name(context: CheckContext, hostname: str) -> str:
    """Return the hostname of a class; below one domain of the run, except for addresses."""
    base = f"shop.{context.prefix}.conformance.test"
    match hostname:
        case "upper-case":
            return base.upper()
        case "trailing-dot":
            return f"{base}."
        case "subdomain":
            return f"www.{base}"
        case "prefixed":
            return f"x{base}"
        case "parent":
            return base.partition(".")[2]
        case "port":
            return f"{base}:8443"
        case "ipv4":
            return "192.0.2.7"
        case "ipv6":
            return "2001:db8::7"
        case "ipv6-brackets":
            return "[2001:db8::8]"
        case "punycode":
            return f"xn--bcher-kva.{base}"
        case "unicode":
            return f"bücher.{base}"
        case "label-63":
            return f"{'l' * 63}.{base}"
        case "name-253":
            return _longest(base)
        case "percent":
            return f"50%.{base}"
        case "underscore":
            return f"under_score.{base}"
        case "underscore-like":
            return f"underXscore.{base}"
        case "dot-like":
            return base.replace(".", "x", 1)
        case "single-label":
            return f"intranet-{context.prefix}"
        case _:
            return base


def _longest(base: str) -> str:
    tail = f".{'b' * 60}.{'c' * 60}.{base}"
    room = 253 - len(tail)
    return f"{'a' * min(room, 60)}{tail}" if room <= 60 else f"{'a' * 60}.{_fill(room - 61)}{tail}"


def _fill(length: int) -> str:
    return "d" * length


class EventBuilder:
    """Makes the events of one dataset; numbers them, so that ids are a function of the prefix."""

    def __init__(self, context: CheckContext, dataset: str, tenant: str) -> None:
        self._context = context
        self._dataset = dataset
        self._tenant = tenant
        self._made = 0
        self._outcomes: Counter[str] = Counter()
        self._cells: Counter[tuple[str, str, str, str]] = Counter()

    def event(self, *, user: str, at: datetime, **fields: Json) -> Event:
        """Return a plain successful event of a proxy user, unless `fields` say otherwise."""
        n = self._made
        self._made += 1
        country, city, asn = _PLACES[n % len(_PLACES)]
        made: Event = {
            "log_id": str(
                uuid5(NAMESPACE_URL, f"{self._context.prefix}/{self._tenant}/{self._dataset}/{n}")
            ),
            "customer_id": self._context.customers[self._tenant],
            "proxy_user_id": user,
            "log_network": "isp",
            "log_protocol": "http",
            "log_hostname": host_name(self._context, "plain"),
            "log_client_ip_address": f"198.51.100.{n % 254 + 1}",
            "log_total_bytes": 0,
            "log_request_datetime": exact_time(at),
            "log_authentication_type": 1,
            "country_id": country,
            "city_alias": city,
            "asn_id": asn,
            "log_status_code": 200,
        }
        made |= fields
        if "log_total_bytes" not in fields:
            made["log_total_bytes"] = self.distinct(made)
        return made

    def second(self, event: Event, at: datetime) -> Event:
        """Return another event of the same summary, plain and of a size of its own."""
        same = {name: event[name] for name in ("log_network", "log_hostname")}
        return self.event(user=str(event["proxy_user_id"]), at=at, **same)

    def distinct(self, event: Event) -> int:
        """Return 4^k for the k-th event of a summary's key; other sizes for the other customer."""
        key = tuple(
            str(event[name])
            for name in ("proxy_user_id", "log_network", "log_hostname", "log_request_datetime")
        )
        cell = (key[0], key[1], key[2].casefold().removesuffix("."), key[3][:10])
        k = self._cells[cell]
        self._cells[cell] += 1
        return int(4 ** (k % _DISTINCT_MOST)) * (1 if self._tenant == "a" else 3)

    def varied(self, *, user: str, at: datetime, **fields: Json) -> Event:
        """Return an event whose other fields take the values of their classes in turn.

        For deliveries that are not rows of the covering array: what is wrong with a field only at
        a later stage shows in these.
        """
        n = self._made
        status, error = self._outcome(list(_OUTCOMES)[n % len(_OUTCOMES)])
        others: dict[str, Json] = {
            "log_protocol": ("http", "socks")[n % 2],
            "log_authentication_type": 1 + n % 3,
            "log_status_code": status,
            **_optional(_KINDS[n % len(_KINDS)], n, self._context.prefix),
        }
        if error is not None:
            others["log_error_code"] = error
        return self.event(user=user, at=at, **(others | fields))

    def _outcome(self, name: str) -> tuple[int | None, str | None]:
        """Return the next status and error code of a class of outcomes."""
        choices = _OUTCOMES[name]
        self._outcomes[name] += 1
        return choices[(self._outcomes[name] - 1) % len(choices)]

    def of_row(self, row: Row, at: datetime) -> Event:
        """Return the event of a row of the covering array, at a time."""
        n = self._made
        status, error = self._outcome(row["outcome"])
        fields: dict[str, Json] = {
            "log_network": row["network"],
            "log_protocol": row["protocol"],
            "log_authentication_type": int(row["authentication"]),
            "log_hostname": host_name(self._context, row["hostname"]),
            "log_client_ip_address": (
                f"2001:db8::{n % 4096 + 1:x}"
                if row["client"] == "ipv6"
                else f"198.51.100.{n % 254 + 1}"
            ),
            "log_status_code": status,
            **_optional(row["optional"], n, self._context.prefix),
        }
        if error is not None or row["optional"] == "null":
            fields["log_error_code"] = error
        if row["bytes"] in _SIZES:
            fields["log_total_bytes"] = _SIZES[row["bytes"]]
        user = user_name(self._context, row["user"])
        if row["user"] == "one-customer":
            user = f"{user}-{self._tenant}"
        return self.event(user=user, at=at, **fields)


def _optional(kind: str, n: int, prefix: str) -> Mapping[str, Json]:
    """The optional fields of the n-th event."""
    match kind:
        case "null":
            return dict.fromkeys((*_TEXTS, *_NUMBERS, *_FLAGS, *_OTHERS))
        case "set":
            return _set(n, prefix) | dict.fromkeys(_FLAGS, True)
        case "zero":
            return dict.fromkeys(_NUMBERS, 0) | dict.fromkeys(_TEXTS, "")
        case "false":
            return _set(n, prefix) | dict.fromkeys(_FLAGS, False)
        case _:
            return {}


def _set(n: int, prefix: str) -> dict[str, Json]:
    """Optional fields with values that differ from event to event, and repeat; some at an edge."""
    edge = n % 7 if n % 7 < len(_PORTS) else None
    return {
        "service_id": f"{prefix}-service-{n % _SERVICES}",
        "proxy_id": f"proxy-{n % 11}",
        "log_session_id": f"Session_{n % _SESSIONS}" if edge is None else _SESSION_TEXTS[edge],
        "log_method": _METHODS[n % len(_METHODS)],
        "log_protocol_version": ("1.1", "2", "5")[n % 3],
        "log_transport": ("tcp", "udp", "quic")[n % 3],
        "log_local_ip_address": f"203.0.113.{n % 250 + 1}",
        "log_local_port": 20_000 + n % 9_973 if edge is None else _PORTS[edge],
        "log_egress_ip_address": f"192.0.2.{n % 250 + 1}",
        "log_total_elapsed_ms": 900 + 37 * n % 1_009 if edge is None else _DURATIONS[edge],
        "log_handshake_elapsed_ms": 11 + n % 83,
        "log_tunnel_elapsed_ms": 800 + n % 97,
        "log_concurrency": 1 + n % 17,
    }


def users_of(context: CheckContext, tenant: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the proxy users of the given classes of one customer."""
    return tuple(
        f"{user_name(context, name)}-{tenant}"
        if name == "one-customer"
        else user_name(context, name)
        for name in names
    )
