"""Target files: what is read from them, and the error message for each mistake."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trueup.conformance.contract.claims import GUIDE_CLAIMS
from trueup.conformance.errors import TargetFileError
from trueup.conformance.target.load import (
    CommandIngest,
    HttpHook,
    HttpIngest,
    TransportIngest,
    is_loopback,
    levels,
    load_target,
    outside_hosts,
)
from trueup.conformance.target.placeholders import fill
from trueup.reports.results import Json

_ENVIRON: Mapping[str, str] = MappingProxyType(
    {"A_PUBLIC": "pk-canary-1", "A_PRIVATE": "sk-canary-22", "INGEST": "ik-3", "PATH": "/bin"}
)
_LEAST = """
name = "mine"
base_url = "http://127.0.0.1:8080/1.0/"

[tenants.a]
public_key = { env = "A_PUBLIC" }
private_key = { env = "A_PRIVATE" }
"""
_FULL = (
    _LEAST
    + """
customer_id = 1955

[ingest]
via = "http"
url = "http://localhost:9/in"
form = "json-array"
compression = "gzip"
headers = { X-Ingest-Key = { env = "INGEST" }, X-Plain = "plain" }
accepted = "result.accepted"
refused = { list = "result.errors", line = "index", reason = "why", first = 0 }

[ingest.constants]
source = "trueup"

[ingest.mapping]
log_total_bytes = "size"
log_transport = ""

[clock]
via = "http"
url = "http://127.0.0.1:9/clock"
body = { now = "{now}" }

[money]
via = "command"
argv = ["sh", "{dir}/money.sh", "{network}", "{kind}", "{bytes}"]

[restart]
argv = ["sh", "-c", "true"]

[graph]
points = "data.series"

[readings]
per-page-most = 50
time-form = "iso-z"

[budget]
requests_per_s = "unlimited"
requests = 5000
"""
)


def _load(folder: Path, text: str, environ: Mapping[str, str] = _ENVIRON):  # type: ignore[no-untyped-def]
    file = folder / "mine.toml"
    file.write_text(text)
    return load_target(file, environ)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library has zstd")
def test_zstd_without_its_package_is_a_problem_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent, with the command that installs it."""
    text = _FULL.replace('compression = "gzip"', 'compression = "zstd"')
    target = _load(tmp_path, text)
    assert isinstance(target.ingest, HttpIngest)
    assert target.ingest.compression == "zstd"
    monkeypatch.setattr("trueup.conformance.target.build._is_installed", lambda _module: False)
    with pytest.raises(TargetFileError, match=r"pip install 'trueup\[zstd\]'"):
        _load(tmp_path, text)


def test_customers_may_have_names_at_the_target(tmp_path: Path) -> None:
    text = _FULL.replace('log_transport = ""', 'customer_id = { values = { 1955 = "acme" } }')
    target = _load(tmp_path, text)
    assert isinstance(target.ingest, HttpIngest)
    assert target.ingest.format.rows({"customer_id": 1955}) == [
        {"source": "trueup", "customer_id": "acme"}
    ]


def test_the_smallest_file_reaches_level_0_with_the_claims_of_the_guide(
    tmp_path: Path,
) -> None:
    target = _load(tmp_path, _LEAST)
    assert target.base_url == "http://127.0.0.1:8080/1.0"
    assert target.prefix == "/public/user"
    assert levels(target) == {0}
    assert target.claims == GUIDE_CLAIMS
    assert target.budget.requests_per_s == 10


def test_every_key_of_a_file_is_read(tmp_path: Path) -> None:
    target = _load(tmp_path, _FULL)
    assert levels(target) == {0, 2, 3, 4}
    assert isinstance(target.ingest, HttpIngest)
    assert (target.ingest.format.form, target.ingest.compression, target.ingest.batch) == (
        "json-array",
        "gzip",
        500,
    )
    assert dict(target.ingest.headers) == {"X-Ingest-Key": "ik-3", "X-Plain": "plain"}
    assert target.ingest.refused is not None
    assert target.ingest.refused.first == 0
    assert target.money is not None
    assert not isinstance(target.money, HttpHook)
    assert target.money.argv[1] == f"{tmp_path}/money.sh"
    assert target.graph.points == "data.series"
    assert target.graph.bytes == "bytes"
    assert target.readings == {"per-page-most": "50", "time-form": "iso-z"}
    assert target.budget.requests_per_s is None


