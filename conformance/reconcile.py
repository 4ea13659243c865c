"""Fleet and load traffic, held to what the target reports: lost, doubled, altered, foreign.

`judge_traffic` is pure: from expected cells and from what a reconciliation has read to verdicts
and tie-out rows. Events whose delivery has no known outcome widen the expectation; they are
counted neither as lost nor as stored. What others sent to the same tenant is told apart by its
proxy users, and where only totals are known, an excess convicts nobody: it is inconclusive.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

from conformance import asks
from conformance.facts import Facts
from conformance.model import Check, Finding
from conformance.oracle import NOTHING, altered
from conformance.ports import SentTraffic
from conformance.rows import Row, day_of, dotted, text, whole
from conformance.tally import Tally
from conformance.traffic_asks import (
    graph_asks,
    log_count_ask,
    log_id_asks,
    log_walk_asks,
    stage_of,
    summary_asks,
)
from conformance.verdicts import judge_all
from reports.facts import CellKey, CheckResult, Counts, Impact, Outcome, TieOut
from reports.records import Record

__all__ = ["PARTS", "judge_traffic", "traffic_checks"]

PARTS: Final = ("fleet", "load")
"""Traffic that can be reconciled, as `Delivered.source` names it."""
_VIEWS: Final = (
    ("logs", "LOG=SENT", "The logs are the events that were sent, each once."),
    ("summaries", "SUM=LOG", "The summaries add up to what was sent, cell by cell."),
    ("ledgers", "LEDGER=SUM", "The ledgers' usage rises by the metered bytes that were sent."),
    ("graph", "GRAPH=SENT", "The graph shows what was sent, network by network."),
)


def add(one: Counts, other: Counts) -> Counts:
    """The sum of two counts."""
    return Counts(*(a + b for a, b in zip(one, other, strict=True)))


@dataclass(frozen=True)
class Expected:
    """What was sent, in the sums that the views are compared with. Computed once.

    Where the target reads failed or empty requests as not counted, what is certain shrinks to what
    counts in any case, and the slack takes the rest: sums do not tell which bytes were whose.
    """

    sent: SentTraffic
    failed_count: bool = True
    empty_count: bool = True

    @cached_property
    def cells(self) -> Mapping[CellKey, Counts]:
        if self.failed_count and self.empty_count:
            return self.sent.cells()
        return {key: self._split(counts)[0] for key, counts in self.sent.cells().items()}

    @cached_property
    def slack(self) -> Mapping[CellKey, Counts]:
        if self.failed_count and self.empty_count:
            return self.sent.slack()
        slack = dict(self.sent.slack())
        for key, counts in self.sent.cells().items():
            slack[key] = add(slack.get(key, NOTHING), self._split(counts)[1])
        return slack

    @classmethod
    def as_read(cls, sent: SentTraffic, readings: Mapping[str, str]) -> Expected:
        """What summaries, ledgers and graph must show under a target's readings."""
        return cls(
            sent,
            failed_count=readings.get("failed-requests", "counted") == "counted",
            empty_count=readings.get("zero-byte-requests", "counted") == "counted",
        )

    def _split(self, counts: Counts) -> tuple[Counts, Counts]:
        """What must be counted, and what may be."""
        most = counts.requests if self.failed_count else counts.successful
        least = most if self.empty_count else 0
        free = counts.bytes if counts.error and not self.failed_count else 0
        sure = counts._replace(requests=least, bytes=counts.bytes - free)
        return sure, Counts(most - least, free, 0, 0)

    @cached_property
    def users(self) -> frozenset[tuple[int, str]]:
        keys = (*self.cells, *self.slack)
        return frozenset((key.customer_id, key.proxy_user_id) for key in keys)

    @cached_property
    def days(self) -> Mapping[tuple[int, str, str], tuple[Counts, Counts]]:
        """(tenant, network, day) to (accepted, unknown)."""
        sums: dict[tuple[int, str, str], list[Counts]] = defaultdict(lambda: [NOTHING, NOTHING])
        for lane, cells in enumerate((self.cells, self.slack)):
            for key, counts in cells.items():
                both = sums[key.customer_id, key.network, key.day]
                both[lane] = add(both[lane], counts)
        return {key: (both[0], both[1]) for key, both in sums.items()}

    def total(self, customer: int) -> tuple[Counts, Counts]:
        """All of a tenant's accepted and unknown events."""
        accepted, unknown = NOTHING, NOTHING
        for key, (sure, maybe) in self.days.items():
            if key[0] == customer:
                accepted, unknown = add(accepted, sure), add(unknown, maybe)
        return accepted, unknown


