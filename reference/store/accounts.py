"""Account figures, derived from ledgers and summaries at the time of the request."""

from __future__ import annotations

import sqlite3

from trueup.reference.amounts import join
from trueup.reference.networks import POOLS

__all__ = ["balance", "pool_figures", "pool_users", "used_bytes"]


def pool_figures(connection: sqlite3.Connection, customer_id: int, pool: str) -> dict[str, int]:
    """Return `bytes` credited, `bytes_used`, `bytes_left` (may be negative) and `requests`."""
    figures = {"bytes": 0, "bytes_used": 0, "requests": 0}
    rows = connection.execute(
        "SELECT reason = 'usage', SUM(bytes_high), SUM(bytes_low), SUM(requests) FROM ledger "
        "WHERE customer_id = ? AND network = ? GROUP BY 1",
        (customer_id, pool),
    )
    for is_usage, high, low, requests in rows:
        if is_usage:
            figures["bytes_used"] = abs(join(high, low))
            figures["requests"] = requests
        else:
            figures["bytes"] = join(high, low)
    figures["bytes_left"] = figures["bytes"] - figures["bytes_used"]
    return figures


def balance(connection: sqlite3.Connection, customer_id: int, pool: str) -> int:
    """Return the bytes left in a pool: the sum of its ledger."""
    return pool_figures(connection, customer_id, pool)["bytes_left"]


def pool_users(connection: sqlite3.Connection, customer_id: int) -> list[str]:
    """Return the proxy users that may use the pools, in order of creation."""
    rows = connection.execute(
        "SELECT proxy_user_id FROM proxy_user WHERE customer_id = ? "
        "AND NOT proxy_user_is_deleted ORDER BY seq",
        (customer_id,),
    )
    return [row[0] for row in rows]


def used_bytes(
    connection: sqlite3.Connection, customer_id: int, proxy_user_id: str
) -> dict[str, int]:
    """Return the bytes of one proxy user by network with a pool, from the summaries."""
    used = dict.fromkeys(POOLS, 0)
    rows = connection.execute(
        "SELECT network, SUM(bytes_high), SUM(bytes_low) FROM summary WHERE customer_id = ? "
        "AND proxy_user_id = ? AND network IN ('residential', 'mobile') GROUP BY network",
        (customer_id, proxy_user_id),
    )
    for network, high, low in rows:
        used[network] = join(high, low)
    return used
