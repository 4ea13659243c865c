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

from trueup.reports.event_format import BODY_FORMS, EventFormat, Framing
from trueup.reports.formatting import one_line
from trueup.reports.journal.records import Exchange, Header, IngestDeclared
from trueup.reports.model import CheckRow, RunReport, SentBatch
from trueup.reports.results import Json

__all__ = ["KEY_VARIABLES", "curl_script", "request_line"]

KEY_VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    "a": ("TRUEUP_A_PUBLIC_KEY", "TRUEUP_A_PRIVATE_KEY"),
    "b": ("TRUEUP_B_PUBLIC_KEY", "TRUEUP_B_PRIVATE_KEY"),
}
"""Tenant of an exchange → environment variables that hold its two keys."""
_PACK: Final[Mapping[str, str]] = {"gzip": "| gzip -c ", "zstd": "| zstd -q -c "}
"""Compression of a body → the program that makes it."""
_PATH_CHARACTERS: Final = "/%~:@!$&'()*+,;="
_DIFFERENCES: Final = 20
"""Differences that the script prints."""


def curl_script(report: RunReport, row: CheckRow) -> str:
    """Return the script of one check; empty where no request shows its result."""
    if not row.exchanges:
        return ""
    return "\n".join(_lines(report.header, row, report.ingest)) + "\n"


def _lines(header: Header, row: CheckRow, ingest: IngestDeclared | None) -> Iterator[str]:
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
    yield from _events(row, ingest)
    for number, exchange in enumerate(row.exchanges, start=1):
        yield ""
        yield _comment(f"{number}. {request_line(exchange)}")
        yield _comment(f"response in the run: {_response(exchange)}")
        yield _print(f"{number}. {request_line(exchange)}")
        yield _curl(exchange)
    yield from _differences(row)


def _differences(row: CheckRow) -> Iterator[str]:
    """What was expected beside what the run saw, to compare with the responses above."""
    example = row.result.counterexample
    found = [(d.where, d.expected, d.seen) for d in (example.differences if example else ())]
    if not found and (row.result.expected or row.result.seen):
        found = [(row.result.check, row.result.expected, row.result.seen)]
    if not found:
        return
    yield ""
    for where, expected, seen in found[:_DIFFERENCES]:
        yield _print(where)
        yield _print(f"  expected: {expected}")
        yield _print(f"  seen:     {seen} (in the run)")
    if len(found) > _DIFFERENCES:
        yield _comment(f"{len(found) - _DIFFERENCES} more differences are in result.json.")


def _events(row: CheckRow, ingest: IngestDeclared | None) -> Iterator[str]:
    """The events first, as they were delivered; sent only if INGEST_URL has an address."""
    for hook in row.hooks:
        request = json.dumps(hook.request, sort_keys=True) if hook.request else ""
        yield _comment(f"Not repeated: the {hook.hook} hook was called {request}".rstrip())
    example = row.result.counterexample
    if example is None or not example.events:
        return
    batches = row.deliveries or (SentBatch(events=tuple(example.events)),)
    yield ""
    yield _comment("The deliveries with the events that show it. An id counts once and the times")
    yield _comment("are those of the run: use a new target, whose clock is at the time of the run.")
    headers = ingest.headers if ingest is not None else ()
    yield 'if [ -n "${INGEST_URL:-}" ]; then'
    for header in headers:
        yield f'  : "${{{_variable(header)}:?set it to the value of the header {_bare(header)}}}"'
    for number, batch in enumerate(batches):
        together = number + 1 < len(batches) and batches[number + 1].overlaps
        yield from _delivery(batch.events, ingest, at_once=batch.overlaps or together)
        if batch.overlaps and not together:
            yield "  wait"
    yield "fi"


def _delivery(
    events: Sequence[dict[str, Json]], ingest: IngestDeclared | None, *, at_once: bool
) -> Iterator[str]:
    """One request for the events of a delivery, or one for each at a target that takes single ones.

    `at_once`: it is sent in the background, because it overlapped with another one.
    """
    form = ingest or IngestDeclared(url="")
    single = form.format.framing is Framing.SINGLE or form.event_headers
    batches = [[event] for event in events] if single else [events]
    kind = BODY_FORMS[form.format.form].content_type
    headers = [f'-H "{_bare(h)}: ${_variable(h)}"' for h in form.headers]
    method = shlex.quote(one_line(form.method, 20))
    for batch in batches:
        own = [
            f"-H {shlex.quote(one_line(f'{name}: {form.format.fill_text(text, batch[0])}', 300))}"
            for name, text in form.event_headers.items()
        ]
        yield "  printf '%s\\n' \\"
        for line in _body_lines(form.format, batch):
            yield f"    {shlex.quote(line)} \\"
        packed = [f"-H 'Content-Encoding: {form.compression}'"] if form.compression in _PACK else []
        named = [f"-H 'Content-Type: {kind}'", *packed, *headers, *own]
        options = " ".join([r"-w '\n'", f"-X {method}", *named])
        yield f"  {_PACK.get(form.compression, '')}| curl -sS {options} --data-binary @- \\"
        yield f'    "$INGEST_URL"{" &" if at_once else ""}'


def _body_lines(form: EventFormat, events: Sequence[dict[str, Json]]) -> list[str]:
    """The lines of a body with these events; `null` for what cannot be serialized."""
    before, between, after = (part.decode() for part in form.frame())
    rows = ["\n".join(map(_json, form.rows(event))) for event in events]
    return [line for line in f"{before}{between.join(rows)}{after}".split("\n") if line]


def _variable(header: str) -> str:
    """Environment variable that holds the value of a header of the ingestion endpoint."""
    return "INGEST_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in header).upper()


def _print(text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(one_line(text, 300))}"


def _curl(exchange: Exchange) -> str:
    sent = exchange.sent_path or exchange.path
    path = quote(f"/{sent.removeprefix('/')}", safe=_PATH_CHARACTERS, errors="replace")
    asked = exchange.sent_query if exchange.sent_path else exchange.query
    query = f"?{urlencode(asked, errors='replace')}" if asked else ""
    parts = [r"curl -sS -i -w '\n'"]
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
