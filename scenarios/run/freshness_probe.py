"""Freshness markers for a target: one event of a user of their own, looked for in the summaries.

The user and hostname are nobody else's, so that a count of them is a count of markers, whatever
else the tenant's traffic is. The user is the run's own: a target that outlives the run would
refuse an id that it knows with another time, and count the markers of an earlier run as these.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import aiohttp

from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Delivered, OutcomeRange
from trueup.reports.results import Json, Outcome
from trueup.simulator.delivery import Driver

__all__ = ["SummaryMarker"]

_HOST: Final = "freshness.marker.example"
_BYTES: Final = 1024
_TIMEOUT_S: Final = 5.0


class SummaryMarker:
    """Fills `trueup.scenarios.load.freshness.Marker` over a driver and the target's own search."""

    def __init__(
        self, target: Target, driver: Driver, *, run: str, now: Callable[[], datetime]
    ) -> None:
        """`run` is the run's name: no other run's markers have the ids of these. `now` gives the
        target's time. Tenant `a` must have its customer id."""
        tenant = target.tenants["a"]
        assert tenant.customer_id is not None
        self._customer = tenant.customer_id
        self._driver, self._now = driver, now
        self._user = f"trueup-freshness-{uuid.uuid5(uuid.NAMESPACE_URL, run).hex[:16]}"
        self._url = f"{target.base_url}{target.prefix}/log_summary/search"
        self._keys = {
            "X-API-Public-Key": tenant.public_key,
            "X-API-Private-Key": tenant.private_key,
        }
        self._session: aiohttp.ClientSession | None = None
        self._acknowledged = 0
        self.events: list[dict[str, Json]] = []
        """Everything planted, in order."""
        self.outcomes: list[OutcomeRange] = []

    def _event(self, number: int) -> dict[str, Json]:
        return {
            "log_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._user}/{number}")),
            "customer_id": self._customer,
            "proxy_user_id": self._user,
            "log_network": "datacenter",
            "log_protocol": "http",
            "log_hostname": _HOST,
            "log_client_ip_address": "192.0.2.7",
            "log_total_bytes": _BYTES,
            "log_request_datetime": self._now().strftime("%Y-%m-%d %H:%M:%S"),
            "log_authentication_type": 1,
            "country_id": "gb",
            "city_alias": "london",
            "asn_id": 64496,
        }

    async def plant(self) -> bool:
        """Deliver the next marker; True once it was acknowledged."""
        event = self._event(len(self.events))
        (outcome,) = await self._driver.send([event])
        self.outcomes.append(
            OutcomeRange(
                first=len(self.events), count=1, outcome=outcome.outcome, reason=outcome.reason
            )
        )
        self.events.append(event)
        accepted = outcome.outcome is Outcome.ACCEPTED
        self._acknowledged += accepted
        return accepted

    async def visible(self) -> bool:
        """Whether the summaries of the markers' user count all that were acknowledged.

        A target that does not answer shows nothing; the load itself says why.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._keys, timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)
            )
        try:
            query = {"proxy_user_id": self._user, "per_page": "100"}
            async with self._session.get(self._url, params=query) as answer:
                said = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return _requests(said) >= self._acknowledged

    def delivered(self, *, at: str) -> Delivered:
        """What was planted, for the journal."""
        return Delivered(
            source="load",
            stage="freshness",
            events=tuple(self.events),
            outcomes=tuple(self.outcomes),
            at=at,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _requests(said: object) -> int:
    """Requests counted by the rows of a summary search; 0 where it is none."""
    rows = said.get("data") if isinstance(said, Mapping) else None
    if not isinstance(rows, list):
        return 0
    counts = (row.get("log_summary_requests") for row in rows if isinstance(row, Mapping))
    return sum(count for count in counts if isinstance(count, int))
