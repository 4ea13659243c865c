"""Text about invalid values: their path, what was expected, what was found.

Pure. Used wherever a document is validated with a JSON Schema. The schemas state what they expect
in words under the key `expected`.
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
    """Return what a schema violation expects: the schema's own words if it has any."""
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
