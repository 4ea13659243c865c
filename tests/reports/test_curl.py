"""The curl script of a counter-example: repeats its requests, holds no key, runs no text."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from trueup.reports.event_format import BodyForm, EventFormat, FieldFormat
from trueup.reports.journal.records import IngestDeclared
from trueup.reports.model import RunReport, SentBatch
from trueup.reports.renderers.curl import curl_script
from trueup.reports.results import Json

FAKE_CURL = """#!/bin/sh
for argument in "$@"; do printf '%s\\n' "$argument" >> "$CALLS"; done
printf -- '--\\n' >> "$CALLS"
"""


def run_script(script: str, folder: Path, **environment: str) -> tuple[int, list[list[str]], str]:
    """Run a script with a curl that only writes down how it was called."""
    (folder / "bin").mkdir()
    curl = folder / "bin" / "curl"
    curl.write_text(FAKE_CURL)
    curl.chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"PATH": f"{curl.parent}:{os.environ['PATH']}", "CALLS": str(calls)} | environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    parts = calls.read_text().split("--\n")
    return done.returncode, [part.splitlines() for part in parts if part], done.stderr


KEYS = {
    "TRUEUP_A_PUBLIC_KEY": "pub-a",
    "TRUEUP_A_PRIVATE_KEY": "priv-a",
    "TRUEUP_B_PUBLIC_KEY": "pub-b",
    "TRUEUP_B_PRIVATE_KEY": "priv-b",
}


def test_the_script_asks_the_same_questions_with_keys_of_the_environment(
    failing: RunReport, tmp_path: Path
) -> None:
    """Both requests, each with its tenant's keys, the query encoded as it was."""
    script = curl_script(failing, failing.rows[0])
    status, calls, error = run_script(script, tmp_path, **KEYS)
    assert (status, error) == (0, "")
    assert len(calls) == 2
    assert "X-API-Private-Key: priv-a" in calls[0]
    assert calls[0][-1].startswith(
        "http://127.0.0.1:41234/1.0/public/user/log/search?proxy_user_id=cx7-1&log_hostname="
    )
    assert "X-API-Public-Key: pub-b" in calls[1]
    assert calls[1][-1].endswith("/public/user/log_summary/search?proxy_user_id=cx7-1")


def test_another_place_can_be_asked(failing: RunReport, tmp_path: Path) -> None:
    """BASE_URL stands above the run's own; events are sent first where INGEST_URL is given."""
    script = curl_script(failing, failing.rows[0])
    environment = KEYS | {"BASE_URL": "http://elsewhere/1.0", "INGEST_URL": "http://elsewhere/in"}
    status, calls, _ = run_script(script, tmp_path, **environment)
    assert status == 0
    assert calls[0][-1] == "http://elsewhere/in"
    assert all(call[-1].startswith("http://elsewhere/") for call in calls)


def test_a_missing_key_is_named(failing: RunReport, tmp_path: Path) -> None:
    """The script stops before it asks anything."""
    status, calls, error = run_script(curl_script(failing, failing.rows[0]), tmp_path)
    assert status != 0
    assert calls == []
    assert "TRUEUP_A_PUBLIC_KEY" in error


@pytest.mark.parametrize(
    "trap", ["\ntouch owned\n", "'; touch owned; '", "$(touch owned)", "`touch owned`"]
)
def test_nothing_that_a_target_said_becomes_a_command(
    failing: RunReport, tmp_path: Path, trap: str
) -> None:
    """Responses, events, differences and the base URL are quoted, or within one comment line."""

    def spring(value: object) -> object:
        match value:
            case str():
                return value + trap
            case dict():
                return {key: spring(inner) for key, inner in value.items()}
            case list() | tuple():
                return [spring(inner) for inner in value]
            case _:
                return value

    row = failing.rows[0]
    result = msgspec.to_builtins(row.result)
    result |= {key: spring(result[key]) for key in ("title", "reason", "expected", "seen")}
    result["counterexample"] |= {
        key: spring(result["counterexample"][key]) for key in ("differences", "events")
    }
    exchanges = tuple(
        msgspec.structs.replace(
            e, path=e.path + trap, query=tuple((k + trap, v + trap) for k, v in e.query),
            method="POST" + trap, request_body={"a" + trap: trap}, error=trap,
        )
        for e in row.exchanges
    )  # fmt: skip
    sprung = dataclasses.replace(
        row, result=msgspec.convert(result, type(row.result)), exchanges=exchanges
    )
    header = msgspec.structs.replace(failing.header, base_url="http://h/" + trap, run="r" + trap)
    script = curl_script(dataclasses.replace(failing, header=header), sprung)
    folder = tmp_path / "run"
    folder.mkdir()
    status, calls, error = run_script(script, folder, **KEYS, INGEST_URL="http://x/in")
    assert (status, error) == (0, "")
    assert len(calls) == 3
    assert not (folder / "owned").exists()


def test_events_that_were_delivered_again_are_sent_again(failing: RunReport) -> None:
    """One POST for each delivery, in the order in which they were made."""
    row = failing.rows[0]
    assert row.result.counterexample is not None
    (event, *_) = row.result.counterexample.events
    script = curl_script(
        failing, dataclasses.replace(row, deliveries=(SentBatch(events=(event,)),) * 3)
    )
    assert script.count('"$INGEST_URL"') == 3


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_events_are_sent_again_in_the_form_of_the_target(
    failing: RunReport, tmp_path: Path, compression: str
) -> None:
    """Its names, parts and body, compressed as it wants it, with headers made from the event."""
    row = failing.rows[0]
    event: dict[str, Json] = {"log_id": "e-1", "log_total_bytes": 10, "log_hostname": "ä'b"}
    form = EventFormat(
        fields={
            "log_id": FieldFormat(name="ref"),
            "log_total_bytes": FieldFormat(split={"up": 1, "down": 3}),
        },
        form=BodyForm.JSON_ARRAY,
        key="events",
    )
    ingest = IngestDeclared(
        url="http://x/in", format=form, compression=compression, event_headers={"X-Ref": "{log_id}"}
    )
    script = curl_script(
        dataclasses.replace(failing, ingest=ingest),
        dataclasses.replace(row, deliveries=(SentBatch(events=(event,)),)),
    )
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "curl"
    fake.write_text(
        '#!/bin/sh\nfor a in "$@"; do test "$a" = @- && cat > body; done\necho "$@" >> calls\n'
    )
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "INGEST_URL": "http://x/in"}
    subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment | KEYS, check=True, timeout=20,
        capture_output=True,
    )  # fmt: skip
    body = (tmp_path / "body").read_bytes()
    sent = gzip.decompress(body) if compression == "gzip" else body
    assert json.loads(sent) == {
        "events": [{"ref": "e-1", "up": 2, "down": 8, "log_hostname": "ä'b"}]
    }
    calls = (tmp_path / "calls").read_text()
    assert "X-Ref: e-1" in calls
    assert ("Content-Encoding: gzip" in calls) == (compression == "gzip")
