"""Build a record from the texts of a line, whichever format they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trueup.simulator.access_logs.record import SIZE_MAX, AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.times import TimeReader

__all__ = [
    "ABSENT",
    "as_size",
    "as_status",
    "bare_host",
    "build_record",
    "host_of",
    "host_of_request",
    "milliseconds",
    "plain",
    "without_port",
]

ABSENT: Final = frozenset(("", "-", "(empty)", "NOSRV", "<NOSRV>", "unknown"))
"""Texts by which logs say that there is no value."""
_HOST_MAX: Final = 253
_NAME_MAX: Final = 255


def plain(text: str | None) -> str:
    """Return a text, empty where the log says that there is none."""
    return "" if text is None or text in ABSENT else text[:_NAME_MAX]


def as_size(texts: Iterable[object], what: str = "bytes") -> int | None:
    """Return the sum of byte counts; None if all are absent. Raises BadLine.

    `-` is how web servers write that no byte was sent.
    """
    total: int | None = None
    for value in texts:
        if value is None or value == "":
            continue
        try:
            number = 0 if value == "-" else int(str(value).lstrip("+"))
        except ValueError:
            raise BadLine(f"{what}: expected a whole number, not {shorten(value)}") from None
        if not 0 <= number <= SIZE_MAX:
            raise BadLine(f"{what}: expected 0 … 2^63-1, not {shorten(value)}")
        total = number if total is None else total + number
    if total is not None and total > SIZE_MAX:
        raise BadLine(f"{what}: more than 2^63-1")
    return total


def as_status(text: object) -> int | None:
    """Return an HTTP status; None for none, and for the 0 and -1 that proxies write. Raises
    BadLine.
    """
    if text is None or text in ("", "-"):
        return None
    try:
        status = int(str(text))
    except ValueError:
        raise BadLine(f"status: expected a whole number, not {shorten(text)}") from None
    if status in (0, -1):
        return None
    if not 0 < status <= 999:
        raise BadLine(f"status: expected 0 … 999, not {shorten(status)}")
    return status


def milliseconds(text: object, factor: float = 1.0) -> int | None:
    """Return a duration in whole milliseconds; None where there is none, or a negative one."""
    if text is None or text in ABSENT:
        return None
    try:
        value = float(str(text).lstrip("+")) * factor
    except ValueError:
        return None
    return round(value) if 0 <= value < 2**53 else None


def without_port(text: str) -> str:
    """Return a host or address without its port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    head, colon, tail = text.rpartition(":")
    return head if colon and tail.isdigit() and ":" not in head else text


def bare_host(text: str) -> str:
    """Return a host as records have it: lower case, without its port and brackets."""
    return without_port(text).lower()[:_HOST_MAX]


def host_of(url: str) -> str:
    """Return the host of a URL or of a CONNECT's `host:port`; empty for a path and for none."""
    if url in ABSENT or url.startswith(("/", "*", "error:")):
        return ""
    rest = url.partition("://")[2] or url
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return bare_host(authority)


def host_of_request(request: str) -> tuple[str, str]:
    """Return (method, host) of a request line; both empty for what is none."""
    method, _, rest = request.partition(" ")
    if not rest or not method.isupper():
        return "", ""
    return method, host_of(rest.partition(" ")[0])


def build_record(
    texts: Mapping[str, str | None], times: TimeReader, time_form: str = ""
) -> AccessRecord:
    """Return the record of a line's parts. Raises BadLine.

    The names are those of the groups of `templates`: `time`, `bytes…` (added up), `url`,
    `request`, `host`, `user`, `client`, `method`, `status`, `ms`, `seconds`, `us`, `error`.
    `time_form` is that of a time which is written as `strftime` does.
    """
    get = texts.get
    time = get("time")
    if time is None:
        raise BadLine("no time")
    subsecond = get("subsecond")
    method, host = get("method") or "", get("host") or ""
    request = get("request")
    if request:
        asked, found = host_of_request(request)
        method, host = method or asked, host if host not in ABSENT else found
    url = get("url")
    if url and host in ABSENT:
        host = host_of(url)
    duration = milliseconds(get("ms"))
    if duration is None:
        duration = milliseconds(get("seconds"), 1000.0)
    if duration is None:
        duration = milliseconds(get("us"), 0.001)
    client = plain(get("client"))
    return AccessRecord(
        time_us=times.read_form(time, time_form)
        if time_form
        else times.read(f"{time}.{subsecond}" if subsecond and time.isdigit() else time),
        size=as_size(value for name, value in texts.items() if name.startswith("bytes")),
        host=bare_host(plain(host)),
        user=plain(get("user")),
        client=without_port(client) if client else "",
        method=plain(method),
        status=as_status(get("status")),
        duration_ms=duration,
        error=plain(get("error")),
        protocol=get("protocol") or "http",
    )
