"""Write `simulator/data/SHA256SUMS`: run it after a data file was changed on purpose."""

from __future__ import annotations

import hashlib

from trueup.simulator.random.quantiles import DATA

__all__ = ["main"]


def main() -> None:
    """Write the file."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(DATA.iterdir())
        if path.suffix in {".csv", ".json", ".npz"}
    ]
    (DATA / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
