"""The tables and pure parts of the proxies: lives, failures, user names, destinations, plans."""

from __future__ import annotations

from itertools import product

import pytest

from tests.simulator.fleets import common
from trueup.simulator.proxies import (
    Destinations,
    FleetPlanner,
    UserNameSyntax,
    fleet_endpoints,
    fleet_users,
)
from trueup.simulator.proxies.destinations import Destination, read_authority
from trueup.simulator.proxies.failures import FAILURES, RequestFailed
from trueup.simulator.proxies.life import ENDED, TRANSITIONS, RequestEvent, RequestState
from trueup.simulator.proxies.users import Targeting


@pytest.mark.parametrize("state", RequestState)
def test_every_state_ends_in_one_step_or_has_ended(state: RequestState) -> None:
    """An abort and a stop are possible until the end; nothing is possible after it."""
    after = TRANSITIONS[state]
    if state in ENDED:
        assert not after
    else:
        assert {after[RequestEvent.ABORT], after[RequestEvent.STOP]} <= ENDED


def test_every_state_is_reached_and_every_event_used() -> None:
    rows = [(event, to) for after in TRANSITIONS.values() for event, to in after.items()]
    assert {to for _event, to in rows} == set(RequestState) - {RequestState.RECEIVED}
    assert {event for event, _to in rows} == set(RequestEvent)


def test_failures_have_an_http_error_and_a_socks_failure() -> None:
    for name, (status, reply) in FAILURES.items():
        assert 400 <= status < 600 and 1 <= reply <= 8, name
        assert RequestFailed(name, "").status == status


TEMPLATE = "{user}_cc_{country}_sid_{session}"


def test_a_template_is_a_syntax_and_back() -> None:
    syntax = UserNameSyntax.from_template(TEMPLATE)
    assert syntax.template == TEMPLATE
    assert syntax.read("cc_US_sid_a-b") == Targeting(country="us", session="a-b")
    assert UserNameSyntax.from_template(UserNameSyntax().template) == UserNameSyntax()
    assert UserNameSyntax.from_template("{user}").keys == {}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("user", "write {user}"),
        ("x{user}", "write {user}"),
        ("{user}-country-{planet}", "{planet} is none of country, city, session, ttl"),
        ("{user}-a-{country}_b_{city}", "write {user}"),
        ("{user}-a-{country}-a-{city}", "can occur once"),
        ("{user}-a-{country}-b-{country}", "can occur once"),
    ],
)
def test_wrong_templates_are_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError) as found:
        UserNameSyntax.from_template(template)
    assert message in str(found.value)


def test_a_session_named_like_a_word_is_a_session() -> None:
    read = UserNameSyntax().read
    assert read("session-country") == Targeting(session="country")
    assert read("city-new-york-city-country-us") == Targeting(country="us", city="new-york-city")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("a.example:443", "a.example", 443), ("[2001:DB8::1]:80", "2001:db8::1", 80),
     ("10.0.0.1:8080", "10.0.0.1", 8080), ("a_b.example.:1", "a_b.example.", 1)],
)  # fmt: skip
def test_authorities_are_read(text: str, host: str, port: int) -> None:
    assert read_authority(text) == Destination(host=host, port=port)


def test_every_name_leads_to_the_origin_unless_it_may_be_reached_itself() -> None:
    known = Destinations(
        plain=("127.0.0.1", 1), tls=("127.0.0.1", 2),
        allowed=frozenset({("other.example", 443), ("127.0.0.9", 0)}),
    )  # fmt: skip

    def resolve(host: str, port: int) -> tuple[str, int]:
        return known.resolve(Destination(host=host, port=port))

    assert resolve("example.com", 80) == ("127.0.0.1", 1)
    assert resolve("169.254.169.254", 22) == ("127.0.0.1", 1)
    assert resolve("example.com", 443) == ("127.0.0.1", 2)
    assert resolve("example.com", 2) == ("127.0.0.1", 2)
    assert resolve("Other.example.", 443) == ("Other.example.", 443)
    assert resolve("other.example", 80) == ("127.0.0.1", 1)
    assert resolve("127.0.0.9", 7) == ("127.0.0.9", 7)
    with pytest.raises(RequestFailed, match="no TLS"):
        Destinations(plain=("127.0.0.1", 1), tls=None).resolve(Destination(host="a", port=443))


def test_the_fleet_decides_users_proxies_and_addresses() -> None:
    users, endpoints = fleet_users(common()), fleet_endpoints(common(), static_proxies=2)
    assert users == fleet_users(common())
    assert len({user.password for user in users}) == len(users) == len(common().model.senders.users)
    hosts = [endpoint.host for endpoint in endpoints]
    assert len(set(hosts)) == len(hosts)
    assert hosts[0].startswith("127.64.") and hosts[-1].startswith("127.67.")
    assert not {address for user in users for address in user.addresses} & set(hosts)


def test_plans_have_the_failures_and_rates_of_the_profile() -> None:
    model = common().model
    behaviour = FleetPlanner(model, 7, delay_factor=0.5)
    for network, kind in product(("datacenter", "mobile"), ("connect", "plain", "socks")):
        plans = [behaviour.plan(network, kind) for _ in range(4000)]
        failed = [plan for plan in plans if plan.failure or plan.cut_after is not None]
        # 0.3 % and 1.8 % by the profile, and 0.1 % that are refused for their number.
        share = len(failed) / len(plans)
        assert (0.001 < share < 0.009) if network == "datacenter" else (0.01 < share < 0.03)
        assert {plan.failure for plan in plans} <= {"", *FAILURES}
        assert len({plan.bytes_per_s for plan in plans}) == 1
    again = FleetPlanner(model, 7, delay_factor=0.5)
    first = [again.plan("mobile", "socks") for _ in range(5)]
    other = FleetPlanner(model, 7, delay_factor=0.5)
    assert first == [other.plan("mobile", "socks") for _ in range(5)]
