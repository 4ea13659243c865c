"""Readers of access logs: what Squid, HAProxy, nginx and Apache wrote, and documented formats."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import json
import lzma
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.parquet
import pytest

from trueup.simulator.access_logs import (
    AccessRecord,
    LogReader,
    ReadOptions,
    ReadReport,
    RefusedLine,
    format_names,
    parse_fields,
)
from trueup.simulator.access_logs.formats import FORMATS
from trueup.simulator.access_logs.source import Source
from trueup.simulator.delivery import HttpForm
from trueup.simulator.delivery.forms import compress
from trueup.simulator.errors import AccessLogError

LOGS: Final = Path(__file__).parents[1] / "data" / "access_logs"
SQUID_OWN: Final = 'squid:%tl %>a "%[un" %rm %>rd %>Hs %>st %<st %tr'
NGINX_OWN: Final = (
    "nginx:$msec $remote_addr $host $request_method $status $request_length $bytes_sent "
    "$request_time"
)
DAMAGE: Final = b'0123456789-:/.[]"{} \t\\,%eE+\xff'
BEGIN_US: Final = 1_741_482_000_000_000
"""2025-03-09 01:00:00 UTC."""
WRITTEN: Final = (
    # (file, format that is named, format found, records, bytes, records with a user, with a host)
    ("squid-native.log", "", "squid", 304, 2_836_973, 228, 302),
    ("squid-custom.log", SQUID_OWN, "squid", 304, 2_885_130, 228, 302),
    ("squid-combined.log", "squid:combined", "squid", 304, 2_836_973, 228, 302),
    ("squid-combined.log", "", "combined", 304, 2_836_973, 228, 302),
    ("haproxy.log", "", "haproxy", 227, 2_527_687, 0, 0),
    ("haproxy-own.log", "haproxy:%ci [%tr] %ST %B %U %Ta %{+Q}r", "haproxy", 75, 1_520_532, 0, 0),
    ("nginx-combined.log", "", "combined", 300, 3_126_990, 241, 0),
    ("nginx-own.log", NGINX_OWN, "nginx", 300, 3_210_378, 0, 300),
    ("nginx-json.log", "", "ndjson", 300, 3_210_378, 241, 300),
    ("apache-vhost.log", "", "combined", 300, 4_025_549, 0, 300),
    ("apache-own.log", r"apache:%v %a %u %t \"%r\" %>s %I %O %D", "apache", 300, 4_059_317, 0, 300),
)


def read(path: Path, form: str = "", **options: Any) -> tuple[list[AccessRecord], ReadReport]:
    """Return the records of a log and the report."""
    reader = LogReader(path, ReadOptions(format=form, **options))
    return list(reader), reader.report


def zstd_compress(content: bytes) -> bytes:
    """Return content packed by zstd."""
    return compress(HttpForm(url="http://127.0.0.1/", compression="zstd"), content)


def write(path: Path, lines: Iterable[str | dict[str, Any]]) -> Path:
    """Write lines, objects as JSON."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def at(text: str) -> int:
    """Return microseconds since 1970 of a time with its zone."""
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000)


@pytest.mark.parametrize(("name", "form", "found", "count", "size", "users", "hosts"), WRITTEN)
def test_a_log_is_read_as_its_program_wrote_it(
    name: str, form: str, found: str, count: int, size: int, users: int, hosts: int
) -> None:
    """Every line, with the bytes that the programs counted."""
    records, report = read(LOGS / name, form)
    assert (report.format, report.read, report.refused) == (found, count, 0)
    assert report.guessed is not bool(form)
    assert sum(record.size or 0 for record in records) == size
    assert sum(bool(record.user) for record in records) == users
    assert sum(bool(record.host) for record in records) == hosts
    begin, end = at("2026-11-30T00:00:00+00:00"), at("2026-12-01T00:00:00+00:00")
    assert all(begin < record.time_us < end for record in records)
    assert {404, 503} < {record.status for record in records}


