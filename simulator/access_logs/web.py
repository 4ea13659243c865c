"""Logs of nginx and Apache: common and combined, and templates as their configuration has them.

Sources: nginx, ngx_http_log_module and the variables of ngx_http_core_module; Apache httpd,
mod_log_config and mod_logio.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.source import ParseLine
from trueup.simulator.access_logs.templates import (
    COMMON_TIME,
    Dialect,
    Template,
    Value,
    compile_template,
    template_parser,
)
from trueup.simulator.access_logs.times import TimeReader

__all__ = ["APACHE", "NGINX", "apache_parser", "combined_parser", "nginx_parser"]

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_SIZE: Final = r"\d+|-"
_COMBINED: Final = re.compile(
    r"(?:(?P<host>[\w.-]+):\d+ )?"
    r"(?P<client>\S+) \S+ (?P<user>.*?) "
    rf"\[(?P<time>{COMMON_TIME})\] "
    rf'"(?P<request>{_QUOTED})" (?P<status>\d{{1,3}}) (?P<bytes0>{_SIZE})'
    rf'(?: "{_QUOTED}" "{_QUOTED}")?.*$'
)
"""Common or combined; with the virtual host before it, as Debian's `vhost_combined` has it."""

NGINX: Final = Dialect(
    program="nginx",
    directive=re.compile(r"\$(?:(?P<name>\w+)|\{(?P<braced>\w+)\})"),
    table={
        "time_local": Value("time", COMMON_TIME),
        "time_iso8601": Value("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)"),
        "msec": Value("time", r"\d+\.\d+"),
        "remote_addr": Value("client", r"\S+"),
        "remote_user": Value("user"),
        "request": Value("request"),
        "request_method": Value("method"),
        "status": Value("status", r"\d{3}|-"),
        "body_bytes_sent": Value("bytes", _SIZE),
        "bytes_sent": Value("bytes", _SIZE),
        "bytes_received": Value("bytes", _SIZE),
        "request_length": Value("bytes", _SIZE),
        "request_time": Value("seconds", r"\d+(?:\.\d+)?|-"),
        "session_time": Value("seconds", r"\d+(?:\.\d+)?|-"),
        "host": Value("host"),
        "http_host": Value("host"),
        "server_name": Value("host"),
        "ssl_server_name": Value("host"),
        "ssl_preread_server_name": Value("host"),
    },
    example="$remote_addr - $remote_user [$time_local] ...",
)
APACHE: Final = Dialect(
    program="apache",
    directive=re.compile(r"%(?:[!\d,]*)[<>]?(?P<argument>\{[^}]*\})?(?P<name>\^\w\w|[A-Za-z]|%)"),
    table={
        "t": Value("time", rf"\[?{COMMON_TIME}\]?"),
        "h": Value("client", r"\S+"),
        "a": Value("client", r"\S+"),
        "u": Value("user"),
        "r": Value("request"),
        "m": Value("method"),
        "s": Value("status", r"\d{3}|-"),
        "b": Value("bytes", _SIZE),
        "B": Value("bytes", _SIZE),
        "I": Value("bytes", _SIZE),
        "O": Value("bytes", _SIZE),
        "S": Value("bytes", _SIZE),
        "D": Value("us", r"\d+"),
        "T": Value("seconds", r"\d+"),
        "v": Value("host"),
        "V": Value("host"),
    },
    example='%h %l %u %t "%r" %>s %b',
)
_APACHE_DROPS: Final = (("O", ("b", "B")), ("S", ("b", "B", "I", "O")))
"""(directive, those whose bytes it counts too): `%O` has the headers and the body of `%b`."""


def combined_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of common and combined lines."""
    return template_parser(
        Template(pattern=_COMBINED),
        TimeReader(options.zone),
        "a line of the common or combined format",
    )


def nginx_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of an nginx `log_format`, by default combined. Raises AccessLogError."""
    if template in ("", "combined"):
        return combined_parser(options, template)
    names = {found["name"] or found["braced"] for found in NGINX.directive.finditer(template)}
    table = dict(NGINX.table)
    if "bytes_sent" in names:
        table["body_bytes_sent"] = Value("", _SIZE)
    plain = re.sub(r"\$\{(\w+)\}", r"$\1", template)
    pattern = compile_template(plain, replace(NGINX, table=table))
    return template_parser(pattern, TimeReader(options.zone), f"a line of {template}")


def apache_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of an Apache `LogFormat`, by default combined. Raises AccessLogError."""
    if template in ("", "common", "combined", "vhost_combined"):
        return combined_parser(options, template)
    names = {found["name"] for found in APACHE.directive.finditer(template)}
    table = dict(APACHE.table)
    for name, covered in _APACHE_DROPS:
        if name in names:
            table |= dict.fromkeys(covered, Value("", _SIZE))
    text = template.replace('\\"', '"')
    pattern = compile_template(text, replace(APACHE, table=table))
    return template_parser(pattern, TimeReader(options.zone), f"a line of {text}")
