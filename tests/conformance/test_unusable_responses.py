"""Targets that cannot be tested, and keys that must never be written."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.conformance.stub import Handler, Serve, bare_target
from tests.journal_header import journal_in
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.rate_limiter import Pacer
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import BudgetExhausted, NotAnApi, TargetUnreachable, WrongKeys
from trueup.conformance.requests import ApiRequest
from trueup.conformance.runner import probe_readings, run_checks
from trueup.conformance.target.model import Target, Tenant
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.redaction import STRUCK
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import ExitStatus

CANARY = "sk_canary-0123456789"


def target_at(url: str) -> Target:
    """A target whose private key is the canary, and that has to respond soon."""
    return bare_target(
        url,
        tenants={"a": Tenant(public_key="pk_a", private_key=CANARY, customer_id=1)},
        timeout_s=0.3,
        secrets=(CANARY, "pk_a"),
    )


async def html(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>It works</html>", content_type="text/html")


async def hang(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"data": [')
    request.transport.abort() if request.transport else None
    return response


async def refuse(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "Unauthorized", "message": f"not {CANARY}"}, status=401)


@pytest.mark.usefixtures("short_retry_pauses")
@pytest.mark.parametrize(
    ("handler", "error"), [(html, NotAnApi), (hang, TargetUnreachable), (refuse, WrongKeys)]
)
async def test_a_target_that_cannot_be_tested_ends_with_an_error_message(
    serve: Serve,
    tmp_path: Path,
    handler: Handler,
    error: type[Exception],
) -> None:
    """Exit status 2, a message with URL and remedy, and a readable journal."""
    url = await serve(handler)
    with journal_in(tmp_path) as writer, pytest.raises(error) as caught:
        await run_checks(target_at(url), writer=writer, ingest=None, level=0)
    assert getattr(caught.value, "exit_status", None) is ExitStatus.COULD_NOT_TELL
    assert url in str(caught.value)
    assert "check" in str(caught.value)
    assert [r for r in read_journal(tmp_path).records if isinstance(r, Exchange)]


@pytest.mark.usefixtures("short_retry_pauses")
async def test_a_refused_connection_is_an_error(tmp_path: Path) -> None:
    with journal_in(tmp_path) as writer, pytest.raises(TargetUnreachable, match="base_url"):
        await run_checks(target_at("http://127.0.0.1:1/1.0"), writer=writer, ingest=None, level=0)


async def test_keys_are_redacted_even_if_the_target_repeats_them(
    serve: Serve, tmp_path: Path
) -> None:
    """In JSON, in JSON with escapes, in HTML: the journal does not contain the canary."""
    bodies = iter(
        (
            f'{{"data": {{"{CANARY}": ["{CANARY}"]}}}}',
            '{"data": "' + CANARY.replace("_", "\\u005f") + '"}',
            f"<html>{CANARY}</html>",
        )
    )

    async def echo(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=next(bodies), content_type="application/json")

    url = await serve(echo)
    with journal_in(tmp_path) as writer:
        recorder = Recorder(writer, secrets=(CANARY,))
        async with ReadClient(target_at(url), recorder, WallClock()) as client:
            for n in range(3):
                await client.ask(ApiRequest(path="x", again=n), stage="s")
    text = (tmp_path / "journal.ndjson").read_text()
    assert CANARY not in text
    assert text.count(STRUCK) == 4


class Tape:
    """A clock that moves only during sleep."""

    def __init__(self) -> None:
        self.t = 0.0

    def monotonic(self) -> float:
        return self.t

    async def sleep(self, seconds: float) -> None:
        self.t += seconds

    now = WallClock.now


async def test_requests_keep_their_pace_and_their_number() -> None:
    """Ten a second: the eleventh comes a second after the first; the twelfth not at all. The first
    keeps its distance to whatever an earlier client sent."""
    tape = Tape()
    pacer = Pacer(tape, requests_per_s=10, requests=11)
    times = []
    for _ in range(11):
        await pacer.turn()
        times.append(tape.t)
    assert times[0] == pytest.approx(0.1)
    assert times[-1] - times[0] == pytest.approx(1.0)
    with pytest.raises(BudgetExhausted, match="11 requests"):
        await pacer.turn()


async def test_retry_after_of_a_429_is_respected(serve: Serve, tmp_path: Path) -> None:
    """Both responses are recorded, and the second is used."""
    planned = iter((429, 200))

    async def busy(_request: web.Request) -> web.StreamResponse:
        status = next(planned)
        body: dict[str, object] = (
            {"error": "Too Many Requests", "message": "-"} if status == 429 else {"data": {}}
        )
        return web.json_response(body, status=status, headers={"Retry-After": "7"})

    clock = Tape()
    url = await serve(busy)
    with journal_in(tmp_path) as writer:
        recorder = Recorder(writer)
        async with ReadClient(target_at(url), recorder, clock) as client:
            await client.ask(ApiRequest(path="x"), stage="s")
    statuses = [r.status for r in recorder.records if isinstance(r, Exchange)]
    assert statuses == [429, 200]
    assert clock.t == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (500, {}, 'status 500\n  it begins: \'{"message": "broken"}\''),
        (404, {}, "status 404"),
        (
            302,
            {"Location": "https://elsewhere.example/"},
            "redirected to https://elsewhere.example:443, which the target file does not name",
        ),
    ],
)
async def test_a_first_response_that_is_not_200_is_an_error(
    serve: Serve,
    tmp_path: Path,
    status: int,
    headers: dict[str, str],
    said: str,
) -> None:
    """A target that only responds with errors cannot be tested."""

    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "broken"}, status=status, headers=headers)

    url = await serve(broken)
    with journal_in(tmp_path) as writer, pytest.raises(NotAnApi) as caught:
        await probe_readings(target_at(url), writer=writer)
    assert said in str(caught.value)
    assert caught.value.exit_status is ExitStatus.COULD_NOT_TELL
