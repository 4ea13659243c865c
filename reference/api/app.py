"""The routes, their authentication, and the JSON response of every outcome."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, Final, TypeAlias

import msgspec
from aiohttp import web

from trueup.reference.api import (
    accounts,
    analytics,
    control,
    ingestion,
    openapi,
    operations,
    search,
)
from trueup.reference.api.connections import guard_of
from trueup.reference.api.context import Answer, Call, Context
from trueup.reference.behaviour import RequestInfo
from trueup.reference.clock import monotonic_s
from trueup.reference.errors import ApiProblem, StoreProblem
from trueup.reference.networks import POOLS
from trueup.reference.resources import RESOURCES

__all__ = ["BASE", "CONTROL", "HTTP_OPTIONS", "INGEST", "build_app"]

Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]
Endpoint: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

BASE: Final = "/1.0"
INGEST: Final = "/ingest/events"
CONTROL: Final = "/control"
HTTP_OPTIONS: Final[dict[str, Any]] = {
    "auto_decompress": False,
    "max_line_size": 1 << 16,
    "max_headers": 64,
}
"""How aiohttp reads requests; a filter on every field fits into the longest line, in bytes."""
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    method: str
    path: str
    handler: Handler
    guard: Callable[[Context, web.Request, str], int]
    """(context, request, view) → the caller's customer id; raises ApiProblem for no caller."""


def _routes(with_control: bool) -> list[_Route]:
    """Every route; those below CONTROL only where control hooks are enabled."""
    user = f"{BASE}/public/user"
    public: list[tuple[str, str, Handler]] = [
        *(("GET", f"{name}/search", partial(search.search, name=name)) for name in RESOURCES),
        *(
            ("GET", f"{name}/retrieve/{{id}}", partial(search.retrieve, name=name))
            for name in RESOURCES
        ),
        ("GET", "analytics/graph", analytics.graph),
        ("GET", "analytics/breakdown", analytics.breakdown),
        *(
            ("GET", f"{pool}/summary", partial(accounts.summarise_pool, pool=pool))
            for pool in POOLS
        ),
        ("GET", "customer/retrieve", accounts.retrieve_customer),
        ("POST", "proxy_user/create", accounts.create_user),
        ("PATCH", "proxy_user/edit/{id}", accounts.edit_user),
        ("DELETE", "proxy_user/delete/{id}", accounts.delete_user),
        ("GET", "checkout/catalog", accounts.catalogue),
    ]
    hooks: list[tuple[str, str, Handler]] = [
        ("GET", "clock", control.get_clock),
        ("POST", "clock", control.move_clock),
        ("POST", "maintenance", control.run_maintenance),
        ("POST", "money", control.money),
    ]
    return [
        *(
            _Route(method=method, path=f"{user}/{path}", handler=handler, guard=_tenant)
            for method, path, handler in public
        ),
        _Route(method="POST", path=INGEST, handler=ingestion.ingest, guard=_ingest),
        *(
            _Route(method=method, path=f"{CONTROL}/{path}", handler=handler, guard=_control)
            for method, path, handler in hooks
            if with_control
        ),
    ]


def _same(given: str, expected: str) -> bool:
    # A header may hold any bytes; aiohttp hands the odd ones over as surrogates.
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _view_of(request: web.Request) -> str:
    """The path below the base of the API, without an id, such as `log/retrieve`."""
    path = request.path.removesuffix("/" + request.match_info.get("id", "/"))
    return path.removeprefix(f"{BASE}/public/user/").removeprefix("/")


def _tenant(context: Context, request: web.Request, view: str) -> int:
    """The customer with these two keys. Raises ApiProblem (401, 429)."""
    public = request.headers.get("X-API-Public-Key", "")
    private = request.headers.get("X-API-Private-Key", "")
    for tenant in context.store.tenants:
        right = _same(public, tenant.public_key), _same(private, tenant.private_key)
        if context.behaviour.let_in(view, *right):
            _within_limit(context, request, tenant.customer_id)
            return tenant.customer_id
    raise ApiProblem(401, "API key authentication is required.")


