"""The OpenAPI 3.1 document of the server, made from the tables that also drive its responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from trueup.reference import graph
from trueup.reference.amounts import LIMIT
from trueup.reference.events import Log
from trueup.reference.networks import NETWORKS, POOLS
from trueup.reference.query import PAGE_LIMIT, PATTERN_LIMIT, PER_PAGE_LIMIT
from trueup.reference.resources import RESOURCES, Field, Resource, ResourceKind
from trueup.reference.store.money import KINDS

__all__ = ["document"]

Json: TypeAlias = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_PATTERN: Final[Json] = {"type": "string", "maxLength": PATTERN_LIMIT}
_WHOLE: Final[Json] = {"type": "integer"}
_ADDRESS: Final[Json] = {"anyOf": [{"type": "string", "format": f"ipv{n}"} for n in (4, 6)]}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_FLAG: Final[Json] = {"type": "boolean"}
_TIME: Final[Json] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"}
_DATE: Final[Json] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
_DAY: Final = (
    r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|02-(0[1-9]|1\d|2[0-8]))"
)
"""A month and a day that every year has."""
_ASKED_TIME: Final[Json] = {
    "type": "string",
    "pattern": rf"^[1-8]\d{{3}}-{_DAY}"
    r"([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|\+00:00)?)?$",
}
_SHOWN: Final[Mapping[ResourceKind, Json]] = {
    ResourceKind.TEXT: _TEXT,
    ResourceKind.INTEGER: _WHOLE,
    ResourceKind.AMOUNT: _WHOLE,
    ResourceKind.BOOLEAN: _FLAG,
    ResourceKind.INSTANT: _TIME,
    ResourceKind.MIDNIGHT: _TIME,
    ResourceKind.DATE: _DATE,
    ResourceKind.DOCUMENT: {"type": ["object", "array"]},
}
"""Kind of a field → schema of its value in a response, where it is not null."""
_ERRORS: Final = {
    400: "A parameter, a header or the body is wrong.",
    401: "The keys are missing or wrong.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "It exists already, or the key was used for something else.",
    413: "The body is too large.",
    415: "The encoding is unknown.",
    422: "The request is understood and cannot be fulfilled.",
    429: "Too many requests; see Retry-After.",
    503: "The store cannot be used, or the server is shutting down; see Retry-After.",
}
_READ: Final = (400, 401, 429, 503)
_WRITE: Final = (*_READ, 408, 413)


def document(*, with_control: bool, ingest: str, base: str, control: str) -> Json:
    """Return the document; the arguments are the paths below which the parts are served."""
    paths: dict[str, Json] = {}
    user = f"{base}/public/user"
    for path, method, operation in _operations(with_control, ingest, user, control):
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "trueup reference: usage tracking", "version": "1.0"},
        "paths": paths,
        "components": {
            "schemas": {"Error": _object(error=_TEXT, message=_TEXT, api_request_id=_TEXT)},
            "securitySchemes": {
                name: {"type": "apiKey", "in": "header", "name": header}
                for name, header in _KEYS.items()
            },
        },
    }


_KEYS: Final = {
    "publicKey": "X-API-Public-Key",
    "privateKey": "X-API-Private-Key",
    "ingestKey": "X-Ingest-Key",
    "controlKey": "X-Control-Key",
}
_CUSTOMER: Final[tuple[Json, ...]] = ({"publicKey": [], "privateKey": []},)
_CONTROLLER: Final[tuple[Json, ...]] = ({"controlKey": []},)
_SENDER: Final[tuple[Json, ...]] = ({}, {"ingestKey": []})


def _operations(
    with_control: bool, ingest: str, user: str, control: str
) -> Iterator[tuple[str, str, Json]]:
    for resource in RESOURCES.values():
        yield from _resource_operations(resource, f"{user}/{resource.name}")
    for path, method, operation in _account_operations():
        yield f"{user}/{path}", method, operation
    yield ingest, "post", _ingest()
    if with_control:
        for path, method, operation in _control_operations():
            yield f"{control}/{path}", method, operation
    status = _object({"reason"}, status=_TEXT, reason=_TEXT)
    yield (
        "/health",
        "get",
        {
            "responses": {
                "200": _content("The store can be read.", status),
                "503": _content("It cannot, or the server is shutting down.", status),
            }
        },
    )
    yield (
        "/metrics",
        "get",
        {"responses": {"200": _content("Metrics for Prometheus.", _TEXT, "text/plain")}},
    )
    yield (
        "/openapi.json",
        "get",
        {"responses": {"200": _content("This document.", {"type": "object"})}},
    )


def _object(optional: set[str] | None = None, /, **properties: Json) -> Json:
    """Return the schema of an object whose properties are required but for `optional`."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in (optional or ())],
        "properties": properties,
    }


