"""Deliver the requests of a proxy's access log to a target, as the log is written.

What a proxy logs becomes usage events: who, where to, when, how many bytes. At least once: a batch
whose outcome is unknown is delivered again, with the same ids.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.reports.transport.lost import got_nowhere
from trueup.simulator.access_logs import AccessRecord, FollowedLog
from trueup.simulator.delivery import Driver

__all__ = ["LogShipper", "ShippedAs", "usage_event"]

_RETRY_S: Final = 0.5
_LAST_S: Final = 5.0
"""How long the last delivery may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedAs:
    """What a log does not say of its requests."""

    customer_id: int
    network: str
    users: Mapping[str, str] = field(default_factory=dict)
    """Address of a client → its user, where a request names none."""
    country: str = "us"
    city: str = "new-york-city"
    asn: int = 64512


def usage_event(log_id: str, record: AccessRecord, shown: ShippedAs) -> dict[str, Json] | None:
    """Return the usage event of a request; None where it belongs to no user, or led nowhere."""
    user = record.user or shown.users.get(record.client, "")
    if not user or not record.host:
        return None
    ended = datetime.fromtimestamp(record.time_us / 1e6, UTC)
    began = ended - timedelta(milliseconds=record.duration_ms or 0)
    return {
        "log_id": log_id,
        "customer_id": shown.customer_id,
        "proxy_user_id": user,
        "log_network": record.network or shown.network,
        "log_protocol": record.protocol or "http",
        "log_hostname": record.host,
        "log_client_ip_address": record.client,
        "log_total_bytes": record.size or 0,
        "log_request_datetime": f"{began:%Y-%m-%d %H:%M:%S}",
        "log_authentication_type": 1 if record.user else 2,
        "country_id": shown.country,
        "city_alias": shown.city,
        "asn_id": shown.asn,
        "log_status_code": record.status or None,
        "log_error_code": record.error or None,
        "log_method": record.method or None,
        "log_total_elapsed_ms": record.duration_ms,
    }


@dataclass(slots=True, kw_only=True)
class LogShipper:
    """Reads a log and delivers it, and counts what became of it."""

    log: FollowedLog
    driver: Driver
    shown: ShippedAs
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    without_user: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is written until `stop` is set, and then what is left."""
        async for found in self.log.records(stop):
            events = []
            for log_id, record in found:
                event = usage_event(log_id, record, self.shown)
                if event is None:
                    self.without_user += 1
                else:
                    events.append(event)
            if events:
                await self._deliver(events, stop)

    async def _deliver(self, events: Sequence[Mapping[str, Json]], stop: asyncio.Event) -> None:
        outcomes = await self.driver.send(events)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                while _is_open(outcomes):
                    if stop.is_set() and limit.when() is None:
                        limit.reschedule(asyncio.get_running_loop().time() + _LAST_S)
                    await asyncio.sleep(_RETRY_S)
                    outcomes = await self.driver.send(events)
        for outcome in outcomes:
            self.outcomes[outcome.outcome] += 1
            if outcome.outcome is not Outcome.ACCEPTED:
                self.reasons[outcome.reason[:200]] += 1


def _is_open(outcomes: Sequence[EventOutcome]) -> bool:
    """Whether a batch has to be delivered again."""
    unknown = any(outcome.outcome is Outcome.UNKNOWN for outcome in outcomes)
    return unknown or got_nowhere(outcomes)
