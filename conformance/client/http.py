"""The read client: asks one question, records what was asked and what came, judges nothing.

HTML, half a body, a hang or a reset connection are recorded like any other response: an exchange
without a usable body. So is a response beyond the limits of `reports.transport`. A redirect to the
same origin is followed, any other is not. After 429, or 503 with `Retry-After`, nothing is sent
until the stated time has passed (see `client.waits`). A response that is lost or comes from a
gateway is asked for again after a pause, if asking again changes nothing. Each try is recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.rate_limiter import Pacer
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.client.row_translation import RowTranslator
from trueup.conformance.client.waits import AskedWait, Waits
from trueup.conformance.errors import TargetLost
from trueup.conformance.ports import SentTraffic
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int
from trueup.conformance.target.model import Target, Tenant
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.limits import (
    BODY_MOST,
    LOST_MOST,
    REDIRECTS_MOST,
    VALUES_MOST,
    body_limit_error,
    too_many_values,
)
from trueup.reports.transport.redirects import redirect_of
from trueup.reports.transport.sessions import http_session, start_of_body
from trueup.reports.transport.tokens import Authenticator, TokenError

__all__ = ["ReadClient"]

CONCURRENT: Final = 8
"""Questions in flight where the target file sets no rate."""
LARGE: Final = 256 << 10
"""Bytes from which a response counts as large; few of a correct target are."""
ALL_LARGE_MOST: Final = 96 << 20
"""Bytes of all large responses of one client; later ones are cut at `LARGE`."""
MANY_VALUES: Final = 20_000
"""JSON values from which a response counts as having many."""
ALL_VALUES_MOST: Final = 20_000_000
"""JSON values of all responses of one client; later ones with many are cut."""
TEXT_KEPT: Final = 2_000
"""Characters kept of a body that is no JSON."""
RETRY_PAUSES_S: Final = (0.5, 1.5)
"""Pauses before a request is sent again whose response is lost or a gateway's."""
GATEWAY: Final = frozenset({502, 503, 504})
LIVENESS_STAGE: Final = "traffic liveness"
"""Stage of the requests by which a client finds out whether the target is there at all. No check
uses them."""
LOOK_UP_STAGE: Final = "traffic look-up"
"""Stage of searches for logs of which the target's id is not known. No check uses them."""
LOOK_UPS_MOST: Final = 500
LOST_PATIENCE_S: Final = 30.0
"""How long a target that has stopped to respond is waited for before the run ends, in seconds."""
LOST_PAUSE_S: Final = 3.0
FAILURES_MOST: Final = 16
"""Unusable responses in a row after which requests are no longer sent again."""
KEPT_HEADERS: Final = frozenset(
    {"location", "retry-after", "allow", "www-authenticate", "server", "date"}
)
_NO_ANSWER: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class ReadClient:
    """Asks a target over HTTP. Use as an async context manager."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        clock: Clock,
        *,
        ends_when_lost: bool = True,
        sent: SentTraffic | None = None,
    ) -> None:
        """`ends_when_lost`: whether requests raise TargetLost once the target is gone for good.

        `sent` is traffic whose events are not in the records.
        """
        self._translator = RowTranslator(target.rows, target.graph, recorder.records, sent)
        self._look_ups = 0
        self._ends_when_lost = ends_when_lost
        self._lost = 0  # requests in a row without a usable response
        self._finding_out = asyncio.Lock()
        self._target = target
        self._recorder = recorder
        self._clock = clock
        budget = target.budget
        self.pacer = Pacer(clock, requests_per_s=budget.requests_per_s, requests=budget.requests)
        self._places = asyncio.Semaphore(CONCURRENT)
        self._session: aiohttp.ClientSession | None = None
        self._authenticators = {
            name: Authenticator(tenant.credentials, target.tls)
            for name, tenant in target.tenants.items()
        }
        self._waits = Waits(clock)
        self._failures = 0  # unusable responses in a row
        self._large_left = ALL_LARGE_MOST
        self._values_left = ALL_VALUES_MOST

    async def __aenter__(self) -> Self:
        self._session = http_session(
            self._target.tls,
            self._target.timeout_s,
            headers={"Accept": "application/json", "User-Agent": "trueup"},
            unix_socket=self._target.socket_of(self._target.base_url),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def stuck(self) -> bool:
        """Whether the target still asks to wait although all time for waiting is spent."""
        return self._waits.exhausted

    async def ask(self, ask: ApiRequest, *, stage: str, attempt: int = 1) -> tuple[Exchange, ...]:
        """Make a request; record and return every exchange that it took, a page each."""
        if not ask.paged:
            return (await self._exchange(ask, ask.query, stage, attempt),)
        found: list[Exchange] = []
        rows = 0
        before: Json = None
        for page in range(1, ask.pages + 1):
            query = (*ask.query, ("page", str(page)), ("per_page", str(ask.per_page)))
            exchange = await self._exchange(ask, query, stage, attempt)
            found.append(exchange)
            body = exchange.body if isinstance(exchange.body, dict) else {}
            data = body.get("data")
            if exchange.status != 200 or not isinstance(data, list) or data == before:
                break
            rows += len(data)
            total = as_int(body, "total_count")
            short = len(data) < (as_int(body, "per_page") or ask.per_page)
            if not data or (short and (total is None or total < 0 or rows >= total)):
                break
            before = data
        return tuple(found)

    async def _exchange(
        self, ask: ApiRequest, query: tuple[tuple[str, str], ...], stage: str, attempt: int
    ) -> Exchange:
        exchange = await self._tried(ask, query, stage, attempt)
        if self.stuck:  # it asks to wait, so it does respond
            return exchange
        self._lost = 0 if _is_usable(exchange) else self._lost + 1
        if self._lost >= LOST_MOST and self._ends_when_lost:
            async with self._finding_out:
                if self._lost >= LOST_MOST:
                    await self._find_out(exchange)
        return exchange

    async def _find_out(self, last: Exchange) -> None:
        """Ask one plain question until there is a usable response, for a limited time.

        Raises TargetLost where there is none: the target does not respond any more.
        """
        plain = ApiRequest(path="log_summary/search", query=(("per_page", "1"),))

        async def responds() -> bool:
            return _is_usable(await self._tried(plain, plain.query, LIVENESS_STAGE, 1))

        if await poll_until(
            responds,
            clock=self._clock,
            until=self._clock.monotonic() + LOST_PATIENCE_S,
            pause_s=LOST_PAUSE_S,
            most_pause_s=LOST_PAUSE_S,
        ):
            self._lost = 0
            return
        raise TargetLost(
            f"{self._target.base_url}: no usable response to {self._lost} requests in a row, and "
            f"none to a plain one for {LOST_PATIENCE_S:g} s\n  the last: "
            f"{last.error or f'status {last.status}'}\n  expected: a target that keeps "
            "responding; see its own log, or whether something between here and there failed"
        )

    async def _tried(
        self, ask: ApiRequest, query: tuple[tuple[str, str], ...], stage: str, attempt: int
    ) -> Exchange:
        """Send a request, and again after waits that are asked for and after lost responses."""
        await self._look_up(ask)
        pauses = iter(RETRY_PAUSES_S)
        async with self._places:
            while True:
                if self._waits.refuses_to_send():
                    return self._unsent(ask, query, stage, attempt)
                await self.pacer.turn()
                began = self._clock.monotonic()
                exchange = await self._once(ask, query, stage, attempt)
                self._recorder.write(exchange)
                asked = AskedWait.of(exchange.status, exchange.headers, exchange.at)
                if asked is not None:
                    seconds = self._waits.asked_to_wait(asked, sent_at=began)
                    if seconds is None:
                        return exchange
                    self.pacer.hold(seconds)
                    continue
                if exchange.status is not None and exchange.status not in GATEWAY:
                    self._waits.served()
                    self._failures = 0
                    return exchange
                self._failures += 1
                pause = next(pauses, None)
                if pause is None or ask.method != "GET" or self._failures > FAILURES_MOST:
                    return exchange
                await self._clock.sleep(pause)

    async def _look_up(self, ask: ApiRequest) -> None:
        """Find the target's id of a log that is retrieved, where it is not known."""
        event = self._translator.unknown_event(ask.path)
        owners = [
            letter
            for letter, tenant in self._target.tenants.items()
            if event is not None and tenant.customer_id == event.get("customer_id")
        ]
        if event is None or not owners or self._look_ups >= LOOK_UPS_MOST:
            return
        self._look_ups += 1
        query = tuple((name, str(event.get(name))) for name in ("proxy_user_id", "log_total_bytes"))
        search = ApiRequest(
            path="log/search", query=(*query, ("per_page", "100")), tenant=owners[0]
        )
        await self._tried(search, search.query, LOOK_UP_STAGE, 1)

    def _unsent(
        self, ask: ApiRequest, query: tuple[tuple[str, str], ...], stage: str, attempt: int
    ) -> Exchange:
        """Record a request that was not sent, because the target asked to wait for too long."""
        exchange = msgspec.structs.replace(
            self._numbered(ask, query, stage, attempt, at=stamp(self._clock.now())),
            error="not sent: the target asked to wait for longer than a run waits",
        )
        self._recorder.write(exchange)
        return exchange

    async def burst(self, asks: Sequence[ApiRequest], *, stage: str) -> None:
        """Ask many questions at the same moment, whatever the pace; for the law on rates."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._once(ask, ask.query, stage, 1)) for ask in asks]
        self.pacer.made += len(tasks)
        for task in tasks:
            self._recorder.write(task.result())

    async def _once(
        self, ask: ApiRequest, query: tuple[tuple[str, str], ...], stage: str, attempt: int
    ) -> Exchange:
        sent_path = self._translator.path(ask.path)
        sent_query = self._translator.query(ask.path, query)
        other = (sent_path, sent_query) != (ask.path, query)
        url = f"{self._target.base_url}{self._target.prefix}/{sent_path}"
        if sent_query:
            url = f"{url}?{urlencode(sent_query)}"
        started = self._clock.monotonic()
        at = stamp(self._clock.now())
        response = await self._follow(url, ask)
        body, body_text = self._body(response.raw)
        body = self._translator.body(ask.path, body, self._customer(ask))
        return msgspec.structs.replace(
            self._numbered(ask, query, stage, attempt, at=at),
            sent_path=f"{self._target.prefix}/{sent_path}" if other else "",
            sent_query=sent_query if other else (),
            status=response.status,
            error=self._recorder.strike_text(response.error),
            content_type=response.content_type,
            headers=dict(response.headers),
            body=body,
            body_text=body_text,
            elapsed_ms=round((self._clock.monotonic() - started) * 1000, 3),
        )

    def _numbered(
        self,
        ask: ApiRequest,
        query: tuple[tuple[str, str], ...],
        stage: str,
        attempt: int,
        *,
        at: str,
    ) -> Exchange:
        """Return the record of a request under its number in the journal, without a response."""
        return Exchange(
            n=self._recorder.next_exchange(),
            method=ask.method,
            path=f"{self._target.prefix}/{ask.path}",
            at=at,
            query=tuple(query),
            tenant=ask.tenant if ask.keys == "own" else ask.keys,
            stage=stage,
            request_body=self._recorder.strike(ask.body),
            ask=ask.name,
            attempt=attempt,
        )

    def _customer(self, ask: ApiRequest) -> int | None:
        tenant = self._target.tenants.get(ask.tenant)
        return tenant.customer_id if tenant is not None else None

    async def _follow(self, url: str, ask: ApiRequest) -> _Response:
        """Send a request, and again where its response redirects to the same origin.

        Returns the last response. Raises nothing that a target can cause.
        """
        for _ in range(REDIRECTS_MOST):
            sent_at = time.monotonic()
            response = await self._send(url, ask)
            if response.status == 401 and self._has_token(ask):
                response = await self._sent_again(url, ask, sent_at)
            redirect = redirect_of(url, response.status, ask.method, response.location)
            if redirect is None:
                return response
            if redirect.refusal:
                return response._replace(raw=b"", error=redirect.refusal)
            url = redirect.url
            await self.pacer.turn()
        return response._replace(raw=b"", error=f"redirected more than {REDIRECTS_MOST} times")

    async def _send(self, url: str, ask: ApiRequest) -> _Response:
        """Send one request and read its response as far as the limits allow."""
        assert self._session is not None, "used as a context manager"
        body = b"" if ask.body is None else msgspec.json.encode(ask.body)
        headers = {**_keys(self._target, ask), **await self._credentials(ask, url, body)}
        if ask.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                ask.method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as response:
                raw, error = await self._read(response.content)
                return _Response(
                    status=response.status,
                    content_type=foreign_text(self._recorder.strike_text(response.content_type)),
                    headers={
                        name.lower(): foreign_text(self._recorder.strike_text(value))
                        for name, value in response.headers.items()
                        if name.lower() in KEPT_HEADERS
                    },
                    raw=raw,
                    error=error,
                    location=response.headers.get("location"),
                )
        except _NO_ANSWER as cause:
            return _Response(error=_why(cause, self._target.timeout_s))

    async def _credentials(self, ask: ApiRequest, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a tenant's token and signature. Raises TargetLost without a token.

        A request without keys has none of them either.
        """
        authenticator = self._authenticators.get(ask.tenant)
        if authenticator is None or ask.keys == "none":
            return {}
        try:
            return await authenticator.headers(ask.method, url, body)
        except TokenError as error:
            raise TargetLost(f"{self._target.path}: {error}") from error

    def _has_token(self, ask: ApiRequest) -> bool:
        """Return whether a request carries a token that may have run out."""
        authenticator = self._authenticators.get(ask.tenant)
        return authenticator is not None and authenticator.renews and ask.keys == "own"

    async def _sent_again(self, url: str, ask: ApiRequest, sent_at: float) -> _Response:
        """Send a request whose token was refused with another one.

        Raises TargetLost where none can be had, or that is refused too.
        """
        try:
            renewed = await self._authenticators[ask.tenant].renew(sent_at)
        except TokenError as error:
            raise TargetLost(f"{self._target.path}: {error}") from error
        response = await self._send(url, ask) if renewed else _Response(status=401)
        if response.status == 401:
            raise TargetLost(
                f"{url.partition('?')[0]}: status 401 for a token that was fetched just now\n"
                f"  expected: another status; check [credentials] in {self._target.path}"
            )
        return response

    async def _read(self, content: aiohttp.StreamReader) -> tuple[bytes, str]:
        """Return a response's bytes up to a limit, and an error if there are more."""
        most = BODY_MOST if self._large_left > 0 else LARGE
        raw = await start_of_body(content, most + 1)
        if len(raw) > LARGE:
            self._large_left -= len(raw)
        if len(raw) > most:
            return b"", body_limit_error(most)
        most = VALUES_MOST if self._values_left > 0 else MANY_VALUES
        self._values_left -= raw.count(b",")
        error = too_many_values(raw, most)
        return (b"", error) if error else (raw, "")

    def _body(self, raw: bytes) -> tuple[Json, str]:
        """Return a body as JSON, or else the start of it as text; keys are redacted."""
        try:
            value: Json = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            struck = self._recorder.strike_text(raw.decode("utf-8", "replace"))
            return None, struck[:TEXT_KEPT]
        if self._recorder.may_hold_keys(raw):
            value = self._recorder.strike(value)
        return value, ""