def test_native_and_own_format_of_squid_agree_on_every_request() -> None:
    """The own one counts the request's bytes beside those of the reply."""
    native, _ = read(LOGS / "squid-native.log")
    own, _ = read(LOGS / "squid-custom.log", SQUID_OWN)
    for one, other in zip(native, own, strict=True):
        assert (one.user, one.host, one.status, one.duration_ms, one.time_us // 10**6) == (
            other.user, other.host, other.status, other.duration_ms, other.time_us // 10**6
        )  # fmt: skip
        assert (one.size or 0) <= (other.size or 0)


def test_haproxy_reports_failures_and_skips_what_it_says_of_itself(tmp_path: Path) -> None:
    """`option tcplog` has no status; a line about a server is no request."""
    line = (LOGS / "haproxy.log").read_text().splitlines()[1]
    head = line.partition("]: ")[0]
    log = write(tmp_path / "h", [line, f"{head}]: Server origin/a is DOWN, reason: Layer4"])
    records, report = read(log)
    assert (report.read, report.refused) == (1, 0)
    records, _ = read(LOGS / "haproxy.log")
    assert [r.error for r in records if r.error] == ["haproxy_CR", "haproxy_PR"]
    tcp = [r for r in records if r.status is None]
    assert len(tcp) == 75 and all(r.size and not r.method for r in tcp)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("squid:%{%Y-%m-%d %T}tg %>a:%>p %un %>Hs %st %<st %ru",
         "2025-03-09 01:00:00 2001:db8::9:5000 jane 200 5000 4700 http://shop.example/a"),
        ("squid:%>a [%tl{%d/%b/%Y:%H:%M:%S %z}] \"%rm %ru\" %Hs %<st %un",
         '2001:db8::9 [09/Mar/2025:02:00:00 +0100] "GET http://shop.example/a" 200 5000 jane'),
        ("squid:logformat own %9ts.%03tu\t%>a\t%ssl::>sni\t%>Hs\t%>st\t%<st\t%ul",
         "1741482000.000\t2001:db8::9\tshop.example\t200\t300\t4700\tjane"),
        (r"apache:%h %{begin:%Y-%m-%dT%H:%M:%S%z}t %u %v %>s %S",
         "2001:db8::9 2025-03-09T01:00:00+0000 jane shop.example 200 5000"),
        (r"apache:%h %{sec}t %u %v %>s %B",
         "2001:db8::9 1741482000 jane shop.example 200 5000"),
        ("nginx:${time_iso8601}|$remote_addr|$remote_user|$host|$status|$request_length|$bytes_sent",
         "2025-03-09T01:00:00+00:00|2001:db8::9|jane|shop.example|200|300|4700"),
        ("haproxy:%ci:%cp [%trg] %ST %B %U %{+Q}HU",
         '2001:db8::9:5000 [09/Mar/2025:01:00:00 +0000] 200 4700 300 "https://shop.example/a"'),
    ],
)  # fmt: skip
def test_templates_are_read_as_configurations_have_them(
    form: str, line: str, tmp_path: Path
) -> None:
    """Times of every kind, IPv6, widths, tabs, quotes; also with what syslog puts before a line."""
    log = write(tmp_path / "log", [line, f"Mar  9 01:00:00 proxy-1 (squid-1): {line}"])
    records, report = read(log, form)
    assert report.refused == 0, report.first_refused
    for record in records:
        assert (record.time_us, record.size, record.status) == (BEGIN_US, 5000, 200)
        assert (record.client, record.host) == ("2001:db8::9", "shop.example")
        assert record.user == ("" if form.startswith("haproxy") else "jane")


@pytest.mark.parametrize("form", ["apache:%h %{%F}t %{%T}t %s %b", "squid:%{%H:%M}tl %>a %<st"])
def test_a_template_whose_time_is_no_whole_time_is_refused(form: str, tmp_path: Path) -> None:
    """A date alone would be taken for midnight."""
    with pytest.raises(AccessLogError, match="has no time of the request"):
        read(write(tmp_path / "log", ["x"]), form)


