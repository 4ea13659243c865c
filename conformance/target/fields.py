"""Single values of a target file: environment variables, URLs, programs, JSON.

Problems are collected, not raised, so that one message lists all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from trueup.reports.configuration import Mistake, describe_value

__all__ = ["SHORTEST_SECRET", "Fields", "Table"]

Table: TypeAlias = Mapping[str, Any]
SHORTEST_SECRET: Final = 4
"""Redacting anything shorter would make records unreadable."""


@dataclass(kw_only=True)
class Fields:
    """Collects problems and secrets while the values are built."""

    folder: Path
    environ: Mapping[str, str]
    problems: list[Mistake] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Environment variables that were reported as missing: each is reported once."""
    customers: tuple[str, ...] = ()
    """The `customer_id` of each tenant that has one, as text."""

    def note(self, key: str, expected: str, found: str, remedy: str = "") -> None:
        """Add a problem."""
        self.problems.append(Mistake(key=key, expected=expected, found=found, remedy=remedy))

    def from_env(self, key: str, name: str, *, example: str) -> str:
        """Return the variable's value, or an empty string and a problem if it cannot be used."""
        value = self.environ.get(name, "")
        expected = f"a value in the environment variable {name}"
        if not value and name not in self.missing:
            self.missing.add(name)
            state = "it is empty" if name in self.environ else "it is not set"
            self.note(key, expected, state, f"export {name}='{example}'")
        elif not value.isascii() or not value.isprintable() or value != value.strip():
            self.note(
                key,
                f"{expected}: printable ASCII, no spaces or line breaks at its ends",
                f"{len(value)} characters with something else among them",
                f"set {name} again; a line break often comes from a file",
            )
        return value

    def secret(self, key: str, value: str | Table, *, example: str) -> str:
        """Return a literal, or a value from the environment that is redacted in every record."""
        if isinstance(value, str):
            return value
        found = self.from_env(key, value["env"], example=example)
        if 0 < len(found) < SHORTEST_SECRET:
            self.note(
                key,
                f"{SHORTEST_SECRET} characters or more in {value['env']}, because the value is "
                "redacted wherever it occurs",
                f"{len(found)}",
                "a header that is no secret can be written as plain text",
            )
        elif found:
            # A target may repeat `Bearer abc…` without its first word.
            parts = (found, *found.split()[-1:])
            self.secrets.update(part for part in parts if len(part) >= SHORTEST_SECRET)
        return found

    def base_url(self, value: str | Table) -> str:
        """Return the URL of the API without a slash at its end."""
        url = self.url("base_url", value).rstrip("/")
        if "?" in url or "#" in url:
            self.note("base_url", "a URL that ends with its path", describe_value(url))
        return url

    def url(self, key: str, value: str | Table) -> str:
        """Return an absolute http or https URL unchanged."""
        if isinstance(value, str):
            url = value
        elif not (url := self.from_env(key, value["env"], example="http://127.0.0.1:8080/1.0")):
            return url
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018  reading it checks it
        except ValueError as error:
            self.note(key, "a URL", f"{describe_value(url)}: {error}")
            return url
        if "@" in parts.netloc:
            self.note(
                key,
                "a URL without a user name or password",
                "one with something before the `@`",
                'put it into a header: headers = { Authorization = { env = "NAME" } }',
            )
            return url
        if parts.scheme not in ("http", "https") or not parts.hostname:
            remedy = f'write "https://{url.lstrip("/")}"' if url and "://" not in url else ""
            self.note(
                key,
                "a URL with scheme and host: http://… or https://…",
                describe_value(url),
                remedy,
            )
        if not url.isprintable() or " " in url:
            self.note(key, "a URL without spaces and control characters", describe_value(url))
        return url

    def json_value(self, key: str, value: Any) -> Any:
        """Return a value that will be sent as JSON; dates and infinities are problems."""
        match value:
            case dict():
                return {name: self.json_value(f"{key}.{name}", one) for name, one in value.items()}
            case list():
                return [self.json_value(f"{key}[{n}]", one) for n, one in enumerate(value)]
            case float() if not isfinite(value):
                self.note(key, "a number that exists in JSON", f"{value}")
            case None | bool() | int() | float() | str():
                pass
            case _:
                self.note(
                    key,
                    "a value that exists in JSON",
                    describe_value(value),
                    f'write "{value}", in quotes',
                )
        return value

    def option(self, key: str, value: Any) -> Any:
        """Return a value of any shape; each `{ env = "NAME" }` in it is a secret."""
        match value:
            case {"env": str()} if len(value) == 1:
                return self.secret(key, value, example="the value")
            case dict():
                return {name: self.option(f"{key}.{name}", one) for name, one in value.items()}
            case list():
                return [self.option(f"{key}[{n}]", one) for n, one in enumerate(value)]
            case _:
                return self.json_value(key, value)

    def server(self, key: str, value: str | Table) -> str:
        """Return a server, as `HOST:PORT` or as a URL with both."""
        if not isinstance(value, str):
            value = self.from_env(key, value["env"], example="127.0.0.1:9092")
        try:
            parts = urlsplit(value if "://" in value else f"//{value}")
            usable = bool(parts.hostname) and parts.port is not None
        except ValueError:
            usable = False
        if "@" in value:
            self.note(
                key,
                "servers without a user name or password",
                "one with something before the `@`",
                'take them from the environment: password = { env = "NAME" }',
            )
        elif not usable or not value.isprintable() or " " in value or "," in value:
            expected = "servers with host and port, such as nats://127.0.0.1:4222 or 127.0.0.1:9092"
            self.note(key, expected, describe_value(value))
        return value

    def file(self, key: str, value: str) -> str:
        """Return the path of a file that exists, relative to the target file's folder."""
        path = self.folder / value
        if value and not path.is_file():
            self.note(key, "a file that exists", f'"{value}", which is not found')
        return str(path)

    def customer_id(self, key: str, value: int | Table | None) -> int | None:
        """Return a customer number, from the file or from an environment variable."""
        if value is None or isinstance(value, int):
            return value
        found = self.from_env(f"{key}.customer_id", value["env"], example="1955")
        if found and not found.isdecimal():
            expected = f"a whole number in the environment variable {value['env']}"
            self.note(f"{key}.customer_id", expected, describe_value(found))
        return int(found) if found.isdecimal() else None

    def headers(self, key: str, table: Table) -> Mapping[str, str]:
        """Return the headers of a form, with secrets from the environment."""
        return MappingProxyType(
            {
                name: self.secret(f"{key}.{name}", value, example="the value")
                for name, value in table.items()
            }
        )

    def argv(self, key: str, words: list[str]) -> tuple[str, ...]:
        """Return the words of a command, with its program as a path."""
        filled = [word.replace("{dir}", str(self.folder)) for word in words]
        program = Path(filled[0])
        if "/" in words[0] and not program.is_absolute():
            program = self.folder / program
            filled[0] = str(program)
        if shutil.which(filled[0], path=self.environ.get("PATH")) is None:
            there = "/" in filled[0] and program.exists()
            self.note(
                f"{key}[0]",
                "a program that can be run",
                f'"{words[0]}", which is {"not executable" if there else "not found"}',
                f"chmod +x {program}"
                if there
                else "name it by a path relative to the target file, or put it on the PATH",
            )
        return tuple(filled)
