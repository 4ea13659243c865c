"""When events happen and who sends them: event number → (second, job).

Time is divided into frames of 4,096 s. The number of events in a frame follows from the seasonal
clock; their times within it follow from the rates of the jobs that are ON: the frame is treated as
an area, time bin by time bin and channel by channel, and event numbers are distributed evenly over
it with a jitter of sixteen events' width, modulo the frame. A frame depends on nothing before it.

Bound: event `i` happens at or after the fleet's start and never later than (i+1) / rate seconds
after it; a later time is replaced by exactly that one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trueup.simulator.model.incidents import Incidents
from trueup.simulator.model.on_off_sources import Channels, Jobs
from trueup.simulator.model.seasonality import FRAME_S, SeasonalClock
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints, Words, mix64

__all__ = ["SEGMENT_EVENTS", "Arrivals", "Frame", "Segment"]

_BINS_MIN: Final = 64
_BINS_MAX: Final = 4096
_EVENTS_PER_BIN: Final = 16
_JITTER_EVENTS: Final = 16
"""Width of the jitter in events, so that a steady rate looks like a Poisson process."""
_FRAMES_KEPT: Final = 6
_CHUNK: Final = 1 << 20
SEGMENT_EVENTS: Final = 1 << 13
"""Events drawn at once: enough to amortise numpy's overhead, few enough to stay in cache."""
_U = np.uint64


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The layout of 4,096 s; a pure function of the fleet and the frame's number."""

    first: int
    """Number of its first event."""
    count: int
    begin: int
    """Unix seconds."""
    bin_s: int
    area: npt.NDArray[np.signedinteger]
    """Cumulative weights of the cells (time bin, channel) with work, row by row."""
    time_bin: Ints
    channel: Ints
    job: Ints
    """By cell: the job that is ON."""
    sender: Ints
    """By job: its sender."""
    word: Words
    """By job: a keyed word for what is constant in a job."""
    incident: npt.NDArray[np.bool_]
    """(time bins x networks), flat: whether an incident is active."""
    step: int
    """Area of one event, times 2^shift."""
    shift: int


class Segment(NamedTuple):
    """The arrivals of consecutive events of one frame; arrays of one entry an event."""

    second: Ints
    """Unix seconds."""
    channel: Ints
    job: Ints
    """Number of the job in the frame."""
    frame: Frame


