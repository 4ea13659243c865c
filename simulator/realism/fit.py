"""Fit a profile from a log of one's own, and hold it to the log.

Only what the log contains is fitted: rate, hours, sizes, mix, protocols, failures, authentication,
popularity. The rest stays as in the default profile. Sizes and hours are kept as they were, not as
parameters of a law: a law of three parameters does not bring back a log's quantiles or its total.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from trueup.simulator.access_logs import LogReader, ReadOptions, ReadReport
from trueup.simulator.errors import FitError
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.observed import BYTES_MAX, CYCLE, size_table
from trueup.simulator.model.profile import parse_profile
from trueup.simulator.model.seasonality import FRAME_S
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints
from trueup.simulator.realism.log_summary import LogSummary
from trueup.simulator.realism.series import slope

__all__ = ["FitCheck", "FittedProfile", "check_fit", "fit_log", "fit_summary"]

_ROWS_MIN: Final = 100
_RELIABLE: Final = 10_000
_DAY_S: Final = 86_400
_HOURS_S: Final = 2 * 3600
"""Logs shorter than this say nothing about hours."""
QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
RANK: Final = 0.005
"""A drawn quantile is compared with those of the log so much of all requests to either side: where
the log jumps from one size to another, one request more or less moves it across."""
_BEFORE_S: Final = 43 * FRAME_S
"""How long before the log the fleet begins that is held to it: two days of complete frames."""
_DRAWN_MAX: Final = 2_000_000
"""Events that a check draws at most: of a longer log it covers the first part."""
_PIECE: Final = 65_536
_STATUSES: Final = {407: "failure.auth", 429: "failure.rate_limited", 400: "failure.malformed"}
"""Statuses of the proxy itself, and the parameters that they become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCheck:
    """How events drawn from a fitted profile differ from the log. Shares: 0.01 is one percent."""

    events: int
    """Drawn over the log's own time, or more than two hours if that is longer."""
    sizes: int
    """Drawn for the comparison of bytes: at least 10,000."""
    events_error: float
    """Of their number."""
    total_error: float
    """Of the bytes of an event, on average."""
    quantile_error: float
    """The largest of those at `QUANTILES`."""
    hours_error: float | None
    """The largest difference in the share of all events that fall into an hour of the day; None
    for a log of less than two hours."""

    def text(self) -> str:
        """Return one line for the user."""
        over, hours = "more than two hours", ""
        if self.hours_error is not None:
            over, hours = "its time", f", {self.hours_error:.2%} at most in shares of hours"
        return (
            f"held to the log: {self.events:,} events drawn over {over} differ by "
            f"{self.events_error:.2%} in number{hours}; {self.sizes:,} by {self.total_error:.2%} "
            f"in bytes, {self.quantile_error:.2%} at most in quantiles of bytes"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedProfile:
    """A profile and how it came about."""

    text: str
    """TOML."""
    notes: tuple[str, ...]
    """What the log could not tell."""
    report: ReadReport
    check: FitCheck | None
    """None where the log has no sizes, or no time between its requests."""


def fit_log(
    path: Path, options: ReadOptions | None = None, *, network: str = "residential"
) -> FittedProfile:
    """Return the profile fitted from a log.

    `network` is that of requests whose log does not name one. Raises AccessLogError, which names
    the line, for a log that cannot be read, and FitError for one with fewer than 100 requests.
    """
    reader = LogReader(path, options)
    summary = LogSummary(network)
    summary.add_all(reader)
    report = reader.report
    if summary.count < _ROWS_MIN:
        refused = "".join(f"\n{path}:{each.line}: {each.reason}" for each in report.first_refused)
        raise FitError(
            f"{path}: {summary.count} events; a fit needs at least {_ROWS_MIN}, and is "
            f"reliable from {_RELIABLE:,} on{refused}"
        )
    text, notes = fit_summary(summary, path.name)
    return FittedProfile(
        text=text, notes=tuple(notes), report=report, check=check_fit(text, summary, path.name)
    )


def fit_summary(summary: LogSummary, source: str) -> tuple[str, list[str]]:
    """Return (profile as TOML text, notes) fitted from what was counted of a log."""
    found: dict[str, tuple[str, str]] = {"coverage.enabled": ("false", "")}
    tables: dict[str, tuple[Mapping[int, int], str]] = {}
    notes: list[str] = []
    span = summary.span_s
    rate, hours = _hours(summary) if span >= _HOURS_S else (summary.count / max(span, 1e-6), {})
    if span > 0:
        found["fleet.events_per_s"] = (f"{rate:.6g}", "events/s")
    else:
        notes.append("all events have the same time; the default's rate is kept")
    found["mix"] = (_weights({name: summary.networks[name] for name in NETWORKS}), "weight")
    if not summary.sized:
        notes.append("the log has no sizes; the default's are kept")
    for network in NETWORKS:
        sizes = summary.sizes[network]
        if sizes.count >= _ROWS_MIN:
            tables[size_table(network)] = (dict(sizes.table()), "requests by bytes")
            if sizes.count < _RELIABLE:
                notes.append(f"{network}: {sizes.count:,} sizes are too few to tell the tail well")
        elif sizes.count:
            notes.append(f"{network}: too few events for sizes; the default's are kept")
    if summary.sized and summary.sized < summary.count:
        notes.append(f"{summary.count - summary.sized:,} events have no size")
    if summary.clipped:
        notes.append(f"{summary.clipped:,} events above {BYTES_MAX} bytes are counted as that")
    if not hours:
        notes.append("less than two hours; all hours are taken to be alike")
    tables[CYCLE] = (hours or dict.fromkeys(range(24), 1), "weight by hour, UTC")
    found |= _fit_mixes(summary)
    exponent = slope(np.array(list(summary.hosts.values()), dtype=np.int64), 10, 1000)
    if exponent == exponent and exponent > 0:
        found["host.exponent"] = (f"{exponent:.3f}", "Zipf-Mandelbrot exponent")
    elif not summary.hosts:
        notes.append("the log has no hostnames; the default's popularity is kept")
    if summary.hosts_left_out:
        notes.append(f"{summary.hosts_left_out:,} events of rare hostnames are not counted")
    origin = json.dumps(f"fitted from {source}")
    lines = [
        f"# Fitted from {source}: {summary.count} events over {span / 3600:.2f} h, "
        f"{summary.total_bytes} bytes.",
        'based_on = "default"',
        "",
        "[parameters]",
    ]
    lines += [
        f'"{name}" = {{ value = {value}, unit = "{unit}", grade = "M", source = {origin} }}'
        for name, (value, unit) in found.items()
    ]
    for name, (table, unit) in tables.items():
        lines += ["", f'[parameters."{name}"]', f'unit = "{unit}"', 'grade = "M"']
        lines += [f"source = {origin}", f'[parameters."{name}".value]']
        lines += [f'"{key}" = {weight}' for key, weight in table.items()]
    return "\n".join(lines) + "\n", notes


def _hours(summary: LogSummary) -> tuple[float, dict[int, int]]:
    """Return the mean rate of a whole cycle, and weights by hour: of the day, or of the week where
    the log covers one.

    Hours that the log does not cover have the mean rate of the log.
    """
    hours = 168 if summary.span_s >= 7 * _DAY_S else 24
    known, mean = summary.hourly_rates(hours), summary.count / summary.span_s
    rates = [known.get(hour, mean) for hour in range(hours)]
    overall = sum(rates) / hours
    return overall, {hour: round(100_000 * each / overall) for hour, each in enumerate(rates)}


def _fit_mixes(summary: LogSummary) -> dict[str, tuple[str, str]]:
    """Return protocols, failures and kinds of authentication, if the log has them."""
    networks = summary.networks
    found: dict[str, tuple[str, str]] = {}
    if summary.protocols_known:
        shares = {n: summary.socks[n] * 1000 // max(1, networks[n]) for n in NETWORKS}
        found["socks"] = (_weights(shares), "per mille of jobs")
    if summary.failed:
        shares = {n: summary.failed[n] * 100_000 // max(1, networks[n]) for n in NETWORKS}
        found["failure"] = (_weights(shares), "per 100,000 requests")
    if summary.statuses:
        for status, name in _STATUSES.items():
            share = summary.statuses[status] * 100_000 // summary.count
            found[name] = (str(share), "per 100,000 requests")
    if summary.authentication:
        codes = {str(code): count for code, count in sorted(summary.authentication.items())}
        found["auth"] = (_weights(codes), "weight")
    return found


def _weights(table: Mapping[str, int]) -> str:
    return "{ " + ", ".join(f'"{name}" = {weight}' for name, weight in table.items()) + " }"


def check_fit(text: str, summary: LogSummary, source: str) -> FitCheck | None:
    """Return what events drawn from a fitted profile differ by from the log, over the log's time.

    A log of less than two hours is compared over two complete frames: bursts, which the fleet draws
    anew, decide how many events some seconds have. None where the log has no sizes or no time, or
    begins in the first days of 1970.
    """
    profile = parse_profile(text, source)
    first, last = summary.first_us // 1_000_000, summary.last_us // 1_000_000
    if last <= first or not summary.sized or first < _BEFORE_S + 2 * _DAY_S:
        return None
    # The first day borrows from the cycle (docs/fleet.md): the fleet begins before.
    start = datetime.fromtimestamp(first - _BEFORE_S, UTC)
    rate = float(profile.decimal("fleet.events_per_s"))
    fleet = Fleet(profile, seed=1, start=start, customers=(1, 2), events_per_s=rate)
    short = last - first < _HOURS_S
    length = 2 * FRAME_S - 1 if short else last - first
    end = first + min(length, int(_DRAWN_MAX / rate))
    at, count = fleet.window(
        datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(end + 1, UTC)
    )
    sizes, found, inside = [], np.zeros(24, dtype=np.int64), 0
    for piece in range(at, at + max(count, _RELIABLE), _PIECE):
        many = min(_PIECE, at + max(count, _RELIABLE) - piece)
        drawn = fleet.batch(piece, many).columns()
        seconds = drawn.second[(drawn.second >= first) & (drawn.second <= end)]
        sizes.append(drawn.total_bytes)
        found += np.bincount(seconds // 3600 % 24, minlength=24)
        inside += len(seconds)
    if not inside:
        return None
    expected = summary.count * (end - first + short) / summary.span_s
    mean = summary.total_bytes / summary.sized
    hours = np.zeros(24)
    for hour, requests in summary.hours.items():
        if hour <= end // 3600:
            hours[hour % 24] += requests
    every = np.concatenate(sizes)
    return FitCheck(
        events=inside,
        sizes=len(every),
        events_error=abs(inside / expected - 1),
        total_error=abs(float(every.mean()) / mean - 1) if mean else float(every.mean()),
        quantile_error=_quantile_error(summary, every),
        hours_error=None
        if short
        else float(np.abs(found / found.sum() - hours / hours.sum()).max()),
    )


def _quantile_error(summary: LogSummary, drawn: Ints) -> float:
    """Return the largest relative error of the quantiles, each give or take `RANK`."""
    rows = sorted(row for sizes in summary.sizes.values() for row in sizes.table())
    values = np.array([size for size, _ in rows], dtype=np.int64)
    ends = np.cumsum([count for _, count in rows]) / summary.sized
    worst = 0.0
    for share in QUANTILES:
        low, high = (
            float(values[min(int(np.searchsorted(ends, p)), len(values) - 1)])
            for p in (max(share - RANK, 0.0), min(share + RANK, 1.0))
        )
        seen = float(np.quantile(drawn, share, method="inverted_cdf"))
        beyond = max(low - seen, seen - high, 0.0)
        worst = max(worst, beyond / max(low if seen < low else high, 1.0))
    return worst