def _content(text: str, schema: Json, media_type: str = "application/json") -> Json:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _operation(
    body: Json,
    errors: Sequence[int],
    *,
    security: Sequence[Json] = _CUSTOMER,
    parameters: Sequence[Json] = (),
    sent: Json | None = None,
    needs_body: bool = False,
    status: int = 200,
) -> Json:
    """Return an operation with a JSON body of its success, and the documented errors."""
    error = {"$ref": "#/components/schemas/Error"}
    operation: Json = {
        "parameters": list(parameters),
        "security": list(security),
        "responses": {
            str(status): _content("Success.", body),
            **{str(code): _content(_ERRORS[code], error) for code in sorted(errors)},
        },
    }
    if sent is not None:
        operation["requestBody"] = {
            "required": needs_body,
            "content": {"application/json": {"schema": sent}},
        }
    return operation


def _parameter(name: str, schema: Json, *, place: str = "query") -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


_ID: Final = _parameter("id", {"type": "string", "minLength": 1}, place="path")


def _resource_operations(resource: Resource, path: str) -> Iterator[tuple[str, str, Json]]:
    row = _row(resource)
    page = _object(
        data={"type": "array", "items": row, "maxItems": PER_PAGE_LIMIT},
        item_count=_COUNT,
        message=_TEXT,
        page=_COUNT,
        per_page=_COUNT,
        total_count=_COUNT,
    )
    yield f"{path}/search", "get", _operation(page, _READ, parameters=list(_filters(resource)))
    one = _object(data=row, message=_TEXT)
    yield f"{path}/retrieve/{{id}}", "get", _operation(one, (*_READ, 404), parameters=[_ID])


def _row(resource: Resource) -> Json:
    """Return the schema of a row; every field but the key may be null."""
    shown = {field.name: _nullable(field, resource.key) for field in resource.fields}
    if resource.name == "proxy_user":
        shown |= {f"proxy_user_{pool}_bytes_used": _COUNT for pool in POOLS}
    return _object(**shown)


def _nullable(field: Field, key: str) -> Json:
    schema = _SHOWN[field.kind]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return schema if field.name == key else schema | {"type": [*types, "null"]}


