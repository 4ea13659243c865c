"""The control hooks of a target: clock, maintenance, payments and restart.

A hook that fails is recorded with `ok` false and raises nothing: the caller decides what follows.
Keys are redacted in recorded responses; the headers of a hook are never recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from math import inf
from typing import IO, Final

import aiohttp
import msgspec

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.client.waits import AskedWait, Waits
from trueup.conformance.observed.responses import latest_time
from trueup.conformance.rows import get_path
from trueup.conformance.target.model import CommandHook, HookForm, HttpHook, Target
from trueup.conformance.target.placeholders import clock_values, fill, fill_text
from trueup.reports.event_format import read_time
from trueup.reports.journal.records import Hook
from trueup.reports.results import Json
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.limits import REDIRECTS_MOST, too_many_values
from trueup.reports.transport.redirects import redirect_of
from trueup.reports.transport.sessions import http_session, start_of_body
from trueup.reports.transport.tokens import Authenticator, TokenError

__all__ = ["TargetControl"]

MOST_KEPT: Final = 4096
"""Characters of a hook's response that are kept if it is not JSON."""

_MOST_READ: Final = 1 << 20
"""Bytes of a program's output, or of a hook's response, that are read."""
_PAUSE_S: Final = 0.25
"""Between requests that wait for the API after a restart."""
HOOK_LEAST_S: Final = 60.0
"""Time limit of a hook's request where `timeout_s` is shorter: maintenance may take a while."""