def _within_limit(context: Context, request: web.Request, customer_id: int) -> None:
    key: Any = context.behaviour.rate_key(customer_id, request.remote or "")
    wait_s = context.limiter.wait_s(key)
    if wait_s:
        seconds = ceil(wait_s)
        raise ApiProblem(
            429,
            f"Rate limit exceeded. Please try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
        )


def _ingest(context: Context, request: web.Request, _view: str) -> int:
    key = context.ingest_key
    if key is not None and not _same(request.headers.get("X-Ingest-Key", ""), key):
        raise ApiProblem(401, "The header X-Ingest-Key is missing or wrong.")
    return 0


def _control(context: Context, request: web.Request, view: str) -> int:
    given = request.headers.get("X-Control-Key", "")
    right = _same(given, context.store.control_key)
    if not context.behaviour.let_control(view, right):
        raise ApiProblem(401, "The header X-Control-Key is missing or wrong.")
    return 0


def build_app(context: Context) -> web.Application:
    """Return the web application that serves one context."""
    app = web.Application(middlewares=[_observed(context), _outcomes(context)])
    for route in _routes(context.control):
        app.router.add_route(route.method, route.path, _endpoint(context, route))
    app.router.add_get("/health", partial(operations.health, context))
    app.router.add_get("/metrics", partial(operations.show_metrics, context))
    document = openapi.document(
        with_control=context.control, ingest=INGEST, base=BASE, control=CONTROL
    )
    app.router.add_get("/openapi.json", partial(_show, document))
    return app


async def _show(document: dict[str, Any], _request: web.Request) -> web.Response:
    return _json(200, document)


def _endpoint(context: Context, route: _Route) -> Endpoint:
    async def endpoint(request: web.Request) -> web.Response:
        view = _view_of(request)
        customer_id = route.guard(context, request, view)
        call = Call(context=context, request=request, customer_id=customer_id)
        status, body = await route.handler(call)
        info = RequestInfo(
            view=view,
            customer_id=customer_id,
            query=request.query,
            now_us=context.clock.now_us(),
        )
        return _json(status, context.behaviour.response(info, body))

    return endpoint


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers=headers,
    )


def _observed(context: Context) -> Any:
    """Tell the connection's guard when a request begins and ends, and count it."""

    @web.middleware
    async def observed(request: web.Request, handler: Endpoint) -> web.StreamResponse:
        guard, began_s = guard_of(request), monotonic_s()
        if guard is not None:
            guard.request_begins()
        try:
            response = await handler(request)
        finally:
            if guard is not None:
                guard.request_ends()
        resource = request.match_info.route.resource
        route = "" if resource is None else resource.canonical
        seconds = monotonic_s() - began_s
        method = request.method if route else ""
        context.counts.request(method, route, response.status, seconds)
        return response

    return observed


def _outcomes(context: Context) -> Any:
    """Turn every failure into the documented error body."""

    @web.middleware
    async def outcomes(request: web.Request, handler: Endpoint) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiProblem as problem:
            return _refusal(context, problem)
        except StoreProblem as problem:
            text = f"{str(problem).capitalize()}. Nothing of this request was kept."
            return _refusal(context, ApiProblem(503, text, headers={"Retry-After": "1"}))
        except web.HTTPException as error:
            return _refusal(context, _from_aiohttp(request, error))
        except Exception:
            _LOGGER.exception("a request failed: %s %s", request.method, request.path)
            return _refusal(context, ApiProblem(500, "Something went wrong on our side."))

    return outcomes


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> ApiProblem:
    match error.status:
        case 404:
            return ApiProblem(404, f"There is nothing at {request.path}.")
        case 405:
            allowed = error.headers.get("Allow", "")
            return ApiProblem(
                405, f"{request.path} takes {allowed} only.", headers={"Allow": allowed}
            )
        case status:
            return ApiProblem(status, error.reason)


def _refusal(context: Context, problem: ApiProblem) -> web.Response:
    title = _TITLES.get(problem.status, "Error")
    status, body = context.behaviour.error(problem.status, title, problem.message)
    if isinstance(body, str):
        return web.Response(status=status, text=body, content_type="text/html")
    return _json(status, body, problem.headers)
