"""From reports to one result: nothing lost on the way, and nothing made up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trueup.reports.event_format import FieldFormat
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import ExitStatus, Outcome
from trueup.reports.verdicts import load_status
from trueup.scenarios.load.aggregate import (
    collect,
    comparable_digest,
    comparable_settings,
    errors_by_second,
    load_result,
    planned_rates,
    read_lines,
)
from trueup.scenarios.load.messages import (
    GeneratorPlan,
    GeneratorSummary,
    Report,
    Reserved,
    decode_plan,
    encode,
)
from trueup.scenarios.load.plan import load_plan, with_changes
from trueup.simulator.delivery import BodyForm, EventFormat, HttpForm, merge_ranges
from trueup.simulator.reactor import Second


def final(events: int, **parts: Any) -> GeneratorSummary:
    return GeneratorSummary(
        busy_share=0.5, cpu_s=1.0, elapsed_s=2.0, unsent=3, events=events, **parts
    )


def part(first: int, count: int, outcome: Outcome = Outcome.ACCEPTED) -> OutcomeRange:
    return OutcomeRange(first=first, count=count, outcome=outcome)


def child(**parts: Any) -> GeneratorPlan:
    form = HttpForm(
        url="http://127.0.0.1:1/x",
        headers={"X-Ingest-Key": "secret"},
        format=EventFormat(
            fields={"log_id": FieldFormat(name="id"), "asn_id": FieldFormat(name="")},
            constants={"v": [1]},
            form=BodyForm.JSON_ARRAY,
        ),
    )
    return GeneratorPlan(plan=load_plan("steady"), form=form, fleet=None, **parts)


def test_a_plan_travels_whole() -> None:
    """What a worker reads is what was meant, field map, headers and all."""
    assert decode_plan(encode(child(first_event=7))) == child(first_event=7)


def test_two_workers_seconds_and_ranges_are_joined() -> None:
    """Same second, two workers: counts add, histograms merge, neighbouring ranges join."""
    second = Second(t=3, requests=2, events=20, response_ns={"5": 2}, errors={"x": 1})
    lines: list[Reserved | Report] = [
        Report(worker=0, lane="ingest", seconds=(second,), ranges=(part(0, 10),)),
        Report(worker=1, lane="ingest", seconds=(second,), ranges=(part(10, 10),), final=final(10)),
        Report(worker=0, lane="ingest", final=final(10)),
    ]
    found = load_result(child(), collect(lines), engine="e")
    assert collect(lines).ranges == (part(0, 20),)
    assert (found.requests.completed, found.requests.errors) == (4, {"x": 2})
    assert found.events.accepted == 20
    assert found.latency.response_ns == {"5": 4}
    assert (found.generator.workers, found.generator.cpu_share) == (2, 0.5)
    assert found.requests.unsent == 6


def test_the_warm_up_is_in_the_seconds_but_not_in_the_histograms() -> None:
    """The first two seconds of `steady` warm up."""
    seconds = tuple(Second(t=t, requests=1, response_ns={"5": 1}) for t in range(4))
    found = load_result(
        child(), collect([Report(worker=0, lane="ingest", seconds=seconds)]), engine="e"
    )
    assert len(found.timeline.seconds) == 4
    assert found.latency.response_ns == {"5": 2}


def test_what_a_silent_worker_announced_and_did_not_account_for_is_unknown() -> None:
    """Killed in the middle: its open events may have been sent."""
    lines: list[Reserved | Report] = [
        Reserved(worker=0, ranges=((0, 100), (200, 50))),
        Report(worker=0, lane="ingest", ranges=(part(10, 20), part(90, 10))),
        Reserved(worker=1, ranges=((100, 100),)),
        Report(worker=1, lane="ingest", ranges=(part(100, 30),), final=final(30)),
    ]
    unknown = [
        (one.first, one.count) for one in collect(lines).ranges if one.outcome is Outcome.UNKNOWN
    ]
    assert unknown == [(0, 10), (30, 60), (200, 50)]


def test_a_lost_report_leaves_its_events_unknown_and_is_reported() -> None:
    """The summary counts more events than arrived: the difference was accepted, or not."""
    lines: list[Reserved | Report] = [
        Reserved(worker=0, ranges=((0, 100),)),
        Report(worker=0, lane="ingest", ranges=(part(0, 40),)),
        Report(worker=0, lane="ingest", ranges=(part(60, 40),), final=final(100)),
    ]
    found = collect(lines)
    assert [(one.first, one.count, one.outcome) for one in found.ranges] == [
        (0, 40, Outcome.ACCEPTED),
        (40, 20, Outcome.UNKNOWN),
        (60, 40, Outcome.ACCEPTED),
    ]
    assert (
        "reports of 1 of 1 generators were lost"
        in load_result(child(), found, engine="e").timeline.stopped_by
    )


def test_a_run_with_a_generator_that_sent_no_summary_is_incomplete() -> None:
    """One of two died: its events are unknown, and the run says so and when it can."""
    lines = [Report(worker=0, lane="ingest", ranges=(part(0, 10),), final=final(10, ended_s=15))]
    found = load_result(child(), collect(lines), engine="e", expected=2)
    assert "1 of 2 generators" in found.timeline.stopped_by
    assert load_status(found) is ExitStatus.COULD_NOT_TELL
    assert not load_result(child(), collect(lines), engine="e").timeline.stopped_by


def test_a_run_that_was_cut_short_says_when() -> None:
    """The earliest moment at which a generator stopped to send."""
    lines: list[Reserved | Report] = [
        Report(worker=n, lane="ingest", final=final(0, ended_s=at, stopped_by="interrupted"))
        for n, at in enumerate((4.5, 3.5))
    ]
    found = load_result(child(), collect(lines), engine="e", expected=2)
    assert (found.timeline.stopped_by, found.timeline.ended_s) == ("interrupted", 3.5)


def test_a_second_without_a_response_has_no_latency() -> None:
    """Only errors came: nothing was quick."""
    second = Second(t=3, errors={"time-out": 4})
    found = load_result(
        child(), collect([Report(worker=0, lane="ingest", seconds=(second,))]), engine="e"
    )
    assert found.timeline.seconds == ({"t": 3.0, "requests": 0.0, "events": 0.0, "errors": 4.0},)


def test_a_loop_that_had_no_processor_counts_as_a_machine_that_took_it() -> None:
    """Busy all the time on half a core: the other half was the machine's."""
    lines = [Report(worker=0, lane="ingest", final=final(0, starved_share=0.5))]
    assert load_result(child(), collect(lines), engine="e").machine.lost_share == 0.5


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(sorted(Outcome))), max_size=30))
def test_merging_ranges_keeps_every_event_and_its_outcome(parts: list[tuple[int, Outcome]]) -> None:
    """Disjoint ranges in any order: the same events with the same outcomes, in order."""
    ranges, at = [], 0
    for count, outcome in parts:
        ranges.append(part(at, count + 1, outcome))
        at += count + 2
    merged = merge_ranges(list(reversed(ranges)))

    def flat(given_ranges: Iterable[OutcomeRange]) -> dict[int, Outcome]:
        return {
            number: one.outcome
            for one in given_ranges
            for number in range(one.first, one.first + one.count)
        }

    assert flat(merged) == flat(ranges)
    assert [one.first for one in merged] == sorted(one.first for one in merged)