def test_keys_are_collected_and_never_shown(tmp_path: Path) -> None:
    target = _load(tmp_path, _FULL)
    assert target.secrets == ("sk-canary-22", "pk-canary-1", "ik-3")
    assert not any(secret in repr(target) for secret in target.secrets)


def test_hosts_of_other_machines_are_listed(tmp_path: Path) -> None:
    assert is_loopback(_load(tmp_path, _FULL))
    away = _FULL.replace("localhost:9/in", "ingest.example.net/in")
    target = _load(tmp_path, away)
    assert outside_hosts(target) == ("ingest.example.net",)
    assert not is_loopback(target)


_PROXIES = """
[proxies]
hostname = "127.80.0.{n}"
port = 18080
unreachable = "127.0.0.1:9"

[[proxies.access]]
network = "mobile"
address = "127.67.0.1:8080"
user = { env = "WHO" }
password = { env = "WORD" }

[[proxies.access]]
network = "isp"
address = "[::1]:1080"
protocols = ["socks"]
user = "ann"
user_name = "{user}-session-{session}"
password = { env = "WORD" }
proxy_user_id = "u-ann"
client_address = "127.96.0.1"
"""
_MORE: Mapping[str, str] = MappingProxyType({**_ENVIRON, "WHO": "kim", "WORD": "hush-hush"})


