"""The realism figures of one fleet, network by network, each beside a control.

Controls: arrivals of a Poisson process with the same hourly rate; sizes of an exponential law with
the same mean; hostnames drawn uniformly; columns shuffled; failures distributed at random. A figure
that its control reaches as well means nothing. Coverage events are excluded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trueup.simulator.batch import Columns
from trueup.simulator.model.on_off_sources import ARCHETYPES
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints
from trueup.simulator.realism.series import (
    Floats,
    entropy,
    haar,
    hill,
    idc,
    jsd,
    ks,
    slope,
    top_share,
)

if TYPE_CHECKING:
    from trueup.simulator.fleet import Fleet

__all__ = ["Figure", "Measured", "measure"]

_OCTAVES: Final = (3, 10)
_SIZE_TARGETS: Final = {
    # TRAFFIC figures at tail factor 1: median, mean, p99 in bytes, share of the top 1 %
    "datacenter": (15_500, 54_300, 464_000, 0.45),
    "isp": (13_600, 36_900, 289_000, 0.34),
    "residential": (10_900, 25_200, 176_000, 0.28),
    "mobile": (9_300, 18_200, 113_000, 0.21),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure: the model's value, the value it should have, and the control's."""

    network: str
    """A network, or `all`."""
    aspect: str
    metric: str
    model: float
    target: str
    control: float | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All figures, and the curves of the plots."""

    events: int
    seconds: int
    figures: tuple[Figure, ...]
    curves: dict[str, dict[str, list[tuple[float, float]]]]
    """Plot → line → points."""


def measure(fleet: Fleet, first: int, count: int) -> Measured:
    """Draw events first … first+count-1, in memory, and return their figures."""
    columns = _without_stragglers(_without_coverage(fleet.batch(first, count).columns()))
    begin = int(columns.second.min())
    seconds = int(columns.second.max()) - begin + 1
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    figures = list(_mixes(fleet, columns))
    names = [*NETWORKS, "all"]
    for number, name in enumerate(names):
        here = columns.network == number if name != "all" else np.ones(len(columns.network), bool)
        if here.sum() < 1000:
            continue
        part = _select(columns, here)
        figures += _arrivals(name, part, begin, seconds, curves)
        if name != "all":
            figures += _sizes(fleet, number, name, part, curves)
        figures += _hosts(fleet, name, part, curves)
        figures += _failures(name, part, begin, seconds)
    figures += _joint(fleet, columns)
    figures += _sessions(fleet, columns)
    return Measured(
        events=len(columns.number), seconds=seconds, figures=tuple(figures), curves=curves
    )


def _without_coverage(columns: Columns) -> Columns:
    return _select(columns, ~columns.coverage)


def _without_stragglers(columns: Columns) -> Columns:
    """Return the events without the 64 first and last: numbers are not strictly in order of time,
    and one outlier would extend the series over time without other events.
    """
    if len(columns.second) < 1000:
        return columns
    ranked = np.sort(columns.second)
    return _select(columns, (columns.second >= ranked[64]) & (columns.second <= ranked[-65]))


def _select(columns: Columns, here: np.typing.NDArray[np.bool_]) -> Columns:
    names = Columns.__dataclass_fields__
    return Columns(**{name: getattr(columns, name)[here] for name in names})


def _mixes(fleet: Fleet, columns: Columns) -> Iterator[Figure]:
    mix = dict(fleet.profile.weights("mix"))
    wanted = np.array([mix.get(name, 0) for name in NETWORKS], dtype=np.float64)
    seen = np.bincount(columns.network, minlength=len(NETWORKS)).astype(np.float64)
    even = np.ones(len(NETWORKS))
    for number, name in enumerate(NETWORKS):
        share = wanted[number] / wanted.sum()
        yield _figure(
            name, "mix", "share of events", seen[number] / seen.sum(), f"{share:.2f}", 0.25
        )
    yield _figure("all", "mix", "JSD of networks, bits", jsd(seen, wanted), "0", jsd(even, wanted))
    kinds = dict(fleet.profile.weights("archetype"))
    wanted = np.array([kinds.get(name, 0) for name in ARCHETYPES], dtype=np.float64)
    seen = np.bincount(columns.archetype, minlength=len(ARCHETYPES)).astype(np.float64)
    for number, name in enumerate(ARCHETYPES):
        share = wanted[number] / wanted.sum()
        yield _figure(
            "all", "mix", f"{name} events", seen[number] / seen.sum(), f"{share:.3f}", 0.2
        )


def _figure(
    network: str, aspect: str, metric: str, model: float, target: str, control: float | None
) -> Figure:
    return Figure(
        network=network,
        aspect=aspect,
        metric=metric,
        model=float(model),
        target=target,
        control=None if control is None else float(control),
    )


def _poisson(counts: Ints) -> Ints:
    """Return a Poisson series with the same hourly rate."""
    dice = np.random.default_rng(1)
    hours = np.arange(len(counts)) // 3600
    sums = np.bincount(hours, weights=counts.astype(np.float64))
    sizes = np.bincount(hours)
    return dice.poisson((sums / sizes)[hours]).astype(np.int64)


def _arrivals(
    name: str,
    part: Columns,
    begin: int,
    seconds: int,
    curves: dict[str, dict[str, list[tuple[float, float]]]],
) -> Iterator[Figure]:
    counts = np.bincount(part.second - begin, minlength=seconds)
    control = _poisson(counts)
    for width in (1, 10, 60, 600):
        yield _figure(
            name, "burstiness", f"IDC {width} s", idc(counts, width), "> 2 control",
            idc(control, width),
        )  # fmt: skip
    free = np.isin(part.archetype, [ARCHETYPES.index(kind) for kind in ("crawl", "browse")])
    aperiodic = np.bincount(part.second[free] - begin, minlength=seconds)
    estimate, energies = haar(aperiodic, _OCTAVES)
    flat, flat_energies = haar(_poisson(aperiodic), _OCTAVES)
    label = f"Haar H, octaves {_OCTAVES[0]}-{_OCTAVES[1]}, aperiodic"
    yield _figure(name, "long memory", label, estimate, "0.75-0.85", flat)
    curves[f"Haar energy · {name}"] = {"model": list(energies), "Poisson": list(flat_energies)}
    if seconds >= 23 * 3600:
        hour = (begin + np.arange(seconds)) // 3600 % 24
        day = np.bincount(hour, weights=counts) / np.bincount(hour) * 3600
        level = day.mean()
        yield _figure(
            name, "cycle", "hour max / min", day.max() / max(1.0, day.min()), "about 1.5",
            _poisson_max_to_min(level),
        )  # fmt: skip
        curves[f"Hour of day · {name}"] = {
            "model": [(float(k), float(v)) for k, v in enumerate(day)],
            "flat": [(float(k), float(level)) for k in range(24)],
        }
    minute = np.bincount((part.second // 60) % 60, minlength=60)
    yield _figure(name, "cycle", "minute 0 / mean", minute[0] / minute.mean(), "about 1.24", 1.0)


def _poisson_max_to_min(mean: float) -> float:
    """Return max / min of 24 Poisson hours with this mean, about: ±2 standard deviations."""
    spread = 2 * np.sqrt(max(1.0, mean))
    return float((mean + spread) / max(1.0, mean - spread))


def _sizes(
    fleet: Fleet,
    number: int,
    name: str,
    part: Columns,
    curves: dict[str, dict[str, list[tuple[float, float]]]],
) -> Iterator[Figure]:
    drawn = (fleet.model.outcomes.bytes_low.take(part.outcome) < 0) & np.isin(
        part.archetype, [ARCHETYPES.index("crawl"), ARCHETYPES.index("misconfigured")]
    )
    sizes = part.total_bytes[drawn]
    if len(sizes) < 1000:
        return
    observed = fleet.model.sizes.observed.get(number)
    control = np.random.default_rng(2).exponential(sizes.mean(), len(sizes)).astype(np.int64)
    if observed is None:
        target = _law_sample(fleet, number)
        wanted = tuple(str(each) for each in _SIZE_TARGETS[name])
    else:
        # Of a fitted profile the sizes of the log are the law, and few events show it coarsely.
        target = observed.draw(np.arange(0, 2**32, 2**16, dtype=np.uint64))
        shown = (np.median(target), target.mean(), np.quantile(target, 0.99))
        wanted = (*(f"{each:.0f}" for each in shown), f"{top_share(target, 0.01):.2f}")
    median, mean, p99, top = wanted
    yield _figure(name, "size", "median, bytes", np.median(sizes), median, np.median(control))
    yield _figure(name, "size", "mean, bytes", sizes.mean(), mean, control.mean())
    yield _figure(
        name, "size", "p99, bytes", np.quantile(sizes, 0.99), p99, np.quantile(control, 0.99)
    )
    yield _figure(
        name, "size", "bytes in top 1 %", top_share(sizes, 0.01), top, top_share(control, 0.01)
    )
    yield _figure(
        name, "size", "KS distance to law", ks(sizes, target), "< 0.01", ks(control, target)
    )
    alpha = fleet.profile.decimal(f"size.{name}.alpha") if observed is None else "as logged"
    for share in (0.002, 0.005):
        k = int(len(sizes) * share)
        yield _figure(
            name, "size", f"Hill exponent, top {share:.1%}", hill(sizes, k), f"{alpha}",
            hill(control, k),
        )  # fmt: skip
    curves[f"Sizes above x · {name}"] = {"model": _tail(sizes), "exponential": _tail(control)}


def _law_sample(fleet: Fleet, number: int) -> Ints:
    """Return evenly spaced quantiles of the network's law with overhead: what sizes should be."""
    sizes = fleet.model.sizes
    cells = sizes.body.reshape(-1, 2, 4097)[number * 3 + 1]
    body = (cells[0][:-2] + cells[0][1:-1]) // 2
    spread = sizes.overhead_low + (np.arange(16) * sizes.overhead_span) // 16
    every = (body[:, None] + spread[None, :]).ravel()
    finer = cells[1][:-1:256] + int(spread.mean())
    return np.concatenate([every, finer])


