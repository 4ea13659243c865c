"""HAProxy's log: `option httplog`, `option httpslog`, `option tcplog`, and any `log-format`.

Source: HAProxy configuration manual, section 8, "Logging". A line may have what syslog puts before
it. `%B` counts the bytes sent to the client; the default formats do not have those of the request.
The time has no zone: it is the local one of the machine that ran HAProxy.
"""

from __future__ import annotations

import re
from typing import Final

from trueup.simulator.access_logs.build import build_record
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.source import ParseLine
from trueup.simulator.access_logs.templates import (
    COMMON_TIME,
    Dialect,
    Value,
    compile_template,
    template_parser,
)
from trueup.simulator.access_logs.times import TimeReader

__all__ = ["HAPROXY", "haproxy_parser"]

_TIME: Final = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}"
_START: Final = rf"(?P<client>\S+?):\d+ \[(?P<time>{_TIME})\] \S+ \S+/\S+ "
_HTTP: Final = re.compile(
    _START
    + r"-?\d+/-?\d+/-?\d+/-?\d+/\+?(?P<ms>-?\d+) (?P<status>-?\d+) \+?(?P<bytes0>\d+) \S+ \S+ "
    r"(?P<ending>\S{4}) \S+ \S+ (?:\{[^}]*\} ){0,2}"
    r'"?(?P<request>[^"]*)"?(?: [\d/A-Fx-]+ (?P<sni>[^/ ]+)/TLSv[\d.]+/\S+)?(?: \S+)*\s*$'
)
_TCP: Final = re.compile(
    _START + r"-?\d+/-?\d+/\+?(?P<ms>-?\d+) \+?(?P<bytes0>\d+) (?P<ending>\S\S) \S+ \S+(?: .*)?$"
)
_REMARK: Final = re.compile(
    r": (?:Proxy|Server|Backend|Connect from|Health check|Loading|New worker|Stopping|Pausing|"
    r"backend \S+ has no server)\b|\[(?:NOTICE|WARNING|ALERT)\]"
)
"""What HAProxy says of itself in the same log."""
_NORMAL_END: Final = "-"

HAPROXY: Final = Dialect(
    program="haproxy",
    directive=re.compile(
        r"%(?:(?P<quote>\{\+?Q\})|\{[^}]*\})?"
        r"(?:\[(?P<expression>[^\]]*)\]|(?P<name>[A-Za-z]{1,4}|%))"
    ),
    table={
        "t": Value("time", _TIME),
        "tr": Value("time", _TIME),
        **dict.fromkeys(("T", "Tl", "trg", "trl"), Value("time", COMMON_TIME)),
        "ci": Value("client", r"\S+"),
        "ST": Value("status", r"-?\d+"),
        "B": Value("bytes", r"\+?\d+"),
        "U": Value("bytes", r"\+?\d+"),
        "Ta": Value("ms", r"\+?-?\d+"),
        "Tt": Value("ms", r"\+?-?\d+"),
        "r": Value("request"),
        "HM": Value("method"),
        "HU": Value("url"),
    },
    example="%ci [%tr] %ST %B %U %{+Q}r",
)


def haproxy_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of HAProxy's own formats, or of a `log-format`. Raises AccessLogError."""
    times = TimeReader(options.zone)
    if template and template not in ("httplog", "httpslog", "tcplog"):
        pattern = compile_template(template, HAPROXY)
        return template_parser(pattern, times, f"a line of {template}")

    def parse(line: str) -> AccessRecord | None:
        found = _HTTP.search(line) or _TCP.search(line)
        if found is None:
            if _REMARK.search(line):
                return None
            raise BadLine(f"expected a line of httplog or tcplog, not {shorten(line)}")
        texts = found.groupdict()
        ending = str(texts.pop("ending"))
        sni = texts.pop("sni", None)
        texts["host"] = sni
        if ending[0] != _NORMAL_END:
            texts["error"] = f"haproxy_{ending[:2]}"
        return build_record(texts, times)

    return parse