class Arrivals:
    """The arrival process of one fleet. Caches some frames."""

    def __init__(self, clock: SeasonalClock, channels: Channels, incidents: Incidents) -> None:
        self.clock = clock
        self.channels = channels
        self.incidents = incidents
        self._frames: OrderedDict[int, Frame] = OrderedDict()

    def segments(self, first: int, count: int, most: int = SEGMENT_EVENTS) -> list[tuple[int, int]]:
        """Split events first … first+count-1 at the ends of frames and of 2^20 events, and to at
        most `most`.

        Returns (first, count) pairs.
        """
        cuts: list[tuple[int, int]] = []
        end = first + count
        while first < end:
            chunk_end = (first // _CHUNK + 1) * _CHUNK
            stop = min(end, self._frame_end(first), first + most, chunk_end)
            cuts.append((first, stop - first))
            first = stop
        return cuts

    def draw(self, first: int, count: int, word: Words) -> Segment:
        """Return the arrivals of one segment (see `segments`); uses bits 0-31 of each word."""
        frame = self._known(first) or self._frame(self.clock.frame_of(first))
        number = np.arange(first - frame.first, first - frame.first + count, dtype=np.int64)
        jitter = (word & _U(0xFFFF)).astype(np.int64)
        place = (number - _JITTER_EVENTS // 2) * frame.step
        place += jitter * ((frame.step * _JITTER_EVENTS) >> 16)
        place %= frame.count * frame.step
        place >>= frame.shift
        cell = np.searchsorted(frame.area, place.astype(frame.area.dtype), side="right")
        second = frame.time_bin.take(cell) * frame.bin_s + frame.begin
        if frame.bin_s > 1:
            second += (((word >> _U(16)) & _U(0xFFFF)).astype(np.int64) * frame.bin_s) >> 16
        np.minimum(second, self._latest(first, count), out=second)
        np.maximum(second, frame.begin, out=second)
        channel, job = frame.channel.take(cell), frame.job.take(cell)
        return Segment(second=second, channel=channel, job=job, frame=frame)

    def _latest(self, first: int, count: int) -> Ints:
        """Return the Unix second of (i+1) / rate for each event: exact at multiples of 2^20, then
        linear.
        """
        anchor = first // _CHUNK * _CHUNK
        rate = self.clock.rate
        size = rate.numerator.bit_length() - rate.denominator.bit_length()
        shift = min(60, max(0, 40 + size))
        step = (rate.denominator << shift) // rate.numerator
        base = (anchor * rate.denominator << shift) // rate.numerator
        whole, rest = divmod(base, 1 << shift)
        offset = np.arange(first - anchor + 1, first - anchor + 1 + count, dtype=np.int64)
        return ((offset * step + rest) >> shift) + (whole + self.clock.start)

    def _known(self, number: int) -> Frame | None:
        """Return the cached frame of an event, most recently used first; None if it is not
        cached.
        """
        for frame in reversed(self._frames.values()):
            if 0 <= number - frame.first < frame.count:
                return frame
        return None

    def _frame_end(self, number: int) -> int:
        """Return the number of the first event after the frame of an event."""
        known = self._known(number)
        if known is not None:
            return known.first + known.count
        return self.clock.frame_first(self.clock.frame_of(number) + 1)

    def _frame(self, frame: int) -> Frame:
        found = self._frames.pop(frame, None)
        if found is None:
            found = self._build_frame(frame)
        self._frames[frame] = found
        while len(self._frames) > _FRAMES_KEPT:
            self._frames.popitem(last=False)
        return found

    def _build_frame(self, frame: int) -> Frame:
        first = self.clock.frame_first(frame)
        count = self.clock.frame_first(frame + 1) - first
        time_bins = min(_BINS_MAX, max(_BINS_MIN, 1 << (count // _EVENTS_PER_BIN).bit_length()))
        bin_s = FRAME_S // time_bins
        begin = self.clock.start + frame * FRAME_S
        jobs = self.channels.jobs(begin, begin + FRAME_S)
        steps = np.zeros((time_bins + 1, len(self.channels)), dtype=np.int64)
        low = np.clip((jobs.begin - begin + bin_s - 1) // bin_s, 0, time_bins)
        high = np.clip((jobs.end - begin + bin_s - 1) // bin_s, 0, time_bins)
        weight = self._with_retries(jobs)
        seen = np.flatnonzero(low < high)
        low, high, weight, channel = (array[seen] for array in (low, high, weight, jobs.channel))
        np.add.at(steps, (low, channel), weight)
        np.subtract.at(steps, (high, channel), weight)
        rates = np.cumsum(steps[:-1], axis=0).ravel()
        if not rates.any():
            rates[:] = 1
        cells = np.flatnonzero(rates)
        time_bin, channel = np.divmod(cells, len(self.channels))
        area = np.cumsum(rates[cells])
        total = int(area[-1])
        if total < 2**31:
            area = area.astype(np.int32)
        shift = 57 - total.bit_length()
        step = (total << shift) // max(1, count)
        seconds = np.repeat(begin + np.arange(time_bins, dtype=np.int64) * bin_s, len(NETWORKS))
        networks = np.tile(np.arange(len(NETWORKS), dtype=np.int64), time_bins)
        return Frame(
            first=first,
            count=count,
            begin=begin,
            bin_s=bin_s,
            area=area,
            time_bin=time_bin,
            channel=channel,
            job=self.channels.job_at(jobs, channel, time_bin * bin_s + begin),
            sender=self.channels.sender(jobs.channel, jobs.period),
            word=mix64(self.channels.word(jobs.channel, jobs.period) + _U(1)),
            incident=self.incidents.active(networks, seconds),
            step=step,
            shift=shift,
        )

    def _with_retries(self, jobs: Jobs) -> Ints:
        """Return job weights, raised if the network has an incident and its clients try again."""
        network = self.channels.network.take(jobs.channel)
        bad = self.incidents.active(network, jobs.begin)
        return np.where(bad, jobs.weight * self.incidents.retries // 1000, jobs.weight)
