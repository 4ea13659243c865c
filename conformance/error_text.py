"""Words for people about findings of JSON Schema: what was expected.

Pure, and shared by everything here that checks a document against a JSON Schema. The schemas say
what they expect in words themselves, under the key `expected`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema.exceptions import ValidationError

__all__ = ["TYPE_WORDS", "expected"]

TYPE_WORDS: Final[Mapping[str, str]] = {
    "string": "a string, in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list, in square brackets",
    "object": "a table",
}
"""Type of JSON Schema → words, for a TOML file."""


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
