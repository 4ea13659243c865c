"""The OpenAPI document: complete, and kept to by every response, whatever is sent."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reference.served import USER, Served, event, serving
from trueup.reference.api.app import build_app
from trueup.reference.query import FILTERS_LIMIT, PATTERN_LIMIT
from trueup.reference.times import format_instant

WAIT_S = 30


class Running(NamedTuple):
    """A reference in a thread of its own, and its document."""

    connection: http.client.HTTPConnection
    headers: dict[str, str]
    document: dict[str, Any]

    def send(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        """Return status, content type and body; the connection is made again where it ended."""
        try:
            self.connection.request(method, path, body=body, headers=headers)
            with self.connection.getresponse() as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except (http.client.HTTPException, OSError):
            self.connection.close()
            raise


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    ready, found = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving() as served:
            await _fill(served)
            document = await (await served.client.get("/openapi.json")).json()
            connection = http.client.HTTPConnection(
                "127.0.0.1", served.client.make_url("/").port, timeout=WAIT_S
            )
            control = {"X-Control-Key": served.context.store.control_key}
            found.append(Running(connection, {**served.keys(), **control}, document))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(WAIT_S)
    yield found[0]
    found[0].connection.close()
    loop.call_soon_threadsafe(stop.set)
    thread.join(WAIT_S)
    loop.close()


async def _fill(served: Served) -> None:
    at = format_instant(served.now_us)
    await served.ingest(event(number, log_request_datetime=at) for number in range(1, 4))
    money: dict[str, Any] = {"customer_id": 1001, "network": "mobile", "kind": "top_up", "bytes": 7}
    assert (await served.control("money", **money, idempotency_key="k"))[0] == 200
    made = {"proxy_user_id": "bob", "proxy_user_metadata": {"a": 1}}
    assert (await served.ask("proxy_user/create", method="POST", json=made))[0] == 201


async def test_every_route_is_in_the_document() -> None:
    async with serving() as served:
        document = await (await served.client.get("/openapi.json")).json()
        routes = {
            (str(route.resource.canonical), route.method.lower())
            for route in build_app(served.context).router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    listed = {(path, method) for path, parts in document["paths"].items() for method in parts}
    assert listed == routes


def test_the_schemas_of_the_document_are_valid(running: Running) -> None:
    """Schemas are those of JSON Schema 2020-12, as OpenAPI 3.1 has them."""
    found = list(_schemas(running.document))
    assert len(found) > 300
    for schema in found:
        jsonschema.Draft202012Validator.check_schema(schema)


def _schemas(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        if "schema" in part:
            yield part["schema"]
        for inner in part.values():
            yield from _schemas(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _schemas(inner)


ODD_TEXTS = (
    *("", " ", "0", "-1", "1", "01", "1.0", "1e3", "+1", "٣", "NaN", "null", "true", "x" * 300),
    *("9" * 18, "9" * 19, str(2**63), str(-(2**63)), str(-(2**63) - 1), str(2**200), "9" * 5000),
    *("0001-01-01", "0001-01-01 00:00:00", "9999-12-31", "9999-12-31 23:59:59", "8999-12-31"),
    *("2024-02-30", "2024-13-01", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00.1234567"),
    *(
        "%",
        "_",
        "\\",
        "%%%_\\",
        "'",
        '"',
        ";--",
        "\x00",
        "a\x00b",
        "\n",
        "\r\n",
        "\ud7ff",
        "\U0010ffff",
    ),
    *("random", "today", "log_id_desc", "..", "/", "%2F", "alice", "apple.com", "isp", "day"),
)
texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=20)
raw_texts = texts.map(lambda text: quote(text, safe="")) | st.binary(max_size=8).map(quote)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the document accepts, or nearly."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return st.one_of([fitting(each) for each in schema[choice]])
    kinds = schema.get("type", "string")
    return st.one_of(
        [_of_type(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    )


def _of_type(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return st.integers(schema.get("minimum", -10), schema.get("maximum", 10**6))
        case "array":
            return st.lists(fitting(schema.get("items", {})), max_size=3)
        case "object":
            required = {
                name: fitting(schema["properties"][name]) for name in schema.get("required", ())
            }
            optional = {
                name: fitting(inner)
                for name, inner in schema.get("properties", {}).items()
                if name not in required
            }
            return st.fixed_dictionaries(required, optional=optional)
    if "format" in schema:
        return st.sampled_from(["10.0.0.1", "::1", "10.0.0.256"])
    if "pattern" in schema:
        return st.sampled_from(["2024-01-31", "2024-01-31 12:00:00", "2030-01-01 00:00:00"])
    return st.text("abcXYZ09é .%", min_size=schema.get("minLength", 0), max_size=40)


def mistaken(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The good value, usually; one that is wrong somewhere; or anything."""

    @st.composite
    def damaged(draw: st.DrawFn) -> Any:
        value = draw(good)
        if isinstance(value, dict) and value:
            name = draw(st.sampled_from(sorted(value)))
            return {**value, name: draw(values)}
        return draw(values)

    return good | damaged() | values


