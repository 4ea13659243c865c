"""What a target shows of proxied requests that was not there before: logs, and moves of sums.

Each request has a hostname of its own, unless its case is repeated or has one for all: logs of one
user and hostname are matched with their requests by what they have in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trueup.conformance.contract.account_states import is_usage
from trueup.conformance.contract.findings import JudgedRequest
from trueup.conformance.rows import Row, as_int, as_str, canonical_hostname
from trueup.reports.journal.records import ProxiedRequestSeen

__all__ = [
    "ProxiedListing",
    "host_of_request",
    "host_of_row",
    "match_logs",
    "new_logs",
    "summaries_moved",
    "usage_moved",
]


@dataclass(frozen=True, slots=True)
class ProxiedListing:
    """What a user's logs or summaries, or a ledger, show after the requests that was not before."""

    unit: JudgedRequest
    rows: tuple[Row, ...]
    before: tuple[Row, ...]


def new_logs(logs: ProxiedListing) -> list[Row]:
    """Return the logs that were not there before, by their ids."""
    known = {as_str(row, "log_id") for row in logs.before}
    return [row for row in logs.rows if as_str(row, "log_id") not in known]


def summaries_moved(summaries: ProxiedListing) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return (network, hostname) → requests and bytes that summaries gained."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for sign, rows in ((1, summaries.rows), (-1, summaries.before)):
        for row in rows:
            key = (
                as_str(row, "log_summary_network") or "",
                host_of_row(row, "log_summary_hostname"),
            )
            sums[key][0] += sign * (as_int(row, "log_summary_requests") or 0)
            sums[key][1] += sign * (as_int(row, "log_summary_bytes") or 0)
    return {key: (requests, size) for key, (requests, size) in sums.items() if requests or size}


def usage_moved(ledger: ProxiedListing, pool: str) -> int:
    """Return the bytes by which the usage of a pool's ledger grew."""
    return _used(ledger.rows, pool) - _used(ledger.before, pool)


def _used(rows: Iterable[Row], pool: str) -> int:
    return sum(abs(as_int(row, f"{pool}_ledger_bytes") or 0) for row in rows if is_usage(row, pool))


def host_of_row(row: Row, key: str) -> str:
    """Return the hostname of a row as DNS sees it; IPv6 addresses without brackets."""
    return canonical_hostname((as_str(row, key) or "").strip("[]"))


def host_of_request(request: ProxiedRequestSeen) -> str:
    """Return the hostname of a request as DNS sees it."""
    return canonical_hostname(request.hostname)


def match_logs(requests: Sequence[ProxiedRequestSeen], rows: Sequence[Row]) -> Mapping[int, Row]:
    """Return number of a request → its log, of requests and logs of one user and hostname."""
    places = sorted(
        ((request, place) for request in requests for place in range(len(rows))),
        key=lambda pair: _likeness(pair[0], rows[pair[1]]),
        reverse=True,
    )
    found: dict[int, Row] = {}
    taken: set[int] = set()
    for request, place in places:
        if request.number not in found and place not in taken:
            found[request.number] = rows[place]
            taken.add(place)
    return found


def _likeness(request: ProxiedRequestSeen, row: Row) -> tuple[bool, bool, bool, bool, int]:
    """How well a log fits a request, of those with its hostname and user."""
    protocol = "socks" if request.protocol == "socks" else "http"
    size = as_int(row, "log_total_bytes") or 0
    near = request.sent + request.received + request.handshake_sent + request.handshake_received
    return (
        request.session != "" and row.get("log_session_id") == request.session,
        row.get("log_network") == request.network,
        row.get("log_protocol") == protocol,
        (row.get("log_method") == "CONNECT") == (request.protocol == "connect"),
        -abs(size - near),
    )
