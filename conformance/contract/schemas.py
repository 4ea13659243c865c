"""Validation of response bodies with the JSON Schemas in `schemas/`.

The schemas allow what the documents leave open: keys that an object does not need may be null or
absent, further keys are allowed, date-times may have either documented form, `total_count` may be
-1, and the points of the graph are not validated. What a schema cannot express (that page 2 follows
page 1) is compared elsewhere in the contract.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from trueup.conformance.contract.schema_check import Fits, compile_schema
from trueup.conformance.error_text import expected
from trueup.conformance.errors import ConformanceError
from trueup.reports.configuration import describe_value, dotted
from trueup.reports.results import Json

__all__ = ["ENDPOINTS", "MOST_PROBLEMS", "endpoint_of", "problems", "schema"]

_FOLDER: Final = Path(__file__).parent / "schemas"
MOST_PROBLEMS: Final = 20
"""Problems of one body that are listed; more are only counted."""

ENDPOINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "log/search": "log_search",
        "log/retrieve": "log_retrieve",
        "log_summary/search": "log_summary_search",
        "log_summary/retrieve": "log_summary_retrieve",
        "residential_ledger/search": "residential_ledger_search",
        "residential_ledger/retrieve": "residential_ledger_retrieve",
        "mobile_ledger/search": "mobile_ledger_search",
        "mobile_ledger/retrieve": "mobile_ledger_retrieve",
        "analytics/graph": "analytics_graph",
        "analytics/breakdown": "analytics_breakdown",
        "residential/summary": "residential_summary",
        "mobile/summary": "mobile_summary",
        "customer/retrieve": "customer_retrieve",
        "proxy_user/search": "proxy_user_search",
        "proxy_user/retrieve": "proxy_user_retrieve",
        "service/search": "service_search",
        "service/retrieve": "service_retrieve",
        "error": "error",
    }
)
"""Endpoint below the prefix, or `error` → file of its schema."""


def endpoint_of(path: str) -> str | None:
    """Return the endpoint of a path below the prefix: `log/retrieve` for `log/retrieve/<id>`."""
    head = "/".join(path.strip("/").split("/")[:2])
    return head if head in ENDPOINTS else None


def problems(endpoint: str, body: Json) -> list[str]:
    """Return the problems of a body of status 200 or of an error, one sentence with its path each.

    `endpoint` is a path below the prefix, with or without an id, or `error`. An empty list means
    that the body is valid.

    Raises:
        ConformanceError: the endpoint has no schema.
    """
    known = endpoint_of(endpoint)
    if known is None:
        raise ConformanceError(f'no schema for "{endpoint}"; there are: {", ".join(ENDPOINTS)}')
    if _fits(ENDPOINTS[known])(body):
        return []
    found = [
        sentence
        for error in _validator(ENDPOINTS[known]).iter_errors(body)
        for sentence in _sentences(error)
    ]
    more = len(found) - MOST_PROBLEMS
    return found[:MOST_PROBLEMS] + ([f"and {more} more problems"] if more > 0 else [])


def _sentences(error: ValidationError) -> list[str]:
    place = dotted(error.absolute_path) or "the body"
    if error.validator != "required":
        return [f"{place}: expected {expected(error)}, found {describe_value(error.instance)}"]
    wanted: Any = error.validator_value
    instance: Any = error.instance
    missing = [name for name in wanted if name not in instance]
    # jsonschema reports each missing key separately; only the message names it.
    named = [name for name in missing if error.message.startswith(f"{name!r} ")]
    return [f'{place}: the key "{name}" is missing' for name in named or missing]


@cache
def schema(name: str) -> Mapping[str, Any]:
    """Return a schema of the folder by its name without `.json`."""
    loaded: Mapping[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return loaded


def _find(reference: str) -> Mapping[str, Any]:
    file, _, pointer = reference.partition("#")
    found = schema(file.removesuffix(".json"))
    for part in pointer.strip("/").split("/") if pointer else ():
        found = found[part]
    return found


@cache
def _fits(name: str) -> Fits:
    return compile_schema(schema(name), _find)


@cache
def _validator(name: str) -> Draft202012Validator:
    files = sorted(_FOLDER.glob("*.json"))
    resources = [(file.name, Resource.from_contents(schema(file.stem))) for file in files]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(schema(name), registry=registry)
