"""Coverage events: rare combinations and boundary values, in the first events of every fleet.

Realistic traffic alone never contains a failed SOCKS request of 2^31 bytes over IPv6. The first
events of a fleet are a pairwise covering array: every pair of two factors' values occurs. They
belong to proxy users of their own, so that realism figures can exclude them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

import numpy as np

from trueup.reports.results import Json
from trueup.simulator.model.geography import places
from trueup.simulator.model.outcomes import HTTP_PORT, SOCKS_PORT
from trueup.simulator.model.profile import Profile
from trueup.simulator.model.sizes import NETWORKS

__all__ = ["BOUNDARY_BYTES", "FACTORS", "Coverage", "pairwise_rows"]

BOUNDARY_BYTES: Final = (0, 1, 511, 512, 513, 2**31 - 1, 2**31, 2**32, 2**53 - 1, 2**53)
_HOSTS: Final = (
    "a.io",
    "192.0.2.7",
    "xn--bcher-kva.example",
    ".".join(["long" * 15] * 4)[:245] + ".example",
    "under_score.example",
    "x--y.example",
)
_ENDINGS: Final = {
    # (kind, ending): (method, status, error)
    ("connect", "ok"): ("CONNECT", 200, None),
    ("connect", "denied"): ("CONNECT", 407, "http_request_denied"),
    ("connect", "failed"): ("CONNECT", 502, "connection_terminated"),
    ("connect", "late"): ("CONNECT", 504, "connection_timeout"),
    ("plain", "ok"): ("GET", 204, None),
    ("plain", "denied"): ("POST", 403, None),
    ("plain", "failed"): ("HEAD", 500, None),
    ("plain", "late"): ("GET", 504, "http_response_timeout"),
    ("socks", "ok"): (None, None, None),
    ("socks", "denied"): (None, None, "destination_ip_prohibited"),
    ("socks", "failed"): (None, None, "dns_error"),
    ("socks", "late"): (None, None, "connection_timeout"),
}
FACTORS: Final[dict[str, tuple[Json, ...]]] = {
    "network": NETWORKS,
    "kind": ("connect", "plain", "socks"),
    "ending": ("ok", "denied", "failed", "late"),
    "authentication": (1, 2, 3),
    "sticky": (False, True),
    "client": (4, 6),
    "egress": (4, 6),
    "bytes": BOUNDARY_BYTES,
}
"""Factor → its values; sticky sessions exist on residential and mobile networks only."""


@cache
def pairwise_rows() -> tuple[tuple[Json, ...], ...]:
    """Return rows over `FACTORS` that contain every possible pair of values; greedy, in a fixed
    order.
    """
    rows = [
        row
        for row in itertools.product(*FACTORS.values())
        if not (row[4] and row[0] in ("datacenter", "isp"))
    ]
    numbers: dict[object, int] = {}
    pairs = np.array(
        [
            [
                numbers.setdefault((a, row[a], b, row[b]), len(numbers))
                for a, b in itertools.combinations(range(len(row)), 2)
            ]
            for row in rows
        ]
    )
    missing = np.ones(len(numbers), dtype=np.int64)
    chosen = []
    while missing.any():
        best = int(missing[pairs].sum(axis=1).argmax())
        missing[pairs[best]] = 0
        chosen.append(rows[best])
    return tuple(chosen)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The coverage events of one fleet: numbers 0 … count-1."""

    customers: tuple[int, ...]
    rows: tuple[tuple[Json, ...], ...]
    tag: str

    @classmethod
    def of(cls, profile: Profile, customers: tuple[int, ...], tag: str) -> Coverage:
        """Return the coverage events of a profile; `tag` ends users' names."""
        rows = pairwise_rows() if profile["coverage.enabled"] else ()
        return cls(customers=customers, rows=rows, tag=tag)

    @property
    def count(self) -> int:
        """Return the number of coverage events."""
        return len(self.rows)

    def event(self, number: int, log_id: str, unix_s: int) -> dict[str, Json]:
        """Return the complete coverage event `number`."""
        network, kind, ending, authentication, sticky, client, egress, size = self.rows[number]
        method, status, error = _ENDINGS[str(kind), str(ending)]
        here = [row for row in places() if NETWORKS[row.network] == network]
        place = here[number * 37 % len(here)]
        moment = datetime.fromtimestamp(unix_s, UTC)
        address = place.prefix + ".".join(["9"] * place.free_octets)
        static = network in ("datacenter", "isp")
        total_bytes = size if isinstance(size, int) else 0
        tunnel_ms = 30_000 if ending == "late" else 120 + (total_bytes >> 10)
        customer = number % len(self.customers)
        return {
            "log_id": log_id,
            "log_request_datetime": f"{moment:%Y-%m-%d %H:%M:%S}",
            "customer_id": self.customers[customer],
            "proxy_user_id": f"coverage-{customer}-{number % 3}-{self.tag}",
            "service_id": f"API-{9000 + customer % 1000}-{1000 + NETWORKS.index(str(network))}",
            "log_network": network,
            "log_client_ip_address": f"198.51.100.{number % 250 + 1}"
            if client == 4
            else f"2001:db8::{number + 1:x}",
            "log_authentication_type": authentication,
            "log_smartpath_enabled": number % 2 == 0,
            "log_smartpath_routed": number % 4 == 0,
            "log_protocol": "socks" if kind == "socks" else "http",
            "log_protocol_version": "5" if kind == "socks" else "1.1",
            "log_transport": ("tcp", "udp", "quic")[number % 3] if kind == "socks" else "tcp",
            "log_method": method,
            "log_is_tls_enabled": kind != "plain",
            "log_status_code": status,
            "log_error_code": error,
            "log_local_port": SOCKS_PORT if kind == "socks" else HTTP_PORT,
            "log_hostname": _HOSTS[number % len(_HOSTS)],
            "proxy_id": f"00000000-0000-4000-8000-{number:012x}" if static else None,
            "log_local_ip_address": address,
            "country_id": place.country,
            "city_alias": place.city,
            "asn_id": place.asn,
            "log_egress_ip_address": address if egress == 4 else f"2001:db8:{place.asn:x}::9",
            "log_session_id": f"{number:012x}" if sticky else None,
            "log_total_bytes": total_bytes,
            "log_total_elapsed_ms": tunnel_ms + 60,
            "log_handshake_elapsed_ms": 50,
            "log_tunnel_elapsed_ms": tunnel_ms,
            "log_concurrency": 1,
        }
