"""Mistakes in a document that shall become a struct: all of them at once, each by its key.

Pure. It looks at one value and one msgspec type; it reads no file and knows no scenario. What
several keys must fulfil together is the struct's own to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from trueup.conformance.error_text import describe_value, nearest
from trueup.conformance.target.diagnostics import line_of

__all__ = ["PlanMistake", "format_error", "mistakes"]

_WORDS: Final[Mapping[str, str]] = {
    "`float`": "a number",
    "`int`": "a whole number",
    "`str`": "a string, in quotes",
    "`bool`": "true or false",
    "`array`": "a list, in square brackets",
    "`object`": "a table",
}


RENAMED: Final[Mapping[str, str]] = {
    "twin_every": "duplicate_every",
    "poison_every": "malformed_every",
}
"""Keys of earlier versions, and what they are called now."""


class PlanMistake(NamedTuple):
    """One thing wrong at one key."""

    key: str
    expected: str
    came: str
    remedy: str = ""


def mistakes(value: object, kind: Any, at: str = "") -> Iterator[PlanMistake]:
    """Every mistake of a value that shall become a struct of this kind, by dotted key."""
    if not isinstance(value, Mapping):
        yield PlanMistake(at, "a table", describe_value(value))
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    types = get_type_hints(kind, include_extras=True)
    for name, given in value.items():
        key = f"{at}.{name}" if at else str(name)
        if name not in fields:
            yield PlanMistake(key, f"a known key{f' of [{at}]' if at else ''}", f'"{name}"',
                          _remedy(str(name), fields))  # fmt: skip
            continue
        wanted = types[fields[name].name]
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            yield from mistakes(given, wanted, key)
            continue
        try:
            msgspec.convert(given, wanted)
        except msgspec.ValidationError as error:
            yield PlanMistake(key, _expected(str(error), wanted), describe_value(given))
    for name, field in fields.items():
        if field.required and name not in value:
            where = f"below [{at}]" if at else "at the top of the file"
            yield PlanMistake(
                f"{at}.{name}" if at else name,
                "a value",
                "nothing: the key is missing",
                f"add `{name} = …` {where}",
            )


def format_error(source: str, text: str, found: Sequence[PlanMistake], page: str) -> str:
    """All mistakes of a file for a person, in the order of its lines; `page` has the keys."""
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    lines = [f"{source}: {count}"]
    for number, mistake in sorted((line_of(text, one.key) or 0, one) for one in found):
        lines.append(f"  {mistake.key}" + (f" (line {number})" if number else ""))
        lines.append(f"    expected: {mistake.expected}")
        lines.append(f"    came:     {mistake.came}")
        if mistake.remedy:
            lines.append(f"    remedy:   {mistake.remedy}")
    lines.append(f"{page} has the keys.")
    return "\n".join(lines)


def _remedy(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown key."""
    new = RENAMED.get(name)
    return f"it is called {new} since trueup 0.2" if new else nearest(name, known)


def _expected(said: str, kind: Any) -> str:
    """What a finding of msgspec asks for, in the words of a TOML file."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
    wanted = re.sub(r"(, got .*)|( - at .*)", "", said).removeprefix("Expected ")
    for name, word in _WORDS.items():
        wanted = wanted.replace(name, word)
    return f"{wanted}, in each place" if " - at `$[" in said else wanted
