"""TOML files that people write: read, checked and, where wrong, refused with all mistakes at once.

All of trueup's files go through `load_toml`: target files, scenarios, load scenarios and fleet
profiles. What a file must hold is the caller's to say, with a function from the document to a value
and mistakes; `struct_mistakes` is one for msgspec types. This module knows no file of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from trueup.reports.errors import ConfigurationError

__all__ = [
    "Mistake",
    "TomlFile",
    "describe_value",
    "dotted",
    "line_of",
    "load_toml",
    "mistakes_text",
    "nearest",
    "struct_mistakes",
]

MOST_BYTES: Final = 1 << 20
"""A configuration file is a page or two; anything larger is some other file."""
_SHOWN: Final = 60
"""Characters of a value that are shown."""
_NEIGHBOURS: Final = 8
"""Other files of the folder that are named where a file is missing."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One thing that is wrong at one key."""

    key: str
    """Dotted, as in `tenants.a.public_key`; empty for the file as a whole."""
    expected: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TomlFile:
    """The text of a configuration file, and how errors name it."""

    source: str
    """The path, or what the text is called where it has none."""
    text: str
    kind: str
    """What it should be: `target file`."""
    page: str
    """The page of the documentation that describes such files."""

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        kind: str,
        page: str,
        known: Sequence[str] = (),
        error: type[ConfigurationError] = ConfigurationError,
    ) -> TomlFile:
        """Read a file and return it parsed; `known` are names usable instead of a path.

        Raises `error` where it is missing, too large, or not UTF-8 text.
        """
        try:
            raw = path.read_bytes()
        except FileNotFoundError as cause:
            raise error(f"{path}: no such {kind}{_others(path, known)}") from cause
        except IsADirectoryError as cause:
            raise error(
                f"{path}: a folder; expected one {kind}{_others(path / 'x', known)}"
            ) from cause
        except OSError as cause:
            raise error(f"{path}: cannot be read: {cause.strerror}") from cause
        if len(raw) > MOST_BYTES:
            raise error(
                f"{path}: {len(raw)} bytes; expected a {kind} of at most {MOST_BYTES} bytes"
            )
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as cause:
            line = raw.count(b"\n", 0, cause.start) + 1
            raise error(
                f"{path}: not a TOML file: line {line} is not UTF-8 text; save the file as UTF-8"
            ) from cause
        return cls(source=str(path), text=text, kind=kind, page=page)


def load_toml(
    file: TomlFile,
    build: Callable[[dict[str, Any]], tuple[T | None, Sequence[Mistake]]],
    *,
    error: type[ConfigurationError] = ConfigurationError,
    parse_float: Callable[[str], float | Decimal] = float,
) -> T:
    """Parse a file and return the value that `build` makes of the document.

    Raises `error`, with all mistakes in the order of their lines, where `build` gives any; with the
    place where the text is not TOML.
    """
    try:
        document = tomllib.loads(file.text, parse_float=parse_float)
    except RecursionError as cause:
        raise error(
            f"{file.source}: tables or lists are nested too deeply for a {file.kind}"
        ) from cause
    except ValueError as cause:
        raise error(
            f"{file.source}: not a TOML file: {cause}\n"
            '  expected: lines such as `name = "my-target"`; strings are quoted'
        ) from cause
    value, mistakes = build(document)
    if mistakes or value is None:
        raise error(mistakes_text(file, mistakes))
    return value


def mistakes_text(file: TomlFile, mistakes: Iterable[Mistake]) -> str:
    """Return all mistakes of a file for a person, each with its line where it can be found."""
    lined = [(line_of(file.text, mistake.key) or 0, mistake) for mistake in mistakes]
    count = "1 problem" if len(lined) == 1 else f"{len(lined)} problems"
    lines = [f"{file.source}: {count} in this {file.kind}"]
    for line, mistake in sorted(lined, key=lambda pair: (pair[0], pair[1].key)):
        where = f" (line {line})" if line else ""
        lines.append(f"  {mistake.key or 'the file'}{where}")
        lines.append(f"    expected: {mistake.expected}")
        lines.append(f"    found:    {mistake.found}")
        if mistake.remedy:
            lines.append(f"    remedy:   {mistake.remedy}")
    lines.append(f"{file.page} describes a {file.kind}.")
    return "\n".join(lines)


def _others(path: Path, known: Sequence[str]) -> str:
    """Return what could be meant instead: known names, or other files of the folder."""
    if known:
        return f"; give a file, or one of: {', '.join(known)}"
    try:
        near = sorted(other.name for other in path.parent.glob("*.toml"))[:_NEIGHBOURS]
    except OSError:
        near = []
    return f"; in that folder: {', '.join(near)}" if near else ""


