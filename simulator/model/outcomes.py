"""How a request ended, as the proxy saw it: a table of outcomes, drawn by condition.

For CONNECT and SOCKS the proxy sees the tunnel, not the page: their statuses are those of the
tunnel. Error names are those of RFC 9209; SOCKS has no status, only the name. A request that a
target's robot defence stops inside a tunnel is a success with few bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from trueup.simulator.model.profile import Profile
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.quantiles import apportion
from trueup.simulator.random.random_words import Ints

__all__ = ["KINDS", "OUTCOMES", "Outcomes", "RequestOutcome"]

KINDS: Final = ("connect", "plain", "socks")
SLOTS: Final = 4096
HTTP_PORT: Final = 8080
SOCKS_PORT: Final = 1080
"""Ports of a proxy, as events have them."""
TIMEOUTS_MS: Final = (30_000, 60_000, 60_000, 90_000)
"""How long an outcome that is a timeout takes, each as often as the others."""
_EASY, _MEDIUM, _HARD, _EXTREME = range(4)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestOutcome:
    """One way for a request to end."""

    kind: str
    method: str | None = None
    status: int | None = None
    error: str | None = None
    transport: str = "tcp"
    bytes_low: int = -1
    """Minimum bytes of an outcome with a size of its own; -1: the size is drawn."""
    bytes_span: int = 0
    timeout: bool = False
    """Took one of `TIMEOUTS_MS`."""

    @property
    def failed(self) -> bool:
        """Return whether it has an error name, or a status of 400 or above."""
        return self.error is not None or (self.status is not None and self.status >= 400)


_PROXY_SIDE: Final = (
    # error, status on CONNECT, bytes low, span, timeout, shares: static · residential · mobile
    ("connection_timeout", 504, 220, 200, True, (25, 20, 23)),
    ("http_response_timeout", 504, 220, 680, True, (15, 13, 15)),
    ("connection_terminated", 502, 250, 6000, False, (10, 30, 30)),
    ("destination_unavailable", 503, 250, 650, False, (2, 17, 18)),
    ("dns_error", 502, 250, 650, False, (12, 5, 3)),
    ("dns_timeout", 504, 250, 650, True, (6, 2, 2)),
    ("connection_refused", 502, 250, 650, False, (20, 6, 3)),
    ("destination_ip_prohibited", 403, 250, 650, False, (4, 3, 2)),
    ("http_request_denied", 403, 250, 650, False, (2, 1, 1)),
    ("proxy_internal_error", 500, 250, 650, False, (4, 3, 3)),
)
"""Failures of the proxy itself; shares in per cent (grade A), names of RFC 9209."""

_SUCCESS: Final = {
    # difficulty: successes per mille, by network
    _EASY: (985, 990, 990, 985),
    _MEDIUM: (900, 950, 960, 960),
    _HARD: (550, 800, 880, 900),
    _EXTREME: (150, 450, 620, 720),
}
_BLOCKED: Final = ((403, 45), (429, 25), (503, 15), (302, 10), (999, 5))
_PLAIN: Final = ((200, 8510), (301, 350), (302, 350), (304, 100), (404, 590), (410, 60), (500, 40))
"""Statuses of targets that do not block, per 10,000. Source of the mix: Alexa crawl 2006."""
_METHODS: Final = (("GET", 930), ("POST", 60), ("HEAD", 10))


def _all_outcomes() -> Iterator[RequestOutcome]:
    yield RequestOutcome(kind="connect", method="CONNECT", status=200)
    yield RequestOutcome(
        kind="connect", method="CONNECT", status=200, bytes_low=5200, bytes_span=9000
    )
    yield RequestOutcome(kind="socks")
    yield RequestOutcome(kind="socks", bytes_low=5200, bytes_span=9000)
    yield RequestOutcome(kind="socks", transport="udp")
    for method, _weight in _METHODS:
        for status, _share in _PLAIN:
            bare = method == "HEAD" or status in (301, 302, 304)
            low, span = (250, 900) if bare or status >= 400 else (-1, 0)
            yield RequestOutcome(
                kind="plain", method=method, status=status, bytes_low=low, bytes_span=span
            )
        for status, _share in _BLOCKED:
            if status not in (302, 503):
                yield _plain(method, status, None, 700, 5000)
        yield _plain(method, 503, None, 700, 5000)
    for error, status, low, span, timeout, _shares in _PROXY_SIDE:
        yield _failure("connect", "CONNECT", status, error, low, span, timeout)
        yield _failure("plain", "GET", status, error, low, span, timeout)
        yield _failure("socks", None, None, error, low, span, timeout)
    for error, status in _ACCOUNT.items():
        yield _failure("connect", "CONNECT", status, error, 250, 450, False)
        yield _failure("plain", "GET", status, error, 250, 450, False)
        yield _failure("socks", None, None, error, 12, 30, False)


_ACCOUNT: Final = {
    "http_request_error": 400,
    "http_request_denied": 407,
    "connection_limit_reached": 429,
}
"""What the proxy refuses because of who asks: malformed, not allowed in, too many at once."""


def _plain(method: str, status: int, error: str | None, low: int, span: int) -> RequestOutcome:
    return RequestOutcome(
        kind="plain", method=method, status=status, error=error, bytes_low=low, bytes_span=span
    )


def _failure(
    kind: str, method: str | None, status: int | None, error: str, low: int, span: int, late: bool
) -> RequestOutcome:
    return RequestOutcome(
        kind=kind,
        method=method,
        status=status,
        error=error,
        bytes_low=low,
        bytes_span=span,
        timeout=late,
    )


OUTCOMES: Final = tuple(dict.fromkeys(_all_outcomes()))
"""Every outcome; its index is its number."""
_NUMBER: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Outcome numbers by condition: (misconfigured, incident, network, kind, difficulty) x
    slots.
    """

    slots: Ints
    socks: Ints
    """By network: SOCKS jobs, per 1,024."""
    https: int
    """Share of TLS among the other requests, per 1,024."""
    failed: Ints
    bytes_low: Ints
    bytes_span: Ints
    timeout: Ints

    @classmethod
    def of(cls, profile: Profile) -> Outcomes:
        """Return the outcome tables of a profile."""
        socks = dict(profile.weights("socks"))
        conditions = [
            apportion(*_law(profile, misconfigured, bad, network, kind, difficulty))
            for misconfigured in (False, True)
            for bad in (False, True)
            for network in range(len(NETWORKS))
            for kind in KINDS
            for difficulty in range(4)
        ]
        return cls(
            slots=np.concatenate(conditions),
            socks=np.array([socks.get(name, 0) * 1024 // 1000 for name in NETWORKS]),
            https=profile.integer("host.https") * 1024 // 1000,
            failed=np.array([outcome.failed for outcome in OUTCOMES], dtype=np.int64),
            bytes_low=np.array([outcome.bytes_low for outcome in OUTCOMES], dtype=np.int64),
            bytes_span=np.array([outcome.bytes_span for outcome in OUTCOMES], dtype=np.int64),
            timeout=np.array([outcome.timeout for outcome in OUTCOMES], dtype=np.int64),
        )

    def condition(
        self, misconfigured: Ints, bad: Ints, network: Ints, kind: Ints, difficulty: Ints
    ) -> Ints:
        """Return the numbers of conditions; arrays of one entry an event."""
        return (((misconfigured * 2 + bad) * len(NETWORKS) + network) * 3 + kind) * 4 + difficulty


def _law(
    profile: Profile, misconfigured: bool, bad: bool, network: int, kind: str, difficulty: int
) -> tuple[list[int], int]:
    """Return (weight of each outcome, slots) under one condition; weights sum to about 10^9."""
    chances = _chances(profile, misconfigured, bad, network, kind, difficulty)
    weights = [0] * len(OUTCOMES)
    for outcome, chance in chances:
        weights[_NUMBER[outcome]] += int(chance * 10**9)
    return weights, SLOTS


def _chances(
    profile: Profile, misconfigured: bool, bad: bool, network: int, kind: str, difficulty: int
) -> Iterator[tuple[RequestOutcome, Decimal]]:
    method = {"connect": "CONNECT", "plain": "GET", "socks": None}[kind]
    name = NETWORKS[network]
    fail = Decimal(dict(profile.weights("failure")).get(name, 0)) / 100_000
    fail = min(Decimal("0.9"), fail * (profile.decimal("incident.factor") if bad else 1))
    refused = {
        "http_request_error": profile.decimal("failure.malformed") / 100_000,
        "http_request_denied": profile.decimal("failure.auth") / 100_000,
        "connection_limit_reached": profile.decimal("failure.rate_limited") / 100_000,
    }
    if misconfigured:
        refused["http_request_denied"] = profile.decimal("failure.misconfigured") / 1000
    for error, chance in refused.items():
        status = _ACCOUNT[error] if kind != "socks" else None
        low, span = (12, 30) if kind == "socks" else (250, 450)
        yield _failure(kind, method, status, error, low, span, False), chance
    left = max(Decimal(0), 1 - sum(refused.values()))
    column = {"datacenter": 0, "isp": 0, "residential": 1, "mobile": 2}[name]
    total = sum(row[5][column] for row in _PROXY_SIDE)
    for error, status, low, span, timeout, shares in _PROXY_SIDE:
        code = None if kind == "socks" else status
        outcome = _failure(kind, method, code, error, low, span, timeout)
        yield outcome, left * fail * shares[column] / total
    left *= 1 - fail
    answered = Decimal(_SUCCESS[difficulty][network]) / 1000
    yield from _tunnel_or_page(kind, left, answered)


def _tunnel_or_page(
    kind: str, left: Decimal, answered: Decimal
) -> Iterator[tuple[RequestOutcome, Decimal]]:
    """Yield the outcomes if the proxy itself did not fail: the target responds or blocks."""
    if kind == "connect":
        yield OUTCOMES[0], left * answered
        yield OUTCOMES[1], left * (1 - answered)
    elif kind == "socks":
        yield OUTCOMES[2], left * answered * Decimal("0.98")
        yield OUTCOMES[4], left * answered * Decimal("0.02")
        yield OUTCOMES[3], left * (1 - answered)
    else:
        for outcome in OUTCOMES:
            if outcome.kind != "plain" or outcome.error is not None or outcome.method is None:
                continue
            share = Decimal(dict(_METHODS)[outcome.method]) / 1000
            status = outcome.status or 0
            if (outcome.bytes_low, outcome.bytes_span) == (700, 5000):
                yield outcome, left * share * (1 - answered) * dict(_BLOCKED)[status] / 90
            else:
                yield outcome, left * share * answered * dict(_PLAIN)[status] / 10_000