def _tail(sizes: Ints) -> list[tuple[float, float]]:
    """Return points of the complementary distribution on logarithmic axes."""
    ranked = np.sort(sizes)
    places = np.unique((len(ranked) * (1 - np.logspace(0, -np.log10(len(ranked)), 60))).astype(int))
    places = places[places < len(ranked)]
    return [
        (float(np.log10(max(1, ranked[k]))), float(np.log10(1 - k / len(ranked)))) for k in places
    ]


def _hosts(
    fleet: Fleet,
    name: str,
    part: Columns,
    curves: dict[str, dict[str, list[tuple[float, float]]]],
) -> Iterator[Figure]:
    names = len(fleet.model.hosts.names)
    counts = np.bincount(part.host, minlength=names)
    even = np.bincount(np.random.default_rng(3).integers(0, names, len(part.host)), minlength=names)
    yield _figure(name, "popularity", "slope, ranks 10-1000", slope(counts), "about 1", slope(even))
    for top in (10, 116):
        share, control = (np.sort(c)[::-1][:top].sum() / c.sum() for c in (counts, even))
        yield _figure(name, "popularity", f"share of top {top}", share, "0.28 / 0.51", control)
    if name == "all":
        curves["Hostname popularity"] = {"model": _ranks(counts), "even": _ranks(even)}


