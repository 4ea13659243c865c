"""What the origin knows of a connection and of its requests. Values only."""

from __future__ import annotations

import msgspec

__all__ = ["OriginConnection", "OriginRequest"]


class OriginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the origin received it."""

    method: str
    target: str
    host: str
    status: int | None
    """None where nothing that is HTTP was sent."""
    request_body_bytes: int
    response_body_bytes: int
    """Bytes of the body that were sent; framing is not counted."""
    complete: bool
    """Whether request and response were complete, as HTTP understands it."""


class OriginConnection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection, when it has ended. Bytes are those of TCP: with TLS, of its records."""

    number: int
    """From 1, in the order of acceptance."""
    peer: str
    """Address and port of the other end."""
    port: int
    """Port of the origin."""
    tls: bool
    server_name: str | None
    """Name that a TLS client asked for."""
    received_bytes: int
    sent_bytes: int
    elapsed_ms: int
    ended_by: str
    """`client`, `origin`, `client reset`, `origin reset`, `timeout`, `error` or `stopped`."""
    requests: tuple[OriginRequest, ...]
    """The first requests; `request_count` counts all."""
    request_count: int
