"""Requests through the target's own proxies (level 1): their logs, summaries and ledgers.

Each request has a hostname of its own, so that its log is found by it; its id is the target's. What
was there before is left out: logs by their ids, sums by their difference.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.listing import whole_listing
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.contract.proxied_counts import counted, describe_count, probe_counting
from trueup.conformance.contract.proxied_listings import (
    ProxiedListing,
    host_of_request,
    host_of_row,
    match_logs,
    new_logs,
    summaries_moved,
    usage_moved,
)
from trueup.conformance.contract.responses import collect_units
from trueup.conformance.contract.target_time import TargetClock
from trueup.conformance.model import POOLS
from trueup.conformance.rows import Row, as_int, as_str, parse_time
from trueup.reports.journal.records import ProxiedRequestSeen, Record

__all__ = [
    "AFTER",
    "BEFORE",
    "MAY_LAG",
    "PART",
    "PROXIED_CHECKS",
    "judge_proxied",
    "probed_counting",
]

PART: Final = "level-1"
"""Part of a run whose requests concern proxied traffic."""
BEFORE: Final = f"traffic {PART} before"
AFTER: Final = f"traffic {PART} after"

LOGGED: Final = "proxied-requests-are-logged"
NAMED: Final = "proxied-logs-name-the-request"
EXITED: Final = "proxied-logs-name-the-exit"
OUTCOME: Final = "proxied-logs-tell-the-outcome"
BYTES: Final = "proxied-bytes-are-the-traffic"
SUMMED: Final = "proxied-summaries-are-the-logs"
CHARGED: Final = "proxied-usage-is-in-the-ledger"
PROXIED_CHECKS: Final = (LOGGED, NAMED, EXITED, OUTCOME, BYTES, SUMMED, CHARGED)
MAY_LAG: Final = frozenset({LOGGED, SUMMED, CHARGED})
"""Checks that may hold later, once more has arrived; what a log says does not change."""

_SLACK: Final = timedelta(seconds=5)
"""How far the clocks of trueup and of a proxy may be apart."""
_FAR: Final = timedelta(hours=1)
"""A target whose clock is so far from ours cannot date what its proxies report."""
_DONE: Final = "complete"
_OPENED: Final = 200
_WITHOUT_EXIT: Final = ("refused", "unreachable")
"""Outcomes of requests that may never have left the proxy."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A request and its log; None where it has none."""

    request: ProxiedRequestSeen
    row: Row | None
    unit: JudgedRequest


def judge_proxied(
    records: Sequence[Record], reading: Interpretation, clock: TargetClock
) -> list[RequestFinding]:
    """Return the findings on proxied requests; empty where none were made."""
    requests = [record for record in records if isinstance(record, ProxiedRequestSeen)]
    units = [unit for unit in collect_units(records, clock, PART) if unit.last]
    if not requests or not units:
        return []
    return _ProxiedJudge(requests, units, reading, clock).findings()


def probed_counting(
    records: Sequence[Record], reading: Interpretation, clock: TargetClock
) -> str | None:
    """Return which bytes the target counts, as its logs show it; None where none were seen."""
    requests = [record for record in records if isinstance(record, ProxiedRequestSeen)]
    units = [unit for unit in collect_units(records, clock, PART) if unit.last]
    counting, fits, _ = _ProxiedJudge(requests, units, reading, clock).counting()
    return counting if fits else None


