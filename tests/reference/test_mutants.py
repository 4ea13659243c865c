"""Every mutant differs from the correct server in the observation that is expected."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.reference.replay import run_replay
from tests.reference.served import event, serving
from trueup.reference.behaviour import Behaviour
from trueup.reference.mutants import FAULTS, VARIANTS, Mutant
from trueup.reference.times import DAY_US, format_instant

# Mutant → observation of the replay that shows it.
SHOWN_BY: dict[str, str] = {
    "A1": "young logs",
    "A2": "young summaries",
    "A3": "young logs",
    "A4": "young summaries",
    "A5": "young summaries",
    "A6": "young logs",
    "A7": "deleted",
    "B1": "young summaries",
    "B2": "young summaries",
    "B3": "young summaries",
    "B4": "young summaries",
    "B5": "young summaries",
    "B6": "young summaries",
    "B7": "young summaries",
    "B8": "young summaries",
    "C1": "young summaries",
    "C2": "young summaries",
    "C3": "young summaries",
    "C4": "young logs",
    "C5": "results",
    "D1": "6.5 days search",
    "D2": "8.5 days search",
    "D3": "7.5 days retrieve",
    "D4": "8 days summaries",
    "D5": "95 days summaries",
    "D6": "95 days again",
    "D7": "88 days",
    "D8": "95 days summaries",
    "D9": "95 days summaries",
    "E1": "young residential ledger",
    "E2": "young mobile ledger",
    "E3": "young residential ledger",
    "E4": "young residential ledger",
    "E5": "young residential ledger",
    "E6": "young customer",
    "E7": "young users",
    "E8": "95 days residential ledger",
    "F1": "6.5 days graph",
    "F2": "8 days isp",
    "F3": "young graph",
    "F4": "window",
    "F5": "young breakdown",
    "F6": "95 days graph",
    "G1": "pages of 7",
    "G2": "pages of 7",
    "G3": "ties",
    "G4": "network",
    "G5": "totals",
    "G6": "young logs",
    "G7": "bytes down",
    "G8": "retrieve",
    "G9": "percent",
    "G10": "past the end",
    "H1": "b logs",
    "H2": "b retrieves a",
    "H3": "b graph",
    "H4": "no control key",
    "I1": "young logs",
    "I2": "young summaries",
    "I3": "young summaries",
    "I4": "results",
    "J2": "edited",
    "K1": "missing",
    "N1": "young logs",
    "N2": "young logs",
    "N3": "young summaries",
    "N4": "young residential ledger",
    "N5": "young logs",
    "N6": "young logs",
    "N7": "young summaries",
    "N8": "young summaries",
    "N9": "young residential ledger",
    "N10": "95 days summaries",
    "N11": "8 days residential ledger",
    "N12": "95 days summaries",
    "N13": "95 days summaries",
    "N14": "almost 7 days search",
    "N15": "young residential ledger",
    "N16": "young residential ledger",
    "N17": "young residential ledger",
    "N18": "young residential summary",
    "N19": "young summaries",
    "N20": "young graph",
    "N21": "young bob",
    "N22": "95 days breakdown",
    "N24": "min",
    "N25": "max",
    "N26": "not",
    "N27": "like part",
    "N28": "bytes up",
    "N29": "totals",
    "N30": "wrong keys",
    "N31": "bad page",
    "N32": "missing",
    "N33": "page 2",
    "N34": "b users",
    "N35": "missing",
    "N36": "b breakdown",
    "N37": "young summaries",
    "V1": "7.5 days search",
    "V2": "7.5 days search",
    "V3": "per_page 100",
    "V4": "95 days summaries",
    "V5": "95 days summaries",
    "V7": "young residential ledger",
    "V8": "young logs",
    "V9": "young logs",
    "V10": "unknown",
    "V12": "totals",
    "V13": "young graph",
    "V14": "young graph",
    "V15": "young logs",
    "V16": "young logs",
    "V17": "young residential ledger",
    "V18": "young residential ledger",
    "V19": "8.5 days retrieve",
    "V21": "bad page",
    "V22": "malformed",
    "V23": "default order",
    "V24": "young logs",
    "V25": "default order",
    "V26": "missing",
    "V27": "young logs",
    "V28": "per_page 101",
    "V29": "results",
    "V30": "message",
}
ELSEWHERE = {"J1", "J3", "K2", "N23", "V6", "V11", "V20", "V31"}
"""Mutants that the replay cannot show; each has a test of its own below."""
_cache: dict[str, Any] = {}


async def _truth() -> dict[str, Any]:
    if not _cache:
        async with serving() as served:
            _cache.update(await run_replay(served))
    return _cache


def test_every_mutant_has_an_observation_that_shows_it() -> None:
    """The table above names every fault and variant once, and no others."""
    ids = [mutant.id for mutant in (*FAULTS, *VARIANTS)]
    assert len(ids) == len(set(ids))
    assert set(ids) == SHOWN_BY.keys() | ELSEWHERE
    assert len(FAULTS) >= 65
    assert len(VARIANTS) >= 15


@pytest.mark.slow
async def test_two_correct_servers_give_the_same_observations() -> None:
    """Only ids differ, so that any other difference is caused by a mutant."""
    truth = await _truth()
    async with serving() as served:
        again = await run_replay(served)
    differing = [name for name in truth if truth[name] != again[name]]
    assert sorted(differing) == ["8 days summary ids", "95 days summary ids", "young summary ids"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant",
    [each for each in (*FAULTS, *VARIANTS) if each.id in SHOWN_BY],
    ids=lambda mutant: mutant.id,
)
async def test_a_mutant_differs_in_the_observation_that_is_expected(mutant: Mutant) -> None:
    """Served data differ from the correct ones in the observation that the table names."""
    truth = await _truth()
    async with serving(mutant.apply(Behaviour())) as served:
        seen = await run_replay(served)
    differing = [name for name in truth if truth[name] != seen.get(name)]
    assert SHOWN_BY[mutant.id] in differing


def _by_id(wanted: str) -> Behaviour:
    return next(each for each in (*FAULTS, *VARIANTS) if each.id == wanted).apply(Behaviour())


@pytest.mark.parametrize(("fault", "kept"), [(None, 1), ("J3", 0)])
async def test_j3_loses_what_it_acknowledged_on_restart(
    tmp_path: Path, fault: str | None, kept: int
) -> None:
    """The correct server has the event after a restart, J3 has not."""
    behaviour = _by_id(fault) if fault else Behaviour()
    async with serving(behaviour, data=tmp_path) as served:
        when = format_instant(served.now_us)
        result = await served.ingest([event(1, log_request_datetime=when)])
        assert result["accepted"] == 1
    async with serving(data=tmp_path) as served:
        assert (await served.get("log/search"))["total_count"] == kept


async def test_k2_refuses_the_neighbour_and_never_forgives() -> None:
    """After one tenant's burst both are refused; without the fault the other one is served."""
    for behaviour, other in ((_by_id("K2"), 429), (Behaviour(), 200)):
        async with serving(behaviour, rate_limit=10) as served:
            burst = [await served.ask("log/search") for _ in range(40)]
            assert 429 in {status for status, _ in burst}
            assert (await served.ask("log/search", tenant=served.b))[0] == other


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "path"), [("V6", "log_summary/search"), ("V11", "log/search")])
async def test_a_lagging_variant_catches_up(variant: str, path: str) -> None:
    """A write is not seen by a reader that lags, and is seen soon after."""
    async with serving(_by_id(variant)) as served:
        for _ in range(2):
            assert (await served.get(path))["total_count"] == 0
        when = format_instant(served.now_us)
        await served.ingest([event(1, log_request_datetime=when)])
        counts = {(await served.get(path))["total_count"] for _ in range(2)}
        assert 0 in counts
        while 0 in {(await served.get(path))["total_count"] for _ in range(2)}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_j1_shows_an_old_list_after_a_write() -> None:
    """What was listed before a write is listed after it; a jump of the clock ends that."""
    async with serving(_by_id("J1")) as served:
        assert (await served.get("log/search"))["total_count"] == 0
        when = format_instant(served.now_us)
        await served.ingest([event(1, log_request_datetime=when)])
        assert (await served.get("log/search"))["total_count"] == 0
        await served.control("clock", advance_s=1)
        assert (await served.get("log/search"))["total_count"] == 1


