"""Which redirects are followed: those to the same scheme, host and port. Pure.

No request goes to a host that the target file does not name, whatever a response says. A redirect
that is not followed gives a message that names where it leads.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.urls import host_port

__all__ = ["REDIRECT_STATUSES", "Redirect", "origin_of", "redirect_of"]

REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD: Final = frozenset({307, 308})
_PORTS: Final = {"http": 80, "https": 443}


class Redirect(NamedTuple):
    """What follows from a redirect: a URL to request next, or why there is none."""

    url: str
    """Where to send the same request; empty if it is not followed."""
    refusal: str
    """Why it is not followed; empty if it is."""


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL. Raises ValueError for one that has none."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{foreign_text(url)}: expected an http:// or https:// URL with a host")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def redirect_of(url: str, status: int | None, method: str, location: str | None) -> Redirect | None:
    """Return what follows from a response to `method` on `url`, or None if it redirects nowhere.

    A redirect is followed with the same method and body, so a 301, 302 or 303 only for GET.
    """
    if status not in REDIRECT_STATUSES or location is None:
        return None
    try:
        there = urljoin(url, location.strip()).partition("#")[0]
        origin = origin_of(there)
    except ValueError:
        return Redirect("", f"redirected to {foreign_text(location)}, which is no URL to follow")
    if not (there.isascii() and there.isprintable()) or " " in there:
        return Redirect("", f"redirected to {foreign_text(location)}, which is no URL to follow")
    if origin != origin_of(url):
        scheme, host, port = origin
        where = foreign_text(f"{scheme}://{host_port(host, port)}")
        return Redirect(
            "",
            f"redirected to {where}, which the target file "
            "does not name; only redirects to the same scheme, host and port are followed",
        )
    if status not in _SAME_METHOD and method not in ("GET", "HEAD"):
        return Redirect(
            "",
            f"redirected with status {status}, which does not keep the method {method}; "
            "307 and 308 are followed",
        )
    return Redirect(there, "")
