"""Job slots that are ON and OFF on many time scales.

A channel is a slot that runs one job after another. Its time is divided into periods; period `k` of
channel `c` holds one job whose sender, rate, begin and end follow from a keyed word of (c, k). So
the state of any channel at any time is known in O(1), and the heavy tail of job lengths comes from
the share of channels on each time scale (superposed ON/OFF sources: Willinger et al.,
"Self-similarity through high-variability", 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

import numpy as np

from trueup.simulator.model.population import Senders
from trueup.simulator.model.profile import Profile
from trueup.simulator.model.seasonality import WEEK_HOURS, cycle
from trueup.simulator.model.sizes import NETWORKS, TIME_CELLS
from trueup.simulator.random.quantiles import apportion, lognormal
from trueup.simulator.random.random_words import Ints, Words, hash64, stream_key

__all__ = ["ARCHETYPES", "Channels", "Jobs"]

ARCHETYPES: Final = ("monitor", "crawl", "browse", "probe", "misconfigured")
_MONITOR, _CRAWL, _BROWSE, _PROBE, _MISCONFIGURED = range(5)
_CRON_S: Final = ((300, 15), (900, 30), (3600, 40), (21600, 15))
"""Periods of monitors with their weights in per cent."""
_CRON_SPAN_S: Final = 400
"""A monitor's job lasts between a quarter of this and all of it, and at most half its period."""
_CRON_DELAY_S: Final = 60
"""A monitor's job starts up to this long after its scheduled time."""
_GROUP_SLOTS: Final = 4096
_U = np.uint64


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Jobs of an interval, one array entry each."""

    channel: Ints
    begin: Ints
    """Unix seconds."""
    end: Ints
    weight: Ints
    period: Ints
    """Number of the job's period."""
    first: Ints
    """By channel: index of its first job in these arrays."""
    first_period: Ints
    """By channel: period number of that job."""


