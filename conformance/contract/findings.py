"""Results of comparing responses with the model: observations, deviations, unusable responses.

One `RequestFinding` is the result of one request (or of all pages of a search). It depends only on
that request's responses and on what was done before, so that it can be kept while other responses
change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trueup.conformance.contract.check_names import ORDER, TENANTS
from trueup.conformance.contract.history import SentEvent
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.rows import Row, as_int
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Counts, Json

__all__ = ["Cell", "Deviation", "JudgedRequest", "ListedRows", "OptionalField", "RequestFinding"]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """The key of a summary within one customer; `hostname` as DNS sees it, or empty for all."""

    user: str
    network: str
    hostname: str
    day: str

    def topic(self, customer: str) -> tuple[str, ...]:
        """Return what a deviation of a customer's cell is about."""
        return ("cell", customer, self.user, self.network, self.hostname, self.day)

    def __str__(self) -> str:
        return f"{self.user} · {self.network} · {self.hostname or 'all hostnames'} · {self.day}"


@dataclass(frozen=True, slots=True)
class ListedRows:
    """The rows that a search returned, and whether they are all that match."""

    rows: tuple[Row, ...]
    complete: bool
    paged: bool
    """Whether they were read page by page."""
    total: int | None
    """`total_count`, if it counts."""