class _ProxiedJudge:
    """The requests of one run and what was read before and after them."""

    def __init__(
        self,
        requests: Sequence[ProxiedRequestSeen],
        units: Sequence[JudgedRequest],
        reading: Interpretation,
        clock: TargetClock,
    ) -> None:
        self._requests = requests
        self._reading = reading
        self._clock = clock
        self._tolerance = int(reading.number("proxied-tolerance"))
        self._findings: dict[tuple[str, str], RequestFinding] = {}
        self._units = {(unit.stage, unit.ask): unit for unit in units}
        self._listings = {listing.unit.ask: listing for listing in self._read(units)}
        self._pairs = [pair for logs in self._of("log") for pair in self._pair(logs)]

    def findings(self) -> list[RequestFinding]:
        """Return a finding for each response that was compared."""
        if not self._is_dated():
            return list(self._findings.values())
        counting, _, _ = self.counting()
        for pair in self._pairs:
            self._judge(pair, counting)
        for logs in self._of("log"):
            self._judge_extra(logs)
        for summaries in self._of("log_summary"):
            self._judge_summaries(summaries)
        for pool in POOLS:
            for ledger in self._of(f"{pool}_ledger"):
                self._judge_ledger(pool, ledger)
        return list(self._findings.values())

    def counting(self) -> tuple[str, int, int]:
        """Return which bytes count, how many logs agree with it, and how many were compared."""
        declared = self._reading.declared_value("proxied-bytes")
        if declared:
            return declared, 0, 0
        return probe_counting(
            (pair.request, as_int(pair.row, "log_total_bytes") or 0)
            for pair in self._pairs
            if pair.row is not None
        )

    # --- what was read

    def _read(self, units: Sequence[JudgedRequest]) -> Iterator[ProxiedListing]:
        """Yield the listings that are whole, after the requests and before; note the others."""
        for unit in units:
            if unit.stage != AFTER:
                continue
            resource = resource_path(unit.first.path).partition("/")[0]
            rows = whole_listing(unit)
            earlier = self._units.get((BEFORE, unit.ask))
            before = whole_listing(earlier) if earlier is not None else None
            if rows is None or before is None:
                bad = unit if rows is None else earlier or unit
                finding = self._finding(unit)
                finding.cannot_use_response(bad.exchanges[-1], *_needs(resource))
                continue
            yield ProxiedListing(unit, tuple(rows), tuple(before))

    def _of(self, resource: str) -> list[ProxiedListing]:
        return [
            listing
            for listing in self._listings.values()
            if resource_path(listing.unit.first.path).startswith(f"{resource}/")
        ]

    def _finding(self, unit: JudgedRequest) -> RequestFinding:
        return self._findings.setdefault((unit.stage, unit.ask), RequestFinding(unit=unit))

    def _is_dated(self) -> bool:
        """Whether the target's clock is near ours; else its proxies' times mean nothing to it."""
        unit = next(iter(self._units.values()))
        if abs(unit.now - unit.asked_at) < _FAR:
            return True
        why = "the target's clock is not near ours, so that it may refuse what its proxies report"
        self._finding(unit).cannot_use(why, unit.first.n, *PROXIED_CHECKS)
        return False

    # --- logs

    def _own(self, unit: JudgedRequest) -> list[ProxiedRequestSeen]:
        user = unit.filters.get("proxy_user_id", "")
        return [r for r in self._requests if (r.tenant, r.user) == (unit.customer, user)]

    def _pair(self, logs: ProxiedListing) -> Iterator[_Pair]:
        """Pair each request of a user with its log, by hostname; alike ones by their bytes."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in new_logs(logs):
            rows[host_of_row(row, "log_hostname")].append(row)
        requests: dict[str, list[ProxiedRequestSeen]] = defaultdict(list)
        for request in self._own(logs.unit):
            requests[host_of_request(request)].append(request)
        for host, alike in requests.items():
            found = match_logs(alike, rows[host])
            yield from (_Pair(request, found.get(request.number), logs.unit) for request in alike)

    def _judge(self, pair: _Pair, counting: str) -> None:
        request, row = pair.request, pair.row
        finding = self._finding(pair.unit)
        where = _where(request)
        if request.error:
            finding.cannot_use(f"{where}: {request.error}", 0, LOGGED, BYTES)
            return
        if row is None:
            self._judge_missing(finding, request, where)
            return
        if request.outcome == "refused" and self._reading.value("proxied-refusals") == "not-logged":
            finding.deviate(LOGGED, where, "no log", "a log", definite=True)
        else:
            finding.observed(LOGGED)
        expected = counted(request, counting)
        seen = as_int(row, "log_total_bytes")
        if expected is not None:
            if seen is not None and expected.holds(seen, self._tolerance):
                finding.observed(BYTES)
            else:
                finding.deviate(
                    BYTES,
                    f"{where} · log_total_bytes",
                    f"{expected} ({_sides(request)})",
                    "nothing" if seen is None else describe_count(request, seen),
                    definite=True,
                )
        self._judge_names(finding, request, row, where)
        self._judge_outcome(finding, request, row, where)
        if request.outcome not in _WITHOUT_EXIT:
            _judge_exit(finding, request, row, where)

    def _judge_missing(
        self, finding: RequestFinding, request: ProxiedRequestSeen, where: str
    ) -> None:
        if request.outcome == "refused" and self._reading.value("proxied-refusals") != "logged":
            return
        other = self._of_other_user(request)
        if other is not None:
            finding.deviate(NAMED, f"{where} · proxy_user_id", request.user, other, definite=True)
        else:
            finding.deviate(LOGGED, where, "1 log", "none", definite=True)

    def _of_other_user(self, request: ProxiedRequestSeen) -> str | None:
        """Return another user of ours whose new logs have the hostname of a request."""
        for logs in self._of("log"):
            own = {host_of_request(r) for r in self._own(logs.unit)}
            user = logs.unit.filters.get("proxy_user_id", "")
            if (logs.unit.customer, user) == (request.tenant, request.user):
                continue
            for row in new_logs(logs):
                host = host_of_row(row, "log_hostname")
                if host == host_of_request(request) and host not in own:
                    return user
        return None

    def _judge_extra(self, logs: ProxiedListing) -> None:
        """Logs that are of no request: nothing else uses these users meanwhile."""
        finding = self._finding(logs.unit)
        expected: dict[str, int] = defaultdict(int)
        for request in self._own(logs.unit):
            expected[host_of_request(request)] += 1
        seen: dict[str, int] = defaultdict(int)
        for row in new_logs(logs):
            seen[host_of_row(row, "log_hostname")] += 1
        others = {host_of_request(r) for r in self._requests} - expected.keys()
        for host, count in seen.items():
            if count > expected[host] and host not in others:
                finding.deviate(
                    LOGGED,
                    f"logs of {logs.unit.filters.get('proxy_user_id', '')} · {host}",
                    f"{expected[host]}",
                    f"{count}",
                    definite=True,
                )

    def _judge_names(
        self, finding: RequestFinding, request: ProxiedRequestSeen, row: Row, where: str
    ) -> None:
        """Compare who, where from, where to, how and when."""
        protocol = "socks" if request.protocol == "socks" else "http"
        finding.equal(
            NAMED, f"{where} · log_network", request.network, row.get("log_network"), definite=True
        )
        finding.equal(
            NAMED, f"{where} · log_protocol", protocol, row.get("log_protocol"), definite=True
        )
        shown = as_str(row, "log_client_ip_address")
        if shown is not None and _is_loopback(request.client_address):
            finding.equal(
                NAMED,
                f"{where} · log_client_ip_address",
                request.client_address,
                shown,
                definite=True,
            )
        session = as_str(row, "log_session_id")
        if session is not None and request.session:
            finding.equal(
                NAMED, f"{where} · log_session_id", request.session, session, definite=True
            )
        if row.get("log_authentication_type") is None:
            finding.deviate(
                NAMED, f"{where} · log_authentication_type", "a number", "nothing", definite=True
            )
        self._judge_time(finding, request, row, where)

    def _judge_time(
        self, finding: RequestFinding, request: ProxiedRequestSeen, row: Row, where: str
    ) -> None:
        began, ended = parse_time(request.began_at), parse_time(request.ended_at)
        at = parse_time(row.get("log_request_datetime"))
        if began is None or ended is None:
            return
        clocks = [(began, ended), (self._clock.at(began), self._clock.at(ended))]
        if at is not None and any(_within(at, first, last) for first, last in clocks):
            finding.observed(NAMED)
        else:
            finding.deviate(
                NAMED,
                f"{where} · log_request_datetime",
                f"{began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}",
                row.get("log_request_datetime"),
                definite=True,
            )

    def _judge_outcome(
        self, finding: RequestFinding, request: ProxiedRequestSeen, row: Row, where: str
    ) -> None:
        """Compare the status, where one is shown, and whether the request failed."""
        if "status-codes" not in self._reading.claims:
            return
        status, error = as_int(row, "log_status_code"), as_str(row, "log_error_code")
        failed = error is not None or (status or 0) >= 400
        if request.outcome in ("unreachable", "refused"):
            expected, seen = "an error or a status from 400 on", f"status {status}, no error"
            if failed:
                finding.observed(OUTCOME)
            else:
                finding.deviate(OUTCOME, where, expected, seen, definite=True)
        elif request.outcome == _DONE:
            # A tunnel that was opened has no status of its own, or that of CONNECT.
            forwarded = request.protocol == "forward"
            expected_status = request.status if forwarded else _OPENED
            if error is not None:
                finding.deviate(OUTCOME, f"{where} · log_error_code", None, error, definite=True)
            elif status is None and not forwarded:
                finding.observed(OUTCOME)
            else:
                where = f"{where} · log_status_code"
                finding.equal(OUTCOME, where, expected_status, status, definite=True)

    # --- sums

    def _judge_summaries(self, summaries: ProxiedListing) -> None:
        """A user's summaries moved, for each network and hostname, by what its logs add up to."""
        unit = summaries.unit
        finding = self._finding(unit)
        user = unit.filters.get("proxy_user_id", "")
        logs = next(
            (
                each
                for each in self._of("log")
                if (each.unit.customer, each.unit.filters.get("proxy_user_id"))
                == (unit.customer, user)
            ),
            None,
        )
        if logs is None:
            return
        wanted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        left_out = {host_of_request(r) for r in self._own(unit) if _is_uncounted(self._reading, r)}
        for row in new_logs(logs):
            key = (as_str(row, "log_network") or "", host_of_row(row, "log_hostname"))
            wanted[key][0] += 1
            wanted[key][1] += as_int(row, "log_total_bytes") or 0
        moved = summaries_moved(summaries)
        for key in wanted.keys() | moved.keys():
            network, host = key
            if host in left_out:
                continue
            requests, size = moved.get(key, (0, 0))
            where = f"summary of {user} · {network} · {host}"
            same = finding.equal(
                SUMMED, f"{where} · requests", wanted[key][0], requests, definite=True
            )
            if same:
                finding.equal(SUMMED, f"{where} · bytes", wanted[key][1], size, definite=True)

    def _judge_ledger(self, pool: str, ledger: ProxiedListing) -> None:
        """A pool's ledger moved by what the logs, or else the summaries, of its network did."""
        network = next(
            (
                each
                for each in self._of("log_summary")
                if each.unit.customer == ledger.unit.customer
                and each.unit.filters.get("log_summary_network") == pool
            ),
            None,
        )
        if network is None:
            return
        wanted = sum(size for _, size in summaries_moved(network).values())
        logged = sum(
            as_int(row, "log_total_bytes") or 0
            for logs in self._of("log")
            if logs.unit.customer == ledger.unit.customer
            for row in new_logs(logs)
            if row.get("log_network") == pool
        )
        seen = usage_moved(ledger, pool)
        own = [r for r in self._requests if (r.tenant, r.network) == (ledger.unit.customer, pool)]
        if own:
            finding = self._finding(ledger.unit)
            where = f"{pool} ledger of customer {ledger.unit.customer} · bytes used"
            # Summaries that are wrong by themselves are no fault of a ledger that has the logs.
            finding.equal(CHARGED, where, logged if seen == logged else wanted, seen, definite=True)