def traffic_checks(part: str) -> tuple[str, ...]:
    """Names of the checks of a part, for the journal's header: `fleet-logs-equal-sent` …"""
    return tuple(f"{part}-{view}-equal-sent" for view, _, _ in _VIEWS)


def judge_traffic(
    records: Iterable[Record], sent: SentTraffic, part: str
) -> tuple[list[CheckResult], list[TieOut]]:
    """Verdicts and tie-out rows of one part, from the journal's records and what was sent.

    Nothing where the records hold no reconciliation of that part.
    """
    facts = Facts(records, part=part)
    if facts.plan is None:
        return [], []
    expected = Expected(sent)
    summed = Expected.as_read(sent, {name: one.value for name, one in facts.readings.items()})
    rows: list[TieOut] = []
    checks = [
        Check(
            name=name,
            law=law,
            title=title,
            judge=partial(
                judge, expected=expected if judge is _logs else summed, part=part, rows=rows
            ),
            impact=Impact.UNDER_CHARGE,
            eventual=True,
        )
        for name, (_, law, title), judge in zip(
            traffic_checks(part), _VIEWS, (_logs, _summaries, _ledgers, _graph), strict=True
        )
    ]
    return judge_all(facts, checks), rows


def _tenants(facts: Facts) -> dict[int, str]:
    assert facts.plan is not None
    return {number: letter for letter, number in facts.plan.customers.items()}


# --- summaries, cell by cell


def _key(row: Row, customer: int) -> CellKey:
    return CellKey(
        customer,
        text(row, "proxy_user_id") or "",
        text(row, "log_summary_network") or "",
        text(row, "log_summary_hostname") or "",
        day_of(row.get("log_summary_period")) or "no day",
    )


def _counts(row: Row) -> Counts:
    return Counts(
        *(
            whole(row, f"log_summary_{name}") or 0
            for name in ("requests", "bytes", "successful", "error")
        )
    )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the summaries show of the traffic's days."""

    own: Mapping[CellKey, Counts]
    foreign: Mapping[tuple[int, str, str], Counts]
    """(tenant, network, day) to what other proxy users of the tenant have there."""
    where: Mapping[CellKey, int]
    """The exchange that showed a cell."""
    covered: frozenset[tuple[int, str]]
    """(tenant, proxy user) walked; an empty user stands for the whole tenant."""

    def whole(self, customer: int) -> bool:
        """Whether everything of a tenant was seen, so that what is foreign is known."""
        return (customer, "") in self.covered

    def covers(self, key: CellKey) -> bool:
        """Whether the cell would have been seen."""
        whole_tenant = (key.customer_id, "")
        return whole_tenant in self.covered or key[:2] in self.covered


def _see(facts: Facts, tally: Tally, expected: Expected, part: str) -> Seen:
    own: dict[CellKey, Counts] = {}
    foreign: dict[tuple[int, str, str], Counts] = {}
    where: dict[CellKey, int] = {}
    covered: set[tuple[int, str]] = set()
    for ask in summary_asks(facts, expected.cells, expected.slack):
        walk = tally.walk(stage_of(part), ask)
        if walk is None:
            continue
        customer = facts.scene.customers[ask.tenant]
        covered.add((customer, dict(ask.query).get("proxy_user_id", "")))
        for exchange in walk.exchanges:
            data = dotted(exchange.body, "data")
            for row in data if isinstance(data, list) else []:
                if not isinstance(row, dict):
                    continue
                key = _key(row, customer)
                if (customer, key.proxy_user_id) in expected.users:
                    own[key] = add(own.get(key, NOTHING), _counts(row))
                    where[key] = exchange.n
                else:
                    lane = (customer, key.network, key.day)
                    foreign[lane] = add(foreign.get(lane, NOTHING), _counts(row))
    return Seen(own=own, foreign=foreign, where=where, covered=frozenset(covered))


