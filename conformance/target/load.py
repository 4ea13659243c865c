"""The target file: one TOML file that describes one implementation; read once into a `Target`.

The structure is checked by `target_schema.json`, from which the documentation is made as well.
What a schema cannot say (environment variables, URLs, placeholders, names of claims and readings)
is checked here. It refuses to open the network: whether the target answers is asked elsewhere.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from trueup.conformance.errors import TargetFileError
from trueup.conformance.target.build import build
from trueup.conformance.target.diagnostics import format_error, problem_of
from trueup.conformance.target.model import (
    Budget,
    CommandHook,
    CommandIngest,
    GraphShape,
    HookForm,
    HttpHook,
    HttpIngest,
    IngestForm,
    RefusedShape,
    Target,
    Tenant,
)

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
    "RefusedShape",
    "Target",
    "Tenant",
    "is_loopback",
    "levels",
    "load_target",
    "outside_hosts",
]

SCHEMA: Final[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "target_schema.json").read_text("utf-8")
)
_VALIDATOR: Final = Draft202012Validator(SCHEMA)
_LIMIT_BYTES: Final = 1 << 20
"""A target file is a page or two; anything above this is some other file."""


def load_target(path: Path, environ: Mapping[str, str] = os.environ) -> Target:
    """Read a target file; keys come from `environ`.

    Raises TargetFileError, a letter that names the file, every wrong key, what was expected,
    what came and the remedy.
    """
    text = _text(path)
    document = _document(path, text)
    problems = [problem_of(error, SCHEMA) for error in _VALIDATOR.iter_errors(document)]
    if problems:
        raise format_error(path, text, problems)
    target, problems = build(document, path.absolute(), environ)
    if target is None:
        raise format_error(path, text, problems)
    return target


def levels(target: Target) -> frozenset[int]:
    """What the target lets us do: 0 read, 2 inject events, 3 move its clock, 4 restart it.

    Level 1, traffic through the target's own proxies, cannot be declared yet.
    """
    reached = {
        0: True,
        2: target.ingest is not None,
        3: target.ingest is not None and target.clock is not None,
        4: target.ingest is not None and target.restart is not None,
    }
    return frozenset(level for level, there in reached.items() if there)


def outside_hosts(target: Target) -> tuple[str, ...]:
    """Hosts off this machine that the target file's URLs lead to; programs are not looked into."""
    forms = (target.ingest, target.clock, target.maintenance, target.money)
    urls = [
        target.base_url,
        *(form.url for form in forms if isinstance(form, HttpIngest | HttpHook)),
    ]
    hosts = {urlsplit(url).hostname or "" for url in (target.base_url, *urls)}
    return tuple(sorted(host for host in hosts if not _is_loopback_host(host)))


def is_loopback(target: Target) -> bool:
    """Whether every URL of the target file stays on this machine."""
    return not outside_hosts(target)


def _is_loopback_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise TargetFileError(
            f"{path}: not a TOML file: {error}\n"
            '  expected: lines such as `name = "my-target"`; strings stand in quotes'
        ) from error
    except RecursionError as error:
        raise TargetFileError(
            f"{path}: tables or lists are nested too deeply for a target file"
        ) from error


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise TargetFileError(f"{path}: no such target file{_others(path)}") from error
    except IsADirectoryError as error:
        raise TargetFileError(
            f"{path}: a folder; expected one target file{_others(path / 'x')}"
        ) from error
    except OSError as error:
        raise TargetFileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > _LIMIT_BYTES:
        raise TargetFileError(
            f"{path}: {len(raw)} bytes; expected a target file of at most {_LIMIT_BYTES} bytes"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TargetFileError(
            f"{path}: not a TOML file: line {line} is not UTF-8 text; save the file as UTF-8"
        ) from error


def _others(path: Path) -> str:
    try:
        near = sorted(other.name for other in path.parent.glob("*.toml"))[:8]
    except OSError:
        near = []
    return f"; in that folder: {', '.join(near)}" if near else ""