@dataclass(frozen=True, slots=True)
class JudgedRequest:
    """One request of a stage, or all pages of a search: the responses of its last attempt."""

    stage: str
    ask: str
    op: int
    """Place in the journal of its first response: what stands before was done before."""
    exchanges: tuple[Exchange, ...]
    attempts: int
    """Which attempt of this stage it is, from 1."""
    last: bool
    """Whether it is the last attempt of its stage."""
    before: tuple[int | None, ...]
    """Statuses of the attempts before it."""
    now: datetime
    """The target's time when it was asked."""
    asked_at: datetime
    """Our time when it was asked."""

    @property
    def first(self) -> Exchange:
        """The first response; for a paged search, its first page."""
        return self.exchanges[0]

    @property
    def filters(self) -> dict[str, str]:
        """The parameters of its query, page and size aside."""
        return {n: value for n, value in self.first.query if n not in ("page", "per_page")}

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the responses in the journal, in order."""
        return tuple(exchange.n for exchange in self.exchanges)

    @property
    def ended(self) -> datetime:
        """The target's time, at the latest, when the last response came."""
        spent = timedelta(milliseconds=sum(exchange.elapsed_ms for exchange in self.exchanges))
        return self.now + CLOCK_SLACK + spent

    @property
    def customer(self) -> str:
        """Letter of the customer whose keys were used; `none`, `wrong` … for other keys."""
        return self.first.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One place where a response is not what the model expects."""

    check: str
    """The check to which it is attributed, unless it has another cause."""
    where: str
    expected: str
    seen: str
    unit: JudgedRequest
    exchanges: tuple[int, ...] = ()
    events: tuple[SentEvent, ...] = ()
    topic: tuple[str, ...] = ()
    """What it is about, for finding its cause: (`log`, customer, id), (`cell`, customer, …)."""
    expected_counts: Counts | None = None
    seen_counts: Counts | None = None
    filtered: bool = False
    """Whether the listing was asked for with filters beside a proxy user."""
    definite: bool = False
    """Whether waiting cannot mend it: it does not depend on how fresh the view is."""


@dataclass(slots=True)
class OptionalField:
    """How a field that a target may leave out was seen over many rows."""

    shown: int = 0
    """Rows that showed what was sent."""
    absent: list[tuple[str, Json, JudgedRequest, SentEvent | None]] = field(default_factory=list)
    """(where, sent, unit, event) of rows that showed nothing though something was sent."""
    fillers: dict[str, list[tuple[str, JudgedRequest]]] = field(default_factory=dict)
    """Value shown where nothing was sent → where."""


@dataclass(slots=True)
class RequestFinding:
    """Collects what one unit shows."""

    unit: JudgedRequest
    evidence: dict[str, int] = field(default_factory=dict)
    """Check → comparisons that could have refuted it."""
    deviations: list[Deviation] = field(default_factory=list)
    unusable: dict[str, int] = field(default_factory=dict)
    """Why a response could not be used → its number."""
    affected: set[str] = field(default_factory=set)
    """Checks that would have been tested by a response that could not be used."""
    optional: defaultdict[str, OptionalField] = field(
        default_factory=lambda: defaultdict(OptionalField)
    )
    """Field (with its view) → how it was seen."""
    seen_cells: dict[tuple[str, str, str], Mapping[Cell, Counts]] = field(default_factory=dict)
    """(view, customer, user) → cells as shown by a listing of everything of that user."""
    listed: set[tuple[str, Cell]] = field(default_factory=set)
    """(customer, cell) of every summary row that was listed."""
    seen_rows: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    """(resource, customer, id) → row as shown by a search."""
    listing: tuple[str, SearchRequest, ListedRows] | None = None
    """(resource, request, rows) of a search whose rows only another response tells."""
    figures: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    """(figure, customer, pool) → (value, how far it moved since the baseline)."""
    split: dict[str, list[Deviation | None]] = field(default_factory=dict)
    """Reading of what counts as an error → a deviation, or None for agreement, for each count."""
    presence: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    """(kind of object, customer, field) → objects that show it, and objects that lack it."""
    foreign: int = 0
    """Rows of other users of the account that were seen."""

    def note_optional(self, key: str, where: str, value: Json, expected: Json) -> None:
        """Note whether a field (with its view) that may be left out everywhere is shown here."""
        found = self.optional[key]
        if value is None:
            found.absent.append((where, expected, self.unit, None))
        else:
            found.shown += 1

    def note_cells(self, view: str, users: Iterable[str], cells: Mapping[Cell, Counts]) -> None:
        """Keep what a listing of everything of some users adds up to, user by user."""
        by_user: dict[str, dict[Cell, Counts]] = {user: {} for user in users}
        for cell, counts in cells.items():
            by_user.setdefault(cell.user, {})[cell] = counts
        for user, own in by_user.items():
            self.seen_cells[view, self.unit.customer, user] = own

    def compare_owner(self, where: str, row: Row, customer: Json) -> None:
        """Compare the customer number of a row, where it shows one."""
        number = as_int(row, "customer_id")
        if number is not None:
            self.equal(TENANTS, f"{where} · customer_id", customer, number, definite=True)

    def compare_refusal(self, check: str, where: str, *, served: bool) -> None:
        """Compare the response to a request for something that must not be served."""
        self.observed(check)
        if served:
            self.deviate(check, where, "not served", "served", definite=True)

    def compare_split(
        self, check: str, where: str, requests: int, successful: int | None, error: int | None
    ) -> None:
        """Compare successes and errors, where both are shown, with the requests that they split."""
        if successful is not None and error is not None:
            where = f"{where} · successful + error"
            self.equal(check, where, requests, successful + error, definite=True)

    def compare_times(self, check: str, where: str, made: datetime, changed: datetime) -> None:
        """Compare creation and last change of a row: in order, and not ahead of the present."""
        self.observed(check)
        self.observed(ORDER)
        now = self.unit.ended
        if made > changed:
            self.deviate(
                ORDER,
                f"{where} · times",
                "created before its last change",
                f"created {made}, changed {changed}",
                definite=True,
            )
        elif changed > now:
            self.deviate(
                check, f"{where} · last_update", f"not after {now}", changed, definite=True
            )

    def observed(self, check: str, amount: int = 1) -> None:
        """Count comparisons that could have refuted a check."""
        self.evidence[check] = self.evidence.get(check, 0) + amount

    def deviate(
        self,
        check: str,
        where: str,
        expected: object,
        seen: object,
        *,
        exchanges: Sequence[int] = (),
        events: Sequence[SentEvent] = (),
        topic: tuple[str, ...] = (),
        counts: tuple[Counts, Counts] | None = None,
        filtered: bool = False,
        definite: bool = False,
    ) -> None:
        """Note a place where the response is wrong; it counts as an observation as well."""
        self.observed(check)
        self.deviations.append(
            Deviation(
                check=check,
                where=where,
                expected=str(expected),
                seen=str(seen),
                unit=self.unit,
                exchanges=tuple(exchanges) or self.unit.numbers[-6:],
                events=tuple(events)[:8],
                topic=topic,
                expected_counts=counts[0] if counts else None,
                seen_counts=counts[1] if counts else None,
                filtered=filtered,
                definite=definite,
            )
        )

    def equal(
        self,
        check: str,
        where: str,
        expected: object,
        seen: object,
        exchange: int | None = None,
        *,
        definite: bool = False,
    ) -> bool:
        """Compare one value with what it must be; return whether they are equal."""
        if expected == seen and type(expected) is not bool and type(seen) is not bool:
            self.observed(check)
            return True
        if expected is seen:
            self.observed(check)
            return True
        numbers = () if exchange is None else (exchange,)
        self.deviate(check, where, expected, seen, exchanges=numbers, definite=definite)
        return False

    def cannot_use_response(self, exchange: Exchange, *checks: str) -> None:
        """Note a response that is missing or has an unusable status; the checks that needed it."""
        missing = exchange.status is None or bool(exchange.error)
        what = (exchange.error or "no response") if missing else f"status {exchange.status}"
        self.cannot_use(f"{exchange.path}: {what}", exchange.n, *checks)

    def cannot_use(self, why: str, number: int, *checks: str) -> None:
        """Note a response that could not be used, and the checks that needed it."""
        self.unusable.setdefault(why, number)
        self.affected.update(checks)