class _Response(NamedTuple):
    """One response as it was read, before its body is decoded."""

    status: int | None = None
    content_type: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    raw: bytes = b""
    error: str = ""
    location: str | None = None
    """Where it redirects to, as the target sent it: not to be shown or recorded."""


def _is_usable(exchange: Exchange) -> bool:
    """Return whether there is a response, whole, and not one of a gateway."""
    return not exchange.error and exchange.status not in GATEWAY


def _why(cause: BaseException, timeout_s: float) -> str:
    if isinstance(cause, TimeoutError):
        return f"timeout: no response within {timeout_s:g} s"
    return foreign_text(f"{type(cause).__name__}: {cause}")


def _keys(target: Target, ask: ApiRequest) -> Mapping[str, str]:
    own = target.tenants.get(ask.tenant)
    other = next((t for letter, t in target.tenants.items() if letter != ask.tenant), None)
    match ask.keys:
        case "none":
            return {}
        case "own" if own is not None:
            return _pair(own.public_key, own.private_key)
        case "crossed" if own is not None and other is not None:
            return _pair(own.public_key, other.private_key)
        case "no-private" if own is not None:
            return {"X-API-Public-Key": own.public_key}
        case "false-private" if own is not None:
            return _pair(own.public_key, _false(own))
        case "cut-private" if own is not None:
            return _pair(own.public_key, own.private_key[:-1])
        case "other-case" if own is not None and own.private_key.swapcase() != own.private_key:
            return _pair(own.public_key, own.private_key.swapcase())
        case _:
            return _pair("no-such-public-key", "no-such-private-key")


def _false(own: Tenant) -> str:
    """The private key with its last character changed: as near to right as wrong can be."""
    return own.private_key[:-1] + ("x" if own.private_key[-1:] != "x" else "y")


def _pair(public: str, private: str) -> Mapping[str, str]:
    return {"X-API-Public-Key": public, "X-API-Private-Key": private}
