"""Draw the fields of events as arrays: one random word a field, one table lookup a value.

`draw_billing` draws what is counted (who, where to, how much, the outcome); `draw_details` what
else a row shows. Totals need the first only. Nothing here encodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.on_off_sources import ARCHETYPES
from trueup.simulator.model.outcomes import TIMEOUTS_MS
from trueup.simulator.model.population import CLIENTS, HOST_SLOTS, PLACE_SLOTS, WIDE
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints, Words, hash64, mix64, words
from trueup.simulator.random.stratified import stratified

__all__ = ["BillingColumns", "DetailColumns", "draw_billing", "draw_details"]

_U = np.uint64
_PROBE: Final = ARCHETYPES.index("probe")
_MISCONFIGURED: Final = ARCHETYPES.index("misconfigured")
_TAIL: Final = np.array([0, 1, 2, 0, 1], dtype=np.int64)
"""Tail factor of each archetype's sizes: light, plain or heavy."""
_TIMEOUT_MS: Final = np.array(TIMEOUTS_MS, dtype=np.int64)
_MS_MAX: Final = 10_000_000
"""Longest handshake, and an eighth of the longest tunnel: rows have eight digits for times."""
_WINDOWS: Final = 10 * 1460 * 2 ** np.arange(12, dtype=np.int64)
"""Bytes that slow start has sent after 1, 2, … round trips of a new connection (RFC 6928)."""
_CONNECT, _PLAIN, _SOCKS = range(3)
_MASKS: Final = tuple(_U((1 << width) - 1) for width in range(64))


class BillingColumns(NamedTuple):
    """What is counted of each event; one array entry an event."""

    first: int
    second: Ints
    """Unix seconds."""
    sender: Ints
    slot: Ints
    """Index of the hostname in the senders' slots, or WIDE for one drawn from all hostnames."""
    host: Ints
    outcome: Ints
    total_bytes: Ints
    job_word: Words
    """Keyed word of the event's job, for what is constant in a job."""
    archetype: Ints


@dataclass(frozen=True, kw_only=True)
class DetailColumns:
    """What else a row shows."""

    client: Ints
    """Index into the sender's client addresses."""
    routed: Ints
    exit: Ints
    """Fixed proxy (static networks) or place (residential, mobile)."""
    static: Ints
    address_index: Ints
    """Number of the egress address within its place; 0 for fixed proxies."""
    session: Words
    """48-bit session identifier, if `sticky`."""
    sticky: Ints
    total_ms: Ints
    handshake_ms: Ints
    tunnel_ms: Ints
    concurrency: Ints


def _bits(word: Words, shift: int, width: int) -> Ints:
    """Return `width` bits of each word, at most 63, in memory of its own."""
    part = word >> _U(shift) if shift else word & _MASKS[width]
    if shift and shift + width < 64:
        part &= _MASKS[width]
    return part.view(np.int64)


def draw_billing(model: FleetModel, first: int, count: int) -> BillingColumns:
    """Return the counted fields of one segment of events (see `Arrivals.segments`)."""
    keys = model.keys
    senders, channels = model.senders, model.channels
    segment = model.arrivals.draw(first, count, words(keys["arrival"], first, count))
    frame = segment.frame
    sender = frame.sender.take(segment.job)
    job_word = frame.word.take(segment.job)
    network = senders.network.take(sender)
    archetype = channels.archetype.take(segment.channel)
    slot, host = _hosts(model, first, sender, archetype)
    word = words(keys["outcome"], first, count)
    chosen = model.outcomes
    time_bin = (segment.second - frame.begin) // frame.bin_s
    socks = (_bits(job_word, 0, 10) < chosen.socks.take(network)).astype(np.int64)
    plain = (_bits(word, 0, 10) >= chosen.https).astype(np.int64)
    kind = np.where(socks == 1, _SOCKS, plain)
    condition = chosen.condition(
        (archetype == _MISCONFIGURED).astype(np.int64),
        frame.incident.take(time_bin * len(NETWORKS) + network).astype(np.int64),
        network,
        kind,
        model.hosts.difficulty.take(host),
    )
    outcome = chosen.slots.take(condition * 4096 + _bits(word, 10, 12))
    return BillingColumns(
        first=first,
        second=segment.second,
        sender=sender,
        slot=slot,
        host=host,
        outcome=outcome,
        total_bytes=_sizes(model, first, network * 3 + _TAIL.take(archetype), outcome),
        job_word=job_word,
        archetype=archetype,
    )


def _hosts(model: FleetModel, first: int, sender: Ints, archetype: Ints) -> tuple[Ints, Ints]:
    """Return slot and hostname of each event: one of the sender's targets, or any hostname."""
    word = words(model.keys["host"], first, len(sender))
    row = np.where(archetype == _PROBE, len(model.senders), sender)
    slot = row * HOST_SLOTS + _bits(word, 0, 8)
    host = model.senders.host_slots.take(slot)
    wide = np.flatnonzero(host == WIDE)
    if len(wide):
        host[wide] = model.hosts.draw_popular(mix64(word[wide]))
        slot[wide] = WIDE
    return slot, host


