"""The target file of the embedded reference, written like that of any other target.

The judge reads this file and knows nothing else of the reference. Keys are in the environment
that goes with it, never in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from trueup.scenarios.embedded.process import Serving

__all__ = ["EMBEDDED", "NO_OVERRIDES", "TargetOverrides", "key_environment", "target_file"]


class TargetOverrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a target file must say something else than that of the reference as it is."""

    rate_limit: float | None = None
    """Requests a second that are served; None: no limit."""
    without: tuple[str, ...] = ()
    """Claims that cannot be made."""
    graph: dict[str, str] = {}
    """Where graph points sit, as in a target file."""
    readings: dict[str, str] = {}
    """Readings that are declared besides, or in place of, those of the reference."""


NO_OVERRIDES: Final = TargetOverrides()

EMBEDDED: Final = "reference"
"""Name of the embedded reference as a target."""
_CONTROL = "TRUEUP_CONTROL_KEY"
_INGEST = "TRUEUP_INGEST_KEY"
_CLAIMS: Final = (
    *("residential", "mobile", "success-counts", "status-codes", "minute-graph", "hour-graph"),
    *("month-graph", "old-graph", "breakdown", "customer", "proxy-user", "proxy-user-edit"),
    *("charged", "money", "idempotent-money", "deduplication", "request-id"),
)
"""Features that the reference says it has; a rate limit only where it was asked for."""


_READINGS: Final = {"graph-end": "exclusive", "graph-edges": "exact", "freshness-s": "1"}
"""Points that the contract leaves open and that docs/reference.md settles."""


def key_environment(serving: Serving) -> Mapping[str, str]:
    """Return the environment variables that hold the keys which the target file names."""
    environment = {}
    for letter, tenant in zip("ab", serving.tenants, strict=False):
        environment[f"TRUEUP_{letter.upper()}_PUBLIC_KEY"] = tenant.public_key
        environment[f"TRUEUP_{letter.upper()}_PRIVATE_KEY"] = tenant.private_key
    if serving.control_key is not None:
        environment[_CONTROL] = serving.control_key
    if serving.ingest_key is not None:
        environment[_INGEST] = serving.ingest_key
    return environment


def target_file(
    serving: Serving,
    *,
    requests: int,
    restart_path: Path | None = None,
    overrides: TargetOverrides = NO_OVERRIDES,
) -> str:
    """Return the text of a target file for a started reference; `requests` is the whole budget."""
    parts = [
        "# The embedded reference, as this run started it.",
        f'name = "{EMBEDDED}"',
        f'base_url = "{serving.url}"',
        "disposable = true",
        f"claims = {_claims(overrides)}",
    ]
    for letter, tenant in zip("ab", serving.tenants, strict=False):
        parts += [
            "",
            f"[tenants.{letter}]",
            f'public_key = {{ env = "TRUEUP_{letter.upper()}_PUBLIC_KEY" }}',
            f'private_key = {{ env = "TRUEUP_{letter.upper()}_PRIVATE_KEY" }}',
            f"customer_id = {tenant.customer_id}",
        ]
    parts += [
        "",
        "[ingest]",
        'via = "http"',
        f'url = "{serving.ingest_url}"',
        "batch = 1000",
        'accepted = "accepted"',
        'refused = { list = "refused", line = "line", reason = "reason", count = "refused_count" }',
    ]
    if serving.ingest_key is not None:
        parts.append(f'headers = {{ "X-Ingest-Key" = {{ env = "{_INGEST}" }} }}')
    if serving.control_url is not None:
        parts += _control(serving.control_url)
    if restart_path is not None:
        argv = ", ".join(
            f'"{word}"'
            for word in (
                sys.executable,
                "-m",
                "trueup.scenarios.embedded.restart",
                str(restart_path),
            )
        )
        parts += ["", "[restart]", f"argv = [{argv}]", "timeout_s = 60"]
    if overrides.graph:
        parts += ["", "[graph]", *(f'{key} = "{value}"' for key, value in overrides.graph.items())]
    declared = _READINGS | overrides.readings
    parts += ["", "[readings]", *(f'{key} = "{value}"' for key, value in declared.items())]
    pace = '"unlimited"' if overrides.rate_limit is None else f"{overrides.rate_limit:g}"
    parts += [
        "",
        "[budget]",
        f"requests_per_s = {pace}",
        f"requests = {requests}",
        "minutes = 720",
        "",
    ]
    return "\n".join(parts)


def _claims(overrides: TargetOverrides) -> str:
    limited = ("rate-limit",) if overrides.rate_limit is not None else ()
    names = [name for name in (*_CLAIMS, *limited) if name not in overrides.without]
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _control(url: str) -> list[str]:
    headers = f'headers = {{ "X-Control-Key" = {{ env = "{_CONTROL}" }} }}'
    money = ("kind", "network", "idempotency_key")
    return [
        "",
        "[clock]",
        'via = "http"',
        f'url = "{url}/clock"',
        headers,
        'body = { now = "{now}" }',
        "",
        "[clock.read]",
        'via = "http"',
        f'url = "{url}/clock"',
        headers,
        'at = "now"',
        "",
        "[maintenance]",
        'via = "http"',
        f'url = "{url}/maintenance"',
        headers,
        "",
        "[money]",
        'via = "http"',
        f'url = "{url}/money"',
        headers,
        "",
        "[money.body]",
        'customer_id = "{customer_id}"',
        'bytes = "{bytes}"',
        *(f'{key} = "{{{key}}}"' for key in money),
    ]