def _within(seen: int, sure: int, maybe: int) -> bool:
    return sure <= seen <= sure + maybe


def _summaries(facts: Facts, expected: Expected, part: str, rows: list[TieOut]) -> Finding:
    tally = Tally(facts)
    seen = _see(facts, tally, expected, part)
    sums: dict[tuple[int, str], list[Counts]] = defaultdict(lambda: [NOTHING] * 3)
    for key in sorted({*expected.cells, *expected.slack, *seen.own}):
        if not seen.covers(key):
            continue
        sure, maybe = expected.cells.get(key, NOTHING), expected.slack.get(key, NOTHING)
        have = seen.own.get(key, NOTHING)
        both = sums[key.customer_id, key.network]
        sums[key.customer_id, key.network] = [
            add(both[0], sure),
            add(both[1], maybe),
            add(both[2], have),
        ]
        tally.saw()
        if not (
            _within(have.requests, sure.requests, maybe.requests)
            and _within(have.bytes, sure.bytes, maybe.bytes)
        ):
            tally.differs(
                f"tenant {key.customer_id} · {key.proxy_user_id} · {key.network} · "
                f"{key.hostname} · {key.day}",
                _range(sure, maybe),
                f"{have.requests} requests, {have.bytes} bytes ({_kind(have, sure, maybe)})",
                exchanges=[seen.where[key]] if key in seen.where else (),
            )
        elif (have.successful or have.error) and not maybe.requests:
            _hold_statuses(tally, key, sure, have, seen.where.get(key, 0))
    for (customer, network), (sure, maybe, have) in sorted(sums.items()):
        rows.append(_tie("summaries", f"tenant {customer} · {network}", sure, maybe, have))
    return tally.finding("every cell of every proxy user holds what was sent")


def _hold_statuses(tally: Tally, key: CellKey, sure: Counts, have: Counts, number: int) -> None:
    """Success and error add up; where the line between them lies is the target's reading."""
    if have.successful + have.error != have.requests:
        tally.differs(
            f"tenant {key.customer_id} · {key.proxy_user_id} · {key.network} · {key.hostname} · "
            f"{key.day} · successful + error",
            sure.requests,
            have.successful + have.error,
            exchanges=[number],
        )


def _kind(have: Counts, sure: Counts, maybe: Counts) -> str:
    if have.requests < sure.requests:
        return f"{sure.requests - have.requests} lost"
    if have.requests > sure.requests + maybe.requests:
        return f"{have.requests - sure.requests - maybe.requests} too many"
    return "altered amounts"


def _range(sure: Counts, maybe: Counts) -> str:
    wide = f", and up to {maybe.requests} more of unknown outcome" if maybe.requests else ""
    return f"{sure.requests} requests, {sure.bytes} bytes{wide}"


def _tie(view: str, scope: str, sure: Counts, maybe: Counts, have: Counts) -> TieOut:
    return TieOut(
        view=view,
        scope=scope,
        expected_requests=sure.requests,
        seen_requests=have.requests,
        expected_bytes=sure.bytes,
        seen_bytes=have.bytes,
        slack_requests=maybe.requests,
        slack_bytes=maybe.bytes,
        ok=_within(have.requests, sure.requests, maybe.requests)
        and _within(have.bytes, sure.bytes, maybe.bytes),
    )


# --- logs, by walk or by sample


def _logs(facts: Facts, expected: Expected, part: str, rows: list[TieOut]) -> Finding:
    tally = Tally(facts)
    walked = log_walk_asks(facts, expected.cells, expected.slack)
    after = stage_of(part)
    letters = _tenants(facts)
    if walked:
        for ask in walked:
            walk = tally.walk(after, ask)
            if walk is not None:
                _hold_listed(tally, expected, walk.rows, walk.numbers)
    for ask in log_id_asks(facts, expected.sent):
        exchange = tally.exchange(after, ask)
        if exchange is None:
            continue
        log_id = ask.path.rsplit("/", 1)[1]
        event = expected.sent.event(log_id)
        tally.saw()
        row = facts.row(after, ask)
        if row is None or event is None:
            sent = [dict(event)] if event else []
            what = f"log {log_id}"
            tally.differs(
                what, "a log", f"status {exchange.status}", events=sent, exchanges=[exchange.n]
            )
            continue
        for field, was, now in altered(dict(event), row):
            tally.differs(
                f"log {log_id} · {field}", was, now, events=[dict(event)], exchanges=[exchange.n]
            )
    for customer, letter in sorted(letters.items()):
        _count_logs(facts, tally, expected, part, customer, letter, rows)
    return tally.finding("the logs looked at are what was sent, and none is missing")


