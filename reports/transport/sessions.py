"""HTTP as every client speaks it: sessions without cookies, and heads and bodies up to a limit."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from trueup.reports.transport.credentials import TlsFiles
from trueup.reports.transport.limits import HEAD_MOST
from trueup.reports.transport.tls import client_context

__all__ = ["http_session", "start_of_body"]


def http_session(
    tls: TlsFiles,
    timeout_s: float,
    *,
    headers: Mapping[str, str] | None = None,
    connections: int = 0,
    unix_socket: str = "",
) -> aiohttp.ClientSession:
    """Return a new session, which the caller closes; call it where an event loop runs.

    `timeout_s` bounds each request, seconds. `headers` go with every request. `connections` are
    open at most at once; 0: no limit. `unix_socket` is connected to instead of the URL's host.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        headers=headers,
        connector=aiohttp.UnixConnector(unix_socket, limit=connections)
        if unix_socket
        else aiohttp.TCPConnector(limit=connections, ssl=client_context(tls)),
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=HEAD_MOST,
        max_field_size=HEAD_MOST,
    )


async def start_of_body(content: aiohttp.StreamReader, most: int) -> bytes:
    """Return the first `most` bytes of a body, or all of a shorter one; the rest is not read."""
    parts, length = [], 0
    while length < most and (part := await content.read(most - length)):
        parts.append(part)
        length += len(part)
    return b"".join(parts)
