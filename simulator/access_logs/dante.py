"""Dante's log: the line that it writes when a session ends (`log: disconnect`).

Source: the lines that Dante 1.4.2 writes. A session's line has the bytes of both directions on
the client's side. The time is that of its end; the duration is in whole seconds.
"""

from __future__ import annotations

import re
from typing import Final

from trueup.simulator.access_logs.build import build_record
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.source import ParseLine
from trueup.simulator.access_logs.times import TimeReader

__all__ = ["dante_parser"]

_START: Final = (
    r"\w{3} +\d+ \d\d:\d\d:\d\d \((?P<time>\d+\.\d+)\) \S+: (?:info|warning|error|notice|debug)"
)
_END: Final = re.compile(
    _START + r": (?P<rule>pass|block)\(\d+\): tcp/connect \]: (?P<bytes0>\d+) -> "
    r"(?:\w+%(?P<user>[^@ ]+)@)?(?P<client>\S+)\.\d+ \S+ -> (?P<bytes1>\d+), "
    r"\d+ -> \S+ (?P<host>\S+)\.\d+ -> \d+: (?P<how>.*?)\.? +Session duration: (?P<seconds>\d+)s"
)
_OTHER: Final = re.compile(_START)
"""Beginnings of sessions, and what Dante says of itself."""
_REASON: Final = re.compile(r"remote peer error \((?P<reason>[^)]*)\)")


def dante_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of Dante's log; it has no template."""
    del template
    times = TimeReader(options.zone)

    def parse(line: str) -> AccessRecord | None:
        found = _END.match(line)
        if found is None:
            if _OTHER.match(line):
                return None
            raise BadLine(f"expected a line of Dante's log, not {shorten(line)}")
        texts: dict[str, str | None] = found.groupdict()
        how, rule = texts.pop("how") or "", texts.pop("rule")
        failed = _REASON.search(how)
        if failed:
            texts["error"] = failed["reason"].lower().replace(" ", "_")
        elif rule == "block":
            texts["error"] = "http_request_denied"
        texts["protocol"] = "socks"
        return build_record(texts, times)

    return parse