def _judge_exit(finding: RequestFinding, request: ProxiedRequestSeen, row: Row, where: str) -> None:
    """Compare where a request left the network, as far as the target file declares it."""
    declared = {
        "country_id": request.country or None,
        "city_alias": request.city or None,
        "asn_id": request.asn,
    }
    for name, value in declared.items():
        if value is not None:
            finding.equal(EXITED, f"{where} · {name}", value, row.get(name), definite=True)


def _needs(resource: str) -> tuple[str, ...]:
    """The checks that a listing is needed for."""
    if resource == "log":
        return PROXIED_CHECKS
    return (SUMMED, CHARGED) if resource == "log_summary" else (CHARGED,)


def _is_uncounted(reading: Interpretation, request: ProxiedRequestSeen) -> bool:
    """Whether the target file says that such a request is not counted in summaries."""
    failed = request.outcome != _DONE or (request.status or 0) >= 400
    if failed and reading.value("failed-requests") == "not-counted":
        return True
    empty = request.sent + request.received == 0
    return empty and reading.value("zero-byte-requests") == "not-counted"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _within(at: datetime, first: datetime, last: datetime) -> bool:
    return first - _SLACK <= at <= last + _SLACK


def _sides(request: ProxiedRequestSeen) -> str:
    return (
        f"sent {request.sent:,}, received {request.received:,}, handshake "
        f"{request.handshake_sent:,} and {request.handshake_received:,}"
    )


def _where(request: ProxiedRequestSeen) -> str:
    return (
        f"{request.case} by {request.protocol}, {request.network} · {request.hostname} · "
        f"{request.user}"
    )