async def test_n23_goes_back_and_forth() -> None:
    """Of two reads in a row after a write, one is new and one is old."""
    async with serving(_by_id("N23")) as served:
        for _ in range(2):
            assert (await served.get("log_summary/search"))["total_count"] == 0
        when = format_instant(served.now_us)
        await served.ingest([event(1, log_request_datetime=when)])
        counts = [(await served.get("log_summary/search"))["total_count"] for _ in range(4)]
        assert sorted(counts) == [0, 0, 1, 1] and counts != sorted(counts)


async def test_v31_refuses_the_good_line_beside_a_bad_one() -> None:
    """The whole delivery is refused; the good line alone is taken afterwards."""
    async with serving(_by_id("V31")) as served:
        when = format_instant(served.now_us)
        good = event(1, log_request_datetime=when)
        bad = event(2, log_request_datetime=when, log_total_bytes=-1)
        result = await served.ingest([good, bad])
        assert (result["accepted"], len(result["refused"])) == (0, 2)
        assert (await served.ingest([good]))["accepted"] == 1
        assert (await served.get("log/search"))["total_count"] == 1


async def test_v20_gives_a_consolidated_row_a_new_id() -> None:
    """The variant's row has another id after 90 days; ours keeps its own."""
    for behaviour, same in ((Behaviour(), True), (_by_id("V20"), False)):
        async with serving(behaviour) as served:
            when = format_instant(served.now_us)
            await served.ingest([event(1, log_request_datetime=when)])
            before = (await served.get("log_summary/search"))["data"][0]["log_summary_id"]
            await served.move_to(served.now_us + 92 * DAY_US)
            await served.control("maintenance")
            after = (await served.get("log_summary/search"))["data"][0]["log_summary_id"]
            assert (before == after) is same
