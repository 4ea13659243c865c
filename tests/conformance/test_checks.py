"""Judges: a literal history in, a literal finding out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.conformance.observations_of import PREFIX, Story, event, summary, user
from trueup.conformance import requests
from trueup.conformance.checks import snapshots
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.evaluate import judge_all
from trueup.conformance.checks.finding import Finding
from trueup.conformance.checks.ledgers import ledger_equals_summaries
from trueup.conformance.checks.logs import logs_equal_sent
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.checks.retention import CHECKS as RETENTION
from trueup.conformance.checks.summaries import CHECKS as SUMMARIES
from trueup.conformance.checks.summaries import summaries_equal_logs
from trueup.reports.results import CheckResult, Json, Outcome, Verdict

LOGS = requests.logs(user("race"))
SUMS = requests.summaries(user("race"))


def named(checks: tuple[Check, ...], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_every_log_once_as_sent_passes() -> None:
    """Two events, two logs, nothing altered; upper case is no other host."""
    events = (event("race", 0), event("race", 1, log_hostname="H.Example."))
    story = (
        Story().stage("inject").injected("race", *events).told(LOGS, event("race", 0), events[1])
    )
    found = logs_equal_sent("race")(story.observations)
    assert (found.verdict, found.evidence) == (Verdict.PASS, 2)


def test_a_lost_log_is_named() -> None:
    story = Story().stage("inject").injected("race", event("race", 0), event("race", 1))
    found = logs_equal_sent("race")(story.told(LOGS, event("race", 0)).observations)
    assert found.verdict is Verdict.FAIL
    assert found.differences[0].seen == "0 logs"
    assert [e["log_id"] for e in found.events] == [event("race", 1)["log_id"]]
    assert found.exchanges == (1,)


def test_a_doubled_log_is_named() -> None:
    story = Story().stage("inject").injected("race", event("race", 0))
    found = logs_equal_sent("race")(
        story.told(LOGS, event("race", 0), event("race", 0)).observations
    )
    assert found.verdict is Verdict.FAIL
    assert found.differences[0].seen == "2 logs"


def test_an_altered_field_is_named() -> None:
    """The client address with its last part cut off."""
    row = event("race", 0, log_client_ip_address="198.51.100.0")
    story = Story().stage("inject").injected("race", event("race", 0)).told(LOGS, row)
    found = logs_equal_sent("race")(story.observations)
    assert found.verdict is Verdict.FAIL
    assert found.differences[0].where.endswith("log_client_ip_address")


def test_an_unknown_delivery_may_have_a_log_or_not() -> None:
    """Neither lost nor stored: both histories pass."""
    for rows in ((), (event("race", 0),)):
        story = Story().stage("inject")
        story.injected("race", event("race", 0), outcome=Outcome.UNKNOWN).told(LOGS, *rows)
        assert logs_equal_sent("race")(story.observations).verdict is Verdict.PASS


def test_an_answer_that_cannot_be_used_is_no_verdict() -> None:
    story = Story().stage("inject").injected("race", event("race", 0)).told(LOGS, status=500)
    found = logs_equal_sent("race")(story.observations)
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("requests", "total", "guilty"),
    [(2, 1 + 16, [1]), (4, 1 + 4 + 2 * 16, [2]), (0, 0, [0, 1, 2])],
)
def test_the_total_in_base_4_names_the_event(requests: int, total: int, guilty: list[int]) -> None:
    """Digit 0 is lost, digit 2 is counted twice."""
    events = [event("race", n) for n in range(3)]
    story = Story().stage("inject").injected("race", *events).told(LOGS, *events)
    found = summaries_equal_logs("race")(
        story.told(SUMS, summary("race", requests, total)).observations
    )
    assert found.verdict is Verdict.FAIL
    assert [e["log_id"] for e in found.events] == [events[n]["log_id"] for n in guilty]


def test_a_day_that_has_too_much_while_another_has_too_little_breaks_day() -> None:
    """A server five hours behind UTC."""
    check = named(SUMMARIES, "day-of-the-request")
    events = (
        event("comb", 0, log_request_datetime="2025-04-09 00:00:00"),
        event("comb", 1, log_request_datetime="2025-04-09 23:59:59"),
    )
    rows = (
        summary("comb", 1, 1, log_summary_period="2025-04-08"),
        summary("comb", 1, 4, log_summary_period="2025-04-09"),
    )
    story = Story().stage("inject").injected("comb", *events)
    found = check.judge(story.told(requests.summaries(user("comb")), *rows).observations)
    assert found.verdict is Verdict.FAIL
    assert found.differences[0].where == f"{PREFIX}-comb-1 · 2025-04-08"


def test_a_lost_event_does_not_break_day() -> None:
    """Nothing moved to another day: that is another law's affair."""
    check = named(SUMMARIES, "day-of-the-request")
    events = (event("comb", 0), event("comb", 1))
    story = Story().stage("inject").injected("comb", *events)
    story.told(requests.summaries(user("comb")), summary("comb", 1, 1))
    assert check.judge(story.observations).verdict is Verdict.PASS


