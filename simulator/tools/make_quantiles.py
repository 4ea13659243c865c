"""Create `simulator/data/quantiles.npz`: the integer tables of the default profile.

    python -m trueup.simulator.tools.make_quantiles

The standard normal quantiles come from scipy; everything else is computed from them with `decimal`.
"""

from __future__ import annotations

import io
import zipfile
from unittest import mock

import numpy as np
from scipy.special import ndtri

from trueup.simulator.model.profile import load_profile
from trueup.simulator.model.sizes import lognormal_laws, size_laws
from trueup.simulator.random import quantiles

__all__ = ["main"]


def main() -> None:
    """Compute the tables and write the file."""
    cells = quantiles.BODY_CELLS
    over = (cells - np.arange(cells + 1)) / cells
    half = 0.5 / cells / cells
    body = np.clip(over, half, 1 - half)
    top = np.clip(over / cells, half, 1 - half)
    tables = {
        name: np.rint(-ndtri(tail) * 2**32).astype(np.int64)
        for name, tail in (("normal-body", body), ("normal-top", top))
    }
    profile = load_profile("default")
    with mock.patch.object(quantiles, "_committed", lambda: tables):
        for law in size_laws(profile):
            name = "body-tail " + " ".join(str(v.normalize()) for v in law[:4]) + f" {law[4]}"
            tables[name] = quantiles.body_tail(*law)
        for median, sigma, count in lognormal_laws(profile):
            name = f"lognormal {median.normalize()} {sigma.normalize()} {count}"
            tables[name] = quantiles.lognormal(median, sigma, count)
    with zipfile.ZipFile(quantiles.DATA / "quantiles.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in sorted(tables.items()):
            content = io.BytesIO()
            np.lib.format.write_array(content, table, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


if __name__ == "__main__":
    main()
