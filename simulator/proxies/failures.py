"""How a proxy says that a request failed: error name → HTTP status and SOCKS reply. A table.

Names are those of RFC 9209. SOCKS has few replies, so several names share one; the log of the
request has the name.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["FAILURES", "FailureReply", "RequestFailed"]


class FailureReply(NamedTuple):
    """What a client is sent where a request fails before anything was relayed."""

    status: int
    """Of the HTTP response, unless the failure states another."""
    socks_reply: int
    """RFC 1928, section 6."""


_GENERAL, _NOT_ALLOWED, _HOST_UNREACHABLE, _REFUSED, _EXPIRED = 1, 2, 4, 5, 6

FAILURES: Final[dict[str, FailureReply]] = {
    "http_request_error": FailureReply(400, _GENERAL),
    "http_request_denied": FailureReply(403, _NOT_ALLOWED),
    "destination_ip_prohibited": FailureReply(403, _NOT_ALLOWED),
    "connection_limit_reached": FailureReply(429, _GENERAL),
    "proxy_internal_error": FailureReply(500, _GENERAL),
    "connection_refused": FailureReply(502, _REFUSED),
    "connection_terminated": FailureReply(502, _GENERAL),
    "dns_error": FailureReply(502, _HOST_UNREACHABLE),
    "http_response_incomplete": FailureReply(502, _GENERAL),
    "http_protocol_error": FailureReply(502, _GENERAL),
    "destination_unavailable": FailureReply(503, _HOST_UNREACHABLE),
    "connection_timeout": FailureReply(504, _EXPIRED),
    "dns_timeout": FailureReply(504, _HOST_UNREACHABLE),
    "http_response_timeout": FailureReply(504, _EXPIRED),
}


class RequestFailed(Exception):
    """A request fails before anything was relayed; the text is for the client."""

    def __init__(
        self, error: str, detail: str, *, status: int | None = None, socks_reply: int | None = None
    ) -> None:
        super().__init__(detail)
        reply = FAILURES[error]
        self.error = error
        self.detail = detail
        self.status = reply.status if status is None else status
        self.socks_reply = reply.socks_reply if socks_reply is None else socks_reply