def test_a_target_with_proxies_reaches_level_1(tmp_path: Path) -> None:
    target = _load(tmp_path, _LEAST + _PROXIES, _MORE)
    assert levels(target) == {0, 1}
    assert target.proxies is not None
    first, second = target.proxies.access
    assert (first.server, first.protocols) == (("127.67.0.1", 8080), ("connect", "forward"))
    assert (first.user, first.user_name, first.proxy_user_id) == ("kim", "{user}", "kim")
    assert (second.server, second.tenant, second.proxy_user_id) == (("::1", 1080), "a", "u-ann")
    assert is_loopback(target)
    # Passwords are redacted wherever they occur; logs show user names.
    assert "hush-hush" in target.secrets
    assert "kim" not in target.secrets
    assert "hush-hush" not in repr(target)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.67.0.1:8080", "proxy.example:8080"),
        ("127.80.0.{n}", "192.0.2.{n}"),
        ("port = 18080", 'listen = "192.0.2.1"'),
        ("127.0.0.1:9", "nowhere.example:9"),
        ("port = 18080", 'ipv6 = "2001:db8::1"'),
    ],
)
def test_each_host_that_proxied_requests_involve_is_listed(
    tmp_path: Path, before: str, after: str
) -> None:
    target = _load(tmp_path, _LEAST + _PROXIES.replace(before, after), _MORE)
    assert len(outside_hosts(target)) == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{n}", "1", "proxies.hostname"),
        ("{session}", "{sesion}", "proxies.access[1].user_name"),
        ("127.67.0.1:8080", "127.67.0.1", "proxies.access[0].address"),
        ('"mobile"', '"satellite"', "proxies.access[0].network"),
        ('"socks"', '"socks4"', "proxies.access[1].protocols[0]"),
        ("127.96.0.1", "here", "proxies.access[1].client_address"),
        ('user = "ann"', 'user = "ann"\ntenant = "b"', "proxies.access[1].tenant"),
        ("127.0.0.1:9", "nowhere", "proxies.unreachable"),
        ("port = 18080", 'listen = "here"', "proxies.listen"),
        ("port = 18080", 'ipv6 = "127.0.0.1"', "proxies.ipv6"),
    ],
)
def test_each_mistake_in_the_proxies_is_reported_with_its_key(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    with pytest.raises(TargetFileError) as caught:
        _load(tmp_path, _LEAST + _PROXIES.replace(before, after), _MORE)
    assert said in str(caught.value)


def test_the_word_guide_stands_for_the_guides_own_features(tmp_path: Path) -> None:
    target = _load(tmp_path, 'claims = ["guide", "money"]\n' + _LEAST)
    assert target.claims == GUIDE_CLAIMS | {"money"}


def test_the_form_json_object_has_a_batch_of_one(tmp_path: Path) -> None:
    target = _load(tmp_path, _FULL.replace("json-array", "json-object"))
    assert isinstance(target.ingest, HttpIngest)
    assert target.ingest.batch == 1


def test_a_program_is_searched_for_in_the_folder_of_the_target_file(tmp_path: Path) -> None:
    program = tmp_path / "in.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    target = _load(tmp_path, _LEAST + '[ingest]\nvia = "command"\nargv = ["./in.sh"]\n')
    assert isinstance(target.ingest, CommandIngest)
    assert Path(target.ingest.argv[0]) == program


def test_a_broker_gets_its_own_keys_with_values_from_the_environment(tmp_path: Path) -> None:
    text = (
        '[ingest]\nvia = "kafka"\nservers = ["127.0.0.1:9092", { env = "BROKER" }]\ntopic = "t"\n'
        'options = { "sasl.username" = "fleet", "sasl.password" = { env = "SASL" } }\n'
        'mapping = { log_total_bytes = "size", asn_id = "" }\nconstants = { source = "trueup" }\n'
        "batch = 50\n"
    )
    more = {"BROKER": "kafka.example:9093", "SASL": "hush-hush"}
    target = _load(tmp_path, _LEAST + text, {**_ENVIRON, **more})
    assert isinstance(target.ingest, TransportIngest)
    assert target.ingest.name == "kafka"
    assert target.ingest.servers == ("127.0.0.1:9092", "kafka.example:9093")
    assert dict(target.ingest.options) == {
        "servers": ["127.0.0.1:9092", "kafka.example:9093"],
        "topic": "t",
        "options": {"sasl.username": "fleet", "sasl.password": "hush-hush"},
    }
    assert target.ingest.format.fields["log_total_bytes"].name == "size"
    assert target.ingest.format.form == "json-object"
    assert target.ingest.batch == 50
    assert "hush-hush" in target.secrets
    assert "kafka.example:9093" not in target.secrets
    assert "hush-hush" not in repr(target)
    assert outside_hosts(target) == ("kafka.example",)


def test_addresses_and_customers_may_come_from_the_environment(tmp_path: Path) -> None:
    text = _LEAST.replace('"http://127.0.0.1:8080/1.0/"', '{ env = "URL" }')
    text += 'customer_id = { env = "CUSTOMER" }\n'
    target = _load(tmp_path, text, {**_ENVIRON, "URL": "https://x.example/1.0", "CUSTOMER": "7"})
    assert target.base_url == "https://x.example/1.0"
    assert target.tenants["a"].customer_id == 7


def test_placeholders_keep_the_type_of_their_value() -> None:
    values: dict[str, Json] = {"bytes": -5, "kind": "refund"}
    template: dict[str, Json] = {
        "amount": "{bytes}",
        "text": "{kind} of {bytes}",
        "deep": [{"k": "{kind}"}],
        "n": 1,
    }
    assert fill(template, values) == {
        "amount": -5,
        "text": "refund of -5",
        "deep": [{"k": "refund"}],
        "n": 1,
    }


_WRONG = {
    "unknown key": (
        _LEAST.replace("name =", 'prefx = "/x"\nname ='),
        ["prefx (line 2)", 'found:    "prefx"', 'remedy:   did you mean "prefix"?'],
    ),
    "unknown key in a table": (
        _LEAST + "custmer_id = 3\n",
        ["tenants.a.custmer_id (line 8)", 'did you mean "customer_id"?'],
    ),
    "missing key": (
        _LEAST.replace('name = "mine"', ""),
        ["  name\n", "found:    nothing: the key is missing", "add `name = …` at the top"],
    ),
    "missing table": (
        'name = "x"\nbase_url = "http://127.0.0.1/1.0"\n',
        ["  tenants\n", "expected: The customer accounts"],
    ),
    "missing key in a table": (
        _LEAST.replace('private_key = { env = "A_PRIVATE" }', ""),
        ["tenants.a.private_key", "below [tenants.a]"],
    ),
    "wrong type": (
        'timeout_s = "ten"\n' + _LEAST,
        ["timeout_s (line 1)", "expected: a number of seconds above 0", 'found:    "ten"'],
    ),
    "out of range": (
        "timeout_s = 0\n" + _LEAST,
        ["timeout_s", "a number of seconds above 0", "the number 0"],
    ),
    "a key written into the file": (
        _LEAST.replace('{ env = "A_PUBLIC" }', '"pk-live"'),
        ["tenants.a.public_key (line 6)", "keys are never written into the file", "not shown"],
    ),
    "missing variable": (
        _LEAST.replace("A_PUBLIC", "UNSET_KEY"),
        [
            "tenants.a.public_key (line 6)",
            "a value in the environment variable UNSET_KEY",
            "found:    it is not set",
            "remedy:   export UNSET_KEY='the key'",
        ],
    ),
    "URL without scheme": (
        _LEAST.replace("http://127", "127"),
        ["base_url (line 3)", "http://… or https://…", 'write "https://127.0.0.1:8080/1.0/"'],
    ),
    "URL of another scheme": (
        _LEAST.replace("http://127", "ftp://127"),
        ["base_url (line 3)", "http://… or https://…", 'found:    "ftp://127.0.0.1:8080/1.0/"'],
    ),
    "URL with a bad port": (
        _LEAST.replace("8080", "80800"),
        ["base_url (line 3)", "expected: a URL", "ort"],
    ),
    "URL with a password": (
        _LEAST.replace("http://127", "http://me:pw@127"),
        ["a URL without a user name or password", "Authorization"],
    ),
    "URL with a query": (
        _LEAST.replace("1.0/", "1.0?x=1"),
        ["base_url (line 3)", "a URL that ends with its path"],
    ),
    "unknown kind of ingestion": (
        _LEAST + '[ingest]\nvia = "http3"\nurl = "http://127.0.0.1/"\n',
        ["ingest.via (line 9)", "one of http, command, nats, kafka", 'did you mean "http"?'],
    ),
    "transport that is not installed": (
        _LEAST + '[ingest]\nvia = "pulsar"\n',
        ["ingest.via (line 9)", 'found:    "pulsar"', "needs the package that adds"],
    ),
    "nats without a subject": (
        _LEAST + '[ingest]\nvia = "nats"\nservers = ["nats://127.0.0.1:4222"]\n',
        ["ingest.subject (line 8)", "a subject without spaces", "add `subject = …`"],
    ),
    "nats with a wildcard": (
        _LEAST + '[ingest]\nvia = "nats"\nservers = ["nats://a:1"]\nsubject = "events.>"\n',
        ["ingest.subject (line 11)", "without spaces and wildcards"],
    ),
    "nats with a password in its URL": (
        _LEAST + '[ingest]\nvia = "nats"\nservers = ["nats://u:pk-live@a:1"]\nsubject = "e"\n',
        ["ingest.servers[0] (line 10)", "password = { env"],
    ),
    "nats with a password in the file": (
        _LEAST
        + '[ingest]\nvia = "nats"\nservers = ["nats://a:1"]\nsubject = "e"\n'
        + 'user = "fleet"\npassword = "pk-live"\n',
        ["ingest.password (line 13)", "keys are never written into the file", "not shown"],
    ),
    "kafka with an unknown key": (
        _LEAST + '[ingest]\nvia = "kafka"\nservers = ["a:1"]\ntopic = "t"\ntopik = "t"\n',
        ["ingest.topik", "only keys that are known in ingest", 'did you mean "topic"?'],
    ),
    "kafka whose options name other servers": (
        _LEAST
        + '[ingest]\nvia = "kafka"\nservers = ["a:1"]\ntopic = "t"\n'
        + 'options = { "bootstrap.servers" = "b:2" }\n',
        ["ingest.options", "which is `servers`"],
    ),
    "a message key that is no field": (
        _LEAST
        + '[ingest]\nvia = "kafka"\nservers = ["a:1"]\ntopic = "t"\nmessage_key = "proxy_user"\n',
        [
            "ingest.message_key (line 12)",
            "a field of an event of trueup",
            'did you mean "proxy_user_id"?',
        ],
    ),
    "a server without a port": (
        _LEAST + '[ingest]\nvia = "kafka"\nservers = ["kafka.example"]\ntopic = "t"\n',
        ["ingest.servers[0] (line 10)", "servers with host and port"],
    ),
    "a credentials file that is not there": (
        _LEAST
        + '[ingest]\nvia = "nats"\nservers = ["tls://a:1"]\nsubject = "e"\ncredentials = "no"\n',
        ["ingest.credentials (line 12)", "a file that exists"],
    ),
    "command without argv": (
        _LEAST + '[ingest]\nvia = "command"\n',
        ["ingest.argv", "a list of strings: the program and its arguments"],
    ),
    "program not found": (
        _LEAST + '[ingest]\nvia = "command"\nargv = ["./nowhere.sh"]\n',
        ["ingest.argv[0] (line 10)", '"./nowhere.sh", which is not found'],
    ),
    "unknown placeholder": (
        _FULL.replace("{now}", "{nwo}"),
        ["clock.body", "placeholders of this hook: {advance_s}, {now}", 'did you mean "now"?'],
    ),
    "hook without what it needs": (
        _FULL.replace('"{now}"', '"now"'),
        ["  clock", "{advance_s} or {now} in its URL", "found:    none of them"],
    ),
    "unknown claim": (
        'claims = ["guide", "mony"]\n' + _LEAST,
        ["claims[1] (line 1)", 'did you mean "money"?'],
    ),
    "unknown reading": (
        _FULL.replace("time-form", "tme-form"),
        ["readings.tme-form", 'did you mean "time-form"?'],
    ),
    "value of a reading": (
        _FULL.replace("iso-z", "epoch"),
        ["readings.time-form", 'one of "space", "iso", "iso-z"', 'found:    "epoch"'],
    ),
    "number of a reading": (
        _FULL.replace("per-page-most = 50", "per-page-most = 500"),
        ["readings.per-page-most", "a number from 1 to 100"],
    ),
    "unknown field": (
        _FULL.replace("log_total_bytes =", "log_totl_bytes ="),
        ["ingest.mapping.log_totl_bytes (line", "a field of an event", '"log_total_bytes"?'],
    ),
    "two fields of one name": (
        _FULL.replace('log_transport = ""', 'log_transport = "size"'),
        ["ingest.mapping.log_total_bytes (line", "log_transport has that name too"],
    ),
    "a name below another": (
        _FULL.replace('log_transport = ""', 'log_transport = "size.unit"'),
        ["ingest.mapping.log_total_bytes", 'log_transport has the name "size.unit"'],
    ),
    "a constant of a field's name": (
        _FULL.replace('source = "trueup"', "size = 1"),
        ["ingest.mapping.log_total_bytes (line", "the constant size has that name too"],
    ),
    "a constant of a field that is not listed": (
        _FULL.replace('source = "trueup"', "asn_id = 1"),
        ["ingest.mapping (line", '"asn_id" for asn_id; the constant asn_id has that name too'],
    ),
    "a value without a mapping": (
        _FULL.replace('log_transport = ""', 'log_network = { values = { isp = "i", mobile = 1 } }'),
        [
            "ingest.mapping.log_network.values (line",
            "a mapping for every value of log_network",
            "none for datacenter, residential",
            'add "datacenter" = …, "residential" = …',
        ],
    ),
    "a value that events do not have": (
        _FULL.replace('log_transport = ""', "log_protocol = { values = { http = 1, sock = 2 } }"),
        ['"sock"', 'did you mean "socks"?', "none for socks"],
    ),
    "a customer without a mapping": (
        _FULL.replace('log_transport = ""', 'customer_id = { values = { 7 = "acme" } }'),
        ['"7"', "for every value of customer_id", "none for 1955"],
    ),
    "a method that an access log may have": (
        _FULL.replace('log_transport = ""', "log_method = { values = { PATCH = 1, patch = 2 } }"),
        ["log_method.values.patch (line", "none for GET, POST, HEAD, CONNECT"],
    ),
    "values of a field without a list of them": (
        _FULL.replace('log_transport = ""', 'log_hostname = { values = { "a.io" = "b" } }'),
        ["values for a field that has a fixed list of them: log_network,", "for log_hostname"],
    ),
    "time form of another field": (
        _FULL.replace('log_transport = ""', 'log_session_id = { time = "epoch-s" }'),
        ["ingest.mapping.log_session_id.time", "no time form, except for log_request_datetime"],
    ),
    "unknown time form": (
        _FULL.replace('log_transport = ""', 'log_request_datetime = { time = "epoch_ms" }'),
        ["a time form: space, iso,", 'did you mean "epoch-ms"?'],
    ),
    "a split of what is no amount": (
        _FULL.replace('log_transport = ""', "log_hostname = { split = { a = 1, b = 1 } }"),
        ["ingest.mapping.log_hostname.split", "a split of an amount: log_total_bytes,"],
    ),
    "a split into nothing": (
        _FULL.replace('= "size"', "= { split = { a = 0, b = 0 } }"),
        ["ingest.mapping.log_total_bytes.split", "zeros only"],
    ),
    "a split with a dot that is not quoted": (
        _FULL.replace('= "size"', "= { split = { usage.up = 1, b = 1 } }"),
        ["ingest.mapping.log_total_bytes.split.usage", 'is quoted: "usage.up" = 20'],
    ),
    "unknown word in a mapping": (
        _FULL.replace('= "size"', '= { nam = "size" }'),
        ["ingest.mapping.log_total_bytes.nam", 'did you mean "name"?'],
    ),
    "a sum of what is no amount": (
        _FULL.replace("[ingest.mapping]", '[ingest.sums]\nall = ["asn_id"]\n[ingest.mapping]'),
        ["ingest.sums.all[0]", "an amount: log_total_bytes,", '"asn_id"'],
    ),
    "a key of another body form": (
        _FULL.replace('form = "json-array"', 'form = "ndjson"\nkey = "events"'),
        ["ingest.key (line", 'form = "json-array" beside it', 'form = "ndjson"'],
    ),
    "more events than a body holds": (
        _FULL.replace('form = "json-array"', 'form = "cloudevent"\nbatch = 5'),
        ["ingest.batch (line", "holds one event"],
    ),
    "a header made from an unknown field": (
        _FULL.replace('X-Plain = "plain"', 'X-Plain = "{logid}"').replace(
            "[ingest.constants]", "batch = 1\n[ingest.constants]"
        ),
        ["ingest.headers.X-Plain", "{logid}", 'did you mean "log_id"?'],
    ),
    "a header made from a field of many events": (
        _FULL.replace('X-Plain = "plain"', 'X-Plain = "{log_id}"'),
        ["ingest.headers.X-Plain", "one event a request", "up to 500", "set batch = 1"],
    ),
    "another word of trueup 0.1": (
        _FULL.replace('compression = "gzip"', "gzip = true"),
        ["ingest.gzip (line", 'it is compression = "gzip" since trueup 0.2'],
    ),
    "values of a placeholder without a list of them": (
        _FULL + '\n[clock.values]\nnow = { a = "b" }\n',
        [
            "clock.values",
            "`values` in [money] only",
            "fixed list of values: network, kind",
        ],
    ),
    "a value of a placeholder without a mapping": (
        _FULL.replace("[restart]", '[money.values]\nkind = { refund = "r" }\n[restart]'),
        ["money.values.kind (line", "for every value of kind", "none for purchase, top_up"],
    ),
    "a time form of a hook that has no time": (
        _FULL.replace("[restart]", '[restart]\ntime = "iso"'),
        ["restart.time", "`time` in [clock] only"],
    ),
    "unknown time form of a clock": (
        _FULL.replace("body = { now", 'time = "unix"\nbody = { now'),
        ["clock.time (line", "a time form: space, iso"],
    ),
    "a clock that is read, without an address": (
        _FULL.replace("[money]", '[clock.read]\nvia = "http"\nat = "now"\n[money]'),
        ["clock.read.url", "the key is missing"],
    ),
    "a time of a row that is none": (
        _FULL + '\n[rows.times]\nlog_hostname = "iso"\n',
        ["rows.times.log_hostname (line", "a field of a row that is a time"],
    ),
    "unknown time form of a row": (
        _FULL + '\n[rows.times]\nlog_request_datetime = "epoch"\n',
        ["rows.times.log_request_datetime (line", "a time form: space, iso"],
    ),
    "an id of a log that is true": (
        _FULL + "\n[rows]\nlog_id = true\n",
        ["rows.log_id (line", "the name of a field, in quotes, or false"],
    ),
    "a word of trueup 0.1": (
        _FULL.replace("[ingest.mapping]", "[ingest.field_map]"),
        ["ingest.field_map (line", "it is [ingest.mapping] since trueup 0.2"],
    ),
    "a date where JSON goes": (
        _FULL.replace('source = "trueup"', "source = 2025-04-01"),
        ["ingest.constants.source", 'write "2025-04-01", in quotes'],
    ),
    "header with a colon": (
        _FULL.replace("X-Plain =", '"X Plain:" ='),
        ["ingest.headers", "a header name: no spaces, no colon"],
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_an_invalid_file_is_reported_with_a_complete_message(tmp_path: Path, name: str) -> None:
    """The message names the file, the key, what was expected, what was found and what to do."""
    text, said = _WRONG[name]
    with pytest.raises(TargetFileError) as caught:
        _load(tmp_path, text)
    letter = str(caught.value)
    assert letter.startswith(f"{tmp_path / 'mine.toml'}: ")
    assert "Traceback" not in letter
    assert "pk-live" not in letter
    for words in said:
        assert words in letter


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = _LEAST.replace("A_PUBLIC", "NO_1").replace("A_PRIVATE", "NO_2")
    with pytest.raises(TargetFileError, match="2 problems") as caught:
        _load(tmp_path, text)
    assert "export NO_1=" in str(caught.value)
    assert "export NO_2=" in str(caught.value)


def test_a_key_with_a_line_break_is_rejected_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match="no spaces or line breaks") as caught:
        _load(tmp_path, _LEAST, {**_ENVIRON, "A_PUBLIC": "pk-canary-1\n"})
    assert "canary" not in str(caught.value)


def test_a_key_of_spaces_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match="no spaces or line breaks"):
        _load(tmp_path, _LEAST, {**_ENVIRON, "A_PUBLIC": "      "})


def test_a_customer_id_that_is_not_a_number_is_rejected(tmp_path: Path) -> None:
    text = _LEAST + 'customer_id = { env = "CUSTOMER" }\n'
    with pytest.raises(TargetFileError, match=r"tenants\.a\.customer_id"):
        _load(tmp_path, text, {**_ENVIRON, "CUSTOMER": "me"})


def test_a_file_that_is_not_toml_is_rejected_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match=r"not a TOML file: .*line 2"):
        _load(tmp_path, "# a comment\nname = mine\n[tenants.a]\n")


