"""Deliver events by HTTP requests, retried with the same bytes until a response is definite.

For checks, probes and fleets. Loads use the reactor, which shares forms and response rules. A
redirect to the same origin is followed, any other refuses the events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.reports.transport.limits import (
    BODY_MOST,
    REDIRECTS_MOST,
    body_limit_error,
)
from trueup.reports.transport.redirects import REDIRECT_STATUSES, redirect_of
from trueup.reports.transport.sessions import http_session, start_of_body
from trueup.reports.transport.tokens import Authenticator, TokenError
from trueup.simulator.delivery.forms import (
    Framing,
    HttpForm,
    encode_events,
    encode_ndjson,
    event_of,
)
from trueup.simulator.delivery.outcomes import BatchOutcome, single_range
from trueup.simulator.delivery.responses import (
    InterpretedResponse,
    ResponseKind,
    final_ranges,
    interpret_response,
    retry_after_s,
)
from trueup.simulator.delivery.retry import RetryPolicy

__all__ = ["HttpDriver"]

_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.InvalidURL)
"""Errors after which the target certainly has received nothing."""
_NO_ACCESS: Final = (401, 403)
_LOST: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""Errors after which the target may have received everything."""


class HttpDriver:
    """Implement `Driver` over HTTP. Several tasks may send through one instance at once."""

    def __init__(self, form: HttpForm, *, connections: int = 8) -> None:
        self.form = form
        self._connections = connections
        self._authenticator = Authenticator(form.credentials, form.tls)
        self._session: aiohttp.ClientSession | None = None
        self.last: tuple[int, bytes] | None = None
        """Status and body of the last response; None before there was one."""

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Deliver events; returns one outcome per event, in order."""
        size = self.form.events_per_request
        outcomes: list[EventOutcome] = []
        for start in range(0, len(events), size):
            part = events[start : start + size]
            fields = self.form.header_values(part[0])
            outcome = await self._deliver(encode_events(self.form, part), len(part), fields)
            outcomes.extend(outcome.events())
        return outcomes

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes."""
        if count == 0:
            return BatchOutcome(count=0, ranges=())
        if self.form.events_per_request == 1 and count > 1:
            return await self._one_by_one(body, count)
        return await self._deliver_lines(body, count)

    async def _deliver_lines(self, body: bytes, count: int) -> BatchOutcome:
        event = event_of(body) if self.form.event_headers else {}
        fields = self.form.header_values(event)
        return await self._deliver(encode_ndjson(self.form, body), count, fields)

    async def _one_by_one(self, body: bytes, count: int) -> BatchOutcome:
        started = time.perf_counter()
        sent = [await self._deliver_lines(line, 1) for line in body.splitlines()]
        return BatchOutcome(
            count=count,
            ranges=tuple(part for n, one in enumerate(sent) for part in one.shifted(n)),
            attempts=max(one.attempts for one in sent),
            elapsed_ms=(time.perf_counter() - started) * 1e3,
        )

    async def _deliver(self, payload: bytes, count: int, fields: Mapping[str, str]) -> BatchOutcome:
        """Deliver a body; `fields` are the header fields that are made from its event."""
        started = time.perf_counter()
        attempt, maybe_stored, asked_s = 0, False, 0.0
        while True:
            attempt += 1
            result, sent = await self._attempt(payload, count, fields)
            elapsed_s = time.perf_counter() - started
            if result.kind is ResponseKind.RETRY:
                pause_s = self._policy.asked_pause_s(attempt, retry_after_s=result.retry_after_s)
                if asked_s + pause_s > self._policy.asked_total_s:
                    break
                asked_s += pause_s
                await asyncio.sleep(pause_s)
                continue
            if result.kind is ResponseKind.DEFINITE:
                break
            maybe_stored = maybe_stored or (sent and result.kind is ResponseKind.INDEFINITE)
            pause_s = self._policy.pause_s(attempt, retry_after_s=result.retry_after_s)
            if self._policy.is_exhausted(attempt, elapsed_s - asked_s, pause_s):
                break
            await asyncio.sleep(pause_s)
        return BatchOutcome(
            count=count,
            ranges=final_ranges(result, count, maybe_stored=maybe_stored),
            attempts=attempt,
            elapsed_ms=elapsed_s * 1e3,
        )

    @property
    def _policy(self) -> RetryPolicy:
        return self.form.retry

    async def _attempt(
        self, payload: bytes, count: int, fields: Mapping[str, str]
    ) -> tuple[InterpretedResponse, bool]:
        """Send one request; returns its result, and whether the target may have received
        anything.
        """
        try:
            response = await self._follow(payload, fields)
        except TokenError as error:
            reason = f"not delivered: {error}"
            refused = single_range(count, Outcome.REFUSED, reason)
            return InterpretedResponse(ResponseKind.DEFINITE, refused, reason), False
        except _NOT_SENT as error:
            reason = f"not delivered: {self.form.response_rule.reason_of(str(error))}"
            return InterpretedResponse(ResponseKind.INDEFINITE, (), reason), False
        except _LOST as error:
            said = self.form.response_rule.reason_of(str(error))
            reason = f"no response: {said or type(error).__name__}"
            return InterpretedResponse(ResponseKind.INDEFINITE, (), reason), True
        return interpret_response(
            self.form.response_rule,
            response.status,
            response.body,
            count,
            retry_after_s=response.retry_after_s,
            error=response.error,
        ), True

    async def refused_access(self) -> str:
        """Send one delivery without events; return why it may not be made, or an empty string.

        Only 401, 403, a redirect that is not followed and a missing token count: what else an
        endpoint says of an empty delivery, and whether it responds, is not judged.
        """
        framing = self.form.format.framing
        empty = encode_events(self.form, []) if framing is Framing.LIST else b""
        try:
            response = await self._follow(empty, {})
        except TokenError as error:
            return str(error)
        except _LOST:
            return ""
        if response.status in _NO_ACCESS or (
            response.error and response.status in REDIRECT_STATUSES
        ):
            rule = replace(self.form.response_rule, renews=False)
            said = interpret_response(rule, response.status, response.body, 1, error=response.error)
            return said.ranges[0].reason
        return ""

    async def _follow(self, payload: bytes, fields: Mapping[str, str]) -> _DeliveryResponse:
        """Send a request, and again where its response redirects to the same origin."""
        url = self.form.url
        for _ in range(REDIRECTS_MOST):
            sent_at = time.monotonic()
            response = await self._request(url, payload, fields)
            if response.status == 401 and await self._authenticator.renew(sent_at):
                response = await self._request(url, payload, fields)
            redirect = redirect_of(url, response.status, self.form.method, response.location)
            if redirect is None:
                return response
            if redirect.refusal:
                return response._replace(error=redirect.refusal)
            url = redirect.url
        return response._replace(error=f"redirected more than {REDIRECTS_MOST} times")

    async def _request(
        self, url: str, payload: bytes, fields: Mapping[str, str]
    ) -> _DeliveryResponse:
        headers = await self._authenticator.headers(self.form.method, url, payload)
        async with self._open().request(
            self.form.method,
            URL(url, encoded=True),
            data=payload,
            headers={**fields, **headers},
            allow_redirects=False,
        ) as response:
            body, error = await _read(response.content)
            self.last = response.status, body
            return _DeliveryResponse(
                status=response.status,
                body=body,
                error=error,
                location=response.headers.get("Location"),
                retry_after_s=retry_after_s(
                    response.headers.get("Retry-After"), response.headers.get("Date")
                ),
            )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = http_session(
                self.form.tls,
                self.form.timeout_s,
                headers=self.form.head_fields(),
                connections=self._connections,
                unix_socket=self.form.unix_socket,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._session is not None:
            await self._session.close()


class _DeliveryResponse(NamedTuple):
    """One response as it was read."""

    status: int
    body: bytes = b""
    error: str = ""
    location: str | None = None
    """Where it redirects to, as the target sent it: not to be shown or recorded."""
    retry_after_s: float | None = None


async def _read(content: aiohttp.StreamReader) -> tuple[bytes, str]:
    """Return a response's body, and an error if it is longer than the limit."""
    raw = await start_of_body(content, BODY_MOST + 1)
    return (b"", body_limit_error()) if len(raw) > BODY_MOST else (raw, "")
