"""The records of one run, indexed: what was injected, and what was requested and received.

A run and the offline evaluation build it from the same records with the same function, so that they
cannot disagree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from trueup.conformance.contract.history import part_of
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import (
    GraphPoint,
    Row,
    as_row,
    get_path,
    graph_points,
    parse_time,
    rows_of,
)
from trueup.reports.journal.records import (
    Delivered,
    Exchange,
    Hook,
    JudgePlan,
    Phase,
    ReadingSeen,
    Record,
)
from trueup.reports.results import Outcome, Reading

__all__ = [
    "InjectedEvent",
    "Observations",
    "PagedResult",
    "context_of",
    "describe_response",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectedEvent:
    """One event of one delivery."""

    event: Event
    outcome: Outcome
    reason: str
    dataset: str
    stage: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PagedResult:
    """All pages of one paged search, in order."""

    rows: tuple[Row, ...]
    exchanges: tuple[Exchange, ...]
    unusable: str = ""
    """Why the result is unusable; empty if it is usable."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the responses in the journal, in order."""
        return tuple(exchange.n for exchange in self.exchanges)


def context_of(plan: JudgePlan, readings: Mapping[str, str]) -> CheckContext:
    """Return the context that a plan describes, under the readings found so far."""
    now = parse_time(plan.now)
    assert now is not None, "a plan contains a time"
    return CheckContext(
        prefix=plan.prefix,
        now=now,
        level=plan.level,
        customers=plan.customers,
        claims=frozenset(plan.claims),
        hooks=frozenset(plan.hooks),
        unsent=frozenset(plan.unsent),
        late_days=float(readings.get("late-events-days", "7")),
        date_periods=readings.get("summary-period-form") == "date",
    )