def test_a_log_that_a_container_engine_wrapped_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """It has times, but nothing else would be read of it."""
    row = {"log": "127.0.0.1 - - […] …\n", "stream": "stdout", "time": "2025-03-09T01:00:00Z"}
    with pytest.raises(AccessLogError, match=r"unwrap the log first, with jq -j \.log"):
        read(write(tmp_path / "x-json.log", [row] * 5))


def test_the_server_name_of_haproxys_httpslog_is_the_host(tmp_path: Path) -> None:
    """The line of HAProxy's manual, of `option httpslog`, with and without SNI."""
    line = (
        "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] "
        "https-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "
        '"GET /index.html HTTP/1.1" 0/0/0/0/0 1wt.eu/TLSv1.3/TLS_AES_256_GCM_SHA384'
    )
    without = line.replace("1wt.eu/TLS", "-/TLS")
    records, report = read(write(tmp_path / "h", [line, without]))
    assert (report.format, report.refused) == ("haproxy", 0)
    assert [record.host for record in records] == ["1wt.eu", ""]
    assert (records[0].size, records[0].duration_ms, records[0].status) == (2750, 109, 200)


ENVOY: Final = {
    "start_time": "2025-03-09T01:00:00.250Z", "method": "CONNECT", "path": None,
    "protocol": "HTTP/2", "response_code": 200, "response_flags": "-", "bytes_received": 500,
    "bytes_sent": 4500, "duration": 73, "authority": "shop.example:443", "request_id": "x",
    "upstream_host": "192.0.2.9:443", "downstream_remote_address": "198.51.100.7:50000",
}  # fmt: skip
ZEEK_HTTP: Final = (
    "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-",
    "#path\thttp", "#open\t2025-03-09-01-00-00",
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tmethod\thost\turi\t"
    "request_body_len\tresponse_body_len\tstatus_code\tusername",
    "#types\ttime\tstring\taddr\tport\taddr\tport\tstring\tstring\tstring\tcount\tcount\tcount\t"
    "string",
    "1741482000.250000\tCab\t198.51.100.7\t50000\t192.0.2.9\t80\tGET\tshop.example\t/\t500\t4500\t"
    "200\t-",
    "#close\t2025-03-09-02-00-00",
)  # fmt: skip
ZEEK_SSL: Final = {
    "ts": 1741482000.25, "uid": "Cab", "id.orig_h": "198.51.100.7", "id.orig_p": 50000,
    "id.resp_h": "192.0.2.9", "id.resp_p": 443, "version": "TLSv13",
    "server_name": "shop.example", "established": True,
}  # fmt: skip
HAR: Final = {
    "log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "pages": [], "entries": [
        {"startedDateTime": "2025-03-09T02:00:00.250+01:00", "time": 73.4,
         "request": {"method": "GET", "url": "https://shop.example/a?b", "headersSize": 300,
                     "bodySize": 200, "headers": []},
         "response": {"status": 200, "headersSize": 400, "bodySize": 4100, "headers": [],
                      "content": {"size": 9000, "mimeType": "text/html", "text": "x" * 300_000}},
         "cache": {}, "timings": {}}] * 3
    }
}  # fmt: skip


