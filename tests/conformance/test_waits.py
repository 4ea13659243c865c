"""Targets that ask to wait, and gateways that lose responses: no burst, and no failed check."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.embedded import judged, started, target_of
from tests.conformance.stub import Serve, bare_target, served_by
from trueup.conformance.client import rate_limiter
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.waits import AskedWait, Waits
from trueup.conformance.requests import ApiRequest
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.results import Verdict

ONE = ApiRequest(path="customer/retrieve")
NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


class SleepingClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def refusal(clock: SleepingClock, form: str, until: float) -> web.Response:
    """A response that asks to wait until a moment of the clock, in one of the forms."""
    left = until - clock.seconds
    status = 503 if form.startswith("503") else 429
    told = {
        "seconds": str(int(left) + 1),
        "503 seconds": str(int(left) + 1),
        "date": format_datetime(clock.now() + timedelta(seconds=left + 1), usegmt=True),
        "none": None,
        "unreadable": "soon",
    }[form]
    headers = {} if told is None else {"Retry-After": told}
    headers["Date"] = format_datetime(clock.now(), usegmt=True)
    return web.json_response({"error": "rate", "message": "wait"}, status=status, headers=headers)


@pytest.mark.parametrize("form", ["seconds", "503 seconds", "date", "none", "unreadable"])
@pytest.mark.parametrize("length", [1.0, 75.0, 200.0])
async def test_a_wait_is_kept_whatever_form_it_has(
    serve: Serve, tmp_path: Path, form: str, length: float
) -> None:
    """A few requests at most are refused, and each request gets its response in the end."""
    clock = SleepingClock()

    async def busy(_request: web.Request) -> web.Response:
        if clock.seconds < length:
            return refusal(clock, form, length)
        return web.json_response({"data": {}})

    url = await serve(busy)
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        async with ReadClient(bare_target(url, requests=500), Recorder(writer), clock) as client:
            for n in range(5):
                exchanges = await client.ask(
                    ApiRequest(path="customer/retrieve", again=n), stage="s"
                )
                assert exchanges[-1].status == 200
            assert client.pacer.made <= 5 + 15
            assert not client.stuck
    assert length <= clock.seconds <= length + 35


async def test_requests_stop_when_a_target_asks_to_wait_too_long(
    serve: Serve, tmp_path: Path
) -> None:
    """What is not sent is recorded without a response: it could not tell."""
    clock = SleepingClock()
    came: Counter[str] = Counter()

    async def busy(_request: web.Request) -> web.Response:
        came["requests"] += 1
        return refusal(clock, "seconds", 1e6)

    url = await serve(busy)
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        recorder = Recorder(writer)
        async with ReadClient(bare_target(url, requests=500), recorder, clock) as client:
            for n in range(100):
                await client.ask(ApiRequest(path="customer/retrieve", again=n), stage="s")
            assert client.stuck
    assert came["requests"] == 1
    unsent = [r for r in recorder.records if isinstance(r, Exchange) and r.status is None]
    assert len(unsent) == 99
    assert all(each.error.startswith("not sent") for each in unsent)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_error_is_asked_again_after_a_pause(
    serve: Serve, tmp_path: Path, status: int
) -> None:
    """A read is sent again, a change is not: it may have been made."""
    clock = SleepingClock()
    came: Counter[str] = Counter()

    async def flaky(request: web.Request) -> web.Response:
        came[request.method] += 1
        if came[request.method] == 1:
            return web.Response(status=status, text="<html>bad gateway</html>")
        return web.json_response({"data": {}})

    url = await serve(flaky)
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        async with ReadClient(bare_target(url, requests=500), Recorder(writer), clock) as client:
            (read,) = (await client.ask(ONE, stage="s"))[-1:]
            change = ApiRequest(path="proxy_user/create", method="POST", body={})
            (changed,) = await client.ask(change, stage="s")
    assert (read.status, changed.status) == (200, status)
    assert came == {"GET": 2, "POST": 1}
    assert clock.seconds >= 0.5


def test_a_date_counts_from_the_date_of_the_response() -> None:
    """The target's clock may be elsewhere."""
    headers = {
        "retry-after": "Wed, 01 Jan 2020 00:02:00 GMT",
        "date": "Wed, 01 Jan 2020 00:00:30 GMT",
    }
    assert AskedWait.of(429, headers, "2026-11-30T00:00:00.000Z") == AskedWait(90.0)


@pytest.mark.parametrize("told", ["nan", "inf", "1e400", "-5", "\x00", "99 Foo 99999", ""])
def test_an_odd_retry_after_is_a_short_wait(told: str) -> None:
    asked = AskedWait.of(429, {"retry-after": told}, "2026-11-30T00:00:00.000Z")
    assert asked is not None
    seconds = Waits(SleepingClock()).asked_to_wait(asked, sent_at=0.0)
    assert seconds is not None
    assert 0 < seconds <= 1


@dataclass
class BlockingGateway:
    """Forwards every request, but returns 429 for some seconds from the n-th request on."""

    upstream: str
    first: int
    seconds: float
    form: str
    count: int = 0
    until: float = 0.0
    refused: list[float] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.count += 1
        if self.count == self.first:
            self.until = time.monotonic() + self.seconds
        left = self.until - time.monotonic()
        if left > 0:
            self.refused.append(time.monotonic())
            return self._refuse(left)
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith(("x-", "content-type", "authorization"))
        }
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{self.upstream}{request.rel_url.raw_path_qs}",
                data=await request.read(),
                headers=kept,
            ) as response,
        ):
            return web.Response(
                status=response.status,
                body=await response.read(),
                content_type=response.content_type,
            )

    def _refuse(self, left: float) -> web.Response:
        end = datetime.now(UTC) + timedelta(seconds=left + 1)
        told = {
            "seconds": {"Retry-After": str(int(left) + 1)},
            "date": {"Retry-After": format_datetime(end, usegmt=True)},
            "none": {},
        }[self.form]
        body = {"error": "rate", "message": "slow down"}
        return web.json_response(body, status=429, headers=told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "seconds", "form", "rate"),
    [
        (280, 20, "seconds", 100.0),
        (280, 6, "date", 100.0),
        (150, 6, "none", 100.0),
        (5, 3, "none", 100.0),
        (400, 6, "date", rate_limiter.RATE_AFTER_HOLD),
    ],
)
async def test_a_gateway_that_blocks_for_a_while_fails_no_check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    seconds: float,
    form: str,
    rate: float,
) -> None:
    """Wherever in the run it begins. After it, requests come at `rate` a second."""
    monkeypatch.setattr(rate_limiter, "RATE_AFTER_HOLD", rate)
    with started() as serving:
        upstream = serving["url"].rsplit("/", 1)[0]
        gateway = BlockingGateway(upstream, first, seconds, form)
        async with served_by(gateway.handle) as url:
            here = url.removesuffix("/1.0")
            moved = {
                key: value.replace(upstream, here) if isinstance(value, str) else value
                for key, value in serving.items()
            }
            target = target_of(moved, tmp_path, hooks=())
            outcome = await judged(
                target, serving["ingest_url"], tmp_path / "journal.ndjson", level=2
            )
    assert gateway.refused, "the gateway was never in the way"
    assert len(gateway.refused) <= 25
    wrong = {r.check: r.reason for r in outcome.results if r.verdict is Verdict.FAIL}
    assert wrong == {}
    passed = [r for r in outcome.results if r.verdict is Verdict.PASS]
    assert len(passed) >= 30
    assert read_journal(tmp_path).records
