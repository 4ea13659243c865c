"""Parse and validate events: one line of NDJSON gives a log or the reason of a refusal. Pure.

The keys are those of the API's log object (docs/architecture.md, "The event"). Unknown keys
are ignored. Events are normalised at ingestion, so that all views agree: the hostname is folded to
lower case and loses one trailing dot. A body whose lines are all acceptable is decoded in one pass
(`read_lines`), several times as fast as line by line (`read_line`), which also says why a line is
refused.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from trueup.reference.times import DAY_US, MINUTE_US, from_datetime

__all__ = [
    "FUTURE_LIMIT_US",
    "LOG_DAYS",
    "Log",
    "Refusal",
    "admit",
    "fold_hostname",
    "read_line",
    "read_lines",
]

LOG_DAYS: Final = 7
"""How long a log lives, in days of 24 hours, and how late an event may arrive."""
FUTURE_LIMIT_US: Final = 5 * MINUTE_US
"""How far an event may lie ahead of our clock, in microseconds."""

_UUID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID: Final = re.compile(_UUID_PATTERN)
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789abcdef", b"0" * 15)
_ZERO_LINE: Final = b"00000000-0000-0000-0000-000000000000\n"
_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Text = Annotated[str, Meta(max_length=255)]
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Log(msgspec.Struct, kw_only=True, gc=False):
    """One proxied request; its fields are in the order in which senders usually write them, in
    which decoding is fastest.
    """

    # Not checked by the decoder, but by `read_line`, and for a whole body at once by `read_lines`.
    log_id: Annotated[str, Meta(extra_json_schema={"pattern": f"^{_UUID_PATTERN}$"})]
    log_request_datetime: Annotated[datetime, Meta(tz=False)]
    customer_id: _Whole
    proxy_user_id: _Name
    service_id: _Text | None = None
    log_network: Literal["datacenter", "isp", "residential", "mobile"]
    log_client_ip_address: str
    log_authentication_type: _Whole
    log_smartpath_enabled: bool | None = None
    log_smartpath_routed: bool | None = None
    log_protocol: Literal["http", "socks"]
    log_protocol_version: _Text | None = None
    log_transport: Literal["tcp", "udp", "quic"] | None = None
    log_method: _Text | None = None
    log_is_tls_enabled: bool | None = None
    log_status_code: Annotated[int, Meta(ge=0, le=999)] | None = None
    log_error_code: _Text | None = None
    log_local_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    log_hostname: Annotated[str, Meta(min_length=1, max_length=253)]
    proxy_id: _Text | None = None
    log_local_ip_address: str | None = None
    country_id: _Text
    city_alias: _Text
    asn_id: _Whole
    log_egress_ip_address: str | None = None
    log_session_id: _Text | None = None
    log_total_bytes: _Count
    log_total_elapsed_ms: _Count | None = None
    log_handshake_elapsed_ms: _Count | None = None
    log_tunnel_elapsed_ms: _Count | None = None
    log_concurrency: _Count | None = None

    @property
    def at_us(self) -> int:
        """Time of the request: microseconds since the epoch, UTC."""
        return from_datetime(self.log_request_datetime)

    @property
    def successful(self) -> bool:
        """Whether it has no error code, and no status or one below 400 (see docs/reference.md)."""
        return self.log_error_code is None and (self.log_status_code or 0) < 400


class Refusal(Exception):
    """Why one line was refused; the text is for the sender."""


_DECODER: Final = msgspec.json.Decoder(Log)


_OPENED, _CLOSED = b"{}"
_ADDRESS_LIMIT: Final = 1 << 17
_addresses: set[str] = set()
"""Texts that are known to be addresses, at most _ADDRESS_LIMIT."""


def _is_ip_address(text: str) -> bool:
    if text in _addresses:
        return True
    if not _parses(text):
        return False
    if len(_addresses) >= _ADDRESS_LIMIT:
        _addresses.clear()
    _addresses.add(text)
    return True


def _parses(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def fold_hostname(hostname: str) -> str:
    """Return the hostname in lower case, without one trailing dot; a lone dot is kept."""
    folded = hostname.lower()
    return folded[:-1] if folded.endswith(".") and len(folded) > 1 else folded


def read_line(line: bytes, fold: Callable[[str], str] = fold_hostname) -> Log:
    """Return the log of one line. Raises Refusal with the field and what was expected."""
    try:
        log = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        raise Refusal(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"not a JSON object: {error}") from None
    except RecursionError:
        raise Refusal("nested too deeply to be an event") from None
    if not _UUID.fullmatch(log.log_id):
        raise Refusal("Expected a UUID in lower case - at `$.log_id`")
    if not _is_ip_address(log.log_client_ip_address):
        raise Refusal("Expected an IPv4 or IPv6 address - at `$.log_client_ip_address`")
    for name in ("log_local_ip_address", "log_egress_ip_address"):
        address = getattr(log, name)
        if address is not None and not _is_ip_address(address):
            raise Refusal(f"Expected an IPv4 or IPv6 address or null - at `$.{name}`")
    log.log_hostname = fold(log.log_hostname)
    return log


_log_id = attrgetter("log_id")
_client, _local, _egress = (
    attrgetter(f"log_{name}_ip_address") for name in ("client", "local", "egress")
)


def _are_uuids(ids: list[str]) -> bool:
    """Whether each is a UUID in lower case: with every digit made a zero, all look the same."""
    text = "\n".join(ids) + "\n"
    return text.isascii() and text.encode().translate(_DIGITS_TO_ZERO) == _ZERO_LINE * len(ids)


def read_lines(body: bytes, fold: Callable[[str], str] = fold_hostname) -> list[Log] | None:
    """Return the log of each line, or None where `read_line` has to look at every line.

    None is returned for a body with a line that is refused or blank, or that does not begin and
    end with a brace. The result is what `read_line` returns for each line.
    """
    text = body.removesuffix(b"\n")
    lines = text.split(b"\n")
    # The decoder takes any white space between objects. A text of JSON has no raw line break, so
    # that braces around every line break, and as many objects as lines, mean one object a line.
    if not all(line and line[0] == _OPENED and line[-1] == _CLOSED for line in lines):
        return None
    try:
        logs = _DECODER.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(logs) != len(lines) or not _are_uuids(list(map(_log_id, logs))):
        return None
    addresses = {*map(_client, logs), *map(_local, logs), *map(_egress, logs)}
    addresses.discard(None)
    if not all(map(_is_ip_address, addresses - _addresses)):
        return None
    for log in logs:
        log.log_hostname = fold(log.log_hostname)
    return logs


def admit(at_us: int, now_us: int) -> str | None:
    """Return None where an event of this age is accepted, else the reason of its refusal."""
    if at_us < now_us - LOG_DAYS * DAY_US:
        return f"older than {LOG_DAYS} days - at `$.log_request_datetime`"
    if at_us > now_us + FUTURE_LIMIT_US:
        return "more than 5 minutes in the future - at `$.log_request_datetime`"
    return None
