"""`python -m trueup` is the `trueup` command."""

from __future__ import annotations

from trueup.scenarios.cli import main

__all__: list[str] = []

main()
