"""The formats that are read, in the order in which a log is tried against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from trueup.simulator.access_logs.dante import dante_parser
from trueup.simulator.access_logs.haproxy import haproxy_parser
from trueup.simulator.access_logs.har import read_har
from trueup.simulator.access_logs.json_lines import envoy_parser, ndjson_parser
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import Parsed
from trueup.simulator.access_logs.source import ParseLine, Source, parse_lines
from trueup.simulator.access_logs.squid import squid_parser
from trueup.simulator.access_logs.tables import read_csv, read_parquet
from trueup.simulator.access_logs.web import apache_parser, combined_parser, nginx_parser
from trueup.simulator.access_logs.zeek import zeek_parser
from trueup.simulator.errors import AccessLogError

__all__ = ["FORMATS", "LogFormat", "line_parser"]

Read = Callable[[Source, ReadOptions, str], Iterator[Parsed]]
Parser = Callable[[ReadOptions, str], ParseLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """One format: its name, what it is, and how a log of it is read."""

    name: str
    title: str
    read: Read
    """Takes the log, the options and a template; yields a record or a refusal for each line."""
    template: bool = False
    """Whether a template may follow the name."""
    guessed: bool = True
    """Whether a log is tried against it where no format is named."""
    parser: Parser | None = None
    """Makes the parser of a line, where a line is a request."""


def _read_lines(
    parser: Parser, source: Source, options: ReadOptions, template: str
) -> Iterator[Parsed]:
    return parse_lines(source, parser(options, template))


def _lines(
    name: str, title: str, parser: Parser, *, template: bool = False, guessed: bool = True
) -> LogFormat:
    """Return a format in which a line is a request."""
    return LogFormat(
        name=name,
        title=title,
        read=partial(_read_lines, parser),
        template=template,
        guessed=guessed,
        parser=parser,
    )


FORMATS: Final = (
    _lines("squid", "Squid, native or a logformat", squid_parser, template=True),
    _lines("haproxy", "HAProxy, httplog, tcplog or a log-format", haproxy_parser, template=True),
    _lines("dante", "Dante, sessions that ended", dante_parser),
    _lines("combined", "nginx or Apache, common or combined", combined_parser),
    _lines("nginx", "nginx, a log_format", nginx_parser, template=True, guessed=False),
    _lines("apache", "Apache, a LogFormat", apache_parser, template=True, guessed=False),
    _lines("zeek", "Zeek, http.log, ssl.log or conn.log", zeek_parser),
    _lines("envoy", "Envoy, JSON", envoy_parser),
    _lines("ndjson", "JSON, one object a line", ndjson_parser),
    LogFormat(name="har", title="HTTP archive", read=read_har),
    LogFormat(name="parquet", title="Parquet", read=read_parquet),
    LogFormat(name="csv", title="CSV with a header", read=read_csv),
)
"""The formats, in the order in which a log is tried against them."""


def line_parser(options: ReadOptions) -> ParseLine:
    """Return the parser of the lines of `options.format`. Raises AccessLogError."""
    name, _, template = options.format.partition(":")
    known = {form.name: form.parser for form in FORMATS if form.parser is not None}
    parser = known.get(name)
    if parser is None:
        raise AccessLogError(
            f"{name!r} is no format in which a line is a request; there are {', '.join(known)}"
        )
    return parser(options, template)
