"""Integer tables of distributions, the same on every machine.

`math.exp` and `math.log` differ in the last digit between C libraries, which changes a byte count.
`decimal` is the same everywhere, so tables are computed with it. The default tables are committed
(`data/quantiles.npz`); those of other parameters are computed when first used.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from trueup.simulator.errors import DataError
from trueup.simulator.random.random_words import Ints

__all__ = [
    "BODY_CELLS",
    "DATA",
    "apportion",
    "body_tail",
    "cosine",
    "data_bytes",
    "lognormal",
    "zipf_weights",
]

DATA: Final = Path(__file__).parents[1] / "data"
BODY_CELLS: Final = 4096
"""Cells of a quantile table's body; the topmost is subdivided into as many again."""
_DIGITS: Final = 28
_PI: Final = Decimal("3.14159265358979323846264338328")


def data_bytes(name: str) -> bytes:
    """Return the content of a committed data file, verified against `data/SHA256SUMS`.

    Raises DataError if it was changed: traffic drawn from it could not be drawn again.
    """
    expected = _sums().get(name)
    content = (DATA / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise DataError(
            f"simulator/data/{name} does not have its committed SHA-256; restore it, or run "
            "`python -m trueup.simulator.tools.make_sums` if you meant to change it"
        )
    return content


@cache
def _sums() -> dict[str, str]:
    lines = (DATA / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@cache
def _committed() -> dict[str, Ints]:
    with np.load(io.BytesIO(data_bytes("quantiles.npz")), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@cache
def normal_quantiles() -> tuple[Ints, Ints]:
    """Return standard normal quantiles times 2^32: at k/4096 for the body, at 1-(4096-k)/4096²
    above.

    The ends (probability 0 and 1) are those of half a cell. Computed offline with scipy.
    """
    tables = _committed()
    return tables["normal-body"], tables["normal-top"]


def lognormal(median: Decimal, sigma: Decimal, cells: int = 1024) -> Ints:
    """Return quantiles of a lognormal law at the middles of `cells` equal cells, as integers."""
    name = f"lognormal {median.normalize()} {sigma.normalize()} {cells}"
    found = _committed().get(name)
    return _lognormal(median, sigma, cells) if found is None else found


@cache
def _lognormal(median: Decimal, sigma: Decimal, cells: int) -> Ints:
    body, _top = normal_quantiles()
    step = BODY_CELLS // cells
    middles = body[step // 2 :: step][:cells]
    with localcontext(prec=_DIGITS, rounding=ROUND_HALF_EVEN):
        scale = Decimal(2) ** 32
        values = [int((median * (sigma * (int(z) / scale)).exp()).to_integral()) for z in middles]
    return np.array(values, dtype=np.int64)


def body_tail(mu: Decimal, sigma: Decimal, tail: Decimal, alpha: Decimal, cap: int) -> Ints:
    """Return quantiles of a lognormal body with a spliced Pareto tail, in bytes, capped.

    Shape (2, 4097): row 0 at k/4096, row 1 within the topmost cell of row 0. The tail begins at the
    body's own quantile 1-tail; `tail` 0 is a pure lognormal. To be read with linear interpolation.
    Source of the form: Barford & Crovella, SIGMETRICS 1998 (SURGE).
    """
    parameters = " ".join(str(value.normalize()) for value in (mu, sigma, tail, alpha))
    name = f"body-tail {parameters} {cap}"
    found = _committed().get(name)
    return _body_tail(mu, sigma, tail, alpha, cap) if found is None else found


@cache
def _body_tail(mu: Decimal, sigma: Decimal, tail: Decimal, alpha: Decimal, cap: int) -> Ints:
    table = np.empty((2, BODY_CELLS + 1), dtype=np.int64)
    with localcontext(prec=_DIGITS, rounding=ROUND_HALF_EVEN):
        scale = Decimal(2) ** 32
        cells = Decimal(BODY_CELLS)
        body, top = normal_quantiles()
        splice = _normal_at(1 - tail) if tail else None
        start = None if splice is None else (mu + sigma * splice).exp()
        for row, quantiles in enumerate((body, top)):
            for k, z in enumerate(quantiles):
                over = (cells - k) / cells if row == 0 else (cells - k) / cells / cells
                over = max(over, Decimal("0.5") / cells / cells)
                if start is not None and over < tail:
                    value = start * ((tail / over).ln() / alpha).exp()
                else:
                    value = (mu + sigma * (int(z) / scale)).exp()
                table[row, k] = min(cap, int(value.to_integral()))
    table[0, -1] = table[1, -1]
    return table


def _normal_at(probability: Decimal) -> Decimal:
    """Return the normal quantile, interpolated linearly in the committed table."""
    body, _top = normal_quantiles()
    place = probability * BODY_CELLS
    cell = min(int(place), BODY_CELLS - 1)
    low, high = int(body[cell]), int(body[cell + 1])
    return (low + (high - low) * (place - cell)) / Decimal(2) ** 32


def cosine(turns: Decimal) -> Decimal:
    """Return cos(2π·turns) by its power series, to about 20 digits."""
    with localcontext(prec=_DIGITS):
        angle = 2 * _PI * (turns % 1)
        term = total = Decimal(1)
        for k in range(1, 40):
            term = -term * angle * angle / ((2 * k - 1) * (2 * k))
            total += term
        return total


@cache
def zipf_weights(count: int, exponent: Decimal, shift: Decimal = Decimal(0)) -> tuple[int, ...]:
    """Return Zipf–Mandelbrot weights 1/(rank+shift)^exponent for ranks 1 … count, times 2^40."""
    with localcontext(prec=18):
        scale = Decimal(2) ** 40
        return tuple(
            max(1, int(scale * (-exponent * (rank + shift).ln()).exp()))
            for rank in map(Decimal, range(1, count + 1))
        )


def apportion(weights: Sequence[int], slots: int) -> Ints:
    """Distribute `slots` equal slots over items by weight; returns slot → item, items in order.

    Cumulative rounding: the slots of an item differ from its exact share by less than one.
    """
    total = sum(weights)
    bounds = [0]
    so_far = 0
    for weight in weights:
        so_far += weight
        bounds.append((so_far * slots + total // 2) // total)
    counts = [high - low for low, high in pairwise(bounds)]
    return np.repeat(np.arange(len(weights), dtype=np.int64), counts)