def test_a_file_that_is_not_text_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b'name = "x"\nbase_url = "\xff"')
    with pytest.raises(TargetFileError, match="line 2 is not UTF-8"):
        load_target(file)


def test_a_missing_file_is_reported_with_the_files_that_exist(tmp_path: Path) -> None:
    (tmp_path / "other.toml").touch()
    with pytest.raises(TargetFileError, match=r"no such target file; in that folder: other\.toml"):
        load_target(tmp_path / "mine.toml")


def test_a_folder_is_rejected_as_a_target_file(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match="a folder; expected one target file"):
        load_target(tmp_path)


def test_a_very_large_file_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"#" * (1 << 21))
    with pytest.raises(TargetFileError, match="at most 1048576 bytes"):
        load_target(file)


def test_a_slash_at_the_end_of_the_ingestion_url_is_kept(tmp_path: Path) -> None:
    """Some servers redirect without it, and a redirected POST loses its body."""
    target = _load(tmp_path, _FULL.replace("localhost:9/in", "localhost:9/in/"))
    assert isinstance(target.ingest, HttpIngest)
    assert target.ingest.url.endswith("/in/")


def test_a_token_is_redacted_without_its_scheme_too(tmp_path: Path) -> None:
    target = _load(tmp_path, _FULL, {**_ENVIRON, "INGEST": "Bearer canary-token"})
    assert {"Bearer canary-token", "canary-token"} <= set(target.secrets)


