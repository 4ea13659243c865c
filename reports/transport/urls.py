"""Parts of URLs and requests as they are written: hosts, authorities, request targets. Pure."""

from __future__ import annotations

from urllib.parse import SplitResult

__all__ = ["bracketed", "host_port", "request_target"]


def bracketed(host: str) -> str:
    """Return a host as URLs write it: an IPv6 address in brackets, any other as it is."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """Return a host and a port as `HOST:PORT`, or `[HOST]:PORT` for an IPv6 address."""
    return f"{bracketed(host)}:{port}"


def request_target(url: SplitResult) -> str:
    """Return the path and the query of a URL as a request line has them (origin form)."""
    path = url.path or "/"
    return f"{path}?{url.query}" if url.query else path