# Words for keys and values


def dotted(path: Iterable[str | int]) -> str:
    """Return a key's path for a person: `ingest.argv[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean …?` with the nearest known word, or a list of the known ones."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known here: {', '.join(names)}" if names else "nothing may stand here"


def describe_value(value: object) -> str:
    """Return a short description of a value for a person."""
    match value:
        case None:
            return "null"
        case bool():
            return f"{str(value).lower()} (true or false)"
        case str():
            return f'"{value[:_SHOWN]}{"…" if len(value) > _SHOWN else ""}"'
        case int() | float() | Decimal():
            return f"the number {str(value)[:_SHOWN]}"
        case Mapping():
            names = ", ".join(map(str, value)) or "nothing in it"
            return f"a table with {names[:_SHOWN]}{'…' if len(names) > _SHOWN else ''}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"{value} (a {type(value).__name__})"


_HEADER: Final = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_ELEMENT: Final = re.compile(r"^\s*\[\[([^\[\]]+)\]\]\s*(#.*)?$")
"""Header of one element of a list of tables."""
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, key: str) -> int | None:
    """Return the line of a dotted key or its nearest table, from 1; None where it is not found.

    A help for readers only: it knows table headers and `key = …` lines, not all of TOML.
    """
    wanted = {key, re.sub(r"\[\d+\]", "", key)}
    best: tuple[int, int] | None = None
    table = ""
    elements: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        header, element, assignment = _HEADER.match(line), _ELEMENT.match(line), _KEY.match(line)
        if element is not None:
            name = element[1].strip().replace('"', "")
            table = here = f"{name}[{elements[name]}]"
            elements[name] += 1
        elif header is not None:
            table = here = header[1].strip().replace('"', "")
        elif assignment is not None:
            name = assignment[1].replace('"', "").replace("'", "")
            here = f"{table}.{name}" if table else name
        else:
            continue
        fits = any(name == here or name.startswith(here + ".") for name in wanted)
        if fits and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best is not None else None


# Documents that shall become msgspec structs

_TYPE_WORDS: Final[Mapping[str, str]] = {
    "`float`": "a number",
    "`int`": "a whole number",
    "`str`": "a string, in quotes",
    "`bool`": "true or false",
    "`array`": "a list, in square brackets",
    "`object`": "a table",
}


def struct_mistakes(
    value: object,
    kind: type[msgspec.Struct],
    *,
    renamed: Mapping[str, str] | None = None,
    at: str = "",
) -> Iterator[Mistake]:
    """Yield every mistake of a value that shall become a struct of this kind, by dotted key.

    `renamed` maps keys of earlier versions to what they are called now. What several keys must
    fulfil together is up to the caller.
    """
    if not isinstance(value, Mapping):
        yield Mistake(key=at, expected="a table", found=describe_value(value))
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    types = get_type_hints(kind, include_extras=True)
    for name, given in value.items():
        key = f"{at}.{name}" if at else str(name)
        if name not in fields:
            yield _unknown_key(str(name), key, at, fields, renamed or {})
            continue
        wanted = types[fields[name].name]
        if (part := _struct_of(wanted)) is not None:
            yield from struct_mistakes(given, part, renamed=renamed, at=key)
            continue
        try:
            msgspec.convert(given, wanted)
        except msgspec.ValidationError as error:
            expected = _expected(str(error), wanted)
            yield Mistake(key=key, expected=expected, found=describe_value(given))
    for name, field in fields.items():
        if field.required and name not in value:
            where = f"below [{at}]" if at else "at the top of the file"
            yield Mistake(
                key=f"{at}.{name}" if at else name,
                expected="a value",
                found="nothing: the key is missing",
                remedy=f"add `{name} = …` {where}",
            )


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct type of a field, optional ones included; None for any other type."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _unknown_key(
    name: str, key: str, at: str, known: Iterable[str], renamed: Mapping[str, str]
) -> Mistake:
    new = renamed.get(name)
    return Mistake(
        key=key,
        expected=f"only keys that are known {f'in [{at}]' if at else 'here'}",
        found=f'"{name}"',
        remedy=f"it is called {new} since trueup 0.2" if new else nearest(name, known),
    )


def _expected(message: str, kind: Any) -> str:
    """Return what a message of msgspec asks for, in the words of a TOML file."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
    wanted = re.sub(r"(, got .*)|( - at .*)", "", message).removeprefix("Expected ")
    for name, word in _TYPE_WORDS.items():
        wanted = wanted.replace(name, word)
    return f"{wanted}, in each place" if " - at `$[" in message else wanted
