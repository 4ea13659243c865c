"""Words for people about values and schemas: where it stands, what was expected, what came.

Pure, and shared by everything here that checks a document against a JSON Schema. The schemas say
what they expect in words themselves, under the key `expected`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from jsonschema.exceptions import ValidationError

__all__ = ["TYPE_WORDS", "describe_value", "dotted", "expected", "nearest"]

TYPE_WORDS: Final[Mapping[str, str]] = {
    "string": "a string, in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list, in square brackets",
    "object": "a table",
}
"""Type of JSON Schema → words, for a TOML file."""

_SHOWN: Final = 60
"""Characters of a string that are shown."""


def dotted(path: Iterable[str | int]) -> str:
    """A key's path for a person: `ingest.argv[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` with the nearest known word, or a list of the known ones."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known here: {', '.join(names)}" if names else "nothing may stand here"


def describe_value(value: object) -> str:
    """What stood there, short, for a person."""
    match value:
        case None:
            return "null"
        case bool():
            return f"{str(value).lower()} (true or false)"
        case str():
            return f'"{value[:_SHOWN]}{"…" if len(value) > _SHOWN else ""}"'
        case int() | float():
            return f"the number {str(value)[:_SHOWN]}"
        case Mapping():
            names = ", ".join(map(str, value)) or "nothing in it"
            return f"a table with {names[:_SHOWN]}{'…' if len(names) > _SHOWN else ''}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"{value} (a {type(value).__name__})"


def expected(error: ValidationError) -> str:
    """What a finding of jsonschema asks for: the schema's own words where it has some."""
    if isinstance(error.schema, Mapping) and "expected" in error.schema:
        return str(error.schema["expected"])
    wanted: Any = error.validator_value
    match error.validator:
        case "enum":
            return "one of " + ", ".join(f'"{value}"' for value in wanted)
        case "const":
            return json.dumps(wanted)
        case "type" if isinstance(wanted, str):
            return TYPE_WORDS.get(wanted, wanted)
        case _:
            return f"{error.validator} {wanted}"