def test_documented_formats_are_recognised_and_read(tmp_path: Path) -> None:
    """Envoy's JSON, Zeek's http.log and ssl.log, a HAR file: the same request in each."""
    logs = {
        "envoy": write(tmp_path / "envoy", [ENVOY] * 3),
        "zeek": write(tmp_path / "http.log", ZEEK_HTTP),
        "har": write(tmp_path / "a.har", [HAR]),
    }
    for name, path in logs.items():
        records, report = read(path)
        assert (report.format, report.refused) == (name, 0)
        one = records[0]
        assert (one.time_us, one.size) == (at("2025-03-09T01:00:00.25+00:00"), 5000)
        assert (one.host, one.status) == ("shop.example", 200)
        if name != "har":
            assert one.client == "198.51.100.7"
        if name != "zeek":
            assert (len(records), one.duration_ms) == (3, 73)
    records, report = read(write(tmp_path / "ssl.log", [ZEEK_SSL]))
    assert report.format == "zeek"
    assert (records[0].size, records[0].host) == (None, "shop.example")
    failed, _ = read(
        write(tmp_path / "uf", [ENVOY | {"response_code": 503, "response_flags": "UF"}])
    )
    assert failed[0].error == "envoy_UF"


def test_csv_and_parquet_are_read_by_the_names_of_their_columns(tmp_path: Path) -> None:
    """Names of one's own are named; several columns of bytes are added up."""
    rows = [
        {"when": "2025-03-09T01:00:00Z", "up": 500, "down": 4500, "site": "shop.example"},
        {"when": "2025-03-09T01:00:01Z", "up": 1, "down": None, "site": "a.example"},
    ]
    fields = parse_fields(["time=when", "bytes=up+down", "host=site"])
    table = tmp_path / "log.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    parquet = tmp_path / "log"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    for path, name in ((table, "csv"), (parquet, "parquet")):
        records, report = read(path, fields=fields)
        assert (report.format, report.read, report.refused) == (name, 2, 0)
        assert [(r.size, r.host) for r in records] == [(5000, "shop.example"), (1, "a.example")]
    with pytest.raises(AccessLogError, match="Name it with --field time=NAME"):
        read(table)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd_compress])
def test_a_compressed_log_is_unpacked(pack: Any, tmp_path: Path) -> None:
    """By its first bytes, whatever its name; one of which nothing is left is refused."""
    log = tmp_path / "access.log.1"
    content = pack((LOGS / "squid-native.log").read_bytes())
    log.write_bytes(content)
    assert read(log)[1].read == 304
    log.write_bytes(content[:20])
    with pytest.raises(AccessLogError, match=r"access.log.1: (cannot be read|0 events)"):
        read(log)


def test_a_compressed_log_that_is_cut_is_read_to_the_cut(tmp_path: Path) -> None:
    """What is missing is reported as a refused line."""
    cut = tmp_path / "access.log.2.gz"
    cut.write_bytes(gzip.compress((LOGS / "squid-native.log").read_bytes())[:-2000])
    _, report = read(cut)
    assert 100 < report.read < 304 and report.refused == 1
    assert "cannot be read further" in report.first_refused[0].reason


def test_damaged_lines_of_every_format_are_read_or_refused_and_nothing_else() -> None:
    """No error but those that are shown, whichever format reads which lines."""
    dice = random.Random(3)
    lines = [
        line for path in sorted(LOGS.glob("*.log")) for line in path.read_bytes().splitlines()[:20]
    ]
    lines += [json.dumps(row).encode() for row in (ENVOY, ZEEK_SSL)] * 20
    lines += [line.encode() for line in ZEEK_HTTP] * 10
    read_of = dict.fromkeys((form.name for form in FORMATS if form.name != "parquet"), 0)
    for _ in range(12):
        content = b"\n".join(_damaged(line, dice) for line in lines)
        source = Source(path=Path("damaged"), content=content)
        for form in FORMATS:
            if form.name == "parquet":
                continue
            with contextlib.suppress(AccessLogError):
                for parsed in form.read(source, ReadOptions(), ""):
                    assert isinstance(parsed, AccessRecord | RefusedLine)
                    read_of[form.name] += isinstance(parsed, AccessRecord)
    assert all(
        read_of[name] for name in ("squid", "haproxy", "combined", "zeek", "envoy", "ndjson")
    )


