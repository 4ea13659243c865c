"""Parse and validate events: one line of NDJSON gives a log or the reason of a refusal. Pure.

The keys are those of the API's log object (docs/architecture.md, "The event"). Unknown keys
are ignored. Events are normalised at ingestion, so that all views agree: the hostname is folded to
lower case and loses one trailing dot.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from trueup.reference.times import DAY_US, MINUTE_US, from_datetime

__all__ = ["FUTURE_LIMIT_US", "LOG_DAYS", "Log", "Refusal", "admit", "fold_hostname", "read_line"]

LOG_DAYS: Final = 7
"""How long a log lives, in days of 24 hours, and how late an event may arrive."""
FUTURE_LIMIT_US: Final = 5 * MINUTE_US
"""How far an event may lie ahead of our clock, in microseconds."""

_UUID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"
_Name = Annotated[str, Meta(min_length=1, max_length=255)]
_Text = Annotated[str, Meta(max_length=255)]
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Log(msgspec.Struct, kw_only=True, gc=False):
    """One proxied request; its fields are in the order of the store's columns."""

    log_request_datetime: Annotated[datetime, Meta(tz=False)]
    log_id: Annotated[str, Meta(pattern=_UUID)]
    customer_id: _Whole
    proxy_user_id: _Name
    log_network: Literal["datacenter", "isp", "residential", "mobile"]
    log_protocol: Literal["http", "socks"]
    log_hostname: Annotated[str, Meta(min_length=1, max_length=253)]
    log_client_ip_address: str
    log_total_bytes: _Count
    log_authentication_type: _Whole
    country_id: _Text
    city_alias: _Text
    asn_id: _Whole
    log_status_code: Annotated[int, Meta(ge=0, le=999)] | None = None
    log_error_code: _Text | None = None
    service_id: _Text | None = None
    proxy_id: _Text | None = None
    log_session_id: _Text | None = None
    log_method: _Text | None = None
    log_protocol_version: _Text | None = None
    log_transport: Literal["tcp", "udp", "quic"] | None = None
    log_local_ip_address: str | None = None
    log_local_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    log_egress_ip_address: str | None = None
    log_total_elapsed_ms: _Count | None = None
    log_handshake_elapsed_ms: _Count | None = None
    log_tunnel_elapsed_ms: _Count | None = None
    log_concurrency: _Count | None = None
    log_is_tls_enabled: bool | None = None
    log_smartpath_enabled: bool | None = None
    log_smartpath_routed: bool | None = None

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


@lru_cache(maxsize=65536)
def _is_ip_address(text: str) -> bool:
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
    if not _is_ip_address(log.log_client_ip_address):
        raise Refusal("Expected an IPv4 or IPv6 address - at `$.log_client_ip_address`")
    for name in ("log_local_ip_address", "log_egress_ip_address"):
        address = getattr(log, name)
        if address is not None and not _is_ip_address(address):
            raise Refusal(f"Expected an IPv4 or IPv6 address or null - at `$.{name}`")
    log.log_hostname = fold(log.log_hostname)
    return log


def admit(at_us: int, now_us: int) -> str | None:
    """Return None where an event of this age is accepted, else the reason of its refusal."""
    if at_us < now_us - LOG_DAYS * DAY_US:
        return f"older than {LOG_DAYS} days - at `$.log_request_datetime`"
    if at_us > now_us + FUTURE_LIMIT_US:
        return "more than 5 minutes in the future - at `$.log_request_datetime`"
    return None