@dataclass(frozen=True, kw_only=True)
class Channels:
    """All channels of a fleet."""

    network: Ints
    archetype: Ints
    period: Ints
    """Seconds."""
    phase: Ints
    scale: Ints
    """Rate factor, in thousandths, that gives each (network, archetype) its share of events."""
    keep: Ints
    """Periods after which a channel changes its sender, as a shift: 2^keep periods."""
    job_key: int
    rate: Ints
    """Quantiles of job rates, times 64."""
    diurnal: Ints
    """(archetypes x 168) factors per mille, flat."""
    sender_slots: Ints
    """(networks x 4,096) senders, flat."""

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def of(cls, profile: Profile, seed: int, senders: Senders) -> Channels:
        """Return the channels of a profile."""
        network, archetype, share = _plan(profile)
        hashes = hash64(stream_key(seed, "channel"), np.arange(len(network), dtype=np.uint64))
        period, keep = _periods(profile, network, archetype, hashes)
        on_the_clock = (archetype == _MONITOR) & ((hashes & _U(1023)) < _U(614))
        phase = np.where(on_the_clock, 0, (hashes >> _U(10)).astype(np.int64) & 0xFFFFF)
        auto, human, flat = (cycle(profile, kind) for kind in ("auto", "human", "flat"))
        return cls(
            network=network,
            archetype=archetype,
            period=period,
            phase=phase % period,
            scale=_scale(network, archetype, period, share),
            keep=keep,
            job_key=stream_key(seed, "job"),
            rate=lognormal(Decimal(64), profile.decimal("arrivals.rate_sigma"), TIME_CELLS),
            diurnal=np.array([*flat, *auto, *human, *flat, *auto], dtype=np.int64),
            sender_slots=_sender_slots(senders),
        )

    def word(self, channel: Ints, period: Ints) -> Words:
        """Return the keyed word of job (channel, period)."""
        job = (channel << 40) + (period & 0xFFFFFFFFFF)
        return hash64(self.job_key, job.astype(np.uint64))

    def jobs(self, begin: int, end: int) -> Jobs:
        """Return all jobs of the periods that overlap the Unix seconds begin … end-1."""
        first_period = (begin + self.phase) // self.period
        count = (end - 1 + self.phase) // self.period - first_period + 1
        first = np.cumsum(count) - count
        channel = np.repeat(np.arange(len(self), dtype=np.int64), count)
        number = np.arange(len(channel), dtype=np.int64) - first.take(channel)
        number += first_period.take(channel)
        word = self.word(channel, number)
        period, kind = self.period.take(channel), self.archetype.take(channel)
        span, into = _span(kind, period, word)
        starts = number * period - self.phase.take(channel) + into
        rate = self.rate.take((word >> _U(44)).astype(np.int64) & (TIME_CELLS - 1))
        hours = (starts // 3600 - 96) % WEEK_HOURS
        rate = rate * self.scale.take(channel) * self.diurnal.take(kind * WEEK_HOURS + hours)
        return Jobs(
            channel=channel,
            begin=starts,
            end=starts + span,
            weight=np.maximum(1, rate // 64000),
            period=number,
            first=first,
            first_period=first_period,
        )

    def job_at(self, jobs: Jobs, channel: Ints, second: Ints) -> Ints:
        """Return the index in `jobs` of each channel's job at a Unix second."""
        period = (second + self.phase.take(channel)) // self.period.take(channel)
        return period - jobs.first_period.take(channel) + jobs.first.take(channel)

    def sender(self, channel: Ints, period: Ints) -> Ints:
        """Return the sender of period `period` of a channel."""
        word = self.word(channel, (period >> self.keep.take(channel)) | (1 << 39))
        slot = (word & _U(_GROUP_SLOTS - 1)).astype(np.int64)
        return self.sender_slots.take(self.network.take(channel) * _GROUP_SLOTS + slot)


def _span(kind: Ints, period: Ints, word: Words) -> tuple[Ints, Ints]:
    """Return (ON seconds, seconds from the period's begin) of each job."""
    low, high = (word & _U(0xFFFF)).astype(np.int64), (word >> _U(16)).astype(np.int64) & 0xFFFF
    third = period // 3
    span = np.maximum(1, third // 2 + ((third * low) >> 16))
    into = ((period - span) * high) >> 16
    cron, page = kind == _MONITOR, (kind == _BROWSE) | (kind == _PROBE)
    widest = np.minimum(_CRON_SPAN_S, period // 2)
    span = np.where(cron, widest // 4 + ((widest * 3 // 4 * low) >> 16), span)
    span = np.where(page, 1 + (low & 1), span)
    into = np.where(cron, (_CRON_DELAY_S * high) >> 16, into)
    return span, np.minimum(into, period - span)


def _mean_span(kind: Ints, period: Ints) -> Ints:
    """Return the mean ON time of a channel's jobs, in thousandths of a second."""
    widest = np.minimum(_CRON_SPAN_S, period // 2)
    span = np.where(kind == _MONITOR, widest * 625, np.maximum(1000, period * 333))
    return np.where((kind == _BROWSE) | (kind == _PROBE), 1500, span)


def _plan(profile: Profile) -> tuple[Ints, Ints, Ints]:
    """Return network and archetype of each channel, and the share of events of that pair.

    Channels are distributed by the product of the two mixes, at least four to every pair with a
    share. Shares are in millionths.
    """
    mix, kinds = dict(profile.weights("mix")), dict(profile.weights("archetype"))
    pairs = [
        (n, a, mix.get(network, 0) * kinds.get(archetype, 0))
        for n, network in enumerate(NETWORKS)
        for a, archetype in enumerate(ARCHETYPES)
    ]
    pairs = [pair for pair in pairs if pair[2]]
    total = sum(share for _n, _a, share in pairs)
    channels = max(len(pairs) * 4, profile.integer("arrivals.channels"))
    network, archetype, shares = [], [], []
    for n, a, share in pairs:
        count = max(4, channels * share // total)
        network += [n] * count
        archetype += [a] * count
        shares += [share * 1_000_000 // total + 1] * count
    return np.array(network), np.array(archetype), np.array(shares)


def _scale(network: Ints, archetype: Ints, period: Ints, share: Ints) -> Ints:
    """Return the rate factor of each channel: its pair's share over the time that the pair is
    ON.
    """
    duty = _mean_span(archetype, period) * 1000 // period
    pair = network * len(ARCHETYPES) + archetype
    on = np.zeros(len(NETWORKS) * len(ARCHETYPES), dtype=np.int64)
    np.add.at(on, pair, duty)
    return np.maximum(1, share * 10_000 // np.maximum(1, on.take(pair)))


def _periods(profile: Profile, network: Ints, archetype: Ints, hashes: Words) -> tuple[Ints, Ints]:
    """Return the period of each channel in seconds, and how long it keeps a sender."""
    period = np.empty(len(network), dtype=np.int64)
    keep = np.zeros(len(network), dtype=np.int64)
    scales = _scale_slots(profile)
    cron = np.array([s for s, _w in _CRON_S]).take(apportion([w for _s, w in _CRON_S], 1024))
    for n in range(len(NETWORKS)):
        for a in range(len(ARCHETYPES)):
            here = np.flatnonzero((network == n) & (archetype == a))
            place = (2 * np.arange(len(here)) + 1) * 512 // max(1, len(here))
            own = (hashes[here] >> _U(32)).astype(np.int64)
            if a == _MONITOR:
                period[here], keep[here] = cron.take(place), 30
            elif a == _BROWSE:
                period[here], keep[here] = 24 + own % 17, 5
            elif a == _PROBE:
                period[here], keep[here] = 20 + own % 41, 30
            elif a == _MISCONFIGURED:
                period[here] = 900 + own % 5400
            else:
                period[here] = (6 << scales.take(place)) + own % 5
    return period, keep


def _scale_slots(profile: Profile) -> Ints:
    """Return 1,024 slots → octave of job length, with weight 2^(-decay·octave)."""
    octaves = max(1, min(20, profile.integer("arrivals.scales")))
    decay = profile.decimal("arrivals.scale_decay")
    with localcontext(prec=18):
        two = Decimal(2).ln()
        weights = [int(2**40 * (-decay * j * two).exp()) for j in range(octaves)]
    return apportion(weights, 1024)


def _sender_slots(senders: Senders) -> Ints:
    """Return by network: 4,096 slots → sender, by weight."""
    parts = []
    for network in range(len(NETWORKS)):
        here = np.flatnonzero(senders.network == network)
        if not len(here):
            parts.append(np.zeros(_GROUP_SLOTS, dtype=np.int64))
            continue
        parts.append(here.take(apportion(senders.weight.take(here).tolist(), _GROUP_SLOTS)))
    return np.concatenate(parts)