class Observations:
    """An index of records; it never changes.

    `part` names the traffic whose reconciliation is read; without it, the records of the checks.
    """

    def __init__(self, records: Iterable[Record], *, part: str = "") -> None:
        self._part = part
        self.plan: JudgePlan | None = None
        self.exchanges: list[Exchange] = []
        self.stages: list[str] = []
        self.hooks: list[Hook] = []
        self.readings: dict[str, Reading] = {}
        self._deliveries: list[Delivered] = []
        self._asked: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        match record:
            case JudgePlan(part=self._part):
                self.plan = record
            case Exchange() if part_of(record.stage) == self._part:
                self.exchanges.append(record)
                asked = self._asked[record.stage, record.ask]
                if asked and asked[-1].attempt != record.attempt:
                    asked.clear()
                if asked and asked[-1].status == 429 and asked[-1].query == record.query:
                    asked.pop()  # it was repeated; the law on rates uses `exchanges`
                asked.append(record)
            case Delivered(source="probe"):
                self._deliveries.append(record)
            case Hook():
                self.hooks.append(record)
            case ReadingSeen() if not self._part or record.reading.how == "declared":
                # Probed readings may be known before or after; the reconciliation uses neither.
                self.readings[record.reading.name] = record.reading
            case Phase(state="begin") if record.name.startswith("judge "):
                self.stages.append(record.name.removeprefix("judge "))
            case _:
                pass

    @cached_property
    def context(self) -> CheckContext:
        """What the plan and the readings of the run state."""
        assert self.plan is not None, "the plan is written before anything is judged"
        return context_of(self.plan, {name: r.value for name, r in self.readings.items()})

    def reading(self, name: str, default: str = "") -> str:
        """Return how the target reads an open point: declared, else probed, else the default."""
        found = self.readings.get(name)
        return default if found is None else found.value

    def now(self, stage: str) -> datetime:
        """Return the target's time at the start of a stage, by the clock moves until then."""
        assert self.plan is not None
        at = parse_time(self.plan.now)
        reached = self.stages.index(stage) if stage in self.stages else len(self.stages)
        for hook in self.hooks:
            known = hook.stage in self.stages and self.stages.index(hook.stage) <= reached
            if hook.hook == "clock" and hook.ok and known and not hook.check:
                at = parse_time(hook.request.get("now")) or at
        assert at is not None
        return at

    # --- injected events

    @cached_property
    def injected(self) -> tuple[InjectedEvent, ...]:
        """Every delivered event in order; an event that was delivered twice is listed twice."""
        return tuple(
            InjectedEvent(
                event=event,
                outcome=outcome.outcome,
                reason=outcome.reason,
                dataset=delivery.check,
                stage=delivery.stage,
            )
            for delivery in self._deliveries
            for outcome in delivery.outcomes
            for event in delivery.events[outcome.first : outcome.first + outcome.count]
        )

    def events(self, *datasets: str, outcome: Outcome = Outcome.ACCEPTED) -> tuple[Event, ...]:
        """Return the events of the datasets whose best outcome is `outcome`, each once."""
        best: dict[str, Outcome] = {}
        found: dict[str, Event] = {}
        rank = (Outcome.REFUSED, Outcome.UNKNOWN, Outcome.ACCEPTED)
        for injected in self.injected:
            if injected.dataset in datasets:
                key = str(injected.event["log_id"])
                found.setdefault(key, injected.event)
                if key not in best or rank.index(injected.outcome) > rank.index(best[key]):
                    best[key] = injected.outcome
        return tuple(event for key, event in found.items() if best[key] is outcome)

    # --- responses

    def response(self, stage: str, ask: ApiRequest) -> Exchange | None:
        """Return the last response to a request, or None if it was not sent."""
        asked = self._asked.get((stage, ask.name))
        return asked[-1] if asked else None

    def paged_result(self, stage: str, ask: ApiRequest) -> PagedResult | None:
        """Return all rows of the last paged search, or None if it was not sent."""
        asked = self._asked.get((stage, ask.name))
        if not asked:
            return None
        rows: list[Row] = []
        trouble = ""
        for exchange in asked:
            found = rows_of(exchange.body) if exchange.status == 200 else None
            if found is not None:
                rows += found
            else:
                trouble = describe_response(exchange)
        more = as_row(asked[-1].body).get("item_count")
        if not trouble and len(asked) >= ask.pages > 1 and more:
            trouble = f"{ask.path}: more than {ask.pages} pages"
        return PagedResult(rows=tuple(rows), exchanges=tuple(asked), unusable=trouble)

    def points(
        self, stage: str, ask: ApiRequest
    ) -> tuple[tuple[GraphPoint, ...], Exchange | None, str]:
        """Return the points of a graph, their exchange, and why they are unusable, if so."""
        exchange = self.response(stage, ask)
        if exchange is None:
            return (), None, "not requested"
        if exchange.status != 200:
            return (), exchange, describe_response(exchange)
        assert self.plan is not None
        found = graph_points(exchange.body, self.plan.graph)
        return ((), exchange, found) if isinstance(found, str) else (found, exchange, "")

    def row(self, stage: str, ask: ApiRequest) -> Row | None:
        """Return the `data` object of a retrieve with status 200, or None."""
        exchange = self.response(stage, ask)
        if exchange is None or exchange.status != 200:
            return None
        data = get_path(exchange.body, "data")
        return data if isinstance(data, dict) else None

    @cached_property
    def last_responses(self) -> tuple[Exchange, ...]:
        """The last attempt of every request, with all its pages, in the order of the journal."""
        last = (exchange for asked in self._asked.values() for exchange in asked)
        return tuple(sorted(last, key=lambda exchange: exchange.n))

    def asked_in(self, stage: str) -> Sequence[Exchange]:
        """Return the exchanges of a stage, in order."""
        return [exchange for exchange in self.exchanges if exchange.stage == stage]

    def age(self, stage: str, event: Row) -> timedelta:
        """Return how old an event is at the start of a stage, by the target's clock."""
        at = parse_time(event.get("log_request_datetime"))
        assert at is not None, "injected events have a time"
        return self.now(stage) - at


def describe_response(exchange: Exchange) -> str:
    """Return a description of a response that is unusable."""
    if exchange.status is None:
        return f"{exchange.path}: {exchange.error or 'no response'}"
    message = get_path(exchange.body, "message")
    kind = "" if exchange.body is not None else f" with {exchange.content_type or 'no body'}"
    return f"{exchange.path}: status {exchange.status}{kind}" + (
        f" ({message})" if isinstance(message, str) and exchange.status != 200 else ""
    )
