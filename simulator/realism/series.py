"""Statistics of arrivals and of tails, as functions of arrays.

Naive Hurst estimates fail on traffic with daily cycles: a Poisson process with an hourly profile
scores 0.99 by variance against time. So the estimate here is the Haar wavelet's, with its octaves
stated, and always shown beside a Poisson control.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from trueup.simulator.random.random_words import Ints

__all__ = ["Floats", "entropy", "haar", "hill", "idc", "jsd", "ks", "slope", "top_share"]

Floats: TypeAlias = npt.NDArray[np.float64]


def idc(counts: Ints, width: int) -> float:
    """Return the index of dispersion for counts over `width` seconds: variance / mean; 1 for
    Poisson.

    `counts` are events by second. Returns NaN for fewer than two windows. Source: Gusella, JSAC
    1991.
    """
    windows = len(counts) // width
    if windows < 2:
        return float("nan")
    sums = counts[: windows * width].reshape(windows, width).sum(axis=1)
    return float(sums.var() / sums.mean()) if sums.any() else float("nan")


def haar(counts: Ints, octaves: tuple[int, int] = (3, 10)) -> tuple[float, list[tuple[int, float]]]:
    """Return (H, [(octave, log2 energy)]) of events by second over octaves low … high.

    Weighted regression of log2 mean squared Haar detail on the octave, H = (slope + 1) / 2. Returns
    NaN for too few octaves. Source: Abry & Veitch, "Wavelet analysis of long-range-dependent
    traffic", 1998.
    """
    approximation = counts.astype(np.float64)
    energies = []
    for octave in range(1, octaves[1] + 1):
        even = len(approximation) // 2 * 2
        left, right = approximation[:even:2], approximation[1:even:2]
        detail = (left - right) / np.sqrt(2)
        approximation = (left + right) / np.sqrt(2)
        if len(detail) < 4:
            break
        energy = float(np.mean(detail**2))
        if octave >= octaves[0] and energy > 0:
            energies.append((octave, float(np.log2(energy)), len(detail)))
    if len(energies) < 2:
        return float("nan"), []
    x = np.array([row[0] for row in energies], dtype=np.float64)
    y = np.array([row[1] for row in energies])
    weight = np.array([row[2] for row in energies], dtype=np.float64)
    x0, y0 = np.average(x, weights=weight), np.average(y, weights=weight)
    gradient = float((weight * (x - x0) * (y - y0)).sum() / (weight * (x - x0) ** 2).sum())
    return (gradient + 1) / 2, [(row[0], row[1]) for row in energies]


def hill(sizes: Ints, k: int) -> float:
    """Return Hill's estimate of the Pareto exponent from the k largest sizes; NaN for too few."""
    if len(sizes) <= k or k < 2:
        return float("nan")
    largest = np.sort(sizes)[-k - 1 :].astype(np.float64)
    logs = np.log(np.maximum(largest, 1))
    return float(k / (logs[1:] - logs[0]).sum()) if logs[-1] > logs[0] else float("nan")


def slope(counts: Ints, low: int = 10, high: int = 1000) -> float:
    """Return minus the least-squares slope of log count on log rank over ranks low … high; NaN for
    too few.
    """
    ranked = np.sort(counts[counts > 0])[::-1][low - 1 : high].astype(np.float64)
    if len(ranked) < 10:
        return float("nan")
    x = np.log(np.arange(low, low + len(ranked)))
    return -float(np.polyfit(x, np.log(ranked), 1)[0])


def top_share(values: Ints, share: float) -> float:
    """Return the share of the sum that the largest `share` of values hold."""
    ranked = np.sort(values)[::-1].astype(np.float64)
    return float(ranked[: max(1, int(len(ranked) * share))].sum() / max(1.0, ranked.sum()))


def ks(sample: Ints, target: Ints) -> float:
    """Return the Kolmogorov–Smirnov distance: the largest gap between the distribution
    functions.
    """
    points = np.union1d(sample, target)
    one = np.searchsorted(np.sort(sample), points, side="right") / len(sample)
    two = np.searchsorted(np.sort(target), points, side="right") / len(target)
    return float(np.abs(one - two).max())


def jsd(one: Floats, two: Floats) -> float:
    """Return the Jensen–Shannon divergence of two mixes in bits; 0 for equal ones, 1 at most."""
    p, q = one / one.sum(), two / two.sum()
    middle = (p + q) / 2

    def relative(a: Floats) -> float:
        here = a > 0
        return float((a[here] * np.log2(a[here] / middle[here])).sum())

    return (relative(p) + relative(q)) / 2


def entropy(codes: Ints) -> float:
    """Return the entropy of a column of codes, in bits."""
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())
