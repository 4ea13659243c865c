"""Faulty and correct-but-different accountings of proxies: what they report of a request. Pure.

The fleet's proxies are as they are; what they report of each request is replaced here.
The register says which law must detect a fault; nothing here is known to the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

from trueup.conformance.rows import format_time, parse_time
from trueup.reports.results import Json
from trueup.simulator.proxies.life import RequestState
from trueup.simulator.proxies.usage import (
    ByteCounts,
    Protocol,
    ProxiedRequest,
    new_id,
)
from trueup.simulator.sockets import CountedSocket

__all__ = ["ACCOUNTINGS", "Accounting", "Earlier", "Report", "as_it_is"]

Event: TypeAlias = dict[str, Json]


@dataclass(slots=True, kw_only=True)
class Earlier:
    """What an accounting remembers of earlier requests."""

    seen: int = 0
    first: dict[CountedSocket, Event] = field(default_factory=dict)
    """Connection → the event of its first request."""
    alike: set[tuple[Json, ...]] = field(default_factory=set)
    """User, hostname and size of earlier requests."""
    users: list[tuple[Json, Json]] = field(default_factory=list)
    """Customer and user of earlier requests, each once."""


Report: TypeAlias = Callable[[ProxiedRequest, Event, Earlier], list[Event]]
"""Returns the events that are reported of a request that has ended; `Event` is the right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """One way to count and report."""

    id: str
    what: str
    report: Report


