"""Generate the reference part of `docs/targets.md` from the schema and the tables of names.

`python -m trueup.conformance.docgen.targets_page` writes it into the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trueup.conformance.contract.claims import CLAIMS
from trueup.conformance.contract.interpretations import READINGS, ReadingName
from trueup.conformance.docgen.pages import put_between, table
from trueup.conformance.target.load import SCHEMA
from trueup.conformance.target.mapping import VALUES
from trueup.conformance.target.placeholders import HOOK_PLACEHOLDERS, PLACEHOLDERS
from trueup.reports.event_format import BODY_FORMS, TIME_FORMS

__all__ = ["PAGE", "targets_reference"]

PAGE: Final = Path("docs/targets.md")
"""Relative to the repository."""

_READS: Final = {
    **SCHEMA["$defs"]["httpRead"]["properties"],
    **SCHEMA["$defs"]["commandRead"]["properties"],
}
_PARTS: Final = (
    ("At the top of the file", SCHEMA),
    ("`[tenants.a]`, `[tenants.b]`", SCHEMA["$defs"]["tenant"]),
    ("`[proxies]`", SCHEMA["properties"]["proxies"]),
    ("`[[proxies.access]]`", SCHEMA["$defs"]["proxy"]),
    ('`[ingest]` with `via = "http"`', SCHEMA["$defs"]["httpIngest"]),
    ('`[ingest]` with `via = "command"`', SCHEMA["$defs"]["commandIngest"]),
    ('`[ingest]` with `via = "nats"`', SCHEMA["$defs"]["natsIngest"]),
    ('`[ingest]` with `via = "kafka"`', SCHEMA["$defs"]["kafkaIngest"]),
    ("`[ingest]` with the name of an installed transport", SCHEMA["$defs"]["transportIngest"]),
    (
        '`[clock]`, `[maintenance]`, `[money]`, `[restart]` with `via = "http"`',
        SCHEMA["$defs"]["httpHook"],
    ),
    (
        '`[clock]`, `[maintenance]`, `[money]`, `[restart]` with `via = "command"`',
        SCHEMA["$defs"]["commandHook"],
    ),
    ("`[clock.read]`", {"properties": _READS}),
    ("A field in `[ingest.mapping]`", SCHEMA["$defs"]["fieldTable"]),
    ("`[tls]`", SCHEMA["properties"]["tls"]),
    ("`[credentials.NAME]`", SCHEMA["$defs"]["credentials"]),
    ("`token` with `argv`", SCHEMA["$defs"]["tokenProgram"]),
    ("`token` with `url`", SCHEMA["$defs"]["tokenEndpoint"]),
    ("`signature`", SCHEMA["$defs"]["signature"]),
    ("`[rows]`", SCHEMA["properties"]["rows"]),
    ("`[graph]`", SCHEMA["properties"]["graph"]),
    ("`[budget]`", SCHEMA["properties"]["budget"]),
)


def targets_reference() -> str:
    """Return keys, claims, readings and placeholders as Markdown."""
    parts = ["## Keys\n"]
    for title, part in _PARTS:
        parts.append(f"### {title}\n")
        parts.append(table(("key", "meaning", "default"), _keys(part)))
    parts.append("## Body forms\n")
    parts.append(
        table(
            ("form", "meaning", "Content-Type"),
            (
                (f"`{form}`", row.sentence, f"`{row.content_type}`")
                for form, row in BODY_FORMS.items()
            ),
        )
    )
    parts.append("## Fields with fixed values\n")
    fixed = ((f"`{field}`", ", ".join(f"`{v}`" for v in own)) for field, own in VALUES.items())
    parts.append(table(("field of an event", "values that trueup sends"), fixed))
    parts.append("## Time forms\n")
    offset = ("`iso+02:00`", "`2025-04-01T15:00:00+02:00`; any offset")
    forms = [(f"`{name}`", example) for name, (_form, example) in TIME_FORMS.items()]
    parts.append(table(("form", "the time 13:00 UTC, or what it is"), [*forms, offset]))
    parts.append("## Placeholders\n")
    parts.append(
        table(
            ("placeholder", "meaning", "in"),
            (
                (f"`{{{name}}}`", what, ", ".join(_hooks_with(name)))
                for name, what in PLACEHOLDERS.items()
            ),
        )
    )
    parts.append("## Claims\n")
    parts.append(
        table(
            ("claim", "meaning", "promised by the guide", "source"),
            (
                (f"`{one.name}`", one.sentence, "yes" if one.guide else "", one.source)
                for one in CLAIMS.values()
            ),
        )
    )
    parts.append("## Readings\n")
    parts.append(
        table(
            ("reading", "meaning", "values", "if not declared", "open point"),
            (
                (f"`{one.name}`", one.sentence, _values(one), _otherwise(one), one.source)
                for one in READINGS.values()
            ),
        )
    )
    return "\n".join(parts)


def _keys(part: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = part.get("required", ())
    for name, inner in part["properties"].items():
        if inner is True or name == "via":
            continue
        row = _resolved(inner)
        said = inner.get("description") or row.get("description") or row.get("expected", "")
        default = "required" if name in required else _default(row)
        yield f"`{name}`", said, default
        for key, nested in row.get("properties", {}).items():
            if name == "refused":
                words = _resolved(nested)
                yield (
                    f"`{name}.{key}`",
                    nested.get("description", words.get("description", "")),
                    "required" if key in row["required"] else _default(nested),
                )


def _resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref", "").removeprefix("#/$defs/")
    return {**SCHEMA["$defs"][reference], **part} if reference else part


def _default(row: Mapping[str, Any]) -> str:
    return f"`{json.dumps(row['default'])}`" if "default" in row else ""


def _hooks_with(name: str) -> list[str]:
    return [f"`[{hook}]`" for hook, allowed in HOOK_PLACEHOLDERS.items() if name in allowed]


def _values(one: ReadingName) -> str:
    if one.values:
        return ", ".join(f"`{value}`" for value in one.values)
    return f"a number, {one.least:g} to {one.most:g}"


def _otherwise(one: ReadingName) -> str:
    return "probed" if one.probed else f"`{one.default}` is assumed"


if __name__ == "__main__":
    PAGE.write_text(put_between(PAGE.read_text("utf-8"), targets_reference()), "utf-8")
