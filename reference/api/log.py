"""The server's log: one JSON object a line on stderr, and few lines about the same thing.

Everything that is logged in this process goes through it, also what asyncio and aiohttp say. Of
records of one kind, with the same logger, level and message but for its values and numbers, BURST
are written in WINDOW_S seconds; the others are counted, and the next one says how many. Of all
kinds together, TOTAL_BURST are written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, TextIO

from trueup.reference.clock import monotonic_s

__all__ = ["BURST", "WINDOW_S", "JsonLines", "RepeatLimit", "configure"]

BURST: Final = 5
"""Most records of one kind in one window."""
WINDOW_S: Final = 60.0
"""Length of a window, in seconds."""
TOTAL_BURST: Final = 100
"""Most records of all kinds in one window; it also bounds the kinds that are remembered."""
_TRACE_LIMIT: Final = 4000
"""Most characters of a traceback."""
_NUMBERS: Final = re.compile(r"0x[0-9a-f]+|[0-9]+")
_TEXT_LIMIT: Final = 1000
"""Most characters of a message."""


class RepeatLimit(logging.Filter):
    """Let BURST records of one kind pass in a window, and TOTAL_BURST of all kinds.

    `record.left_out` is the number of records of its kind that did not pass in the window before.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic_s) -> None:
        super().__init__()
        self._now_s = now_s
        self._since_s = now_s()
        self._passed = 0
        self._kinds: Counter[tuple[str, int, str]] = Counter()
        """Kind → records in this window."""
        self._left_out: dict[tuple[str, int, str], int] = {}
        """Kind → records that did not pass in the window before."""

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = self._now_s()
        if now_s - self._since_s >= WINDOW_S:
            self._left_out = {kind: n - BURST for kind, n in self._kinds.items() if n > BURST}
            self._kinds.clear()
            self._since_s, self._passed = now_s, 0
        kind = (record.name, record.levelno, _NUMBERS.sub("#", str(record.msg)[:_TEXT_LIMIT]))
        if self._passed >= TOTAL_BURST and kind not in self._kinds:
            return False
        self._kinds[kind] += 1
        if self._passed >= TOTAL_BURST or self._kinds[kind] > BURST:
            return False
        self._passed += 1
        record.left_out = self._left_out.pop(kind, 0)
        return True


class JsonLines(logging.Formatter):
    """One JSON object: time (UTC), level, logger, message, and where there are such, traceback
    and the number of like records that were left out before.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{at}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_TEXT_LIMIT],
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-_TRACE_LIMIT:]
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        return json.dumps(line, ensure_ascii=False)


def configure(stream: TextIO | None = None) -> None:
    """Write warnings and errors of this process to `stream`; default: stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(RepeatLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Malformed HTTP gets a 400 and is not logged; errors of the server are logged elsewhere.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
