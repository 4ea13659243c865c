"""Dates to which a run moves the target's clock, chosen so that every class of day occurs.

Verdicts must not depend on the date on which a run is started: from the present time of the clock,
the next date of each class is used, in order, with a few events around it for every customer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.event_times import DISTANCE, day_start
from trueup.conformance.datasets.event_values import EventBuilder
from trueup.conformance.datasets.operations import Deliver, Stage
from trueup.conformance.datasets.payment_plan import later_payments
from trueup.conformance.model import POOLS, CheckContext
from trueup.conformance.requests import ApiRequest

__all__ = ["CALENDAR_USER", "ChosenDay", "calendar_stages", "chosen_days", "read_days_again"]

CALENDAR_USER: Final = "u-calendar"
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
NOON: Final = timedelta(hours=13)
"""Time of day at which events of a chosen day are delivered: after both zones' clock change."""
_SUNDAY: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenDay:
    """A day that a run reaches; `name` is a class of the dimension `day`."""

    name: str
    midnight: datetime
    """Its first moment; events lie on both sides of it."""


def _first_of_month(at: datetime) -> bool:
    return at.day == 1 and at.month not in (1, 3)


def _weekday_of_month(month: int, nth: int) -> Callable[[datetime], bool]:
    """Whether a day is the nth Sunday of a month; -1 is the last."""

    def fits(at: datetime) -> bool:
        if at.month != month or at.weekday() != _SUNDAY:
            return False
        return (at + 7 * _DAY).month != month if nth == -1 else (at.day - 1) // 7 == nth - 1

    return fits


_RULES: Final[Mapping[str, Callable[[datetime], bool]]] = {
    "month-end": _first_of_month,
    "year-end": lambda at: (at.month, at.day) == (1, 1),
    "29-february": lambda at: (at.month, at.day) == (2, 29),
    "eu-summer": _weekday_of_month(3, -1),
    "eu-winter": _weekday_of_month(10, -1),
    "us-summer": _weekday_of_month(3, 2),
    "us-winter": _weekday_of_month(11, 1),
}
_YEARS_MOST: Final = 9
"""Years within which every class of day comes, 29 February at the turn of a century included."""


def chosen_days(after: datetime, names: Sequence[str]) -> tuple[ChosenDay, ...]:
    """Return the next day of each class after a moment, in order of time.

    `same-month` is the first of them again a year later, or the year after where that is no day.
    """
    found: list[ChosenDay] = []
    for name, fits in _RULES.items():
        day = day_start(after) + 2 * _DAY
        for _ in range(366 * _YEARS_MOST if name in names else 0):
            if fits(day) and all(day != other.midnight for other in found):
                found.append(ChosenDay(name=name, midnight=day))
                break
            day += _DAY
    ends = [day.midnight for day in found if day.name == "month-end"]
    if "same-month" in names and ends:
        again = ends[0].replace(year=ends[0].year + 1)
        found.append(ChosenDay(name="same-month", midnight=again))
    return tuple(sorted(found, key=lambda day: day.midnight))


def calendar_stages(
    context: CheckContext, days: Sequence[ChosenDay], *, thorough: bool
) -> tuple[Stage, ...]:
    """Return one stage a day, which moves the clock there and sends events around midnight."""
    return tuple(_stage(context, day, thorough, turn) for turn, day in enumerate(days))


def _stage(context: CheckContext, day: ChosenDay, thorough: bool, turn: int) -> Stage:
    at = day.midnight + NOON
    return Stage(
        name=f"day-{day.name}",
        what=f"delivering around {day.midnight:%d %B %Y}",
        at=at,
        operations=(
            *(_wave(context, tenant, day) for tenant in context.customers),
            *later_payments(context, f"day-{day.name}", turn),
        ),
        requests=tuple(
            request
            for n, tenant in enumerate(context.customers)
            for request in _reads(
                context, tenant, day, thorough, graphs=(turn + n) % len(context.customers) == 0
            )
        ),
        classes=frozenset({("event", "day", day.name)}),
    )


def _moments(day: ChosenDay) -> list[datetime]:
    """Around midnight in UTC, and around the hours at which other zones' days begin."""
    midnight = day.midnight
    around = [midnight - _SECOND, midnight, midnight + _SECOND]
    hours = (-2, 1, 5, 8) if not day.name.startswith(("eu-", "us-")) else (-2, 1, 2, 5, 6, 7, 9, 10)
    return around + [
        midnight + timedelta(hours=hour) + by for hour in hours for by in (-_SECOND, _SECOND)
    ]


def _wave(context: CheckContext, tenant: str, day: ChosenDay) -> Deliver:
    builder = EventBuilder(context, f"day-{day.name}", tenant)
    networks = ("residential", "mobile", "isp")
    last = day.midnight + NOON - DISTANCE
    return Deliver(
        dataset=f"day-{day.name}",
        events=tuple(
            builder.varied(
                user=context.user(CALENDAR_USER),
                at=at,
                log_network=networks[n % 3],
            )
            for n, at in enumerate(sorted([*_moments(day), last]))
        ),
    )


def _reads(
    context: CheckContext, tenant: str, day: ChosenDay, thorough: bool, *, graphs: bool
) -> list[ApiRequest]:
    """Rows of a chosen day, and with `graphs` also its graphs: customers take turns at those."""
    midnight = day.midnight
    user = context.user(CALENDAR_USER)
    month = midnight.replace(day=1)
    made = [requests.logs(user, tenant), requests.summaries(user, tenant)]
    clocks_change = day.name.startswith(("eu-", "us-"))
    windows = [(midnight - 2 * _DAY, midnight + 2 * _DAY, "day")]
    if "month-graph" in context.claims and (thorough or not clocks_change):
        windows.append((_before(month), _after(month), "month"))
    if "hour-graph" in context.claims and clocks_change:
        windows.append((midnight - timedelta(hours=3), midnight + timedelta(hours=12), "hour"))
    made += [
        requests.graph(*window, tenant=tenant, filters={"proxy_user_id": user})
        for window in (windows if graphs else ())
    ]
    made += [
        requests.search(
            f"{pool}_ledger",
            tenant,
            **{
                f"min_{pool}_ledger_period_date": f"{midnight - 2 * _DAY:%Y-%m-%d}",
                f"max_{pool}_ledger_period_date": f"{midnight + _DAY:%Y-%m-%d}",
            },
        )
        for pool in POOLS
        if pool in context.claims and thorough
    ]
    return made


def _before(month: datetime) -> datetime:
    return (month - _DAY).replace(day=1)


def _after(month: datetime) -> datetime:
    return (month + 32 * _DAY).replace(day=1)


def read_days_again(
    context: CheckContext, days: Sequence[ChosenDay], now: datetime, *, turn: int, share: int
) -> tuple[ApiRequest, ...]:
    """Return requests for all chosen days at a later time: summaries, graphs by day and month.

    `share`: every so many days' graphs by day are read; `turn`: which of them.
    """
    if not days:
        return ()
    user = context.user(CALENDAR_USER)
    first, last = days[0].midnight, day_start(now) + _DAY
    made: list[ApiRequest] = []
    for n, tenant in enumerate(context.customers):
        windows = [
            (day.midnight - 2 * _DAY, day.midnight + 2 * _DAY, "day")
            for day in days[(turn + n) % share :: share]
        ]
        if "month-graph" in context.claims:
            windows.append((_before(first.replace(day=1)), last, "month"))
        made += [requests.logs(user, tenant), requests.summaries(user, tenant)]
        made += [
            requests.graph(*window, tenant=tenant, filters={"proxy_user_id": user})
            for window in windows
        ]
    return tuple(made)
