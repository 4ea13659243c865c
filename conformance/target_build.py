"""From a checked TOML document to a `Target`: what the schema cannot say.

Environment variables, URLs, placeholders, names of claims and readings, programs. Every problem
is collected, so that one letter names them all; no problem raises.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from conformance.claims import ALL_OF_GUIDE, CLAIMS, GUIDE_CLAIMS
from conformance.placeholders import HOOK_PLACEHOLDERS, REQUIRED, names_in
from conformance.reading_names import READINGS, wrong_value
from conformance.target_errors import Problem
from conformance.target_values import (
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
from conformance.words import came, nearest

__all__ = ["build"]

_Table = Mapping[str, Any]


@dataclass(kw_only=True)
class _Builder:
    """Collects problems and secrets while the values are made."""

    folder: Path
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Environment variables that were told to be missing: each is told once."""

    def from_env(self, key: str, name: str, *, example: str) -> str:
        """The variable's value; empty, with a problem noted, where it cannot be used."""
        value = self.environ.get(name, "")
        expected = f"a value in the environment variable {name}"
        if not value and name in self.missing:
            return value
        if not value:
            self.missing.add(name)
            state = "it is empty" if name in self.environ else "it is not set"
            remedy = f"export {name}='{example}'"
            self.problems.append(Problem(key=key, expected=expected, came=state, remedy=remedy))
        elif not value.isascii() or not value.isprintable() or value != value.strip():
            self.problems.append(
                Problem(
                    key=key,
                    expected=f"{expected}: printable ASCII, no blanks or line breaks at its ends",
                    came=f"{len(value)} characters with something else among them",
                    remedy=f"set {name} again; a line break often comes from a file",
                )
            )
        return value

    def text(self, key: str, value: str | _Table, *, example: str, secret: bool = False) -> str:
        if isinstance(value, str):
            return value
        found = self.from_env(key, value["env"], example=example)
        if secret and found:
            self.secrets.add(found)
        return found

    def url(self, key: str, value: str | _Table, *, query: bool = True) -> str:
        """An absolute http or https URL without a slash at its end."""
        url = self.text(key, value, example="http://127.0.0.1:8080/1.0")
        if not url and not isinstance(value, str):
            return url
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018  reading it checks it
        except ValueError as error:
            self.problems.append(Problem(key=key, expected="a URL", came=f"{came(url)}: {error}"))
            return url
        if parts.scheme not in ("http", "https") or not parts.hostname:
            bare = "://" not in url
            remedy = f'write "https://{url.lstrip("/")}"' if bare and url else ""
            expected = "a URL with scheme and host: http://… or https://…"
            self.problems.append(Problem(key=key, expected=expected, came=came(url), remedy=remedy))
        if parts.username is not None or parts.password is not None:
            self.problems.append(
                Problem(
                    key=key,
                    expected="a URL without a user name or password",
                    came="one with something before the `@`",
                    remedy='put it into a header: headers = { Authorization = { env = "NAME" } }',
                )
            )
        if parts.fragment or (parts.query and not query):
            expected = "a URL that ends with its path" if not query else "a URL without `#`"
            self.problems.append(Problem(key=key, expected=expected, came=came(url)))
        return url.rstrip("/") if not parts.query else url

    def tenant(self, key: str, table: _Table) -> Tenant:
        keys = {
            name: self.text(f"{key}.{name}", table[name], example="the key", secret=True)
            for name in ("public_key", "private_key")
        }
        return Tenant(**keys, customer_id=self.customer_id(key, table.get("customer_id")))

    def customer_id(self, key: str, value: int | _Table | None) -> int | None:
        if value is None or isinstance(value, int):
            return value
        found = self.from_env(f"{key}.customer_id", value["env"], example="1955")
        if found and not found.isdecimal():
            expected = f"a whole number in the environment variable {value['env']}"
            self.problems.append(
                Problem(key=f"{key}.customer_id", expected=expected, came=came(found))
            )
        return int(found) if found.isdecimal() else None

    def headers(self, key: str, table: _Table) -> Mapping[str, str]:
        return MappingProxyType(
            {
                name: self.text(f"{key}.{name}", value, example="the value", secret=True)
                for name, value in table.items()
            }
        )

    def argv(self, key: str, words: list[str]) -> tuple[str, ...]:
        filled = [word.replace("{dir}", str(self.folder)) for word in words]
        program = Path(filled[0])
        if "/" in words[0] and not program.is_absolute():
            program = self.folder / program
            filled[0] = str(program)
        if shutil.which(filled[0], path=self.environ.get("PATH")) is None:
            there = "/" in filled[0] and program.exists()
            self.problems.append(
                Problem(
                    key=f"{key}[0]",
                    expected="a program that can be run",
                    came=f'"{words[0]}", which is {"not executable" if there else "not found"}',
                    remedy=f"chmod +x {program}"
                    if there
                    else "name it by a path relative to the target file, or put it on the PATH",
                )
            )
        return tuple(filled)

    def ingest(self, table: _Table) -> IngestForm:
        return _INGEST[table["via"]](self, table)

    def hook(self, name: str, table: _Table) -> HookForm:
        hook = _HOOKS[table.get("via", "command")](self, name, table)
        self.placeholders(name, hook)
        return hook

    def placeholders(self, name: str, hook: HookForm) -> None:
        """Refuse unknown placeholders, and hooks that cannot say what is wanted of them."""
        used: set[str] = set()
        allowed = HOOK_PLACEHOLDERS[name]
        parts: dict[str, Any] = (
            {"url": hook.url, "headers": dict(hook.headers), "body": hook.body}
            if isinstance(hook, HttpHook)
            else {"argv": list(hook.argv)}
        )
        for part, template in parts.items():
            found = set(names_in(template))
            used |= found
            for unknown in sorted(found - allowed):
                expected = "placeholders of this hook: " + (
                    ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "none"
                )
                self.problems.append(
                    Problem(
                        key=f"{name}.{part}",
                        expected=expected,
                        came=f"{{{unknown}}}",
                        remedy=nearest(unknown, allowed),
                    )
                )
        whole = isinstance(hook, CommandHook) or bool(hook.url)
        for group in REQUIRED.get(name, ()) if whole else ():
            if not group & used:
                choice = " or ".join(f"{{{word}}}" for word in sorted(group))
                self.problems.append(
                    Problem(
                        key=name,
                        expected=f"{choice} in its URL, headers, body or arguments",
                        came="none of them",
                        remedy="without it the target cannot know what is wanted",
                    )
                )

    def claims(self, names: list[str] | None) -> frozenset[str]:
        if names is None:
            return GUIDE_CLAIMS
        for number, name in enumerate(names):
            if name not in CLAIMS and name != ALL_OF_GUIDE:
                self.problems.append(
                    Problem(
                        key=f"claims[{number}]",
                        expected="a feature of docs/targets.md",
                        came=f'"{name}"',
                        remedy=nearest(name, CLAIMS),
                    )
                )
        guide = GUIDE_CLAIMS if ALL_OF_GUIDE in names else frozenset()
        return guide | (frozenset(names) - {ALL_OF_GUIDE})

    def readings(self, table: _Table) -> Mapping[str, str]:
        """Declared readings as text: `true` and `false` for switches, digits for numbers."""
        declared: dict[str, str] = {}
        for name, value in table.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            key = f"readings.{name}"
            if name not in READINGS:
                self.problems.append(
                    Problem(
                        key=key,
                        expected="a reading of docs/targets.md",
                        came=f'"{name}"',
                        remedy=nearest(name, READINGS),
                    )
                )
            elif (expected := wrong_value(name, text)) is not None:
                self.problems.append(Problem(key=key, expected=expected, came=f'"{text}"'))
            declared[name] = text
        return MappingProxyType(declared)


