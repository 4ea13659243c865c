"""A certificate authority of the process's own, and a TLS context that has a certificate for any
name.

trustme makes the certificates: it is what the test suites of the Python networking libraries use.
"""

from __future__ import annotations

import re
import ssl
from collections import OrderedDict
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import trustme

__all__ = ["CertificateAuthority"]

_NAMES_MAX: Final = 1000
"""Certificates that are kept; those of names that were not asked for longest are made again."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class CertificateAuthority:
    """Issues certificates for the names that clients ask for. Keys exist in memory only."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="trueup origin")
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._names: WeakKeyDictionary[ssl.SSLContext, str] = WeakKeyDictionary()

    @property
    def certificate(self) -> bytes:
        """Return the authority's certificate, PEM, for clients to trust."""
        return self._authority.cert_pem.bytes()

    def write(self, path: Path) -> None:
        """Write the authority's certificate to a file, PEM. Raises OSError."""
        path.write_bytes(self.certificate)

    def server_context(self) -> ssl.SSLContext:
        """Return a context for servers: its certificate is for the name that a client asks for, and
        for the loopback where it asks for none.
        """
        context = self._context(*_LOOPBACK)
        context.sni_callback = self._choose
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a context for clients that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def name_of(self, context: ssl.SSLContext) -> str | None:
        """Return the name that a connection with this context asked for, if any."""
        return self._names.get(context)

    def _context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        """Give a connection the certificate of the name that its client asks for."""
        if name is None:
            return None
        name = name.lower()
        if len(name) > 253 or not _NAME.fullmatch(name):
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = self._contexts.get(name)
        if context is None:
            context = self._contexts[name] = self._context(name)
            self._names[context] = name
            if len(self._contexts) > _NAMES_MAX:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(name)
        connection.context = context
        return None
