"""Error messages about target files: the key, what was expected, what was found, what to do.

Pure: it works on a document and the violations that jsonschema found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from trueup.conformance.error_text import TYPE_WORDS, expected
from trueup.reports.configuration import Mistake, describe_value, dotted, nearest

__all__ = ["mistake_of"]

_NEW_WORDS: Final[Mapping[str, str]] = {
    "ingest.field_map": "it is [ingest.mapping] since trueup 0.2, and takes the same names",
    "ingest.gzip": 'it is compression = "gzip" since trueup 0.2',
    "ingest.extras": "it is [ingest.constants] since trueup 0.2",
}
"""Key of an earlier version → what to write now."""


def mistake_of(error: ValidationError, schema: Mapping[str, Any]) -> Mistake:
    """Return a finding of jsonschema as a mistake; `schema` is the whole schema."""
    key = dotted(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            return _unknown_key(error, key)
        case "required":
            return _missing_key(error, key, schema)
        case _:
            return Mistake(key=key, expected=expected(error), found=_found(error))


def _found(error: ValidationError) -> str:
    """Describe the value that was found. Possible keys are not shown."""
    if isinstance(error.schema, Mapping) and error.schema.get("secret") is True:
        return "something else (not shown, because it may be a key)"
    return describe_value(error.instance)


def _unknown_key(error: ValidationError, key: str) -> Mistake:
    known = set(_part(error.schema, "properties"))
    instance: Any = error.instance
    unknown = sorted(set(instance) - known)
    word = unknown[0]
    return Mistake(
        key=f"{key}.{word}" if key else word,
        expected=f"only keys that are known {f'in {key}' if key else 'here'}",
        found=f'"{word}"' + (f" (and {', '.join(unknown[1:])})" if unknown[1:] else ""),
        remedy=_NEW_WORDS.get(f"{key}.{word}" if key else word) or nearest(word, known),
    )


def _missing_key(error: ValidationError, key: str, schema: Mapping[str, Any]) -> Mistake:
    required: Any = error.validator_value
    instance: Any = error.instance
    # jsonschema reports each missing key separately; only the message names it.
    absent = [name for name in required if name not in instance]
    missing = next((n for n in absent if error.message.startswith(repr(n))), absent[0])
    wanted = _part(_part(error.schema, "properties"), missing)
    return Mistake(
        key=f"{key}.{missing}" if key else missing,
        expected=_said(wanted, schema),
        found="nothing: the key is missing",
        remedy=f"add `{missing} = …`" + (f" below [{key}]" if key else " at the top of the file"),
    )


def _part(schema: Any, name: str) -> Mapping[str, Any]:
    found = schema.get(name) if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _said(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what a part of the schema expects, in its words or those of what it refers to."""
    for words in ("expected", "description"):
        if words in part:
            return str(part[words])
    reference = str(part.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        return _said(schema["$defs"][reference.removeprefix("#/$defs/")], schema)
    return TYPE_WORDS.get(str(part.get("type", "")), "a value")
