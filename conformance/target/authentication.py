"""Credentials and certificates of a target file: `[credentials.NAME]` and `[tls]`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from string import Formatter
from typing import Any

from trueup.conformance.target.fields import Fields, Table
from trueup.reports.configuration import nearest
from trueup.reports.transport.credentials import (
    NO_FILES,
    SIGNED_PARTS,
    Credentials,
    Signature,
    TlsFiles,
    TokenEndpoint,
    TokenProgram,
)
from trueup.reports.transport.tls import client_context

__all__ = ["all_credentials", "credentials_of", "tls_files"]


def tls_files(fields: Fields, table: Table) -> TlsFiles:
    """Return the files of `[tls]`, read once to see that they can be used."""
    found: dict[str, str] = {}
    for name, value in table.items():
        path = fields.folder / value
        found[name] = str(path)
        if not path.is_file():
            fields.note(f"tls.{name}", "a file, relative to the target file", f'"{value}"')
            return NO_FILES
    files = TlsFiles(**found)
    try:
        client_context(files)
    except (OSError, ValueError) as error:
        said = error.reason if isinstance(error, ssl.SSLError) else str(error)
        fields.note(
            "tls",
            "PEM files: `authority`, and `certificate` with its `key`, which has no password",
            str(said or error),
        )
    return files


def all_credentials(fields: Fields, tables: Table) -> Mapping[str, Credentials]:
    """Return what `[credentials.NAME]` tables describe, by name."""
    return {name: _credentials(fields, f"credentials.{name}", one) for name, one in tables.items()}


def credentials_of(
    fields: Fields, key: str, table: Table, known: Mapping[str, Credentials]
) -> Credentials | None:
    """Return the credentials that a part names by its key `credentials`; None if it names none."""
    name = table.get("credentials")
    if name is not None and name not in known:
        expected = "the name of a [credentials.NAME] table"
        remedy = nearest(name, known) if known else f"add a table [credentials.{name}]"
        fields.note(f"{key}.credentials", expected, f'"{name}"', remedy)
    return known.get(name) if name is not None else None


def _credentials(fields: Fields, key: str, table: Table) -> Credentials:
    token = table.get("token")
    signature = table.get("signature")
    value = table.get("value", "Bearer {token}")
    if token is None and signature is None:
        fields.note(key, "a token or a signature", "neither", "see docs/targets.md")
    if token is not None and "{token}" not in value:
        fields.note(f"{key}.value", "a value with {token}", f'"{value}"')
    return Credentials(
        token=None if token is None else _token(fields, f"{key}.token", token),
        header=table.get("header", "Authorization"),
        value=value,
        signature=None if signature is None else _signature(fields, f"{key}.signature", signature),
    )


def _token(fields: Fields, key: str, table: Table) -> TokenProgram | TokenEndpoint:
    lifetime = float(table["lifetime_s"]) if "lifetime_s" in table else None
    if "argv" in table:
        return TokenProgram(
            argv=fields.argv(f"{key}.argv", table["argv"]),
            timeout_s=float(table.get("timeout_s", 30.0)),
            lifetime_s=lifetime,
        )
    return TokenEndpoint(
        url=fields.url(f"{key}.url", table["url"]),
        client_id=fields.secret(f"{key}.client_id", table["client_id"], example="the id"),
        client_secret=fields.secret(
            f"{key}.client_secret", table["client_secret"], example="the secret"
        ),
        scope=table.get("scope", ""),
        parameters=tuple(table.get("parameters", {}).items()),
        in_body=table.get("in_body", False),
        lifetime_s=lifetime,
    )


def _signature(fields: Fields, key: str, table: Table) -> Signature:
    given: dict[str, Any] = {name: value for name, value in table.items() if name != "key"}
    if "headers" in given:
        given["headers"] = tuple(given["headers"].items())
    made = Signature(key=fields.secret(f"{key}.key", table["key"], example="the key"), **given)
    _check_placeholders(fields, f"{key}.template", made.template, set(SIGNED_PARTS))
    _check_placeholders(fields, f"{key}.value", made.value, {*SIGNED_PARTS, "signature"})
    if "{signature}" not in made.value:
        fields.note(f"{key}.value", "a value with {signature}", f'"{made.value}"')
    for name, value in made.headers:
        _check_placeholders(fields, f"{key}.headers.{name}", value, set(SIGNED_PARTS))
    return made


def _check_placeholders(fields: Fields, key: str, template: str, allowed: set[str]) -> None:
    """Report placeholders that a template may not have."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        fields.note(key, "placeholders in braces", f"{error}")
        return
    for name in [name for name in names if name not in allowed]:
        listed = ", ".join(f"{{{one}}}" for one in sorted(allowed))
        fields.note(key, f"placeholders: {listed}", f"{{{name}}}", nearest(name, allowed))
