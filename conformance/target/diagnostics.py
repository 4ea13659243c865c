"""Problems of a target file as letters: the key, what was expected, what came, the remedy.

Pure: it looks at a document and at jsonschema's findings; it reads no file and no environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from trueup.conformance.error_text import TYPE_WORDS, describe_value, dotted, expected, nearest
from trueup.conformance.errors import TargetFileError

__all__ = ["Problem", "format_error", "line_of", "problem_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing wrong at one key."""

    key: str
    """Dotted, as in `tenants.a.public_key`; empty for the file as a whole."""
    expected: str
    came: str
    remedy: str = ""


def format_error(path: Path, text: str, problems: Sequence[Problem]) -> TargetFileError:
    """The error that says all problems of a file, each with its line where it can be found."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{path}: {count} in this target file"]
    lined = [(line_of(text, problem.key) or 0, problem) for problem in problems]
    for line, problem in sorted(lined, key=lambda pair: (pair[0], pair[1].key)):
        where = f" (line {line})" if line else ""
        lines.append(f"  {problem.key or 'the file'}{where}")
        lines.append(f"    expected: {problem.expected}")
        lines.append(f"    came:     {problem.came}")
        if problem.remedy:
            lines.append(f"    remedy:   {problem.remedy}")
    lines.append("docs/targets.md shows whole target files.")
    return TargetFileError("\n".join(lines))


_HEADER: Final = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, key: str) -> int | None:
    """Line on which a dotted key or its nearest table stands, from 1; None when not found.

    A reader's help only: it knows table headers and `key = …` lines, not all of TOML.
    """
    wanted = re.sub(r"\[\d+\]", "", key)
    best: tuple[int, int] | None = None
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header, assignment = _HEADER.match(line), _KEY.match(line)
        if header is not None:
            table = here = header[1].strip().replace('"', "")
        elif assignment is not None:
            name = assignment[1].replace('"', "").replace("'", "")
            here = f"{table}.{name}" if table else name
        else:
            continue
        fits = wanted == here or wanted.startswith(here + ".")
        if fits and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best is not None else None


def problem_of(error: ValidationError, schema: Mapping[str, Any]) -> Problem:
    """One finding of jsonschema as a problem; `schema` is the whole schema."""
    key = dotted(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            return _unknown_key(error, key)
        case "required":
            return _missing_key(error, key, schema)
        case _:
            return Problem(key=key, expected=expected(error), came=_came(error))


def _came(error: ValidationError) -> str:
    """What stood there; a key that was written into the file by mistake is not shown again."""
    if isinstance(error.schema, Mapping) and error.schema.get("secret") is True:
        return "something else (not shown, because it may be a key)"
    return describe_value(error.instance)


def _unknown_key(error: ValidationError, key: str) -> Problem:
    known = set(_part(error.schema, "properties"))
    instance: Any = error.instance
    unknown = sorted(set(instance) - known)
    word = unknown[0]
    return Problem(
        key=f"{key}.{word}" if key else word,
        expected=f"only keys that are known {f'in {key}' if key else 'here'}",
        came=f'"{word}"' + (f" (and {', '.join(unknown[1:])})" if unknown[1:] else ""),
        remedy=nearest(word, known),
    )


def _missing_key(error: ValidationError, key: str, schema: Mapping[str, Any]) -> Problem:
    required: Any = error.validator_value
    instance: Any = error.instance
    # jsonschema reports each missing key by itself, and names it only in its message.
    absent = [name for name in required if name not in instance]
    missing = next((n for n in absent if error.message.startswith(repr(n))), absent[0])
    wanted = _part(_part(error.schema, "properties"), missing)
    return Problem(
        key=f"{key}.{missing}" if key else missing,
        expected=_said(wanted, schema),
        came="nothing: the key is missing",
        remedy=f"add `{missing} = …`" + (f" below [{key}]" if key else " at the top of the file"),
    )


def _part(schema: Any, name: str) -> Mapping[str, Any]:
    found = schema.get(name) if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _said(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a schema part asks for, in words: its own, or those of what it refers to."""
    for words in ("expected", "description"):
        if words in part:
            return str(part[words])
    reference = str(part.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        return _said(schema["$defs"][reference.removeprefix("#/$defs/")], schema)
    return TYPE_WORDS.get(str(part.get("type", "")), "a value")