def _hold_listed(
    tally: Tally, expected: Expected, rows: Sequence[Row], numbers: tuple[int, ...]
) -> None:
    """Listed logs of our users: each known, accepted or unknown, once, and unaltered."""
    times = Counter((text(row, "log_id") or "").lower() for row in rows)
    for row in rows:
        log_id = (text(row, "log_id") or "").lower()
        user = (whole(row, "customer_id"), text(row, "proxy_user_id"))
        event = expected.sent.event(log_id)
        if event is None:
            if user in expected.users:
                tally.differs(f"log {log_id}", "no such event", "a log", exchanges=numbers[-1:])
            continue
        tally.saw()
        outcome = expected.sent.outcome(log_id)
        if outcome in (None, Outcome.REFUSED):
            tally.differs(
                f"log {log_id}",
                f"no log ({outcome or 'never sent'})",
                "a log",
                events=[dict(event)],
                exchanges=numbers[-1:],
            )
        for field, was, now in altered(dict(event), row):
            tally.differs(
                f"log {log_id} · {field}",
                was,
                now,
                events=[dict(event)],
                exchanges=numbers[-1:],
            )
        if times[log_id] > 1:
            tally.differs(
                f"log {log_id}",
                "1 log",
                f"{times.pop(log_id)} logs",
                events=[dict(event)],
                exchanges=numbers[-1:],
            )


def _count_logs(
    facts: Facts,
    tally: Tally,
    expected: Expected,
    part: str,
    customer: int,
    letter: str,
    rows: list[TieOut],
) -> None:
    """The number of logs in the traffic's days: what was sent, and what others have there."""
    counts: list[int | None] = []
    for again in (1, 2):
        ask = log_count_ask(facts, expected.cells, expected.slack, letter, again)
        exchange = None if ask is None else facts.answer(stage_of(part), ask)
        body = exchange.body if exchange is not None and isinstance(exchange.body, dict) else {}
        counts.append(whole(body, "total_count"))
    first, last = counts
    if last is None or last < 0:
        return
    sure, maybe = expected.total(customer)
    others = _see(facts, Tally(facts), expected, part)
    foreign = sum(each.requests for lane, each in others.foreign.items() if lane[0] == customer)
    quiet = first == last and others.whole(customer)
    seen = last - foreign
    rows.append(
        TieOut(
            view="logs",
            scope=f"tenant {customer}",
            expected_requests=sure.requests,
            seen_requests=seen,
            slack_requests=maybe.requests,
            ok=_within(seen, sure.requests, maybe.requests),
        )
    )
    tally.saw()
    where = f"tenant {customer} · number of logs in the traffic's days"
    if seen < sure.requests:
        tally.differs(where, _range(sure, maybe), f"{seen}")
    elif seen > sure.requests + maybe.requests:
        _excess(tally, where, sure.requests + maybe.requests, seen, quiet=quiet)


def _excess(tally: Tally, where: str, most: int, seen: int, *, quiet: bool) -> None:
    """More than was sent: a finding where nothing moved meanwhile, else nobody can tell."""
    if quiet:
        tally.differs(where, f"at most {most}", f"{seen}")
    else:
        tally.trouble(f"{where}: {seen - most} too many, but others were using the tenant")


# --- ledgers and graph


def _usage(facts: Facts, part: str, again: int, pool: str, letter: str) -> dict[str, int] | None:
    walk = facts.walk(stage_of(part), asks.ledger(pool, again, letter))
    if walk is None or walk.trouble:
        return None
    days: dict[str, int] = {}
    for row in walk.rows:
        if text(row, f"{pool}_ledger_reason") == "usage":
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            days[day] = days.get(day, 0) + abs(whole(row, f"{pool}_ledger_bytes") or 0)
    return days


