"""Build a `Target` from a validated TOML document: the rules that a schema cannot express.

Tenants, forms, placeholders, names of claims and readings; single values are handled in
`trueup.conformance.target.fields`. Problems are collected, not raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from trueup.conformance.contract.claims import ALL_OF_GUIDE, CLAIMS, GUIDE_CLAIMS
from trueup.conformance.contract.interpretations import READINGS, wrong_value
from trueup.conformance.contract.schemas import schema
from trueup.conformance.target.authentication import (
    all_credentials,
    credentials_of,
    tls_files,
)
from trueup.conformance.target.fields import Fields, Table
from trueup.conformance.target.mapping import check_time_form, check_values, event_format
from trueup.conformance.target.model import (
    Budget,
    ClockRead,
    CommandHook,
    CommandIngest,
    GraphShape,
    HookForm,
    HttpHook,
    HttpIngest,
    IngestForm,
    RefusedShape,
    RowFormat,
    ShownValues,
    Target,
    Tenant,
    TransportIngest,
)
from trueup.conformance.target.placeholders import (
    HOOK_PLACEHOLDERS,
    HOOK_VALUES,
    REQUIRED,
    names_in,
)
from trueup.conformance.target.proxies import proxy_traffic
from trueup.reports.configuration import Mistake, nearest
from trueup.reports.event_format import EVENT_KEYS, FIELD_IN_BRACES, Framing
from trueup.reports.transport.credentials import Credentials

__all__ = ["build"]

Known: TypeAlias = Mapping[str, Credentials]
"""The credentials of the file by name."""
_RESOURCES: Final = ("log", "log_summary", "residential_ledger", "mobile_ledger", "proxy_user")
_TIMES: Final = ("_datetime", "_period", "_date")
"""Ends of the names of fields that are times."""


def build(
    document: Table, path: Path, environ: Mapping[str, str]
) -> tuple[Target | None, list[Mistake]]:
    """Return the target, or None, and all problems. The document must satisfy the schema."""
    fields = Fields(folder=path.parent, environ=environ)
    known = all_credentials(fields, document.get("credentials", {}))
    tenants = _tenants(fields, document["tenants"], known)
    numbers = [tenant.customer_id for tenant in tenants.values()]
    fields.customers = tuple(str(number) for number in numbers if number is not None)
    hooks = {
        name: _hook(fields, name, document[name], known)
        for name in ("clock", "maintenance", "money", "restart")
        if name in document
    }
    target = Target(
        name=document["name"],
        base_url=fields.base_url(document["base_url"]),
        unix_socket=_unix_socket(fields, document),
        prefix=document.get("prefix", "/public/user"),
        tenants=tenants,
        disposable=document.get("disposable", False),
        ingest=_ingest(fields, document["ingest"], known) if "ingest" in document else None,
        proxies=(
            proxy_traffic(fields, document["proxies"], tenants) if "proxies" in document else None
        ),
        **hooks,
        clock_read=_clock_read(fields, document.get("clock", {}), known),
        graph=GraphShape(**document.get("graph", {})),
        rows=_rows(fields, document.get("rows", {}), document.get("graph", {})),
        claims=_claims(fields, document.get("claims")),
        readings=_readings(fields, document.get("readings", {})),
        budget=_budget(document.get("budget", {})),
        tls=tls_files(fields, document.get("tls", {})),
        timeout_s=float(document.get("timeout_s", 10.0)),
        secrets=tuple(sorted(fields.secrets, key=lambda key: (-len(key), key))),
        path=path,
    )
    return (None if fields.problems else target), fields.problems


def _unix_socket(fields: Fields, document: Table) -> str:
    path = str(document.get("unix_socket", ""))
    if path and not str(document["base_url"]).startswith("http://"):
        fields.note(
            "unix_socket", 'a base_url with http://, such as "http://localhost/1.0"', "none"
        )
    return str(fields.folder / path) if path else ""


def _tenants(fields: Fields, tables: Table, known: Known) -> Mapping[str, Tenant]:
    tenants = {
        name: _tenant(fields, f"tenants.{name}", table, known) for name, table in tables.items()
    }
    a, b = tenants["a"], tenants.get("b")
    if b is not None and b.public_key == a.public_key != "":
        fields.note(
            "tenants.b",
            "the keys of another account than tenants.a",
            "the same public key",
            "leave [tenants.b] out if there is only one account",
        )
    return MappingProxyType(tenants)


def _tenant(fields: Fields, key: str, table: Table, known: Known) -> Tenant:
    keys = {
        name: fields.secret(f"{key}.{name}", table[name], example="the key")
        for name in ("public_key", "private_key")
    }
    return Tenant(
        **keys,
        credentials=credentials_of(fields, key, table, known),
        customer_id=fields.customer_id(key, table.get("customer_id")),
    )


def _ingest(fields: Fields, table: Table, known: Known) -> IngestForm:
    return _INGEST.get(table["via"], _transport_ingest)(fields, table, known)


def _http_ingest(fields: Fields, table: Table, known: Known) -> IngestForm:
    refused = table.get("refused")
    made = event_format(fields, table)
    batch = 1 if made.framing is Framing.SINGLE else table.get("batch", 500)
    headers = fields.headers("ingest.headers", table.get("headers", {}))
    written = {name for name, value in table.get("headers", {}).items() if isinstance(value, str)}
    from_event = {
        name: value
        for name, value in headers.items()
        if name in written and FIELD_IN_BRACES.search(value)
    }
    _event_headers(fields, from_event, batch)
    _compression(fields, table.get("compression", "none"))
    return HttpIngest(
        url=fields.url("ingest.url", table["url"]),
        method=table.get("method", "POST"),
        format=made,
        compression=table.get("compression", "none"),
        headers=MappingProxyType(
            {name: value for name, value in headers.items() if name not in from_event}
        ),
        event_headers=MappingProxyType(from_event),
        credentials=credentials_of(fields, "ingest", table, known),
        batch=batch,
        accepted=table.get("accepted"),
        refused=RefusedShape(**refused) if refused is not None else None,
    )


def _event_headers(fields: Fields, headers: Mapping[str, str], batch: int) -> None:
    """Report headers that name no field, and such headers where a request has many events."""
    for name, text in headers.items():
        for unknown in FIELD_IN_BRACES.findall(text):
            if unknown not in EVENT_KEYS:
                fields.note(
                    f"ingest.headers.{name}",
                    "fields of an event in braces",
                    f"{{{unknown}}}",
                    nearest(unknown, EVENT_KEYS),
                )
        if batch != 1:
            fields.note(
                f"ingest.headers.{name}",
                "one event a request, where a header is made from a field",
                f"up to {batch}",
                "set batch = 1 in [ingest]",
            )


def _compression(fields: Fields, name: str) -> None:
    if name == "zstd" and sys.version_info < (3, 14) and not _is_installed("backports.zstd"):
        fields.note(
            "ingest.compression",
            "the module backports.zstd, which compresses with zstd before Python 3.14",
            "it is not installed",
            "pip install 'trueup[zstd]'",
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _command_ingest(fields: Fields, table: Table, _known: Known) -> IngestForm:
    return CommandIngest(
        argv=fields.argv("ingest.argv", table["argv"]),
        format=event_format(fields, table),
        timeout_s=float(table.get("timeout_s", 30.0)),
        batch=table.get("batch", 500),
    )


def _transport_ingest(fields: Fields, table: Table, _known: Known) -> IngestForm:
    name = table["via"]
    installed = sorted({entry.name for entry in entry_points(group=_TRANSPORTS)})
    if name not in _BROKERS and name not in installed:
        known = (*_INGEST, *_BROKERS, *installed)
        fields.note(
            "ingest.via",
            f"one of {', '.join(known)}, or the name of an installed transport",
            f'"{name}"',
            f"{nearest(name, known)}; another name needs the package that adds this transport",
        )
    names = _FORMAT if name in _BROKERS else ("mapping", "constants", "sums")
    shape = {key: table[key] for key in names if key in table}
    if name in _BROKERS:
        shape = {"form": "json-object", **shape}
    options = {
        key: fields.option(f"ingest.{key}", value)
        for key, value in table.items()
        if key not in ("via", "servers", "batch", *shape)
    }
    servers = tuple(
        fields.server(f"ingest.servers[{n}]", one) for n, one in enumerate(table.get("servers", ()))
    )
    if servers:
        options["servers"] = list(servers)
    if (field := options.get("message_key")) is not None and field not in EVENT_KEYS:
        expected = "a field of an event of trueup"
        fields.note("ingest.message_key", expected, f'"{field}"', nearest(field, EVENT_KEYS))
    if name in _BROKERS and "credentials" in options:
        options["credentials"] = fields.file("ingest.credentials", str(options["credentials"]))
    return TransportIngest(
        name=name,
        options=MappingProxyType(options),
        servers=servers,
        format=event_format(fields, shape),
        batch=table.get("batch", 500),
    )


def _hook(fields: Fields, name: str, table: Table, known: Known) -> HookForm:
    hook = _HOOKS[table.get("via", "command")](fields, name, table, known)
    _placeholders(fields, name, hook)
    return hook


def _http_hook(fields: Fields, name: str, table: Table, known: Known) -> HookForm:
    return HttpHook(
        url=fields.url(f"{name}.url", table["url"]),
        method=table.get("method", "POST"),
        headers=fields.headers(f"{name}.headers", table.get("headers", {})),
        credentials=credentials_of(fields, name, table, known),
        body=MappingProxyType(fields.json_value(f"{name}.body", table.get("body", {}))),
        shown=_shown(fields, name, table),
    )


def _command_hook(fields: Fields, name: str, table: Table, _known: Known) -> CommandHook:
    return CommandHook(
        argv=fields.argv(f"{name}.argv", table["argv"]),
        timeout_s=float(table.get("timeout_s", 30.0)),
        shown=_shown(fields, name, table),
    )


def _shown(fields: Fields, name: str, table: Table) -> ShownValues:
    """Return what becomes of the values of placeholders in a hook."""
    for key, only in (("values", "money"), ("time", "clock"), ("read", "clock")):
        if key in table and name not in (only, f"{only}.read"):
            fields.note(f"{name}.{key}", f"`{key}` in [{only}] only", f"it is in [{name}]")
    values = table.get("values", {})
    known = {**HOOK_VALUES, "customer_id": fields.customers}
    for placeholder, mapped in values.items():
        key = f"{name}.values.{placeholder}"
        if placeholder not in known:
            expected = f"a placeholder with a fixed list of values: {', '.join(known)}"
            fields.note(key, expected, f'"{placeholder}"', nearest(placeholder, known))
        else:
            check_values(fields, key, placeholder, mapped, known[placeholder])
    if "time" in table:
        check_time_form(fields, f"{name}.time", table["time"])
    return ShownValues(
        values=MappingProxyType(fields.json_value(f"{name}.values", values)),
        time=table.get("time", "space"),
    )


def _clock_read(fields: Fields, table: Table, known: Known) -> ClockRead | None:
    if "read" not in table:
        return None
    read = table["read"]
    form = _HOOKS[read["via"]](fields, "clock.read", {"method": "GET", **read}, known)
    return ClockRead(form=form, at=read.get("at", ""), time=read.get("time", "space"))


_INGEST: Final[Mapping[str, Callable[[Fields, Table, Known], IngestForm]]] = {
    "http": _http_ingest,
    "command": _command_ingest,
}
_BROKERS: Final = ("nats", "kafka")
_FORMAT: Final = (
    *("form", "key", "body", "cloudevent", "action"),
    *("mapping", "constants", "sums"),
)
"""Keys of `[ingest]` that say what is sent."""
_TRANSPORTS: Final = "trueup.transports"
"""Entry points by which installed packages add transports."""
_HOOKS: Final[Mapping[str, Callable[[Fields, str, Table, Known], HookForm]]] = {
    "http": _http_hook,
    "command": _command_hook,
}


def _placeholders(fields: Fields, name: str, hook: HookForm) -> None:
    """Report unknown placeholders, and hooks without a placeholder that they need."""
    used: set[str] = set()
    allowed = HOOK_PLACEHOLDERS[name]
    parts: dict[str, Any] = (
        {"url": hook.url, "headers": dict(hook.headers), "body": hook.body}
        if isinstance(hook, HttpHook)
        else {"argv": list(hook.argv)}
    )
    listed = ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "none"
    for part, template in parts.items():
        found = set(names_in(template))
        used |= found
        for unknown in sorted(found - allowed):
            expected = f"placeholders of this hook: {listed}"
            fields.note(f"{name}.{part}", expected, f"{{{unknown}}}", nearest(unknown, allowed))
    whole = isinstance(hook, CommandHook) or bool(hook.url)
    for group in REQUIRED.get(name, ()) if whole else ():
        if not group & used:
            choice = " or ".join(f"{{{word}}}" for word in sorted(group))
            fields.note(
                name,
                f"{choice} in its URL, headers, body or arguments",
                "none of them",
                "without it the target cannot know what is wanted",
            )


def _rows(fields: Fields, table: Table, graph: Table) -> RowFormat:
    names = {name for resource in _RESOURCES for name in schema(resource)["properties"]}
    known = {name for name in names if name.endswith(_TIMES)} | {graph.get("time", "datetime")}
    times = table.get("times", {})
    for name, form in times.items():
        if name not in known:
            expected = "a field of a row that is a time"
            fields.note(f"rows.times.{name}", expected, f'"{name}"', nearest(name, known))
        check_time_form(fields, f"rows.times.{name}", form)
    return RowFormat(log_id=table.get("log_id", "log_id") or "", times=MappingProxyType(times))


def _claims(fields: Fields, names: list[str] | None) -> frozenset[str]:
    if names is None:
        return GUIDE_CLAIMS
    for number, name in enumerate(names):
        if name not in CLAIMS and name != ALL_OF_GUIDE:
            fields.note(
                f"claims[{number}]",
                "a feature of docs/targets.md",
                f'"{name}"',
                nearest(name, CLAIMS),
            )
    guide = GUIDE_CLAIMS if ALL_OF_GUIDE in names else frozenset()
    return guide | (frozenset(names) - {ALL_OF_GUIDE})


def _readings(fields: Fields, table: Table) -> Mapping[str, str]:
    """Return the declared readings as text: `true` and `false` for switches, digits for numbers."""
    declared: dict[str, str] = {}
    for name, value in table.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        key = f"readings.{name}"
        if name not in READINGS:
            expected = "a reading of docs/targets.md"
            fields.note(key, expected, f'"{name}"', nearest(name, READINGS))
        elif (right := wrong_value(name, text)) is not None:
            fields.note(key, right, f'"{text}"')
        declared[name] = text
    return MappingProxyType(declared)


def _budget(table: Table) -> Budget:
    rate = table.get("requests_per_s", 10.0)
    return Budget(
        requests_per_s=None if rate == "unlimited" else float(rate),
        requests=table.get("requests", 1200),
        minutes=float(table["minutes"]) if "minutes" in table else None,
        journal_mb=table.get("journal_mb", 512),
    )