def _damaged(line: bytes, dice: random.Random) -> bytes:
    """Return a line with up to three bytes changed, removed or added."""
    text = bytearray(line)
    for _ in range(dice.randrange(4)):
        at, some = (
            dice.randrange(len(text) + 1),
            bytes(dice.choices(DAMAGE, k=dice.randrange(1, 9))),
        )
        text[at : at + dice.choice((0, 1, 5))] = dice.choice((b"", some))
    return bytes(text)


def test_what_syslog_puts_before_a_line_is_no_part_of_it(tmp_path: Path) -> None:
    """The words of a date are not taken for the client and its user."""
    line = (LOGS / "nginx-combined.log").read_text().splitlines()[0]
    before = ("Mar 19 01:00:00 web-1 nginx: ", "<190>Mar 19 01:00:00 web-1 nginx[7]: ", "")
    records, report = read(write(tmp_path / "syslog", [f"{each}{line}" for each in before]))
    assert (report.format, report.refused) == ("combined", 0)
    assert {(record.client, record.user) for record in records} == {("127.0.0.1", "carla")}


def test_three_broken_lines_in_many_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    """With their numbers and reasons: half a line, an endless line, bytes that are no text."""
    line = (LOGS / "squid-native.log").read_text().splitlines()[5]
    lines = [line] * 1000
    lines[10], lines[500] = line[:30], "x" * (3 << 20)
    path = write(tmp_path / "access.log", lines)
    path.write_bytes(path.read_bytes() + b"\xff\xfe\x00\n")
    _, report = read(path)
    assert (report.read, report.refused) == (998, 3)
    first, second, third = report.first_refused
    assert (first.line, second.line, third.line) == (11, 501, 1001)
    assert "expected a line of Squid's native format" in first.reason
    assert "longer than 1048576 bytes" in second.reason
    assert "\\xff\\xfe" in third.reason.replace("\\\\", "\\")


