"""The log that a load run sends again: recorded, moved into the target's recent past, planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from trueup.reports.event_format import EventFormat
from trueup.reports.journal.records import ReplayDeclared
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load.plan import LoadPlan, RequestsPart, ShapePart
from trueup.scenarios.load.traffic import LOAD_FLEET
from trueup.scenarios.scenario import ReplayPart
from trueup.simulator.access_logs import LogReader, ReadOptions, parse_fields, parse_zone
from trueup.simulator.errors import AccessLogError
from trueup.simulator.reactor import REPLAY, Schedule
from trueup.simulator.replay import ReplayTraffic, due_us, record_log

__all__ = [
    "REPLAY_PLAN",
    "SPAN_MAX_S",
    "PreparedReplay",
    "RecordedSchedule",
    "open_log",
    "prepare_replay",
]

REPLAY_PLAN: Final = LoadPlan(
    name="replay",
    what="the requests of a log at their own times, one event a request",
    breaks="what holds for made traffic only",
    shape=ShapePart(kind=REPLAY, rate=1.0, duration_s=15.0, warmup_s=0.0),
    requests=RequestsPart(batch=1, connections=16),
    thresholds={"response_p99_ms": 2000, "error_share": 0.01, "unsent_requests": 0},
)
"""The load scenario of a replay, where no other is named."""
_DAY_S: Final = 86_400
_AGE_MAX_S: Final = 6 * _DAY_S
"""Older events may rightly be refused: logs are kept for seven days."""
_MARGIN_S: Final = 60
"""The last event is at least so long before the target's present."""
_END_S: Final = 0.5
"""A run ends so long after its last request is due."""
SPAN_MAX_S: Final = 7 * _DAY_S
"""Seconds that a replay takes at most."""
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedReplay:
    """A log that is ready to be sent."""

    plan: LoadPlan
    declared: ReplayDeclared
    traffic: ReplayTraffic


def open_log(part: ReplayPart) -> LogReader:
    """Return the reader of a replay's log; its format is known then. Raises AccessLogError."""
    options = ReadOptions(
        format=part.format, zone=parse_zone(part.zone), fields=parse_fields(part.fields)
    )
    return LogReader(Path(part.file), options)


def prepare_replay(
    part: ReplayPart,
    plan: LoadPlan,
    *,
    folder: Path,
    customers: tuple[int, ...],
    now: datetime,
    namespace: str,
    duration_s: float | None,
    form: EventFormat,
    say: Callable[[str], None],
) -> PreparedReplay:
    """Record a log in a run's folder and return what is sent of it, and when.

    `now` is the target's present, `duration_s` cuts the run short, `form` is how the target takes
    events, `say` is called with what was read. Raises AccessLogError for a log that cannot be read,
    UsageProblem for one that holds no events, a value that the target file has no word for, or more
    time than can be sent.
    """
    reader = open_log(part)
    try:
        recording = record_log(reader, folder, network=part.network, keep_names=part.keep_names)
    except AccessLogError as error:
        # The journal keeps the reason, and must not have the lines, which hold names.
        for line in str(error).splitlines():
            say(line)
        raise UsageProblem(
            f"{part.file}: too many lines cannot be read as {reader.report.format}. "
            f"`trueup fleet fit {part.file}` shows them; name the format with --format"
        ) from error
    report = reader.report
    for line in report.text(reader.path):
        say(line)
    due = due_us(recording, part.speed)
    events = len(due)
    if duration_s is not None:
        events = int(np.searchsorted(due, int(duration_s * _US)))
    if not events:
        raise UsageProblem(f"{part.file}: no event to replay")
    times = recording.rows["time_us"]
    span_s = float(due[events - 1]) / _US
    if span_s > SPAN_MAX_S:
        raise UsageProblem(
            f"{part.file}: at {part.speed:g} times its pace it takes {span_s / _DAY_S:.1f} days. "
            "Use a higher --speed, or send its beginning only with --duration SECONDS"
        )
    declared = ReplayDeclared(
        fleet=LOAD_FLEET,
        log=reader.path.name,
        format=report.format,
        read=report.read,
        refused=report.refused,
        events=events,
        without_size=int((recording.rows["size"][:events] < 0).sum()),
        sha256=recording.sha256,
        seed=plan.seed,
        namespace=namespace,
        customers=customers,
        shift_s=_shift_s(part, int(times[0]) // _US, int(times[events - 1]) // _US, now),
        speed=part.speed,
        kept_names=part.keep_names,
    )
    length_s = span_s + _END_S
    requests = -(-events // plan.requests.batch)
    shape = ShapePart(
        kind=REPLAY,
        rate=requests / length_s,
        duration_s=length_s,
        warmup_s=min(plan.shape.warmup_s, length_s / 4),
    )
    traffic = ReplayTraffic(recording, declared)
    if (unmapped := traffic.first_unmapped(form)) is not None:
        field, value, number = unmapped
        raise UsageProblem(
            f"{part.file}: event {number + 1} in order of time has {field} {value!r}, which the "
            f"values of [ingest.mapping.{field}] in the target file do not name. Add it there, or "
            f"take such requests out of the log"
        )
    say(f"replaying {declared.text()}")
    return PreparedReplay(
        plan=msgspec.structs.replace(plan, shape=shape),
        declared=declared,
        traffic=traffic,
    )


def _shift_s(part: ReplayPart, first: int, last: int, now: datetime) -> int:
    """Return by how many seconds the log's times are moved, so that all are in the recent past.

    Whole days, so that the hours of the day stay, unless that makes the first event too old.
    """
    latest = int(now.timestamp()) - _MARGIN_S
    days = (latest - last) // _DAY_S * _DAY_S
    for shift in (days, latest - last):
        if latest - (first + shift) <= _AGE_MAX_S:
            return shift
    raise UsageProblem(
        f"{part.file}: its events span {(last - first) / _DAY_S:.1f} days, and a target may refuse "
        "those that are older than a week. Send its beginning only, with --duration SECONDS: "
        f"{_AGE_MAX_S / part.speed:g} or less"
    )


class RecordedSchedule(Schedule):
    """The planned times of one worker: those of the requests that a log's events are sent in.

    A request is due when its last event happened. Worker k of W sends the blocks k, k+W, … of the
    events, as `FleetBodies` does.
    """

    def __init__(
        self, due: npt.NDArray[np.int64], *, batch: int, block: int, worker: int, workers: int
    ) -> None:
        """`due` has the microsecond of each event; `block` is a multiple of `batch`."""
        last = np.minimum(np.arange(batch - 1, len(due) + batch - 1, batch), len(due) - 1)
        planned = due[last] * 1000
        if workers > 1:
            number = np.arange(len(planned))
            planned = planned[number // (block // batch) % workers == worker]
        self._planned = planned

    @property
    def total(self) -> float:
        """Return the number of requests of this worker."""
        return float(len(self._planned))

    def chunks(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield planned times in arrays: nanoseconds since the start of the run, ascending."""
        if len(self._planned):
            yield self._planned
