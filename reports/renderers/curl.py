"""A shell script that repeats the requests of one counter-example.

The script holds no API key: it names the environment variables that it takes them from. Text of the
target or of a check is quoted for the shell or is in a comment on one line, so that nothing in a
response can become a command.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from trueup.reports.formatting import one_line
from trueup.reports.journal.records import Exchange, Header
from trueup.reports.model import CheckRow, RunReport
from trueup.reports.results import Json

__all__ = ["KEY_VARIABLES", "curl_script", "request_line"]

KEY_VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "a": ("TRUEUP_A_PUBLIC_KEY", "TRUEUP_A_PRIVATE_KEY"),
    "b": ("TRUEUP_B_PUBLIC_KEY", "TRUEUP_B_PRIVATE_KEY"),
}
"""Tenant of an exchange → environment variables that hold its two keys."""
_PATH_CHARACTERS: Final = "/%~:@!$&'()*+,;="
_MAX_EVENTS: Final = 50
_DIFFERENCES: Final = 20
"""Differences that the script's last comment names."""


def curl_script(report: RunReport, row: CheckRow) -> str:
    """Return the script of one check; empty where no request shows its result."""
    if not row.exchanges:
        return ""
    return "\n".join(_lines(report.header, row)) + "\n"


def _lines(header: Header, row: CheckRow) -> Iterator[str]:
    result = row.result
    yield "#!/bin/sh"
    yield _comment(f"{result.law}: {result.title}")
    yield _comment(f"{result.check} gave {result.verdict}: {result.reason}")
    yield _comment(f"Run {header.run}, seed {header.seed}. Needs curl.")
    yield "set -eu"
    yield f'BASE_URL="${{BASE_URL:-{_bare(header.base_url)}}}"'
    for tenant, names in KEY_VARIABLES.items():
        if any(exchange.tenant == tenant for exchange in row.exchanges):
            for name in names:
                yield f': "${{{name}:?set it to a key of tenant {tenant}}}"'
    yield from _events(row)
    for number, exchange in enumerate(row.exchanges, start=1):
        yield ""
        yield _comment(f"{number}. {request_line(exchange)}")
        yield _comment(f"response: {_response(exchange)}")
        yield _curl(exchange)
    yield ""
    if result.expected or result.seen:
        yield _comment(f"expected: {result.expected}")
        yield _comment(f"seen: {result.seen}")
    if result.counterexample:
        for difference in result.counterexample.differences[:_DIFFERENCES]:
            place = f"{difference.where}: expected {difference.expected}, saw {difference.seen}"
            yield _comment(place)


def _events(row: CheckRow) -> Iterator[str]:
    """The events first, delivered as they were; sent only if INGEST_URL has an address."""
    example = row.result.counterexample
    if example is None or not example.events:
        return
    yield ""
    yield _comment("The events that show it. An id counts once: use a new target, or new ids.")
    yield 'if [ -n "${INGEST_URL:-}" ]; then'
    left = _MAX_EVENTS
    for batch in row.deliveries or (example.events,):
        if left > 0:
            yield from _delivery(batch[:left])
        left -= len(batch)
    yield "fi"
    if left < 0:
        yield _comment(f"{-left} more events are in the journal.")


def _delivery(events: Sequence[dict[str, Json]]) -> Iterator[str]:
    yield "  printf '%s\\n' \\"
    for event in events:
        yield f"    {shlex.quote(_json(event))} \\"
    yield "  | curl -sS -X POST -H 'Content-Type: application/x-ndjson' --data-binary @- \\"
    yield '    "$INGEST_URL"'
    yield "  echo"


def _curl(exchange: Exchange) -> str:
    path = quote(f"/{exchange.path.removeprefix('/')}", safe=_PATH_CHARACTERS, errors="replace")
    query = f"?{urlencode(exchange.query, errors='replace')}" if exchange.query else ""
    parts = ["curl -sS -i"]
    if exchange.method != "GET":
        parts.append(f"-X {shlex.quote(one_line(exchange.method, 20))}")
    parts += _keys(exchange.tenant)
    if exchange.request_body is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append(f"--data-raw {shlex.quote(_json(exchange.request_body))}")
    parts.append(f'"$BASE_URL"{shlex.quote(path + query)}')
    return " \\\n  ".join(parts)


def _json(value: Json) -> str:
    """The value as ASCII JSON; `null` where it cannot be serialized."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "null"


def _keys(tenant: str) -> list[str]:
    headers = ("X-API-Public-Key", "X-API-Private-Key")
    if tenant in KEY_VARIABLES:
        pairs = zip(headers, KEY_VARIABLES[tenant], strict=True)
        return [f'-H "{header}: ${name}"' for header, name in pairs]
    if tenant == "wrong":
        return [f"-H '{header}: wrong'" for header in headers]
    return []


def request_line(exchange: Exchange) -> str:
    """Return `GET /path?query` as a person reads it, on one line."""
    query = "&".join(f"{key}={value}" for key, value in exchange.query)
    return one_line(f"{exchange.method} {exchange.path}{'?' + query if query else ''}", 300)


def _response(exchange: Exchange) -> str:
    if exchange.status is None:
        return f"none: {exchange.error}"
    return f"{exchange.status} in {exchange.elapsed_ms:.0f} ms"


def _comment(text: str) -> str:
    """A comment on one line, whatever the text contains."""
    return f"# {one_line(text, 400)}"


def _bare(url: str) -> str:
    """The URL without characters that could end the default of a parameter expansion."""
    return "".join(c for c in url if c.isalnum() or c in ":/._-[]%~@")
