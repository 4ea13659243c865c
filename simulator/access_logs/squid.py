"""Squid's access.log: the native format, and any `logformat` as squid.conf has it.

Sources: Squid's configuration manual, `logformat` and `access_log`.
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
    Value,
    compile_template,
    template_parser,
)
from trueup.simulator.access_logs.times import TimeReader

__all__ = ["NATIVE", "SQUID", "squid_parser"]

NATIVE: Final = "%ts %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"
"""What squid.conf calls `squid`, the default; its milliseconds may be missing."""
_NAMED: Final = {
    "squid": NATIVE,
    "common": '%>a %[ui %[un [%tl] "%rm %ru %rv" %>Hs %<st %Ss:%Sh',
    "combined": (
        '%>a %[ui %[un [%tl] "%rm %ru %rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh'
    ),
}
_NUMBER: Final = r"-?\d+"
_UNUSED: Final = Value("", r"\d+|-")
_TABLE: Final = {
    "ts": Value("time", r"\d+(?:\.\d+)?"),
    "tu": Value("subsecond", r"\d+"),
    "tS": Value("", r"\d+\.\d+"),
    "tl": Value("time", COMMON_TIME),
    "tg": Value("time", COMMON_TIME),
    "tr": Value("ms", _NUMBER),
    "dt": Value("", r"-|\d+"),
    ">a": Value("client", r"\S+"),
    ">A": Value("client", r"\S+"),
    "un": Value("user"),
    "ul": Value("user"),
    "ue": Value("user"),
    "ui": Value(""),
    "us": Value("user"),
    "rm": Value("method"),
    ">rm": Value("method"),
    "ru": Value("url"),
    ">ru": Value("url"),
    "<ru": Value("url"),
    ">rd": Value("host"),
    "rd": Value("host"),
    "ssl::>sni": Value("host"),
    "Hs": Value("status", _NUMBER),
    ">Hs": Value("status", _NUMBER),
    "st": Value("bytes", r"\d+|-"),
    "<st": Value("bytes", r"\d+|-"),
    ">st": Value("bytes", r"\d+|-"),
}
SQUID: Final = Dialect(
    program="squid",
    directive=re.compile(
        r"%(?:(?P<quote>\")|[\[#'/])?-?0?\d*(?:\.\d+)?(?P<argument>\{[^}]*\})?"
        r"(?P<name>(?:ssl|adapt|icap|proxy_protocol|transport)::[<>]?\w+|[<>]?[A-Za-z_]+|%)"
        r"(?P<after>\{[^}]*\})?"
    ),
    table=_TABLE,
    example="%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un",
)


def squid_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of a `logformat`, by default the native one. Raises AccessLogError."""
    text = _NAMED.get(template or "squid", template)
    if text.startswith("logformat "):
        text = ([*text.split(None, 2), "", ""])[2]
    dialect = SQUID
    if any(found["name"] == "st" for found in SQUID.directive.finditer(text)):
        # The sum of both directions, beside which the two are not to be added.
        dialect = replace(SQUID, table={**_TABLE, "<st": _UNUSED, ">st": _UNUSED})
    expected = "a line of Squid's native format" if text == NATIVE else f"a line of {text}"
    pattern = compile_template(text, dialect)
    return template_parser(pattern, TimeReader(options.zone), expected)