class TargetControl:
    """Calls the control hooks of one target and records each call."""

    def __init__(self, target: Target, recorder: Recorder, clock: Clock) -> None:
        self._target = target
        self._recorder = recorder
        self._clock = clock
        self._restarted_at = -inf
        """Our time of the last call that restarted the target, on the monotonic clock."""

    async def call(
        self,
        name: str,
        values: Mapping[str, Json],
        *,
        stage: str,
        check: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Hook:
        """Call a hook with the given placeholders and return its record.

        `headers` replace those of the target file. Raises nothing for a hook that fails.
        """
        form: HookForm | None = getattr(self._target, name)
        assert form is not None, "the caller checks that the target has the hook"
        return await self._call(form, name, values, stage=stage, check=check, headers=headers)

    async def read_clock(self, *, stage: str) -> datetime | None:
        """Return the time that the target tells, UTC; None if it cannot be asked or read."""
        read = self._target.clock_read
        if read is None:
            return None
        hook = await self._call(read.form, "clock.read", {}, stage=stage)
        told = get_path(hook.response, read.at) if read.at else hook.response
        return read_time(told, read.time) if hook.ok else None

    async def read_clock_by_moving(self, past: datetime, *, stage: str) -> datetime | None:
        """Return the time in the response to a move of the clock into its past, which it refuses.

        `past` is a time before the target's.
        """
        form = self._target.clock
        assert form is not None, "the caller checks that the target has the hook"
        hook = await self._call(form, "clock.read", clock_values(past, 0), stage=stage)
        return latest_time(hook.response)

    async def _call(
        self,
        form: HookForm,
        name: str,
        values: Mapping[str, Json],
        *,
        stage: str,
        check: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Hook:
        response: Json = None
        error = ""
        shown = form.shown.of(values)
        try:
            if isinstance(form, HttpHook):
                response, error = await self._http_once_up(form, shown, headers)
                if name == "restart" and not error:
                    error = await self._until_it_responds()
            else:
                response, error = await _command(form, shown)
        except TimeoutError:
            error = "timeout: no response in time"
        except (aiohttp.ClientError, OSError, ValueError, TokenError) as cause:
            error = f"{type(cause).__name__}: {cause}"
        if name == "restart":
            self._restarted_at = self._clock.monotonic()
        hook = Hook(
            hook=name,
            at=stamp(self._clock.now()),
            request=dict(values),
            response=_cut(self._recorder.strike(response)),
            ok=not error,
            error=foreign_text(self._recorder.strike_text(error), 500),
            check=check,
            stage=stage,
        )
        self._recorder.write(hook)
        return hook

    async def _until_it_responds(self) -> str:
        """Wait until the API gives any response. Returns an error if it does not in time."""
        cause = ""

        async def responds() -> bool:
            nonlocal cause
            try:
                async with session.get(self._target.base_url, allow_redirects=False):
                    return True
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                cause = foreign_text(str(error))
                return False

        socket = self._target.socket_of(self._target.base_url)
        async with http_session(
            self._target.tls, self._target.timeout_s, unix_socket=socket
        ) as session:
            up = await poll_until(
                responds,
                clock=self._clock,
                until=self._clock.monotonic() + HOOK_LEAST_S,
                pause_s=_PAUSE_S,
                most_pause_s=_PAUSE_S,
            )
        return "" if up else f"no response within {HOOK_LEAST_S:g} s of the restart: {cause}"

    async def _http_once_up(
        self, form: HttpHook, values: Mapping[str, Json], headers: Mapping[str, str] | None
    ) -> tuple[Json, str]:
        """Call an HTTP hook; after a restart, again while nothing listens.

        A target may still respond to the first requests after the call that restarts it. What
        could not connect was not sent.
        """
        while True:
            try:
                return await self._http_after_waits(form, values, headers)
            except aiohttp.ClientConnectorError:
                if self._clock.monotonic() > self._restarted_at + HOOK_LEAST_S:
                    raise
                await self._clock.sleep(_PAUSE_S)

    async def _http_after_waits(
        self, form: HttpHook, values: Mapping[str, Json], headers: Mapping[str, str] | None
    ) -> tuple[Json, str]:
        """Call an HTTP hook, again after each wait that the target asks for."""
        waits = Waits(self._clock)
        while True:
            sent_at = self._clock.monotonic()
            response, error, wait = await self._http(form, values, headers)
            seconds = None if wait is None else waits.asked_to_wait(wait, sent_at=sent_at)
            if seconds is None:
                return response, error
            await self._clock.sleep(seconds)

    async def _http(
        self, form: HttpHook, values: Mapping[str, Json], headers: Mapping[str, str] | None
    ) -> tuple[Json, str, AskedWait | None]:
        """Call an HTTP hook once. Returns response, error and the wait that it asks for."""
        own = {name: fill_text(value, values) for name, value in form.headers.items()}
        sent = own if headers is None else dict(headers)
        asked = fill(dict(form.body), values) if form.body or form.method != "GET" else None
        body = b"" if asked is None else msgspec.json.encode(asked)
        if body:
            sent = {"Content-Type": "application/json", **sent}
        credentials = form.credentials if headers is None else None
        authenticator = Authenticator(credentials, self._target.tls)
        url = fill_text(form.url, values)
        timeout_s = max(self._target.timeout_s, HOOK_LEAST_S)
        socket = self._target.socket_of(url)
        async with http_session(self._target.tls, timeout_s, unix_socket=socket) as session:
            renewed = False
            for _ in range(REDIRECTS_MOST + 1):
                sent_at = time.monotonic()
                signed = {**sent, **await authenticator.headers(form.method, url, body)}
                async with session.request(
                    form.method, url, headers=signed, data=body or None, allow_redirects=False
                ) as response:
                    raw = await start_of_body(response.content, _MOST_READ)
                    status = response.status
                    wait = AskedWait.of(status, response.headers, stamp(self._clock.now()))
                    redirect = redirect_of(
                        url, status, form.method, response.headers.get("location")
                    )
                if status == 401 and not renewed and await authenticator.renew(sent_at):
                    renewed = True
                    continue
                if redirect is None:
                    return _decoded(raw), "" if 200 <= status < 300 else f"status {status}", wait
                if redirect.refusal:
                    return None, redirect.refusal, None
                url = redirect.url
        return None, f"redirected more than {REDIRECTS_MOST} times", None


def _decoded(raw: bytes) -> Json:
    """Return a hook's response as JSON, or else as text."""
    if not too_many_values(raw):
        try:
            value: Json = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return value
    return raw.decode("utf-8", "replace")


def _cut(answer: Json) -> Json:
    """Return the start of a text. It is redacted before, so that no key is cut in two."""
    return answer[:MOST_KEPT] if isinstance(answer, str) else answer


async def _command(form: CommandHook, values: Mapping[str, Json]) -> tuple[Json, str]:
    """Run the program; return what it printed and an error, empty if it succeeded.

    Output goes to files instead of pipes, because a process that it leaves running, such as a
    restarted target, may keep a pipe open. A program that exceeds its time limit is ended with all
    its child processes.

    Raises:
        TimeoutError: the program did not end in time.
    """
    argv = [fill_text(word, values) for word in form.argv]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        try:
            async with asyncio.timeout(form.timeout_s):
                await child.wait()
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        printed, error_output = _start_of(out), _start_of(err)
    answer = _decoded(printed)
    if child.returncode == 0:
        return answer, ""
    return answer, f"exit status {child.returncode}: {error_output.decode('utf-8', 'replace')}"


def _start_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_MOST_READ)
