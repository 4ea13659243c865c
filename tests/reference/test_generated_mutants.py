"""Generated mutants: enough of them, each reachable by its id alone, each wrong where it says."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import click
import pytest
import pytest_asyncio

from tests.reference.served import Served, event, serving
from trueup.reference.behaviour import Behaviour
from trueup.reference.cli import main
from trueup.reference.mutants import FAULTS
from trueup.reference.mutants.generated import (
    EQUIVALENT,
    POINTS,
    generated,
    generated_mutants,
    ruled_out,
)
from trueup.reference.times import DAY_US, ceil_day, format_instant

LEAST = 400
_VOLATILE = ("_id", "_creation_datetime", "_last_update_datetime")


@cache
def _every_id() -> tuple[str, ...]:
    """The id of every mutant that a point could have, ruled out or not."""
    return tuple(
        f"{point.id}:{operator.name}" + ("" if condition.name == "always" else f"@{condition.name}")
        for point in POINTS
        for operator in point.operators
        for condition in point.conditions
    )


@cache
def _excluded() -> tuple[str, ...]:
    """The ids that are ruled out."""
    return tuple(each for each in _every_id() if ruled_out(each))


def test_there_are_many_and_no_two_alike() -> None:
    """Ids and sentences are unique, and none is an id of a named fault."""
    mutants = generated_mutants()
    ids = {mutant.id for mutant in mutants}
    assert len(mutants) >= LEAST
    assert len(ids) == len(mutants) == len({mutant.what for mutant in mutants})
    assert not ids & {fault.id for fault in FAULTS}


def test_each_id_leads_to_its_mutant_and_no_other_id_to_any() -> None:
    """The id alone makes the mutant again; what is unknown or ruled out makes none."""
    for mutant in generated_mutants():
        again = generated(mutant.id)
        assert again is not None
        assert (again.id, again.what) == (mutant.id, mutant.what)
    for unknown in ("no.such:zero", "event.kept:no-such", "event.kept:omitted@no=such", ":", "@"):
        assert generated(unknown) is None


def test_every_row_of_equivalents_rules_something_out() -> None:
    """A pattern that matches no possible mutant would be a claim about nothing."""
    ids = _every_id()
    for row in EQUIVALENT:
        assert any(fnmatchcase(each, row.pattern) for each in ids), row.pattern
        assert row.reason.strip()
    assert _excluded()
    assert not {mutant.id for mutant in generated_mutants()} & set(_excluded())
    assert all(generated(each) is None for each in _excluded()[:50])


def test_every_condition_and_every_operator_is_tried() -> None:
    """Each condition and each operator of the tables is in a mutant that is tried."""
    ids = [mutant.id for mutant in generated_mutants()]
    conditions = {each.partition("@")[2] or "always" for each in ids}
    assert conditions == {condition.name for point in POINTS for condition in point.conditions}
    operators = {each.partition("@")[0].partition(":")[2] for each in ids}
    possible = {
        each.partition("@")[0].partition(":")[2] for each in set(_every_id()) - set(_excluded())
    }
    assert operators == possible


def test_a_start_with_an_unknown_mutant_is_a_usage_error() -> None:
    """The message names the id and the command that lists the known ones."""
    with pytest.raises(click.UsageError, match=r"There is no fault no\.such:zero; .* mutants"):
        main(["serve", "--fault", "no.such:zero"], standalone_mode=False)


async def _look(served: Served) -> dict[str, Any]:
    """A short sequence of events of both customers, and what is then seen of it."""
    now = ceil_day(served.now_us) + DAY_US // 2
    await served.move_to(now)
    when = {"log_request_datetime": format_instant(now)}
    events = [
        event(1, log_total_bytes=2**31 + 7, **when),
        event(2, log_network="mobile", log_total_bytes=5, **when),
        event(3, customer_id=1002, log_total_bytes=11, **when),
        event(4, customer_id=1002, log_total_bytes=13, **when),
    ]
    bad = event(5, log_total_bytes=-1, **when)
    results = [await served.ingest(events), await served.ingest(events[:1])]
    good = event(6, log_hostname="example.com", **when)
    results += [await served.ingest([good, bad]), await served.ingest([good])]
    for customer in (1001, 1002):
        await served.control(
            "money",
            customer_id=customer,
            network="residential",
            kind="top_up",
            bytes=100,
            idempotency_key="same",
        )
    await served.ask(
        "proxy_user/edit/alice", method="PATCH", json={"proxy_user_metadata": {"k": "v"}}
    )
    seen: dict[str, Any] = {"refused": [result["refused"] for result in results]}
    for name, tenant in (("a", served.a), ("b", served.b)):
        for path in ("log/search", "log_summary/search", "residential_ledger/search"):
            rows = await served.all_rows(path, tenant=tenant)
            seen[f"{name} {path}"] = [
                {key: value for key, value in row.items() if not key.endswith(_VOLATILE)}
                | {"ids": (row.get("log_id"), row.get("asn_id"))}
                for row in rows
            ]
        seen[f"{name} graph"] = (await served.get("analytics/graph", tenant=tenant))["data"]
    await served.move_to(now + 95 * DAY_US)
    for name, tenant in (("a", served.a), ("b", served.b)):
        rows = await served.all_rows("log_summary/search", tenant=tenant)
        seen[f"{name} old"] = [
            (row["log_summary_hostname"], row["log_summary_bytes"]) for row in rows
        ]
        seen[f"{name} old logs"] = (await served.get("log/search", tenant=tenant))["total_count"]
    seen["user"] = (await served.get("proxy_user/retrieve/alice"))["data"]["proxy_user_metadata"]
    return seen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def truth() -> dict[str, Any]:
    """What is seen of a correct server."""
    async with serving() as served:
        return await _look(served)


@pytest.mark.parametrize(
    ("mutant", "place"),
    [
        ("stored.log_total_bytes:int32@bytes=2^31", "a log/search"),
        ("event.counted:omitted@customer=second", "b log_summary/search"),
        ("amounts.bytes:plus-one@network=mobile", "a log_summary/search"),
        ("charge.bytes:doubled@customer=second", "b residential_ledger/search"),
        ("repeat.charged:counted-again", "a residential_ledger/search"),
        ("refusal:known", "a log/search"),
        ("payment.key:shared", "b residential_ledger/search"),
        ("maintained:drop-last", "b old"),
        ("life.search:never@customer=second", "b old logs"),
        ("consolidated.bytes:minus-one@customer=first", "a old"),
        ("setting.edit.proxy_user_metadata:empty", "user"),
        ("tenant.log.search:everyone@customer=second", "b log/search"),
        ("shown.log.search.asn_id:plus-one@network=mobile", "a log/search"),
        ("page.log.rows:drop-last@customer=second", "b log/search"),
        ("graph.requests:doubled@customer=first", "a graph"),
        ("refused.log_total_bytes:accepted", "refused"),
    ],
)
async def test_a_mutant_is_wrong_where_it_says_and_for_whom(
    mutant: str, place: str, truth: dict[str, Any]
) -> None:
    """The observation that the sentence speaks of differs from that of a correct server."""
    found = generated(mutant)
    assert found is not None
    async with serving(found.apply(Behaviour())) as served:
        seen = await _look(served)
    assert seen[place] != truth[place]
    other = {"a": "b", "b": "a"}.get(place[0])
    if "@customer=" in mutant and other is not None:
        assert seen[other + place[1:]] == truth[other + place[1:]]


async def test_the_mutant_that_stops_at_a_limit_counts_up_to_the_limit_everywhere() -> None:
    """Summaries and ledgers each count what fits the limit, and nothing beyond it."""
    found = generated("limit:stops")
    assert found is not None
    async with serving(found.apply(Behaviour())) as served:
        when = {"log_request_datetime": format_instant(served.now_us)}
        await served.ingest([event(1, log_total_bytes=6, **when)])
        limit = {"proxy_user_residential_bytes_limit": 10}
        edited = await served.ask("proxy_user/edit/alice", method="PATCH", json=limit)
        assert edited[0] == 200, edited
        await served.ingest(
            [event(2, log_total_bytes=4, **when), event(3, log_total_bytes=1, **when)]
        )
        summaries = await served.all_rows("log_summary/search")
        usage = await served.all_rows(
            "residential_ledger/search", residential_ledger_reason="usage"
        )
    assert sum(row["log_summary_bytes"] for row in summaries) == 10
    assert sum(row["residential_ledger_bytes"] for row in usage) == -10
