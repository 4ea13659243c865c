"""Build the format in which a target takes events: the tables `mapping`, `constants` and `sums`.

Everything that a target could only refuse is a problem of the file: unknown fields, values without
a mapping, two fields under one name. Problems are collected, not raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trueup.conformance.model import NETWORKS
from trueup.conformance.target.fields import Fields, Table
from trueup.reports.configuration import describe_value, nearest
from trueup.reports.event_format import (
    AMOUNTS,
    EVENT_KEYS,
    TIME_FORMS,
    BodyForm,
    EventFormat,
    FieldFormat,
    Framing,
    time_form,
)
from trueup.reports.results import Json

__all__ = ["VALUES", "check_time_form", "check_values", "event_format"]

_FLAG: Final = ("true", "false")
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "log_network": NETWORKS,
    "log_protocol": ("http", "socks"),
    "log_protocol_version": ("1.1", "2", "5"),
    "log_transport": ("tcp", "udp", "quic"),
    "log_method": ("GET", "POST", "HEAD", "CONNECT", "PUT", "PATCH", "DELETE", "OPTIONS"),
    "log_authentication_type": ("1", "2", "3"),
    "log_is_tls_enabled": _FLAG,
    "log_smartpath_enabled": _FLAG,
    "log_smartpath_routed": _FLAG,
    "log_status_code": (
        *("200", "201", "204", "206", "301", "302", "304", "307", "308"),
        *("400", "403", "404", "405", "407", "410", "418", "429", "451", "499"),
        *("500", "502", "503", "504", "520", "599", "999"),
    ),
    "log_error_code": (
        "connection_limit_reached",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "destination_ip_prohibited",
        "destination_unavailable",
        "dns_error",
        "dns_timeout",
        "http_request_denied",
        "http_request_error",
        "http_response_incomplete",
        "http_response_timeout",
        "proxy_internal_error",
    ),
}
"""Field → the values that events have there, null and the empty string aside.

`customer_id` has those of the tenants.
"""
_FURTHER: Final[Mapping[str, re.Pattern[str]]] = {
    "log_status_code": re.compile(r"[1-9]\d\d"),
    "log_method": re.compile(r"[A-Z][A-Z-]*"),
    "log_error_code": re.compile(r"[a-z][a-z0-9_]*"),
    "log_protocol_version": re.compile(r"\d(\.\d)?"),
}
"""Field → values that events of an access log may have besides those of `VALUES`."""
_TIME: Final = "log_request_datetime"


def event_format(fields: Fields, table: Table) -> EventFormat:
    """Return the format that the table `[ingest]` of a target file describes."""
    form = BodyForm(table.get("form", BodyForm.NDJSON))
    attributes = dict(table.get("cloudevent", {}))
    if "action" in table:
        attributes["action"] = table["action"]
    made = EventFormat(
        fields=dict(_rules(fields, table.get("mapping", {}))),
        constants=dict(_flat(fields.json_value("ingest.constants", table.get("constants", {})))),
        sums=dict(_sums(fields, table.get("sums", {}))),
        form=form,
        key=table.get("key", ""),
        body=dict(_flat(fields.json_value("ingest.body", table.get("body", {})))),
        attributes=attributes,
    )
    _note_useless(fields, table, form)
    _note_collisions(fields, made)
    return made


def _flat(table: Mapping[str, Json], above: str = "") -> Iterator[tuple[str, Json]]:
    """Yield (dotted name, value) of a table; `a.b = 1` is a table in TOML unless it is quoted."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _rules(fields: Fields, table: Table) -> Iterator[tuple[str, FieldFormat]]:
    for field, given in table.items():
        key = f"ingest.mapping.{field}"
        if field not in EVENT_KEYS:
            remedy = nearest(field, EVENT_KEYS)
            fields.note(key, "a field of an event of trueup", f'"{field}"', remedy)
            continue
        rule: Table = {"name": given} if isinstance(given, str) else given
        _check_rule(fields, key, field, rule)
        yield (
            field,
            FieldFormat(
                name=rule.get("name"),
                values=fields.json_value(f"{key}.values", rule["values"])
                if "values" in rule
                else None,
                time=rule.get("time", ""),
                split=dict(rule.get("split", {})),
            ),
        )


