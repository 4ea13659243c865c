"""Loading of a target file: one TOML file that describes one implementation, read into a `Target`.

Its structure is validated with `target_schema.json`, from which the documentation is made too. What
a schema cannot express (environment variables, URLs, placeholders, names of claims and readings) is
validated afterwards. No connection is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from trueup.conformance.errors import TargetFileError
from trueup.conformance.target.build import build
from trueup.conformance.target.diagnostics import mistake_of
from trueup.conformance.target.model import (
    Budget,
    CommandHook,
    CommandIngest,
    GraphShape,
    HookForm,
    HttpHook,
    HttpIngest,
    IngestForm,
    ProxyAccess,
    ProxyTraffic,
    RefusedShape,
    Target,
    Tenant,
    TransportIngest,
)
from trueup.conformance.target.proxies import NUMBER, is_loopback_host, numbered_addresses
from trueup.reports.configuration import Mistake, TomlFile, load_toml
from trueup.reports.results import Json
from trueup.reports.transport.credentials import TokenEndpoint
from trueup.reports.transport.urls import host_port

__all__ = [
    "SCHEMA",
    "Budget",
    "CommandHook",
    "CommandIngest",
    "GraphShape",
    "HookForm",
    "HttpHook",
    "HttpIngest",
    "IngestForm",
    "ProxyAccess",
    "ProxyTraffic",
    "RefusedShape",
    "Target",
    "Tenant",
    "TransportIngest",
    "is_loopback",
    "levels",
    "load_target",
    "outside_hosts",
]

SCHEMA: Final[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "target_schema.json").read_text("utf-8")
)
_VALIDATOR: Final = Draft202012Validator(SCHEMA)


def load_target(path: Path, environ: Mapping[str, str] = os.environ) -> Target:
    """Return the target that a file describes; keys are taken from `environ`.

    Raises: TargetFileError: with every problem of the file: the key, what was expected, what was
        found, what to do.
    """
    file = TomlFile.read(path, kind="target file", page="docs/targets.md", error=TargetFileError)

    def target(document: dict[str, Any]) -> tuple[Target | None, list[Mistake]]:
        mistakes = [mistake_of(error, SCHEMA) for error in _VALIDATOR.iter_errors(document)]
        return (None, mistakes) if mistakes else build(document, path.absolute(), environ)

    return load_toml(file, target, error=TargetFileError)


def levels(target: Target) -> frozenset[int]:
    """Return the levels of a target: 0 read, 1 send requests through its proxies, 2 inject events,
    3 move its clock, 4 restart it.
    """
    reached = {
        0: True,
        1: target.proxies is not None,
        2: target.ingest is not None,
        3: target.ingest is not None and target.clock is not None,
        4: target.ingest is not None and target.restart is not None,
    }
    return frozenset(level for level, there in reached.items() if there)


def outside_hosts(target: Target) -> tuple[str, ...]:
    """Return the hosts on other machines in the target file's URLs and lists of servers.

    Programs, and other keys of transports of installed packages, are not inspected.
    """
    read = target.clock_read.form if target.clock_read is not None else None
    forms = (
        *(target.ingest, target.clock, read),
        *(target.maintenance, target.money, target.restart),
    )
    urls = [
        target.base_url,
        *(form.url for form in forms if isinstance(form, HttpIngest | HttpHook)),
        *_token_urls(target, forms),
    ]
    if isinstance(target.ingest, TransportIngest):
        urls += [url if "://" in url else f"//{url}" for url in target.ingest.servers]
        urls += _urls_in(dict(target.ingest.options))
    if target.proxies is not None:
        urls += _proxied_urls(target.proxies)
    hosts = {urlsplit(url).hostname or "" for url in urls}
    return tuple(sorted(host for host in hosts if not is_loopback_host(host)))


def _proxied_urls(proxies: ProxyTraffic) -> Iterator[str]:
    """Yield what requests through proxies involve: proxies, origin, and what is not there.

    Where names lead is the proxies' matter; what trueup sends goes to these hosts.
    """
    yield from (f"//{host_port(one.host, one.port)}" for one in proxies.access)
    yield f"//{host_port(proxies.listen, 1)}"
    if numbered_addresses(proxies.hostname):
        yield f"//{host_port(proxies.hostname.replace(NUMBER, '1'), 1)}"
    if proxies.ipv6:
        yield f"//{host_port(proxies.ipv6, 1)}"
    if proxies.unreachable:
        yield f"//{proxies.unreachable}"


def _urls_in(value: Json) -> Iterator[str]:
    """Yield the HTTP URLs in options, such as that of a server of tokens."""
    match value:
        case str() if value.startswith(("http://", "https://")):
            yield value
        case Mapping():
            for one in value.values():
                yield from _urls_in(one)
        case list():
            for one in value:
                yield from _urls_in(one)


def _token_urls(target: Target, forms: Iterable[object]) -> Iterator[str]:
    """Yield the URLs of token endpoints that requests by some forms, and reads, need."""
    for one in (
        *(tenant.credentials for tenant in target.tenants.values()),
        *(form.credentials for form in forms if isinstance(form, HttpIngest | HttpHook)),
    ):
        if one is not None and isinstance(one.token, TokenEndpoint):
            yield one.token.url


def is_loopback(target: Target) -> bool:
    """Return whether every URL of the target file is on this machine."""
    return not outside_hosts(target)
