"""Load-testing proxy simulator and conformance harness for usage-tracking APIs.

Five packages, each a folder at the top of the repository: `simulator` (the proxy fleet),
`conformance` (the checks), `reports` (the journal and its reports), `reference` (an implementation
to test against) and `scenarios` (the command line, and runs that use the others).
"""

from __future__ import annotations

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.2.0"