def _sizes(model: FleetModel, first: int, law: Ints, outcome: Ints) -> Ints:
    """Return total bytes of each event in both directions: payload and overhead, or the outcome's
    own.
    """
    sizes, outcomes = model.sizes, model.outcomes
    word = words(model.keys["size"], first, len(law))
    total = sizes.payload(law, word)
    total += sizes.overhead(word)
    low = outcomes.bytes_low.take(outcome)
    own = np.flatnonzero(low >= 0)
    if len(own):
        span = outcomes.bytes_span.take(outcome[own])
        total[own] = low[own] + ((_bits(word[own], 24, 16) * span) >> 16)
    if sizes.observed:
        # A log's sizes are those of all its requests, the failed ones among them.
        even = stratified(model.keys["size"], first, len(law))
        for network, observed in sizes.observed.items():
            here = np.flatnonzero(law // 3 == network)
            total[here] = observed.draw(even[here])
    return total


def draw_details(model: FleetModel, billing: BillingColumns) -> DetailColumns:
    """Return all other fields of the events of `billing`."""
    senders = model.senders
    first, count = billing.first, len(billing.sender)
    word = words(model.keys["exit"], first, count)
    ttl = senders.ttl_s.take(billing.sender)
    sticky = ttl > 0
    session = np.zeros(count, dtype=np.uint64)
    here = np.flatnonzero(sticky)
    if len(here):
        session[here] = _sessions(model, billing, here, ttl[here])
        churn = senders.churn.take(billing.sender[here])
        word[here] = _session_exit(churn, session[here], billing, here, ttl)
    static = senders.proxy_count.take(billing.sender)
    place = senders.place_slots.take(billing.sender * PLACE_SLOTS + _bits(word, 0, 8))
    proxy = senders.proxy_first.take(billing.sender) + ((_bits(word, 8, 24) * static) >> 24)
    timing = words(model.keys["timing"], first, count)
    total_ms, handshake_ms, tunnel_ms = _times(model, billing, timing)
    width = 1 + (_bits(billing.job_word, 10, 4) * _bits(billing.job_word, 14, 4) >> 2)
    return DetailColumns(
        client=_bits(billing.job_word, 18, 2) % CLIENTS,
        routed=senders.smartpath.take(billing.sender) * (_bits(word, 48, 2) == 0),
        exit=np.where(static > 0, proxy, place),
        static=(static > 0).astype(np.int64),
        address_index=np.where(static > 0, 0, _bits(word, 32, 16)),
        session=session >> _U(16),
        sticky=sticky.astype(np.int64),
        total_ms=total_ms,
        handshake_ms=handshake_ms,
        tunnel_ms=tunnel_ms,
        concurrency=1 + ((_bits(timing, 48, 16) * width) >> 16),
    )


def _sessions(model: FleetModel, billing: BillingColumns, here: Ints, ttl: Ints) -> Words:
    """Return the identifier of each sticky session: one of four slots of a sender, renewed every
    TTL.
    """
    sender = billing.sender[here]
    slot = sender * 4 + _bits(billing.job_word[here], 20, 2)
    phase = (slot * 7919) % ttl
    number = (billing.second[here] + phase) // ttl
    key = model.session_key
    return hash64(key, (slot.astype(np.uint64) << _U(36)) + number.astype(np.uint64))


def _session_exit(
    churn: Ints, session: Words, billing: BillingColumns, here: Ints, ttl: Ints
) -> Words:
    """Return what a session's address depends on: itself, and whether its peer was lost."""
    sender = billing.sender[here]
    slot = sender * 4 + _bits(billing.job_word[here], 20, 2)
    into = (billing.second[here] + (slot * 7919) % ttl[here]) % ttl[here]
    loses = _bits(session, 0, 10) * 1000 < churn * 1024
    after = (_bits(session, 10, 16) * ttl[here]) >> 16
    lost = loses & (into >= after)
    return mix64(session + lost.astype(np.uint64))


def _times(model: FleetModel, billing: BillingColumns, word: Words) -> tuple[Ints, Ints, Ints]:
    """Return (total, handshake, tunnel) in milliseconds; total >= handshake + tunnel."""
    sizes = model.sizes
    network = model.senders.network.take(billing.sender)
    handshake = sizes.handshake.take(network * 1024 + _bits(word, 0, 10))
    response = sizes.response.take(network * 1024 + _bits(word, 10, 10))
    floor = (billing.total_bytes >> 10) * sizes.ms_per_gib.take(network)
    floor >>= 20
    rounds = np.searchsorted(_WINDOWS, billing.total_bytes)
    tunnel = response + floor + handshake * rounds
    late = np.flatnonzero(model.outcomes.timeout.take(billing.outcome))
    if len(late):
        tunnel[late] = _TIMEOUT_MS.take(_bits(word[late], 20, 2))
    np.minimum(handshake, _MS_MAX, out=handshake)
    np.minimum(tunnel, 8 * _MS_MAX, out=tunnel)
    total = handshake + tunnel
    total += _bits(word, 22, 5)
    return total, handshake, tunnel