def _check_rule(fields: Fields, key: str, field: str, rule: Table) -> None:
    if "values" in rule:
        known = {**VALUES, "customer_id": fields.customers}
        if field in known:
            further = _FURTHER.get(field)
            check_values(fields, f"{key}.values", field, rule["values"], known[field], further)
        else:
            expected = f"values for a field that has a fixed list of them: {', '.join(known)}"
            fields.note(f"{key}.values", expected, f"values for {field}")
    if "time" in rule:
        if field != _TIME:
            fields.note(f"{key}.time", f"no time form, except for {_TIME}", f'"{rule["time"]}"')
        else:
            check_time_form(fields, f"{key}.time", rule["time"])
    if "split" in rule:
        if field not in AMOUNTS:
            expected = f"a split of an amount: {', '.join(AMOUNTS)}"
            fields.note(f"{key}.split", expected, f"a split of {field}")
        elif not sum(rule["split"].values()):
            expected = "shares, of which one at least is above 0"
            fields.note(f"{key}.split", expected, "zeros only")


def check_time_form(fields: Fields, key: str, name: str) -> None:
    """Report a time form that does not exist."""
    if time_form(name) is None:
        expected = f"a time form: {', '.join(TIME_FORMS)}, or iso+02:00 and the like"
        fields.note(key, expected, f'"{name}"', nearest(name, TIME_FORMS))


def check_values(
    fields: Fields,
    key: str,
    name: str,
    mapped: Mapping[str, Json],
    values: Sequence[str],
    further: re.Pattern[str] | None = None,
) -> None:
    """Report values in a table that `name` does not take, and those that the table lacks.

    `further` matches values that it may have besides.
    """
    known = (*values, "null", "")
    for value in mapped:
        if value not in known and not (further and further.fullmatch(value)):
            expected = f"a value that {name} takes"
            fields.note(f"{key}.{value}", expected, f'"{value}"', nearest(value, values))
    missing = [value for value in values if value not in mapped]
    if missing:
        fields.note(
            key,
            f"a mapping for every value of {name}",
            f"none for {', '.join(missing)}",
            "add " + ", ".join(f'"{value}" = …' for value in missing[:3]),
        )


def _sums(fields: Fields, table: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, parts in table.items():
        for number, part in enumerate(parts):
            if part not in AMOUNTS:
                expected = f"an amount: {', '.join(AMOUNTS)}"
                key = f"ingest.sums.{name}[{number}]"
                fields.note(key, expected, f'"{part}"', nearest(part, AMOUNTS))
        yield name, tuple(part for part in parts if part in AMOUNTS)


def _note_useless(fields: Fields, table: Table, form: BodyForm) -> None:
    """Report keys that mean something for other body forms only."""
    events = (BodyForm.CLOUDEVENT, BodyForm.CLOUDEVENTS_BATCH)
    for key, forms in (
        ("key", (BodyForm.JSON_ARRAY,)),
        ("body", (BodyForm.JSON_ARRAY,)),
        ("cloudevent", events),
        ("action", (BodyForm.ELASTICSEARCH_BULK,)),
    ):
        if key in table and form not in forms:
            names = " or ".join(f'"{name}"' for name in forms)
            fields.note(f"ingest.{key}", f"form = {names} beside it", f'form = "{form}"')
    if "body" in table and not table.get("key"):
        fields.note("ingest.body", "a `key` beside it, under which the events stand", "none")
    single = EventFormat(form=form).framing is Framing.SINGLE
    if single and table.get("batch", 1) != 1:
        found = describe_value(table["batch"])
        fields.note("ingest.batch", f'1, because "{form}" holds one event', found)


def _note_collisions(fields: Fields, made: EventFormat) -> None:
    """Report names that two fields have, and names that stand below the name of a value."""
    named: dict[str, str] = {}
    for name in made.constants:
        _note_collision(fields, named, f"ingest.constants.{name}", name, f"the constant {name}")
    for key, name, _leaf in made.leaves():
        where = f"ingest.{key}" if key.startswith("sums.") else f"ingest.mapping.{key}"
        # A field that keeps its name is not in the file.
        field = key.partition(".")[0]
        listed = key.startswith("sums.") or field in made.fields
        _note_collision(fields, named, where if listed else "ingest.mapping", name, key)
    around: dict[str, str] = {}
    for name in (*made.body, *([made.key] if made.key else [])):
        _note_collision(fields, around, f"ingest.body.{name}", name, name)


def _note_collision(fields: Fields, named: dict[str, str], key: str, name: str, owner: str) -> None:
    parts = name.split(".")
    outer = {".".join(parts[:size]) for size in range(1, len(parts) + 1)}
    clash = next((used for used in named if used in outer or used.startswith(f"{name}.")), None)
    if clash is None:
        named[name] = owner
        return
    same = "has that name too" if clash == name else f'has the name "{clash}"'
    fields.note(
        key,
        "a different name for every field, none below another",
        f'"{name}" for {owner}; {named[clash]} {same}',
        'a name of its own, or "" to leave the field out',
    )