def parameters(operation: dict[str, Any]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Pairs of a query string, already quoted."""
    known = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    pairs = [
        st.tuples(st.just(each["name"]), fitting(each["schema"]).map(_as_text) | raw_texts)
        for each in known
    ]
    others = st.tuples(raw_texts, raw_texts)
    keys = st.tuples(
        st.sampled_from(["proxy_user_metadata.", "proxy_user_metadata.exists_", "like_", "not_"]),
        raw_texts,
    ).map("".join)
    any_pair = st.one_of([*pairs, *([others] if len(pairs) < 5 else [])])
    return st.lists(any_pair, max_size=4) | st.lists(
        any_pair | others | st.tuples(keys, raw_texts), max_size=4
    )


def _as_text(value: Any) -> str:
    return quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")


class Request(NamedTuple):
    path: str
    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]


@st.composite
def requests(draw: st.DrawFn, document: dict[str, Any], headers: dict[str, str]) -> Request:
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    ids = st.sampled_from(["bob", "alice", "1", "00000001-0000-4000-8000-000000000000"]) | raw_texts
    target = path.replace("{id}", draw(ids.filter(lambda text: text not in ("", ".", ".."))))
    query = draw(parameters(operation))
    if query:
        target += "?" + "&".join(f"{name}={value}" for name, value in query)
    sent = dict(headers)
    body: bytes | None = None
    for media_type, content in operation.get("requestBody", {"content": {}})["content"].items():
        value = draw(mistaken(fitting(content["schema"])))
        body = draw(st.just(_encode(value)) | st.binary(max_size=30))
        sent["Content-Type"] = draw(st.sampled_from([media_type, "text/plain", ""]))
        sent["Content-Encoding"] = draw(st.sampled_from(["identity"] * 4 + ["gzip", "br", "é"]))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(sorted(headers)))
        sent[name] = draw(st.sampled_from(["", "x", "é\xff", "sk_" + "0" * 400]))
    if method == "post" and path.endswith("clock"):
        body = draw(st.just(body) | st.sampled_from([b'{"advance_s": 1}', b'{"now": {}}']))
    return Request(path, method, target, body, sent)


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def check(running: Running, request: Request) -> None:
    """Send a request; its status, type and body must be among those of the document."""
    headers = {name: value.encode("utf-8") for name, value in request.headers.items()}
    status, kind, raw = running.send(
        request.method.upper(),
        request.target,
        body=request.body,
        headers=headers,  # type: ignore[arg-type]
    )
    documented = running.document["paths"][request.path][request.method]["responses"]
    assert str(status) in documented, (status, raw[:300])
    assert status < 500, raw[:300]
    ((media_type, content),) = documented[str(status)]["content"].items()
    assert kind.partition(";")[0] == media_type
    if media_type == "application/json":
        components = json.dumps(running.document["components"])
        _validator(json.dumps(content["schema"]), components).validate(json.loads(raw))


@lru_cache
def _validator(schema: str, components: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {**json.loads(schema), "components": json.loads(components)}
    )


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e300, 2**63, -(2**63) - 1, 2**64, 10**40, "", "x", "1"),
    *("x" * 300, "a\x00b", "\ud800", [], {}, [[]], [{}], {"a": {}}, {"a": None}, {"": []}, [None]),
    *(["::1", 7], {"kind": "top_up"}, ["residential"], {str(n): n for n in range(31)}),
)
GOOD_BODIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "post",
        "/control/money",
        {
            "customer_id": 1001,
            "network": "mobile",
            "kind": "refund",
            "bytes": -1,
            "idempotency_key": "odd",
            "service_id": None,
        },
    ),
    ("post", "/control/clock", {"now": "2030-01-01 00:00:00"}),
    ("post", "/control/clock", {"advance_s": 0}),
    ("post", "/control/maintenance", {"anything": 1}),
    ("post", f"{USER}proxy_user/create", {"proxy_user_id": "carol"}),
)


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """Yield bodies with one value of another type or range in each field, and at their place."""
    edit = f"{USER}proxy_user/edit/{{id}}"
    content = document["paths"][edit]["patch"]["requestBody"]["content"]["application/json"]
    fields = dict.fromkeys(content["schema"]["properties"])
    for method, path, good in (*GOOD_BODIES, ("patch", edit, fields)):
        for odd in ODD_VALUES:
            yield method, path, _encode(odd)
            for name in good:
                # Null stands for a field that is left out of an edit.
                rest = {} if good is fields else good
                yield method, path, _encode({**rest, name: odd})


def test_no_value_of_a_wrong_type_in_a_body_is_an_error_of_the_server(running: Running) -> None:
    """Such as a `kind` that is an object."""
    for method, path, body in bodies(running.document):
        target = path.replace("{id}", "bob")
        check(running, Request(path, method, target, body, running.headers))


@pytest.mark.slow
def test_no_text_in_a_parameter_is_an_error_of_the_server(running: Running) -> None:
    """Each parameter of graph and breakdown, and of searches one of each schema and prefix."""
    seen = set()
    for path, parts in running.document["paths"].items():
        for each in parts.get("get", {}).get("parameters", ()):
            name, schema = each["name"], json.dumps(each["schema"], sort_keys=True)
            prefix = next((p for p in ("min_", "max_", "like_", "not_") if name.startswith(p)), "")
            key = (path, prefix, name if "/analytics/" in path else schema)
            if key in seen:
                continue
            seen.add(key)
            for odd in (*map(quote, ODD_TEXTS), "%ff", "%ed%a0%80", "%00", "+", "%"):
                target = f"{path}?{name}={odd}"
                if each["in"] == "path":
                    target = path.replace("{id}", odd.replace("/", "%2F") or "x")
                if "/.." not in target:
                    check(running, Request(path, "get", target, None, running.headers))
    assert len(seen) > 100


def test_very_many_and_very_long_filters_are_a_bad_request(running: Running) -> None:
    """Which SQLite would refuse: deep conditions, and patterns of more than 50,000 bytes."""
    path = f"{USER}proxy_user/search"
    key, like = "proxy_user_metadata", "like_proxy_user_id"
    most = "&".join(f"{key}.{number}=1" for number in range(FILTERS_LIMIT))
    fitting_ones = (most, f"{like}={'x' * PATTERN_LIMIT}", f"{like}={'_' * PATTERN_LIMIT}")
    for query in fitting_ones:
        assert running.send("GET", f"{path}?{query}", headers=running.headers)[0] == 200
    for query in (f"{most}&{key}.x=1", *(f"{each}x" for each in fitting_ones[1:])):
        assert running.send("GET", f"{path}?{query}", headers=running.headers)[0] == 400


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(data=st.data())
def test_whatever_is_sent_the_response_is_a_documented_one(
    running: Running, data: st.DataObject
) -> None:
    """Any JSON of a wrong type in any body, query, path or header; no 5xx among the responses."""
    check(running, data.draw(requests(running.document, running.headers)))
