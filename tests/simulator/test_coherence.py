"""The fields of an event are consistent with each other, and events with each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from tests.simulator.fleets import common, fleet
from trueup.simulator.model.coverage import FACTORS, pairwise_rows
from trueup.simulator.model.geography import places
from trueup.simulator.model.outcomes import OUTCOMES
from trueup.simulator.model.sizes import NETWORKS

PREFIXES = {(row.asn, row.prefix, row.country, row.city, NETWORKS[row.network]) for row in places()}
ASN_TYPES = {(NETWORKS[row.network], row.asn): row.asn_type for row in places()}
TUNNEL_STATUSES = {200, 400, 403, 407, 429, 500, 502, 503, 504}


def contradictions(row: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one drawn event on its own."""
    egress = row["log_egress_ip_address"]
    heads = {".".join(egress.split(".")[:octets]) + "." for octets in (2, 3)}
    place = (row["asn_id"], row["country_id"], row["city_alias"], row["log_network"])
    if not any((place[0], head, *place[1:]) in PREFIXES for head in heads):
        yield f"egress {egress} is not in {place}"
    wanted = "hosting" if row["log_network"] == "datacenter" else "isp"
    if ASN_TYPES[row["log_network"], row["asn_id"]] != wanted:
        yield f"an ASN of another type than {wanted}"
    static = row["log_network"] in ("datacenter", "isp")
    if static != (row["proxy_id"] is not None) or (static and row["log_session_id"]):
        yield "fixed proxies have a proxy_id and no session, others the reverse"
    if static and egress != row["log_local_ip_address"]:
        yield "a fixed proxy leaves by another address than its own"
    socks = row["log_protocol"] == "socks"
    connect = row["log_method"] == "CONNECT"
    if connect != (not socks and row["log_is_tls_enabled"]):
        yield "CONNECT is exactly HTTP with TLS"
    if socks and (row["log_method"] is not None or row["log_status_code"] is not None):
        yield "SOCKS has no method and no status"
    if connect and row["log_status_code"] not in TUNNEL_STATUSES:
        yield f"status {row['log_status_code']} is none of a tunnel"
    parts = row["log_handshake_elapsed_ms"] + row["log_tunnel_elapsed_ms"]
    if row["log_total_elapsed_ms"] < parts:
        yield "the parts take longer than the whole"
    if row["log_hostname"] != row["log_hostname"].lower().rstrip("."):
        yield "hostname not in its normal form"
    if not 0 <= row["log_total_bytes"] < 2**63 or row["log_concurrency"] < 1:
        yield "a number out of its range"
    if row["log_client_ip_address"] == egress:
        yield "client and egress address are one"
    ip_address(egress), ip_address(row["log_client_ip_address"])


@pytest.mark.slow
def test_two_hundred_thousand_events_are_consistent() -> None:
    """Each event on its own; then users, services, sessions and addresses over all of them."""
    some = common()
    seen: dict[str, dict[Any, set[Any]]] = defaultdict(lambda: defaultdict(set))
    networks: Counter[str] = Counter()
    for first in range(some.model.coverage.count, 200_000, 20_000):
        for row in some.batch(first, min(20_000, 200_000 - first)).rows():
            assert not list(contradictions(row)), (row, list(contradictions(row)))
            networks[str(row["log_network"])] += 1
            user, service = row["proxy_user_id"], row["service_id"]
            seen["customer of user"][user].add(row["customer_id"])
            seen["authentication of user"][user].add(row["log_authentication_type"])
            seen["customer of service"][service].add(row["customer_id"])
            seen["network of service"][service].add(row["log_network"])
            seen["place of address"][row["log_egress_ip_address"]].add(
                (row["asn_id"], row["country_id"], row["city_alias"])
            )
            if row["proxy_id"]:
                seen["address of proxy"][row["proxy_id"]].add(row["log_egress_ip_address"])
            if row["log_session_id"]:
                seen["user of session"][row["log_session_id"]].add(user)
                seen["addresses of session"][row["log_session_id"]].add(
                    row["log_egress_ip_address"]
                )
            seen["clients of user"][user].add(row["log_client_ip_address"])
    assert set(networks) == set(NETWORKS)
    limits = {"addresses of session": 2, "clients of user": 4}
    for what, groups in seen.items():
        assert max(map(len, groups.values())) <= limits.get(what, 1), what
    assert len(seen["user of session"]) > 200
    kept = [len(found) for found in seen["addresses of session"].values()]
    assert 0 < sum(size == 2 for size in kept) < 0.2 * len(kept)


def test_the_first_events_cover_every_pair_of_factor_values() -> None:
    rows = pairwise_rows()
    assert common().model.coverage.count == len(rows) < 60
    names = list(FACTORS)
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            pairs = {(row[a], row[b]) for row in rows}
            possible = len(FACTORS[names[a]]) * len(FACTORS[names[b]])
            impossible = 2 if {names[a], names[b]} == {"network", "sticky"} else 0
            assert len(pairs) == possible - impossible, (names[a], names[b])
    first = common().batch(0, len(rows)).rows()
    assert all(str(row["proxy_user_id"]).startswith("coverage-") for row in first)
    assert {row["log_total_bytes"] for row in first} == set(FACTORS["bytes"])
    after = common().batch(len(rows), 2000)
    assert not any(str(row["proxy_user_id"]).startswith("coverage-") for row in after.rows())
    assert common().batch(0, 100).columns().coverage.sum() == len(rows)


def test_coverage_can_be_switched_off() -> None:
    plain = fleet(coverage__enabled=False)
    assert not any("coverage" in str(row["proxy_user_id"]) for row in plain.batch(0, 100).rows())


def test_error_names_show_which_side_failed() -> None:
    """A failure of the proxy has a name of RFC 9209; a response of the target has none."""
    for outcome in OUTCOMES:
        if outcome.kind == "connect":
            assert (outcome.error is None) == (outcome.status == 200)
        if outcome.kind == "socks":
            assert outcome.status is None and outcome.failed == (outcome.error is not None)
        if outcome.timeout:
            assert outcome.failed


@pytest.mark.slow
def test_failures_come_in_incidents() -> None:
    """In an incident a network fails many times as often as outside, and only that network."""
    some = fleet(rate=50.0, mix='{"residential": 1, "mobile": 1}', host__difficulty='{"easy": 1}')
    columns = some.batch(100, 1_500_000).columns()
    bad = some.model.incidents.active(columns.network, columns.second)
    proxy_side = [
        number for number, outcome in enumerate(OUTCOMES)
        if outcome.error is not None and outcome.status not in (400, 407, 429)
        and outcome.kind == "connect"
    ]  # fmt: skip
    failed = sum(columns.outcome == number for number in proxy_side) > 0
    assert bad.any()
    assert failed[bad].mean() > 8 * failed[~bad].mean()
