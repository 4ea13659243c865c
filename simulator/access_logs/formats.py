"""The formats that are read, in the order in which a log is tried against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

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

__all__ = ["FORMATS", "LogFormat"]

Read = Callable[[Source, ReadOptions, str], Iterator[Parsed]]


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


def _read_lines(
    parser: Callable[[ReadOptions, str], ParseLine],
    source: Source,
    options: ReadOptions,
    template: str,
) -> Iterator[Parsed]:
    return parse_lines(source, parser(options, template))


def _lines(parser: Callable[[ReadOptions, str], ParseLine]) -> Read:
    return partial(_read_lines, parser)


FORMATS: Final = (
    LogFormat(
        name="squid", title="Squid, native or a logformat", read=_lines(squid_parser), template=True
    ),
    LogFormat(
        name="haproxy", title="HAProxy, httplog, tcplog or a log-format",
        read=_lines(haproxy_parser), template=True,
    ),
    LogFormat(
        name="combined", title="nginx or Apache, common or combined", read=_lines(combined_parser)
    ),
    LogFormat(
        name="nginx", title="nginx, a log_format", read=_lines(nginx_parser), template=True,
        guessed=False,
    ),
    LogFormat(
        name="apache", title="Apache, a LogFormat", read=_lines(apache_parser), template=True,
        guessed=False,
    ),
    LogFormat(name="zeek", title="Zeek, http.log, ssl.log or conn.log", read=_lines(zeek_parser)),
    LogFormat(name="envoy", title="Envoy, JSON", read=_lines(envoy_parser)),
    LogFormat(name="ndjson", title="JSON, one object a line", read=_lines(ndjson_parser)),
    LogFormat(name="har", title="HTTP archive", read=read_har),
    LogFormat(name="parquet", title="Parquet", read=read_parquet),
    LogFormat(name="csv", title="CSV with a header", read=read_csv),
)  # fmt: skip