def _ranks(counts: Ints) -> list[tuple[float, float]]:
    ranked = np.sort(counts[counts > 0])[::-1]
    places = np.unique(np.logspace(0, np.log10(len(ranked)), 60).astype(int)) - 1
    return [(float(np.log10(k + 1)), float(np.log10(ranked[k]))) for k in places]


def _failures(name: str, part: Columns, begin: int, seconds: int) -> Iterator[Figure]:
    failed = part.failed == 1
    if failed.sum() < 100:
        return
    spread = np.random.default_rng(4).permutation(failed)
    one, two = (
        np.bincount(part.second[which] - begin, minlength=seconds) for which in (failed, spread)
    )
    yield _figure(name, "errors", "share failed", failed.mean(), "reported", spread.mean())
    yield _figure(name, "errors", "IDC 60 s of failures", idc(one, 60), "> 5", idc(two, 60))


def _joint(fleet: Fleet, columns: Columns) -> Iterator[Figure]:
    """Yield how well one field predicts another: 1 if it must, beside a shuffled control."""
    dice = np.random.default_rng(5)
    take = dice.permutation(len(columns.number))[:200_000]
    part = _select(columns, np.isin(np.arange(len(columns.number)), take))
    places = fleet.model.places.rows
    proxies = fleet.model.senders.proxies
    of_proxy = np.array([proxy.place for proxy in proxies] or [0])
    place = np.where(part.static == 1, of_proxy.take(part.exit * part.static), part.exit)
    asn = np.array([row.asn for row in places]).take(place)
    names = sorted({row.country for row in places})
    country = np.array([names.index(row.country) for row in places]).take(place)
    address = place * 65536 + np.where(part.static == 1, 0, part.address_index)
    user = fleet.model.senders.user.take(part.sender)
    pairs = {
        "U(country | asn)": (country, asn, "1"),
        "U(asn | egress address)": (asn, address, "1"),
        "U(network | sender)": (part.network, part.sender, "1"),
    }
    for label, (what, given, target) in pairs.items():
        yield _figure(
            "all",
            "joint",
            label,
            _uncertainty_coefficient(what, given),
            target,
            _uncertainty_coefficient(what, dice.permutation(given)),
        )
    ratio = 1 - _uncertainty_coefficient(part.host, user)
    shuffled = 1 - _uncertainty_coefficient(part.host, dice.permutation(user))
    yield _figure("all", "joint", "H(host | user) / H(host)", ratio, "< 0.45", shuffled)
    for number, name in enumerate(NETWORKS):
        here = (part.network == number) & (part.failed == 0)
        if here.sum() > 1000:
            size, tunnel = np.log(part.total_bytes[here] + 1.0), np.log(part.tunnel_ms[here] + 1.0)
            yield _figure(
                name, "joint", "corr(ln bytes, ln tunnel ms)", _correlation(size, tunnel), "> 0.3",
                _correlation(size, dice.permutation(tunnel)),
            )  # fmt: skip