def test_a_wrong_format_is_reported_with_the_line_and_the_likely_one(tmp_path: Path) -> None:
    """Named wrong, guessed wrong, and none that fits."""
    with pytest.raises(AccessLogError, match="as you named") as named:
        read(LOGS / "squid-native.log", "haproxy")
    assert "squid-native.log:1: expected a line of httplog" in str(named.value)
    assert "It looks like squid" in str(named.value)
    line = (LOGS / "squid-native.log").read_text().splitlines()[5]
    mixed = write(tmp_path / "mixed", [line] * 60 + ["something else"] * 40)
    with pytest.raises(AccessLogError, match="which was guessed: name another with --format") as it:
        read(mixed)
    assert "mixed:61: expected a line of Squid's native format" in str(it.value)
    with pytest.raises(AccessLogError, match="is not recognised") as none:
        read(write(tmp_path / "prose", ["It was a dark and stormy night"] * 9))
    assert "--format" in str(none.value) and "dark and stormy" in str(none.value)
    assert all(name in str(none.value) for name in format_names())


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("1741482000", "UTC", "2025-03-09T01:00:00+00:00"),
        ("1741482000.25", "UTC", "2025-03-09T01:00:00.25+00:00"),
        ("1741482000250", "UTC", "2025-03-09T01:00:00.25+00:00"),
        ("1741482000250000", "UTC", "2025-03-09T01:00:00.25+00:00"),
        ("1741482000250000000", "UTC", "2025-03-09T01:00:00.25+00:00"),
        ("2025-03-09T01:00:00Z", "America/New_York", "2025-03-09T01:00:00+00:00"),
        ("2025-03-09 01:00:00", "UTC", "2025-03-09T01:00:00+00:00"),
        ("2025-03-09 01:00:00", "America/New_York", "2025-03-09T06:00:00+00:00"),
        ("2025-03-09 01:00:00 +0000", "UTC", "2025-03-09T01:00:00+00:00"),
        ("2025/03/09 01:00:00.5 UTC", "Europe/Berlin", "2025-03-09T01:00:00.5+00:00"),
        ("2025-03-09 01:00:00,250", "UTC", "2025-03-09T01:00:00.25+00:00"),
        ("2025-03-09T01:00:00.123456789Z", "UTC", "2025-03-09T01:00:00.123456+00:00"),
        ("09/Mar/2025:01:00:00 -0500", "UTC", "2025-03-09T06:00:00+00:00"),
        ("09/Mar/2025:03:30:00.500", "America/New_York", "2025-03-09T07:30:00.5+00:00"),
    ],
)
def test_times_are_read_in_every_form(
    text: str, zone: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the machine's own zone."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    path = write(tmp_path / "log.ndjson", [{"time": text, "bytes": 1}])
    records, _ = read(path, zone=ZoneInfo(zone) if zone != "UTC" else UTC)
    assert records[0].time_us == at(expected)


def test_a_log_whose_times_have_no_zone_says_in_which_they_are_read() -> None:
    """HAProxy's, and none that has one."""
    _, report = read(LOGS / "haproxy.log", zone=ZoneInfo("Europe/Berlin"))
    assert report.zone == "Europe/Berlin"
    assert any("no zone and are read as Europe/Berlin" in line for line in report.text(LOGS))
    for name in ("squid-native.log", "nginx-combined.log", "nginx-json.log"):
        assert read(LOGS / name)[1].zone == ""


def test_a_kind_of_authentication_that_is_no_code_of_few_digits_is_left_out(tmp_path: Path) -> None:
    """Python converts no number of 5,000 digits."""
    kinds = [2, "3", None, "password", "1" * 5000]
    rows = [{"time": "2025-11-02", "log_authentication_type": kind} for kind in kinds]
    records, report = read(write(tmp_path / "l.ndjson", rows))
    assert [record.authentication for record in records] == [2, 3, None, None, None]
    assert report.refused == 0


def test_the_hour_that_a_clock_change_repeats_is_read_twice(tmp_path: Path) -> None:
    """Local times without a zone: 01:50 is followed by another 01:10."""
    times = ["01:10", "01:30", "01:50", "01:10", "01:30", "01:50", "02:10"]
    rows = [{"time": f"2025-11-02 {t}:00", "bytes": 1} for t in times]
    records, _ = read(write(tmp_path / "l.ndjson", rows), zone=ZoneInfo("America/New_York"))
    steps = [b.time_us - a.time_us for a, b in pairwise(records)]
    assert {step // 60_000_000 for step in steps} == {20}


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstd_compress),
    ],
)
def test_the_format_of_a_compressed_log_is_guessed_by_the_name_before_the_compression(
    suffix: str, pack: Any, tmp_path: Path
) -> None:
    """The first character of this table alone would mean JSON."""
    table = tmp_path / f"log.csv{suffix}"
    table.write_bytes(pack(b'{"time",bytes\n2025-03-09 01:00:00,7\n'))
    with pytest.raises(AccessLogError, match=r"tried: csv\."):
        read(table)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd_compress])
def test_a_compressed_har_file_that_is_damaged_is_read_to_the_damage(
    pack: Any, tmp_path: Path
) -> None:
    """What is missing is reported as a refused entry, whatever packed the file."""
    path = tmp_path / "a.har"
    packed = pack(json.dumps(HAR).encode())
    half = len(packed) // 2
    path.write_bytes(packed[:half] + b"\xff" * half)
    _, report = read(path, "har")
    assert (report.read, report.refused) == (0, 1)
    assert "cannot be read further" in report.first_refused[0].reason


def test_a_har_file_that_is_cut_off_gives_the_entries_before_the_cut(tmp_path: Path) -> None:
    """The entry that is not whole is refused with its number."""
    path = tmp_path / "a.har"
    path.write_text(json.dumps(HAR)[:700_000])
    _, report = read(path)
    assert (report.read, report.refused, report.first_refused[0].line) == (2, 1, 3)
