"""Send the requests of level 1 through the target's proxies, and read what the target shows.

Holds I/O objects only; requests and responses are in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from trueup.conformance import requests
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.session import Session
from trueup.conformance.contract.interpretation import freshness_s
from trueup.conformance.contract.proxied import AFTER, BEFORE
from trueup.conformance.datasets.proxied_requests import ExactConnection, proxied_connections
from trueup.conformance.model import POOLS
from trueup.conformance.requests import ApiRequest
from trueup.conformance.target.model import ProxyTraffic
from trueup.reports.journal.records import ProxiedRequestSeen

__all__ = ["ProxiedSender", "send_proxied"]

_POLL_S: Final = 0.2
_POLL_MOST_S: Final = 5.0


class ProxiedSender(Protocol):
    """What sends requests through the proxies of a target, to an origin of its own."""

    async def perform(self, connections: Sequence[ExactConnection]) -> Sequence[ProxiedRequestSeen]:
        """Make the requests of some connections; return what client and origin saw of each.

        Raises nothing for what a proxy does; a proxy that cannot be reached is the error of its
        requests.
        """


@dataclass(kw_only=True, slots=True)
class _Reader:
    """Makes the same requests before and after, attempt by attempt."""

    session: Session
    asked: tuple[ApiRequest, ...]
    attempt: int = 0

    async def read(self, stage: str) -> None:
        self.attempt += 1
        for request in self.asked:
            await self.session.client.ask(request, stage=stage, attempt=self.attempt)


async def send_proxied(
    session: Session,
    proxies: ProxyTraffic,
    client: ProxiedSender,
    is_right: Callable[[], bool],
) -> None:
    """Read, send the requests, and read again until `is_right`, or until no view may lag any more.

    `is_right` judges what is recorded so far.
    """
    name = session.context.prefix
    connections = proxied_connections(proxies, name=f"{name[:12]}x")
    await _Reader(session=session, asked=_reads(session, proxies)).read(BEFORE)
    for seen in await client.perform(connections):
        session.recorder.write(seen)
    reader = _Reader(session=session, asked=_reads(session, proxies))

    async def visible() -> bool:
        if session.client.stuck:
            return True
        await reader.read(AFTER)
        return is_right()

    clock = session.clock
    await poll_until(
        visible,
        clock=clock,
        until=clock.monotonic() + freshness_s(session.target.readings),
        pause_s=_POLL_S,
        most_pause_s=_POLL_MOST_S,
    )


def _reads(session: Session, proxies: ProxyTraffic) -> tuple[ApiRequest, ...]:
    """Return the requests for logs and summaries of the users, and for ledgers of the pools."""
    context = session.context
    users = dict.fromkeys((one.tenant, one.proxy_user_id) for one in proxies.access)
    since = f"{context.now - timedelta(days=2):%Y-%m-%d} 00:00:00"
    pools = dict.fromkeys(
        (one.tenant, one.network)
        for one in proxies.access
        if one.network in POOLS and one.network in context.claims
    )
    return (
        *(requests.logs(user, tenant) for tenant, user in users),
        *(requests.summaries(user, tenant) for tenant, user in users),
        *(
            read
            for tenant, pool in pools
            for read in (
                requests.search(
                    "log_summary",
                    tenant,
                    log_summary_network=pool,
                    min_log_summary_period=since,
                ),
                requests.ledger(pool, tenant=tenant),
            )
        ),
    )
