"""Keys in whatever encoding a target echoes them: none is written, and journals stay readable."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal_header import header
from trueup.reports.journal.records import (
    Exchange,
    GeneratorUsage,
    LatencyHistograms,
    LoadResult,
    PlannedLoad,
    Record,
    RequestCounts,
)
from trueup.reports.journal.redaction import STRUCK, Redactor
from trueup.reports.journal.storage import JOURNAL_NAME, JournalWriter, read_journal
from trueup.reports.results import Json

PUBLIC, PRIVATE = "pk_live-0123456789", 'sk"live/9876543210+ab'
KEYS = (PUBLIC, PRIVATE)
REDACTOR = Redactor(KEYS)


def percent(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODED = {
    "plain": PRIVATE,
    "percent-encoded where needed": quote(PRIVATE, safe=""),
    "percent-encoded throughout": percent(PRIVATE),
    "percent-encoded in lower case": percent(PRIVATE).lower(),
    "percent-encoded in part": PRIVATE[:5] + percent(PRIVATE[5:9]) + PRIVATE[9:],
    "base64": basic(PRIVATE),
    "base64 of both keys": basic(f"{PUBLIC}:{PRIVATE}"),
    "base64 within JSON": basic(json.dumps({"key": PRIVATE.replace('"', ""), "k": PUBLIC})),
    "url-safe base64": base64.urlsafe_b64encode(f"x{PRIVATE}".encode()).decode(),
    "hex": PRIVATE.encode().hex(),
    "JSON escapes": "".join(f"\\u{ord(character):04x}" for character in PRIVATE),
    "Python escapes": "".join(f"\\x{ord(character):02x}" for character in PRIVATE),
    "HTML": html.escape(PRIVATE),
    "HTML numbers": "".join(f"&#{ord(character)};" for character in PRIVATE),
}
FRAGMENTS = (PUBLIC, PRIVATE, basic(PRIVATE)[3:-5], basic(f":{PRIVATE}")[4:-5], percent(PRIVATE))


@pytest.mark.parametrize("form", ENCODED)
def test_a_key_is_struck_in_every_encoding(form: str) -> None:
    said = f"before {ENCODED[form]} after"
    struck = REDACTOR.text(said)
    assert STRUCK in struck
    assert struck.startswith("before ")
    assert struck.endswith(" after")
    assert not any(fragment in struck for fragment in FRAGMENTS)
    assert REDACTOR.may_touch(said.encode())


def test_keys_are_struck_at_any_depth_and_as_numbers() -> None:
    redactor = Redactor(("SECRET-1", "12345678"))
    said: Json = {"k": [{"SECRET-1": "a SECRET-1 b"}, 12345678, 1.5, True, None]}
    assert redactor.value(said) == {"k": [{STRUCK: f"a {STRUCK} b"}, STRUCK, 1.5, True, None]}


def test_a_short_key_is_struck_as_a_whole_word_only() -> None:
    redactor = Redactor(("1000", "key4"))
    assert redactor.text("key4: 1000 of 10000") == f"{STRUCK}: {STRUCK} of 10000"
    kept = "a4ee-1000-11f0 monkey4 2026-11-30 10:00:00"
    assert redactor.text(kept) == kept
    assert redactor.value({"n": 1000}) == {"n": 1000}


@pytest.mark.parametrize(
    "key", ["1000", "true", "null", "body", "exchange", "12345678", "status 1000 X"]
)
def test_a_journal_is_readable_whatever_the_key(key: str, tmp_path: Path) -> None:
    """A key may look like a number, a name of a field, or what says of which kind a record is."""
    records: list[Record] = [
        Exchange(
            n=1000, method="GET", path="/x", at="2026-11-30T00:00:00Z", stage="s",
            body={"x": 1000, "text": f"({key})"}, body_text=f" {key} ",
        ),
        LoadResult(
            plan=PlannedLoad(scenario="s", shape="constant", duration_s=1000),
            generator=GeneratorUsage(engine="e"),
            requests=RequestCounts(completed=1000, errors={f"HTTP 400: {key}": 1000}),
            latency=LatencyHistograms(response_ns={"1000": 1000}),
        ),
    ]  # fmt: skip
    with JournalWriter(tmp_path / JOURNAL_NAME, secrets=(key,)) as writer:
        writer.write(header())
        for record in records:
            writer.write(record)
        writer.finish(finished_at="2026-11-30T00:00:00Z", exit_status=0)
    read = read_journal(tmp_path).records
    assert isinstance(read[1], Exchange)
    assert read[1].n == 1000
    assert isinstance(read[2], LoadResult)
    assert read[2].latency.response_ns == {"1000": 1000}


texts = st.text(st.sampled_from('a%2B\\"u00x6+/=&#;:'), max_size=30)


@given(texts, st.sampled_from(sorted(ENCODED)), texts)
def test_a_line_stays_the_same_json_but_for_the_keys(before: str, form: str, after: str) -> None:
    said = {"text": before + ENCODED[form] + after, "n": 12, before: [after]}
    line = REDACTOR.line(msgspec.json.encode(said))
    assert msgspec.json.decode(line) == {
        REDACTOR.text(name): REDACTOR.value(value)  # type: ignore[arg-type]
        for name, value in said.items()
    }