def _filters(resource: Resource) -> Iterator[Json]:
    yield _parameter("page", {"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT})
    yield _parameter("per_page", {"type": "integer", "minimum": 1, "maximum": PER_PAGE_LIMIT})
    sortable = [field for field in resource.fields if field.kind is not ResourceKind.DOCUMENT]
    orders = [field.name + end for field in sortable for end in ("", "_asc", "_desc")]
    # Empty is the default order, the oldest first.
    yield _parameter("sort_by", {"enum": ["", *orders, "random"]})
    for field in sortable:
        schema = _filter(field)
        prefixes = ("like_",) if field.kind is ResourceKind.TEXT else ("min_", "max_")
        for prefix in ("", "not_"):
            yield _parameter(prefix + field.name, schema)
        for prefix in prefixes:
            is_pattern = prefix == "like_"
            yield _parameter(prefix + field.name, _PATTERN if is_pattern else schema)


def _filter(field: Field) -> Json:
    if field.values:
        return {"enum": list(field.values)}
    match field.kind:
        case ResourceKind.INSTANT | ResourceKind.MIDNIGHT | ResourceKind.DATE:
            return _ASKED_TIME
        case ResourceKind.INTEGER:
            return _bounded(2**63)
        case ResourceKind.AMOUNT:
            return _bounded(LIMIT)
        case kind:
            return _SHOWN[kind]


def _bounded(limit: int) -> Json:
    """Return the schema of an integer from -limit to limit - 1."""
    return {"type": "integer", "minimum": -limit, "maximum": limit - 1}


def _account_operations() -> Iterator[tuple[str, str, Json]]:
    window = [
        _parameter("preset", {"enum": list(graph.PRESETS)}),
        _parameter("period_start", _ASKED_TIME),
        _parameter("period_end", _ASKED_TIME),
        _parameter("hostname", _TEXT),
        _parameter("network", {"enum": list(NETWORKS)}),
        _parameter("proxy_user_id", _TEXT),
    ]
    measures = dict.fromkeys(("requests", "bytes", "successful", "error"), _COUNT)
    point = _object(
        {"concurrency"},
        datetime=_TIME,
        concurrency={"type": ["integer", "null"]},
        **measures,
    )
    points = _object(
        interval={"enum": list(graph.INTERVALS)},
        period_start=_TIME,
        period_end=_TIME,
        points={"type": "array", "items": point},
    )
    yield (
        "analytics/graph",
        "get",
        _operation(
            _object(data=points, message=_TEXT),
            (*_READ, 422),
            parameters=[
                *window,
                _parameter("interval", {"enum": list(graph.INTERVALS)}),
                _parameter("service_id", _TEXT),
                _parameter("show_log_concurrency", _FLAG),
            ],
        ),
    )
    lists = {
        "proxy_users": ("proxy_user_id", _TEXT),
        "hostnames": ("hostname", {"type": ["string", "null"]}),
        "networks": ("network", _TEXT),
    }
    parts = _object(
        set(lists),
        period_start=_TIME,
        period_end=_TIME,
        totals=_object(**measures),
        **{
            title: {"type": "array", "items": _object(**{key: name}, **measures)}
            for title, (key, name) in lists.items()
        },
    )
    orders = [name + end for name in measures for end in ("", "_asc", "_desc")]
    yield (
        "analytics/breakdown",
        "get",
        _operation(
            _object(data=parts, message=_TEXT),
            (*_READ, 422),
            parameters=[
                *window,
                *(_parameter(f"return_{title}", _FLAG) for title in lists),
                _parameter("sort_by", {"enum": orders}),
                _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 999_999_999}),
            ],
        ),
    )
    for pool in POOLS:
        names = ("bytes", "bytes_used", "bytes_left", "requests")
        summary = _object(
            **{f"{pool}_{name}": _WHOLE for name in names},
            proxy_user_ids={"type": "array", "items": _TEXT},
        )
        yield f"{pool}/summary", "get", _operation(_object(data=summary, message=_TEXT), _READ)
    customer = _object(
        customer_id=_WHOLE,
        **{f"{pool}_bytes_left": _WHOLE for pool in POOLS},
    )
    yield "customer/retrieve", "get", _operation(_object(data=customer, message=_TEXT), _READ)
    catalogue = _object(data={"type": "object"}, message=_TEXT)
    yield "checkout/catalog", "get", _operation(catalogue, _READ)
    yield from _user_operations()


