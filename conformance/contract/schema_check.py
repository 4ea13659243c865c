"""Compile a JSON Schema into a fast function that tells whether a value is valid.

jsonschema gives good error messages and is slow, and nearly every body is valid. So the schemas are
compiled into closures that return True or False, and jsonschema is only used for the message. Only
the keywords that the schemas use are supported; any other is rejected when compiling. A property
test compares the results with those of jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from trueup.reports.results import Json

__all__ = ["Find", "Fits", "compile_schema"]

Fits: TypeAlias = Callable[[Json], bool]
"""Returns whether a value is valid."""
Find: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Returns the schema that a `$ref` names."""

_ANNOTATIONS: Final = frozenset({"$schema", "$defs", "title", "description", "expected"})


def compile_schema(schema: Mapping[str, Any], find: Find) -> Fits:
    """Return the validating function of a schema; `find` resolves references, without circles.

    Raises:
        ValueError: a keyword is not supported.
    """
    tests = [
        _KEYWORDS[keyword](wanted, find)
        for keyword, wanted in schema.items()
        if keyword not in _ANNOTATIONS and _known(keyword)
    ]
    return tests[0] if len(tests) == 1 else _all_of(tests)


def _known(keyword: str) -> bool:
    if keyword not in _KEYWORDS:
        raise ValueError(
            f'schema keyword "{keyword}" is not known to trueup.conformance.contract.schema_check'
        )
    return True


def _all_of(tests: list[Fits]) -> Fits:
    def fits(value: Json) -> bool:
        for test in tests:  # noqa: SIM110  a plain loop is twice as quick as all() here
            if not test(value):
                return False
        return True

    return fits


_TYPES: Final[Mapping[str, Fits]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(wanted: Any, _find: Find) -> Fits:
    names = [wanted] if isinstance(wanted, str) else wanted
    tests = [_TYPES[name] for name in names]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _enum(wanted: Any, _find: Find) -> Fits:
    allowed = frozenset(wanted)
    return lambda value: isinstance(value, str) and value in allowed


def _pattern(wanted: Any, _find: Find) -> Fits:
    search = re.compile(wanted).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _minimum(wanted: Any, _find: Find) -> Fits:
    return lambda value: (
        not isinstance(value, int | float) or isinstance(value, bool) or value >= wanted
    )


def _min_length(wanted: Any, _find: Find) -> Fits:
    return lambda value: not isinstance(value, str) or len(value) >= wanted


def _required(wanted: Any, _find: Find) -> Fits:
    names = frozenset(wanted)
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _properties(wanted: Any, find: Find) -> Fits:
    tests = {name: compile_schema(part, find) for name, part in wanted.items()}

    def fits(value: Json) -> bool:
        if not isinstance(value, dict):
            return True
        for name, item in value.items():
            test = tests.get(name)
            if test is not None and not test(item):
                return False
        return True

    return fits


def _items(wanted: Any, find: Find) -> Fits:
    test = compile_schema(wanted, find)
    return lambda value: not isinstance(value, list) or all(map(test, value))


def _ref(wanted: Any, find: Find) -> Fits:
    return compile_schema(find(wanted), find)


def _all(wanted: Any, find: Find) -> Fits:
    return _all_of([compile_schema(part, find) for part in wanted])


_KEYWORDS: Final[Mapping[str, Callable[[Any, Find], Fits]]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "minLength": _min_length,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "$ref": _ref,
    "allOf": _all,
}