def test_a_log_served_after_nine_days_breaks_retention() -> None:
    check = named(RETENTION, "logs-go-after-7-days")
    one = event("comb", 0)
    story = Story().stage("inject").injected("comb", one).stage("past-7", "2025-04-19 18:00:00")
    story.told(requests.logs(user("comb"))).told(requests.logs(user("late")))
    story.answered(requests.log(str(one["log_id"])), {"data": one, "message": "-"})
    found = check.judge(story.observations)
    assert found.verdict is Verdict.FAIL
    assert found.differences[0].seen == "served at 9.29 days"


def test_counts_lost_in_consolidation_are_found() -> None:
    """Two hostnames before, the counts of one after."""
    check = named(RETENTION, "consolidation-keeps-the-counts")
    before = (
        summary("comb", 2, 20),
        summary("comb", 1, 5, log_summary_hostname="other.example"),
    )
    ask = requests.summaries(user("comb"))
    story = Story().stage("inject").told(ask, *before).stage("past-90", "2025-07-13 12:00:00")
    story.told(ask, summary("comb", 2, 20, log_summary_hostname=None))
    found = check.judge(story.observations)
    assert found.verdict is Verdict.FAIL
    assert (found.differences[0].expected, found.differences[0].seen) == ("3", "2")


# --- the rules that hold for every check


def results(story: Story, *checks: str) -> list[CheckResult]:
    return judge_all(story.observations, [named(CHECKS, name) for name in checks])


def test_too_little_evidence_is_inconclusive() -> None:
    """Twelve events are asked for by the check; one was there."""
    story = Story().stage("inject").injected("batches", event("batches", 0))
    story.told(requests.logs(user("batches")), event("batches", 0))
    (result,) = results(story, "logs-of-batches")
    assert (result.verdict, result.evidence, result.evidence_needed) == (
        Verdict.INCONCLUSIVE,
        1,
        12,
    )


def test_what_is_not_claimed_is_not_applicable() -> None:
    (result,) = results(Story().stage("inject"), "successes-and-errors-add-up")
    assert result.verdict is Verdict.NOT_APPLICABLE


def test_dependants_fold_below_their_root() -> None:
    """Days in local time make summaries differ from logs as well: one root, one dependant."""
    one = event("comb", 0, log_request_datetime="2025-04-09 00:00:00")
    moved = summary("comb", 1, 1, log_summary_period="2025-04-08")
    story = Story().stage("inject").injected("comb", one).told(requests.logs(user("comb")), one)
    story.told(requests.summaries(user("comb")), moved)
    dependant, root = results(story, "summaries-equal-logs", "day-of-the-request")
    assert root.verdict is Verdict.FAIL
    assert (dependant.verdict, dependant.blocked_by) == (Verdict.BLOCKED, "day-of-the-request")


def test_every_check_is_named_once_and_can_be_refuted() -> None:
    """Unique names, a law, clauses, some least evidence; grounds that are laws."""
    laws = {check.law for check in CHECKS}
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    for check in CHECKS:
        assert check.needed >= 1
        assert check.clauses
        assert set(check.rests_on) <= laws