def _user_operations() -> Iterator[tuple[str, str, Json]]:
    limit = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**63 - 1}
    scalar = {"type": ["string", "integer", "number", "boolean"], "maxLength": 300}
    settings: dict[str, Json] = {
        "proxy_user_password": {"type": "string", "minLength": 8, "maxLength": 32},
        "proxy_user_access_type": {"enum": ["all", "service_restricted", "proxy_restricted"]},
        "proxy_user_is_strict_security": _FLAG,
        "proxy_user_enforce_https": _FLAG,
        "ip_address_authentications": {"type": "array", "maxItems": 3, "items": _ADDRESS},
        "proxy_user_metadata": {
            "type": "object",
            "maxProperties": 30,
            "additionalProperties": scalar,
        },
        "proxy_user_residential_bytes_limit": limit,
        "proxy_user_mobile_bytes_limit": limit,
    }
    edited = _object(set(settings), **settings) | {"additionalProperties": False}
    name = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
    created = _object({*settings, "proxy_user_id"}, proxy_user_id=name, **settings)
    ids = {"type": "array", "items": _TEXT}
    keys = _object(proxy_user_id=_TEXT, proxy_user_password=_TEXT)
    yield (
        "proxy_user/create",
        "post",
        _operation(
            _object(created=ids, data=keys, message=_TEXT),
            (*_WRITE, 409),
            sent=created | {"additionalProperties": False},
            status=201,
        ),
    )
    yield (
        "proxy_user/edit/{id}",
        "patch",
        _operation(
            _object(edited=ids, message=_TEXT),
            (*_WRITE, 404, 422),
            parameters=[_ID],
            sent=edited,
        ),
    )
    yield (
        "proxy_user/delete/{id}",
        "delete",
        _operation(_object(deleted=ids, message=_TEXT), (*_READ, 404), parameters=[_ID]),
    )


def _ingest() -> Json:
    refusal = _object(line={"type": "integer", "minimum": 1}, reason=_TEXT)
    result = _object(
        accepted=_COUNT,
        duplicates=_COUNT,
        refused={"type": "array", "items": refusal, "maxItems": 100},
        refused_count=_COUNT,
    )
    errors = (400, 401, 408, 413, 415, 503)
    operation = _operation(result, errors, security=_SENDER)
    operation["requestBody"] = {
        "description": "One event a line (NDJSON).",
        "content": {"application/x-ndjson": {"schema": _event()}},
    }
    return operation


def _event() -> Json:
    """Return the schema of an event."""
    schema: Json = msgspec.json.schema(Log)["$defs"]["Log"]
    return schema


def _control_operations() -> Iterator[tuple[str, str, Json]]:
    errors = tuple(code for code in _WRITE if code != 429)
    clock = _object(now=_TIME)
    moved = {
        "oneOf": [
            _object(now=_ASKED_TIME) | {"additionalProperties": False},
            _object(advance_s={"type": "number", "minimum": 0, "exclusiveMaximum": 10**11})
            | {"additionalProperties": False},
        ]
    }
    yield "clock", "get", _operation(clock, (401,), security=_CONTROLLER)
    yield (
        "clock",
        "post",
        _operation(clock, (*errors, 422), security=_CONTROLLER, sent=moved, needs_body=True),
    )
    done = _object(logs_deleted=_COUNT, summaries_consolidated=_COUNT)
    yield (
        "maintenance",
        "post",
        _operation(done, errors, security=_CONTROLLER, sent={"type": "object"}),
    )
    movement = _object(
        {"service_id"},
        customer_id=_bounded(2**63 - 1),
        network={"enum": list(POOLS)},
        kind={"enum": list(KINDS)},
        bytes=_bounded((LIMIT >> 8) - 1),
        idempotency_key={"type": "string", "minLength": 1, "maxLength": 255},
        service_id={"type": ["string", "null"]},
    )
    yield (
        "money",
        "post",
        _operation(
            _object(ledger_id=_TEXT),
            (*errors, 404, 409, 422),
            security=_CONTROLLER,
            sent=movement | {"additionalProperties": False},
            needs_body=True,
        ),
    )
