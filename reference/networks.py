"""The four networks, and the API's names of the two with a data pool."""

from __future__ import annotations

from typing import Final

__all__ = ["NETWORKS", "POOLS"]

NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")
POOLS: Final = ("residential", "mobile")
"""Networks that are billed by data: each has a ledger and an account summary."""
