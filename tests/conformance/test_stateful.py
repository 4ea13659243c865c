"""Stateful tests: sequences as parts of a journal, their operations, and a run on the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from tests.conformance.embedded import PlainIngest, started, target_of
from tests.conformance.literal import LiteralJournal, event
from tests.conformance.plan_context import CUSTOMERS, NOW, PREFIX, context_at
from tests.journal_header import journal_in
from trueup.conformance.contract.history import build_history
from trueup.conformance.datasets.operations import Deliver, Pay, Together
from trueup.conformance.stateful.evaluate import (
    judge_sequences,
    part_of_sequence,
    stage_of_sequence,
)
from trueup.conformance.stateful.operations import SequenceOperations
from trueup.conformance.stateful.run import explore
from trueup.conformance.stateful.steps import (
    DeliveryStep,
    EventChoice,
    HookStep,
    PaymentStep,
    RepeatStep,
    StepSequence,
    UserStep,
    step_sequences,
)
from trueup.reports.journal.records import Exchange, JudgePlan, Phase, Record
from trueup.reports.results import Outcome, Verdict

# --- sequences as parts of a journal


def sequence(number: int, outcome: Outcome = Outcome.ACCEPTED) -> LiteralJournal:
    """A sequence that has delivered one event; a minute has passed since."""
    story = LiteralJournal(stage=stage_of_sequence(number, 0))
    part = part_of_sequence(number)
    story.records = [
        msgspec.structs.replace(record, part=part) if isinstance(record, JudgePlan) else record
        for record in story.records
    ]
    return story.deliver(event(number), outcome=outcome).later()


def listed(story: LiteralJournal, *events: dict[str, Any]) -> list[Record]:
    user = event(1)["proxy_user_id"]
    records = story.search("log", list(events), walk=True, proxy_user_id=user).records
    part = story.stage.split()[1]
    return [*records, Phase(name=part, state="end", at="2026-03-10T12:10:00.000Z")]


def test_a_part_of_a_journal_holds_its_own_deliveries_only() -> None:
    """What another sequence delivered was delivered by others."""
    records = [*sequence(1).records, *sequence(2).records]
    (one,) = build_history(records, part_of_sequence(1)).records.values()
    (two,) = build_history(records, part_of_sequence(2)).records.values()
    assert (one.event.bytes, two.event.bytes) == (4, 16)
    assert not build_history(records).records


def test_a_sequence_that_shows_its_own_events_passes() -> None:
    """Each of two sequences lists its event and not that of the other one."""
    records = [*listed(sequence(1), event(1)), *listed(sequence(2), event(2))]
    result = judge_sequences(records)
    assert result.verdict is Verdict.PASS, result.reason
    assert result.reason.startswith("2 sequences")


def test_a_sequence_that_lacks_an_accepted_event_fails_by_its_law() -> None:
    """The difference names the law of the check that found it."""
    result = judge_sequences([*listed(sequence(1), event(1)), *listed(sequence(2))])
    assert result.verdict is Verdict.FAIL
    assert result.counterexample is not None
    (difference,) = result.counterexample.differences
    assert difference.where.startswith("LOG=SENT")
    assert event(2)["log_id"] in difference.where
    assert "1 of the 2 times" in result.reason


def test_sequences_without_an_accepted_event_are_inconclusive() -> None:
    """A target that refuses everything has shown nothing."""
    result = judge_sequences(listed(sequence(1, Outcome.REFUSED)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no event was accepted" in result.reason


def test_a_sequence_that_the_budget_cut_short_is_not_judged() -> None:
    """Its last responses may have been asked again."""
    cut_short = listed(sequence(2))[:-1]
    result = judge_sequences([*listed(sequence(1), event(1)), *cut_short])
    assert result.verdict is Verdict.PASS
    assert result.reason.startswith("1 sequences")


def test_a_user_that_was_created_over_the_api_is_no_user_of_another_customer() -> None:
    """Customer b has events of a user of the same name; a has only created it."""
    story = sequence(1)
    created = Exchange(
        n=99,
        method="POST",
        path="/public/user/proxy_user/create",
        at="2026-03-10T12:00:30.000Z",
        tenant="a",
        stage=story.stage,
        request_body={"proxy_user_id": "tp-000001-new"},
        status=200,
    )
    other = event(5, customer_id=1002, proxy_user_id="tp-000001-new")
    story.records.append(created)
    history = build_history(story.deliver(other).records, part_of_sequence(1))
    assert history.names_of_others("a") == frozenset()
    assert history.names_of_others("b") == {event(1)["proxy_user_id"]}
    assert history.has_user("a", "tp-000001-new", op=99)
    assert not history.has_user("a", "tp-000001-unknown", op=99)


# --- from steps to operations


def delivered(*choices: EventChoice) -> tuple[SequenceOperations, Deliver]:
    operations = SequenceOperations(context_at())
    made = operations.of(DeliveryStep(events=choices), NOW)
    assert isinstance(made, Deliver)
    return operations, made


def test_an_impossible_event_among_possible_ones_may_be_refused_and_is_mended_later() -> None:
    """The mended event has the id of the impossible one."""
    operations, made = delivered(EventChoice(), EventChoice(wrong="negative"), EventChoice())
    assert made.refusable == {1}
    assert made.events[1]["log_total_bytes"] == -5
    again = operations.of(RepeatStep(nth=1, change="mended"), NOW)
    assert isinstance(again, Deliver)
    assert again.events[0]["log_id"] == made.events[1]["log_id"]
    assert again.events[0]["log_total_bytes"] != -5


@pytest.mark.parametrize(
    ("change", "field"), [("content", "log_total_bytes"), ("customer", "customer_id")]
)
def test_a_changed_repetition_differs_in_one_field(change: str, field: str) -> None:
    """With other content, or by the other customer; the id is the same."""
    operations, made = delivered(EventChoice(customer="b"))
    again = operations.of(RepeatStep(nth=7, change=change), NOW)
    assert isinstance(again, Deliver)
    differing = {name for name in made.events[0] if made.events[0][name] != again.events[0][name]}
    assert differing == {field}


def test_repetitions_at_once_are_two_deliveries_of_one_event() -> None:
    """They begin at the same time."""
    operations, made = delivered(EventChoice())
    again = operations.of(RepeatStep(nth=0, at_once=True), NOW)
    assert isinstance(again, Together)
    assert [each.events for each in again.operations if isinstance(each, Deliver)] == [
        made.events,
        made.events,
    ]


def test_both_customers_pay_under_the_same_keys_where_keys_are_claimed() -> None:
    """Without the claim no key is used twice."""
    steps = [
        PaymentStep(customer=letter, pool="mobile", kind="top_up", amount="typical", key=1)
        for letter in CUSTOMERS
    ]
    for without, keys in (((), 1), (("idempotent-money",), 2)):
        operations = SequenceOperations(context_at(without=without))
        made = [operations.of(step, NOW) for step in steps]
        payments = [each for each in made if isinstance(each, Pay)]
        assert [each.tenant for each in payments] == ["a", "b"]
        assert len({each.key for each in payments}) == keys
        assert all(each.bytes > 0 for each in payments)


def test_reads_cover_every_user_of_the_sequence_in_its_customer() -> None:
    """Users of events, and users that were only created."""
    operations, _ = delivered(EventChoice(customer="b"))
    operations.of(UserStep(customer="a", user="limited", change="create"), NOW)
    requests, _ = operations.reads(NOW)
    users = {
        (r.tenant, dict(r.query)["proxy_user_id"])
        for r in requests
        if r.path == "log/search" and "proxy_user_id" in dict(r.query)
    }
    assert {("b", f"{PREFIX}-u-implicit-1"), ("a", f"{PREFIX}-u-limited-1")} <= users


@settings(max_examples=50)
@given(step_sequences(context_at()))
def test_a_generated_sequence_can_be_saved_and_becomes_operations(steps: StepSequence) -> None:
    """JSON and back; every step but reads and clock moves is an operation or nothing to do."""
    assert msgspec.json.decode(msgspec.json.encode(steps), type=StepSequence) == steps
    operations = SequenceOperations(context_at())
    for step in steps:
        if isinstance(step, DeliveryStep | RepeatStep | PaymentStep | UserStep | HookStep):
            operations.of(step, NOW)
    assert operations.reads(NOW)[0]


@settings(max_examples=30)
@given(
    step_sequences(
        context_at(
            level=2,
            customers={"a": 1955},
            without=("clock", "maintenance", "money", "restart", "proxy-user-edit"),
        )
    )
)
def test_steps_need_no_hook_or_claim_that_the_target_lacks(steps: StepSequence) -> None:
    """One customer, no hook: deliveries, repetitions and reads are left."""
    names = {str(msgspec.to_builtins(step)["step"]) for step in steps}
    assert names <= {"deliver", "repeat", "read"}
    assert all(
        choice.customer == "a"
        for step in steps
        if isinstance(step, DeliveryStep)
        for choice in step.events
    )


# --- on the reference


@pytest.mark.slow
def test_the_reference_agrees_with_the_contract(tmp_path: Path) -> None:
    """Impossible events, repetitions, payments, users, clock moves, maintenance in any order."""
    with started() as serving, journal_in(tmp_path) as writer:
        url = serving["ingest_url"]
        outcome = explore(
            target_of(serving, tmp_path),
            writer=writer,
            ingest=lambda: PlainIngest(url),
            seed=3,
            examples=15,
        )
    assert outcome.result.verdict is Verdict.PASS, outcome.result
    assert outcome.result.evidence >= 10_000