def test_a_file_that_was_cut_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    """A killed generator leaves half a line; the rest stands."""
    path = tmp_path / "load.ndjson"
    whole = encode(Reserved(worker=0, ranges=((0, 5),)))
    path.write_bytes(whole + b"\n" + whole[:7])
    assert read_lines(path) == [Reserved(worker=0, ranges=((0, 5),))]
    assert read_lines(tmp_path / "missing") == []
    # A full disk cut a line, and the next one stands glued to it.
    path.write_bytes(whole + b"\n" + whole[:7] + whole + b"\n" + whole + b"\n")
    assert len(read_lines(path)) == 2


def test_the_settings_name_what_the_digest_is_made_of() -> None:
    """Dotted keys with JSON text; neither the seed, the address nor the values of headers."""
    settings = comparable_settings(child())
    assert settings["shape.kind"] == '"constant"'
    assert settings["requests.batch"] == "100"
    assert settings["reads.share"] == "0.0"
    assert "seed" not in settings
    assert "127.0.0.1" not in str(settings)
    assert "secret" not in str(settings)


def test_only_runs_of_one_plan_have_one_digest() -> None:
    """Another seed or address may be compared, another rate may not."""
    other = GeneratorPlan(
        plan=with_changes(load_plan("steady"), seed=99), form=child().form, fleet=None
    )
    faster = GeneratorPlan(
        plan=with_changes(load_plan("steady"), rate=9), form=child().form, fleet=None
    )
    renamed = msgspec.structs.replace(
        child(),
        form=replace(
            child().over_http, format=EventFormat(fields={"log_id": FieldFormat(name="uuid")})
        ),
    )
    assert comparable_digest(child()) != comparable_digest(renamed)
    assert comparable_digest(child()) == comparable_digest(other)
    assert comparable_digest(child()) != comparable_digest(faster)


def test_errors_are_kept_by_second_and_reason_and_add_up() -> None:
    """Nine reasons: the seven most frequent have a row each, the others share one."""
    rows = [(t, [Second(t=t, errors={f"r{n}": 20 - n for n in range(9)})]) for t in range(3)]
    found = errors_by_second([(9, [Second(t=9, requests=4)]), *rows])
    assert list(found) == [*(f"r{n}" for n in range(7)), "rarer reasons"]
    assert found["r0"] == ((0, 20), (1, 20), (2, 20))
    assert found["rarer reasons"] == ((0, 25), (1, 25), (2, 25))
    assert errors_by_second(
        [(0, [Second(t=0, errors={"a": 1}), Second(t=0, errors={"a": 2})])]
    ) == {"a": ((0, 3),)}


def test_the_planned_rate_is_kept_where_it_changes() -> None:
    """Once where it is constant, each second of a ramp, nothing where no rate is planned."""
    steady = with_changes(load_plan("steady"), rate=100, duration_s=3600)
    assert planned_rates(steady) == ((0.0, 100.0),)
    ramp = with_changes(steady, duration_s=4, shape={"kind": "ramp"})
    assert planned_rates(ramp) == ((0.0, 12.5), (1.0, 37.5), (2.0, 62.5), (3.0, 87.5))
    reads = with_changes(steady, reads={"share": 0.2, "paths": ["log_summary/search"]})
    assert planned_rates(reads) == ((0.0, 80.0),)
    fast = with_changes(steady, shape={"kind": "as-fast-as-possible"})
    assert planned_rates(fast) == ()
    assert planned_rates(with_changes(steady, shape={"arrivals": "fleet"})) == ()