def _uncertainty_coefficient(what: Ints, given: Ints) -> float:
    """Return the share of `what`'s entropy that `given` explains."""
    whole = entropy(what)
    if whole == 0:
        return 1.0
    both = np.unique(given, return_inverse=True)[1].astype(np.int64) * (int(what.max()) + 1) + what
    return (whole - (entropy(both) - entropy(given))) / whole


def _correlation(one: Floats, two: Floats) -> float:
    return float(np.corrcoef(one, two)[0, 1])


def _sessions(fleet: Fleet, columns: Columns) -> Iterator[Figure]:
    sticky = columns.sticky == 1
    if sticky.sum() < 100:
        return
    mark = columns.session[sticky]
    address = columns.exit[sticky] * 65536 + columns.address_index[sticky]
    order = np.lexsort((columns.second[sticky], mark))
    mark, address, second = mark[order], address[order], columns.second[sticky][order]
    starts = np.flatnonzero(np.concatenate([[True], mark[1:] != mark[:-1]]))
    ends = np.append(starts[1:], len(mark)) - 1
    lengths = ends - starts + 1
    ttl = fleet.model.senders.ttl_s.take(columns.sender[sticky][order][starts])
    both = np.stack([mark.astype(np.int64), address])
    pairs = len(np.unique(both, axis=1).T)
    over = int((second[ends] - second[starts] >= ttl).sum())
    yield _figure("all", "sessions", "requests a session, median", np.median(lengths), "", None)
    yield _figure("all", "sessions", "addresses a session", pairs / len(starts), "1.0-1.1", None)
    yield _figure("all", "sessions", "sessions beyond their TTL", over, "0", None)
