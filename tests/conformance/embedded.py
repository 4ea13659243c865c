"""A started reference for tests: a child process, used over HTTP like any target."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.journal_header import header
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.runner import RunOutcome, run_checks
from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import EXIT_STATUS, EventOutcome, Json, Outcome

CLAIMS = (
    "residential",
    "mobile",
    "success-counts",
    "status-codes",
    "minute-graph",
    "hour-graph",
    "month-graph",
    "old-graph",
    "customer",
    "proxy-user",
    "proxy-user-edit",
    "charged",
    "breakdown",
    "money",
    "idempotent-money",
    "deduplication",
    "request-id",
)
"""What the reference has, as its own page says."""


@contextlib.contextmanager
def started(*options: str) -> Iterator[dict[str, Any]]:
    """Start the reference with control hooks; gives what it says of itself."""
    command = [
        sys.executable,
        "-m",
        "trueup.reference",
        "serve",
        "--port",
        "0",
        "--json",
        "--control",
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line, f"the reference did not start with {options}"
            yield json.loads(line)
        finally:
            child.terminate()


def target_of(
    serving: Mapping[str, Any],
    folder: Path,
    *,
    claims: Sequence[str] = CLAIMS,
    readings: Mapping[str, str] | None = None,
    hooks: Sequence[str] = ("clock", "maintenance", "money"),
) -> Target:
    """A target for a started reference, through a target file like any other."""
    environ = {"INGEST": serving["ingest_key"] or "", "CONTROL": serving["control_key"] or ""}
    lines = ['name = "reference"', f'base_url = "{serving["url"]}"']
    lines.append(f"claims = {json.dumps(list(claims))}")
    for letter, tenant in zip("ab", serving["tenants"], strict=False):
        environ |= {f"{letter}_PUB": tenant["public_key"], f"{letter}_KEY": tenant["private_key"]}
        lines += [f"[tenants.{letter}]", f'public_key = {{ env = "{letter}_PUB" }}']
        lines += [f'private_key = {{ env = "{letter}_KEY" }}']
        lines += [f"customer_id = {tenant['customer_id']}"]
    lines += ["[ingest]", 'via = "http"', f'url = "{serving["ingest_url"]}"']
    lines += ['accepted = "accepted"']
    lines += ['refused = { list = "refused", line = "line", reason = "reason" }']
    bodies = {
        "clock": 'body = { now = "{now}" }',
        "maintenance": "",
        "money": 'body = { customer_id = "{customer_id}", network = "{network}", kind = "{kind}", '
        'bytes = "{bytes}", idempotency_key = "{idempotency_key}" }',
    }
    for hook in hooks:
        lines += [f"[{hook}]", 'via = "http"', f'url = "{serving["control_url"]}/{hook}"']
        lines += ['headers = { "X-Control-Key" = { env = "CONTROL" } }', bodies[hook]]
    if readings:
        lines += ["[readings]", *(f'{name} = "{value}"' for name, value in readings.items())]
    lines += ["[budget]", 'requests_per_s = "unlimited"', "requests = 5000"]
    path = folder / "target.toml"
    path.write_text("\n".join(lines) + "\n")
    return load_target(path, environ)


class PlainIngest:
    """The smallest driver: one POST of NDJSON for each delivery."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> PlainIngest:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        assert self._session is not None
        body = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        headers = {"Content-Type": "application/x-ndjson"}
        async with self._session.post(self._url, data=body, headers=headers) as response:
            if response.status != 200:
                return [EventOutcome(Outcome.REFUSED, f"status {response.status}")] * len(events)
            answer = await response.json()
        refused = {row["line"]: row["reason"] for row in answer["refused"]}
        return [
            EventOutcome(Outcome.REFUSED, refused[line])
            if line in refused
            else EventOutcome(Outcome.ACCEPTED)
            for line in range(1, len(events) + 1)
        ]


async def judged(
    target: Target,
    ingest_url: str,
    journal: Path,
    *,
    level: int = 3,
    only: Sequence[str] = (),
    seed: int = 7,
    depth: Depth = Depth.QUICK,
) -> RunOutcome:
    """One whole run with header and footer."""
    checks = checks_for(target, level=level, only=only)
    with JournalWriter(journal) as writer:
        writer.write(
            header(
                seed=seed,
                started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                target=target.name,
                base_url=target.base_url,
                level=level,
                checks=tuple(check.name for check in checks),
                only=tuple(only),
            )
        )
        async with PlainIngest(ingest_url) as ingest:
            outcome = await run_checks(
                target,
                writer=writer,
                ingest=ingest,
                seed=seed,
                level=level,
                depth=depth,
                only=only,
            )
        writer.finish(finished_at="-", exit_status=EXIT_STATUS[outcome.exit_status])
    return outcome
