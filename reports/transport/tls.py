"""TLS contexts of all clients: certificates are always verified."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TypeVar

from trueup.reports.transport.credentials import TlsFiles

__all__ = ["client_context", "load_files"]

_Context = TypeVar("_Context", bound=ssl.SSLContext)


@lru_cache(maxsize=8)
def client_context(files: TlsFiles, protocol: str = "http/1.1") -> ssl.SSLContext:
    """Return the context for connections to a target; made once for the same files.

    `protocol` is announced (ALPN); empty: none.
    Without files the machine's authorities are trusted, and what `SSL_CERT_FILE` names; an
    authority of one's own is trusted besides. Raises OSError (`ssl.SSLError` is one) for a file
    that cannot be used.
    """
    context = load_files(ssl.create_default_context(), files)
    if protocol:
        context.set_alpn_protocols([protocol])
    return context


def load_files(context: _Context, files: TlsFiles) -> _Context:
    """Have a context use certificates of one's own, and return it. Raises OSError."""
    if files.authority:
        context.load_verify_locations(files.authority)
    if files.certificate:
        context.load_cert_chain(files.certificate, files.key or None, password=_no_password)
    return context


def _no_password() -> str:
    """Return no password: OpenSSL would ask for one on the terminal, and wait."""
    return ""