def _fenced(*, totals: tuple[int, int], ledger: tuple[int, int]) -> Finding:
    """A fence over two pages of summaries, the last row of one given again on the next.

    The day's usage was 0 at the start; its summaries hold 10 + 20 + 30 bytes, and `ledger` is
    what was used before and after they were read.
    """
    story = Story()
    scene = story.observations.context
    usage = {
        "residential_ledger_id": "l1",
        "residential_ledger_reason": "usage",
        "residential_ledger_period_date": "2025-04-10",
    }
    cells = [
        summary("comb", 1, n, log_summary_id=f"s{n}", log_summary_network="residential")
        for n in (10, 20, 20, 30)
    ]
    first, last = scene.now - timedelta(days=snapshots.DAYS), scene.now + timedelta(days=1)
    summed = requests.pool_summaries("residential", first, last, dates=False)
    for stage, used in (("baseline", (0, 0)), ("inject", ledger)):
        story.stage(stage)
        for again, spent in zip((1, 2), used, strict=True):
            row: dict[str, Json] = {**usage, "residential_ledger_bytes": -spent}
            story.told(requests.ledger("residential", again), row)
        if stage == "inject":
            story.told(summed, *cells[:2], total=totals[0])
            story.told(summed, *cells[2:], total=totals[1])
        else:
            story.told(summed)
        for again in (1, 2):  # the other pool stands still and empty
            story.told(requests.ledger("mobile", again))
            story.answered(requests.account("residential", again), {"data": {}})
    return ledger_equals_summaries("inject")(story.observations)


@pytest.mark.parametrize(
    ("totals", "ledger", "verdict"),
    [
        pytest.param((4, 4), (60, 60), Verdict.FAIL, id="doubled-while-nothing-moved"),
        pytest.param((2, 3), (60, 60), Verdict.PASS, id="pushed-along-by-a-new-row"),
        pytest.param((-1, -1), (50, 60), Verdict.PASS, id="moving-and-not-counted"),
        pytest.param((2, 3), (61, 61), Verdict.FAIL, id="a-byte-too-much-all-the-same"),
        pytest.param((2, 3), (61, 70), Verdict.INCONCLUSIVE, id="others-at-work"),
    ],
)
def test_a_row_that_a_moving_walk_gave_twice_counts_once(
    totals: tuple[int, int], ledger: tuple[int, int], verdict: Verdict
) -> None:
    """Foreign rows push the rest along; what a walk at rest gives twice is the target's doing."""
    assert _fenced(totals=totals, ledger=ledger).verdict is verdict


def _refused(*worlds: str) -> Story:
    """A run whose every event came too late for the target."""
    story = Story().stage("inject")
    for number, world in enumerate(worlds):
        story.injected(
            world, event(world, number), outcome=Outcome.REFUSED, reason="more than 7 days old"
        )
    return story


def test_no_law_is_broken_where_every_event_was_refused() -> None:
    """Whatever rests on refused events is inconclusive, and says why they were refused."""
    resting = [
        c for c in CHECKS if c.datasets and not c.refusable and not c.claim and not c.needs_hook
    ]
    story = _refused(*dict.fromkeys(world for check in resting for world in check.datasets))
    results = judge_all(story.observations, resting)
    assert {"FRESH", "MONOTONE", "SUM=LOG", "LOG=SENT", "DAY"} <= {r.law for r in results}
    assert {r.verdict for r in results} == {Verdict.INCONCLUSIVE}
    assert all("refused: more than 7 days old; is the target's clock" in r.reason for r in results)


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNKNOWN])
def test_one_event_that_may_have_been_taken_in_is_judged(outcome: Outcome) -> None:
    """The excuse holds only where nothing at all was taken in."""
    story = _refused("comb").injected("comb", event("comb", 9), outcome=outcome)
    assert story.observations.refusal("comb") == ""
    assert story.observations.refusal("race") == ""


def test_impossible_events_do_right_to_be_refused() -> None:
    assert [check.law for check in CHECKS if check.refusable] == ["RANGE"]