def _http_ingest(builder: _Builder, table: _Table) -> IngestForm:
    refused = table.get("refused")
    form = table.get("form", "ndjson")
    return HttpIngest(
        url=builder.url("ingest.url", table["url"]),
        method=table.get("method", "POST"),
        form=form,
        gzip=table.get("gzip", False),
        headers=builder.headers("ingest.headers", table.get("headers", {})),
        field_map=MappingProxyType(dict(table.get("field_map", {}))),
        extras=MappingProxyType(dict(table.get("extras", {}))),
        batch=1 if form == "json-object" else table.get("batch", 500),
        accepted=table.get("accepted"),
        refused=RefusedShape(**refused) if refused is not None else None,
    )


def _command_ingest(builder: _Builder, table: _Table) -> IngestForm:
    return CommandIngest(
        argv=builder.argv("ingest.argv", table["argv"]),
        timeout_s=float(table.get("timeout_s", 30.0)),
        batch=table.get("batch", 500),
    )


def _http_hook(builder: _Builder, name: str, table: _Table) -> HookForm:
    return HttpHook(
        url=builder.url(f"{name}.url", table["url"]),
        method=table.get("method", "POST"),
        headers=builder.headers(f"{name}.headers", table.get("headers", {})),
        body=MappingProxyType(dict(table.get("body", {}))),
    )


def _command_hook(builder: _Builder, name: str, table: _Table) -> CommandHook:
    return CommandHook(
        argv=builder.argv(f"{name}.argv", table["argv"]),
        timeout_s=float(table.get("timeout_s", 30.0)),
    )


_INGEST: Final[Mapping[str, Callable[[_Builder, _Table], IngestForm]]] = {
    "http": _http_ingest,
    "command": _command_ingest,
}
_HOOKS: Final[Mapping[str, Callable[[_Builder, str, _Table], HookForm]]] = {
    "http": _http_hook,
    "command": _command_hook,
}


def _budget(table: _Table) -> Budget:
    rate = table.get("requests_per_s", 10.0)
    return Budget(
        requests_per_s=None if rate == "unlimited" else float(rate),
        requests=table.get("requests", 1200),
    )


def build(
    document: _Table, path: Path, environ: Mapping[str, str]
) -> tuple[Target | None, list[Problem]]:
    """The target, or None with every problem found. The document has passed the schema."""
    builder = _Builder(folder=path.parent, environ=environ)
    hooks = {
        name: builder.hook(name, document[name])
        for name in ("clock", "maintenance", "money", "restart")
        if name in document
    }
    restart = hooks.pop("restart", None)
    tenants = {
        name: builder.tenant(f"tenants.{name}", table)
        for name, table in document["tenants"].items()
    }
    target = Target(
        name=document["name"],
        base_url=builder.url("base_url", document["base_url"], query=False),
        prefix=document.get("prefix", "/public/user"),
        tenants=MappingProxyType(tenants),
        ingest=builder.ingest(document["ingest"]) if "ingest" in document else None,
        **hooks,
        restart=restart if isinstance(restart, CommandHook) else None,
        graph=GraphShape(**document.get("graph", {})),
        claims=builder.claims(document.get("claims")),
        readings=builder.readings(document.get("readings", {})),
        budget=_budget(document.get("budget", {})),
        timeout_s=float(document.get("timeout_s", 10.0)),
        secrets=tuple(sorted(builder.secrets, key=lambda key: (-len(key), key))),
        path=path,
    )
    return (None if builder.problems else target), builder.problems