def _ledgers(facts: Facts, expected: Expected, part: str, rows: list[TieOut]) -> Finding:
    """Day by day: the metered bytes that were sent, and those of others in the summaries."""
    tally = Tally(facts)
    others = _see(facts, Tally(facts), expected, part)
    for customer, letter in sorted(_tenants(facts).items()):
        for pool in asks.POOLS:
            mine = {k[2]: v for k, v in expected.days.items() if k[:2] == (customer, pool)}
            if not mine or pool not in facts.scene.claims:
                continue
            first, last = (_usage(facts, part, again, pool, letter) for again in (1, 2))
            if last is None:
                tally.trouble(f"the {pool} ledger could not be read")
                continue
            sums = [0, 0, 0]
            for day, (sure, maybe) in sorted(mine.items()):
                foreign = others.foreign.get((customer, pool, day), NOTHING).bytes
                seen = last.get(day, 0) - foreign
                sums = [sums[0] + sure.bytes, sums[1] + maybe.bytes, sums[2] + seen]
                tally.saw()
                where = f"tenant {customer} · {pool} ledger · usage of {day}, in bytes"
                if seen < sure.bytes:
                    tally.differs(where, f"at least {sure.bytes}", seen)
                elif seen > sure.bytes + maybe.bytes:
                    most = sure.bytes + maybe.bytes
                    quiet = first == last and others.whole(customer)
                    _excess(tally, where, most, seen, quiet=quiet)
            rows.append(
                TieOut(
                    view=f"{pool}_ledger",
                    scope=f"tenant {customer}",
                    expected_bytes=sums[0],
                    seen_bytes=sums[2],
                    slack_bytes=sums[1],
                    ok=_within(sums[2], sums[0], sums[1]),
                )
            )
    return tally.finding("the ledgers hold the metered bytes that were sent")


def _graph(facts: Facts, expected: Expected, part: str, rows: list[TieOut]) -> Finding:
    """Day by day and network by network: what was sent, and what others have there."""
    tally = Tally(facts)
    others = _see(facts, Tally(facts), expected, part)
    sums: dict[tuple[int, str], list[Counts]] = defaultdict(lambda: [NOTHING] * 3)
    firsts = graph_asks(facts, expected.cells, expected.slack, 1)
    lasts = graph_asks(facts, expected.cells, expected.slack, 2)
    for (ask, network), (early, _) in zip(lasts, firsts, strict=True):
        customer = facts.scene.customers[ask.tenant]
        points, exchange, trouble = facts.points(stage_of(part), ask)
        if trouble or exchange is None:
            tally.trouble(trouble)
            continue
        still = facts.points(stage_of(part), early)[0] == points
        quiet = still and others.whole(customer)
        shown: dict[str, Counts] = defaultdict(lambda: NOTHING)
        for point in points:
            if point.at is not None:
                day = point.at.strftime("%Y-%m-%d")
                shown[day] = add(shown[day], Counts(point.requests, point.bytes, 0, 0))
        mine = {k[2]: v for k, v in expected.days.items() if k[:2] == (customer, network)}
        for day, (sure, maybe) in sorted(mine.items()):
            foreign = others.foreign.get((customer, network, day), NOTHING)
            have = Counts(
                shown[day].requests - foreign.requests, shown[day].bytes - foreign.bytes, 0, 0
            )
            both = sums[customer, network]
            sums[customer, network] = [add(both[0], sure), add(both[1], maybe), add(both[2], have)]
            tally.saw()
            where = f"tenant {customer} · graph of {network} · {day}"
            if have.requests < sure.requests or have.bytes < sure.bytes:
                seen = f"{have.requests} requests, {have.bytes} bytes"
                tally.differs(where, _range(sure, maybe), seen, exchanges=[exchange.n])
            elif have.requests > sure.requests + maybe.requests:
                most = sure.requests + maybe.requests
                _excess(tally, f"{where}, in requests", most, have.requests, quiet=quiet)
            elif have.bytes > sure.bytes + maybe.bytes:
                most = sure.bytes + maybe.bytes
                _excess(tally, f"{where}, in bytes", most, have.bytes, quiet=quiet)
    for (customer, network), (sure, maybe, have) in sorted(sums.items()):
        rows.append(_tie("graph", f"tenant {customer} · {network}", sure, maybe, have))
    return tally.finding("the graph shows what was sent, day by day and network by network")