def as_it_is(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    """Return the event alone, unchanged."""
    return [event]


def _size(count: Callable[[ByteCounts, int], int]) -> Report:
    """Return the report with another size, made of the counts and of the right size."""

    def report(request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
        right = event["log_total_bytes"]
        assert isinstance(right, int)
        return [event | {"log_total_bytes": count(request.counts(), right)}]

    return report


def _values(**values: Json) -> Report:
    """Return the report with other values of some fields."""
    return lambda _request, event, _memory: [event | values]


def _swapped(field_name: str, values: Mapping[str, str]) -> Report:
    """Return the report with the values of a field replaced, where a table has them."""

    def report(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
        value = event[field_name]
        return [event | {field_name: values.get(str(value), value)}]

    return report


def _only_for(which: Callable[[ProxiedRequest], bool], then: Report) -> Report:
    """Return the report that differs for some requests alone."""

    def report(request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
        return then(request, event, memory) if which(request) else [event]

    return report


def _nothing(_request: ProxiedRequest, _event: Event, _memory: Earlier) -> list[Event]:
    return []


def _is(protocol: Protocol) -> Callable[[ProxiedRequest], bool]:
    return lambda request: request.protocol is protocol


def _is_aborted(request: ProxiedRequest) -> bool:
    return request.state is RequestState.ABORTED


def _is_refused(request: ProxiedRequest) -> bool:
    return request.status == _REFUSED


def _is_failed(request: ProxiedRequest) -> bool:
    return request.error is not None and not request.counts().origin_down


def _is_cut(request: ProxiedRequest) -> bool:
    return request.error is not None and request.counts().origin_down > 0


def _is_empty(request: ProxiedRequest) -> bool:
    counts = request.counts()
    return counts.up + counts.down == 0


def _first_of_connection(*names: str) -> Report:
    """Return the report in which later requests of a connection have fields of its first one."""

    def report(request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
        first = memory.first.setdefault(request.client, event)
        return [event | {name: first[name] for name in names}]

    return report


def _first_only(request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
    first = memory.first.setdefault(request.client, event)
    return [event] if first is event else []


def _one_in(number: int, then: Report) -> Report:
    """Return the report that differs for one request in so many."""

    def report(request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
        memory.seen += 1
        return then(request, event, memory) if memory.seen % number == 0 else [event]

    return report


def _twice(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    return [event, event | {"log_id": new_id()}]


def _once_alike(_request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
    key = (event["proxy_user_id"], event["log_hostname"], event["log_total_bytes"])
    if key in memory.alike:
        return []
    memory.alike.add(key)
    return [event]


def _other_user(_request: ProxiedRequest, event: Event, memory: Earlier) -> list[Event]:
    """Attribute the request to the user before, of the same customer."""
    own = (event["customer_id"], event["proxy_user_id"])
    if own not in memory.users:
        memory.users.append(own)
    others = [user for user in memory.users if user[0] == own[0] and user != own]
    return [event | ({"proxy_user_id": others[-1][1]} if others else {})]


def _without_first_label(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    host = str(event["log_hostname"])
    return [event | {"log_hostname": host.partition(".")[2] or host}]


def _upper(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    return [event | {"log_hostname": str(event["log_hostname"]).upper()}]


def _later(by: timedelta) -> Report:
    def report(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
        at = parse_time(event["log_request_datetime"])
        assert at is not None
        return [event | {"log_request_datetime": format_time(at + by)}]

    return report


def _address_of_proxy(request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    return [event | {"log_client_ip_address": request.local[0]}]


def _status_of_tunnels(request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    tunnel = request.protocol is Protocol.CONNECT and request.error is None
    return [event | ({"log_status_code": None} if tunnel else {})]


def _status_without_error(_request: ProxiedRequest, event: Event, _memory: Earlier) -> list[Event]:
    known = event["log_status_code"] is not None
    return [event | ({"log_error_code": None} if known else {})]


_REFUSED: Final = 407
_DOWN: Final = _size(lambda counts, right: counts.down)

_ROWS: Final = (
    # bytes
    ("P1", "Counts what the client received, and nothing that it sent.", _DOWN),
    ("P2", "Counts what the client sent, and nothing that it received.",
     _size(lambda counts, right: counts.up)),
    ("P3", "Counts only what the client received of CONNECT tunnels.",
     _only_for(_is(Protocol.CONNECT), _DOWN)),
    ("P4", "Counts only what the client received by SOCKS.",
     _only_for(_is(Protocol.SOCKS), _DOWN)),
    ("P5", "Leaves 200 bytes of heads out of each forwarded request.",
     _only_for(_is(Protocol.PLAIN), _size(lambda counts, right: max(0, right - 200)))),
    ("P6", "Counts the handshake of CONNECT, and not that of SOCKS.",
     _only_for(_is(Protocol.CONNECT), _size(
         lambda counts, right: right + counts.handshake_up + counts.handshake_down))),
    ("P7", "Counts handshakes twice.",
     _size(lambda counts, right: right + 2 * (counts.handshake_up + counts.handshake_down))),
    ("P8", "Rounds each request up to whole KiB.",
     _size(lambda counts, right: -(-right // 1024) * 1024)),
    ("P9", "Cuts each request to whole thousands of bytes.",
     _size(lambda counts, right: right // 1000 * 1000)),
    ("P10", "Counts at least 1,024 bytes a request.",
     _size(lambda counts, right: max(right, 1024))),
    ("P11", "Counts no more than 65,535 bytes of a request.",
     _size(lambda counts, right: min(right, 65_535))),
    ("P12", "Counts both sides of the proxy, so that everything counts twice.",
     _size(lambda counts, right: right + counts.origin_up + counts.origin_down)),
    ("P13", "Counts a tunnel when it is opened, and never what it transfers.",
     _only_for(lambda request: request.protocol is not Protocol.PLAIN,
               _size(lambda counts, right: 0))),
    ("P14", "Counts the whole response of a request that the client aborted.",
     _only_for(_is_aborted, _size(lambda counts, right: counts.up + 2_000_000))),
    ("P15", "Counts nothing of a request that the client aborted.",
     _only_for(_is_aborted, _size(lambda counts, right: 0))),
    ("P16", "Counts 1,000 bytes for a request with wrong credentials.",
     _only_for(_is_refused, _size(lambda counts, right: 1000))),
    ("P17", "Counts bits and calls them bytes.", _size(lambda counts, right: 8 * right)),
    # which requests are logged
    ("P18", "Logs no request that the client aborted.", _only_for(_is_aborted, _nothing)),
    ("P19", "Logs no request whose destination cannot be reached.",
     _only_for(_is_failed, _nothing)),
    ("P20", "Logs no request that the origin cut.", _only_for(_is_cut, _nothing)),
    ("P21", "Logs no request without bytes.", _only_for(_is_empty, _nothing)),
    ("P22", "Logs no request by SOCKS.", _only_for(_is(Protocol.SOCKS), _nothing)),
    ("P23", "Logs the first request of a connection, and none after it.", _first_only),
    ("P24", "Takes requests of one user, host and size for repetitions, and logs one.",
     _once_alike),
    ("P25", "Loses one report in ten.", _one_in(10, _nothing)),
    ("P26", "Reports one request in ten again, with another id.", _one_in(10, _twice)),
    ("P40", "Logs no request to an IPv6 address.",
     _only_for(lambda request: ":" in str(request.destination and request.destination.host),
               _nothing)),
    # whose they are, and what they say
    ("P27", "Attributes all requests of a connection to the user of its first one.",
     _first_of_connection("proxy_user_id")),
    ("P28", "Attributes requests to the user before.", _other_user),
    ("P29", "Logs all requests of a connection with the hostname of its first one.",
     _first_of_connection("log_hostname")),
    ("P30", "Logs residential requests as isp.",
     _swapped("log_network", {"residential": "isp"})),
    ("P31", "Logs mobile requests as residential.",
     _swapped("log_network", {"mobile": "residential"})),
    ("P32", "Logs SOCKS as HTTP.", _values(log_protocol="http")),
    ("P33", "Cuts the first label off hostnames.", _without_first_label),
    ("P34", "Logs the proxy's own address as the client's.", _address_of_proxy),
    ("P35", "Logs times two hours late: local time.", _later(timedelta(hours=-2))),
    ("P36", "Logs every request with status 200 and no error.",
     _values(log_status_code=200, log_error_code=None)),
    ("P37", "Logs failed requests with neither status nor error.",
     _values(log_status_code=None, log_error_code=None)),
    ("P38", "Logs one session for all requests of a user.", _values(log_session_id="s1")),
    ("P39", "Logs all requests as those of a proxy in another country.",
     _values(country_id="aq")),
    # correct
    ("Q1", "Counts the handshake too, of every request.",
     _size(lambda counts, right: right + counts.handshake_up + counts.handshake_down)),
    ("Q2", "Counts what the client received alone, and declares it.", _DOWN),
    ("Q3", "Counts on the origin's side.",
     _size(lambda counts, right: counts.origin_up + counts.origin_down)),
    ("Q4", "Speaks no SOCKS.", as_it_is),
    ("Q5", "Logs no request with wrong credentials.", _only_for(_is_refused, _nothing)),
    ("Q6", "Cuts sizes to whole tens of bytes, and declares it.",
     _size(lambda counts, right: right // 10 * 10)),
    ("Q7", "Logs no status of a tunnel that was opened.", _status_of_tunnels),
    ("Q8", "Logs hostnames in upper case.", _upper),
    ("Q9", "Logs no sessions.", _values(log_session_id=None)),
    ("Q10", "Counts the response of its own to a request that it cannot forward.",
     _only_for(_is_failed, _only_for(
         lambda request: not _is_refused(request),
         _size(lambda counts, right: right + counts.handshake_down)))),
    ("Q11", "Counts all that the origin sent to a client that had gone.",
     _only_for(_is_aborted, _size(lambda counts, right: counts.up + counts.origin_down))),
    ("Q12", "Logs a status, and no name of an error beside it.", _status_without_error),
    ("Q13", "Reports a second later, within its declared freshness.", as_it_is),
)  # fmt: skip

ACCOUNTINGS: Final[Mapping[str, Accounting]] = MappingProxyType(
    {id_: Accounting(id=id_, what=what, report=report) for id_, what, report in _ROWS}
)
"""Id → accounting: `P…` are faults, `Q…` are correct."""