def test_a_short_last_word_of_a_header_is_not_redacted_by_itself(tmp_path: Path) -> None:
    """Else every `1` of a record would go."""
    target = _load(tmp_path, _FULL, {**_ENVIRON, "INGEST": "version 1"})
    assert "1" not in target.secrets
    assert "version 1" in target.secrets


def test_a_key_that_is_too_short_to_redact_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match="4 characters or more in A_PUBLIC"):
        _load(tmp_path, _LEAST, {**_ENVIRON, "A_PUBLIC": "1"})


def test_two_tenants_with_the_same_key_are_rejected(tmp_path: Path) -> None:
    text = _LEAST + _LEAST[_LEAST.index("[tenants.a]") :].replace("tenants.a", "tenants.b")
    with pytest.raises(TargetFileError, match=r"tenants\.b \(line 8\)"):
        _load(tmp_path, text)


_ODD = st.sampled_from(
    [
        '""',
        '"x"',
        '"http://["',
        '"{now}"',
        '"{{now}"',
        "-1",
        "1e400",
        "nan",
        "true",
        "[]",
        "[[[1]]]",
        "{}",
        '{ env = "" }',
        '{ env = "A_PUBLIC" }',
        '{ env = "NOT_SET" }',
        '{ x = { y = ["{now}"] } }',
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "99999999999999999999999999",
    ]
)
_LINES = [n for n, line in enumerate(_FULL.splitlines()) if " = " in line]


@given(st.sampled_from(_LINES), _ODD, st.sampled_from(_LINES), st.booleans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_gives_a_target_or_an_error_message(
    tmp_path: Path, changed: int, value: str, gone: int, drop: bool
) -> None:
    """One value is replaced and perhaps a line is removed: never a traceback."""
    lines = _FULL.splitlines()
    lines[changed] = f"{lines[changed].split(' = ')[0]} = {value}"
    if drop:
        lines[gone] = ""
    try:
        target = _load(tmp_path, "\n".join(lines))
    except TargetFileError as error:
        assert str(error).startswith(str(tmp_path))
    else:
        assert 0 in levels(target)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[" * 100_000, "not a TOML file|nested too deeply"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("x = " + "9" * 5000, "not a TOML file"),
        ("", "name"),
    ],
    ids=["brackets", "deep", "huge number", "empty"],
)
def test_files_that_break_parsers_are_rejected(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(TargetFileError, match=said):
        _load(tmp_path, body)
