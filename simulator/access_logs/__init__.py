"""Access logs of proxies and web servers, read as a stream of records.

A format is one module; `formats.FORMATS` lists them. Nothing here knows the fleet, and nothing is
kept of a log but counts.
"""

from trueup.simulator.access_logs.follow import FollowedLog
from trueup.simulator.access_logs.formats import line_parser
from trueup.simulator.access_logs.options import ReadOptions, parse_fields, parse_zone
from trueup.simulator.access_logs.reader import LogReader, ReadReport, format_names
from trueup.simulator.access_logs.record import AccessRecord, RefusedLine

__all__ = [
    "AccessRecord",
    "FollowedLog",
    "LogReader",
    "ReadOptions",
    "ReadReport",
    "RefusedLine",
    "format_names",
    "line_parser",
    "parse_fields",
    "parse_zone",
]
