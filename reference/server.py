"""One running reference: open the store, listen, run maintenance, and stop on a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from trueup.reference.api.app import BASE, CONTROL, HTTP_OPTIONS, INGEST, build_app
from trueup.reference.api.context import Context
from trueup.reference.api.limits import RateLimiter
from trueup.reference.behaviour import Behaviour
from trueup.reference.errors import StartProblem, StoreProblem
from trueup.reference.store.maintenance import MaintenanceResult, maintain
from trueup.reference.store.store import Store

__all__ = ["END_S", "GRACE_S", "SWEEP_S", "Options", "serve"]

SWEEP_S: Final = 30.0
"""Pause between two rounds of maintenance, in seconds of real time."""
GRACE_S: Final = 2.0
"""How long requests may go on after a signal; twice that where they do not end when cancelled."""
END_S: Final = 9.0
"""Longest time from a signal to the end of the process, in seconds."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOGGER: Final = logging.getLogger(__name__)
_TIDY_S: Final = 1.0
"""Pause between two times that overdue connections are closed, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to start. `port` 0 takes a free one; `data` None uses a temporary directory."""

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    control: bool = False
    tenants: int = 2
    ingest_key_env: str | None = None
    rate_limit: int | None = None


def _ingest_key(options: Options) -> str | None:
    name = options.ingest_key_env
    if name is None:
        return None
    if not os.environ.get(name):
        raise StartProblem(f"The environment variable {name} (--ingest-key-env) holds no key.")
    return os.environ[name]


async def serve(
    options: Options, behaviour: Behaviour, announce: Callable[[dict[str, Any]], None]
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `announce` is called once, when it listens.

    After the signal, requests have GRACE_S seconds; then reads are interrupted. END_S seconds after
    it the process ends whatever runs; a transaction that is not committed then is not kept, and
    was not acknowledged. Raises StartProblem where it cannot start: 4 for usage and ports, 3 for
    the store.
    """
    ingest_key = _ingest_key(options)
    store = Store(options.data, tenants=options.tenants, behaviour=behaviour)
    last_resort = threading.Timer(END_S, _end_now, (store,))
    last_resort.daemon = True
    try:
        context = Context(
            store=store,
            behaviour=behaviour,
            limiter=RateLimiter(
                options.rate_limit or behaviour.rate_limit, penalty_s=behaviour.rate_penalty_s
            ),
            ingest_key=ingest_key,
            control=options.control,
        )
        await _listen(options, context, announce, last_resort.start)
    finally:
        store.close()
        last_resort.cancel()


def _end_now(store: Store) -> None:
    """End the process at once."""
    _LOGGER.warning("ended before all work was done; what was not committed is not kept")
    store.abandon()
    os._exit(0)


async def _listen(
    options: Options,
    context: Context,
    announce: Callable[[dict[str, Any]], None],
    stopping: Callable[[], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it for SIGHUP
            loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        build_app(context),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=GRACE_S,
        **HTTP_OPTIONS,
    )
    await runner.setup()
    try:
        assert runner.server is not None
        make = context.connections.factory(runner.server)
        try:
            listening = await loop.create_server(make, options.host, options.port, backlog=1024)
        except OSError as error:
            raise StartProblem(
                f"Cannot listen on {options.host}:{options.port}: {error.strerror}. "
                f"Choose another --port, or 0 for a free one."
            ) from None
        announce(_addresses(options, context, listening.sockets[0].getsockname()[1]))
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(_sweep(context)),
                tasks.create_task(_tidy(context)),
            ]
            await stop.wait()
            stopping()
            context.closing = True
            listening.close()
            for task in background:
                task.cancel()
    finally:
        await runner.cleanup()


async def _tidy(context: Context) -> None:
    """Close overdue connections and give memory back, for as long as the server runs."""
    while True:
        await asyncio.sleep(_TIDY_S)
        context.connections.close_overdue()
        context.bodies.release_memory()


async def _sweep(context: Context) -> None:
    """Run maintenance in the background for as long as the server runs."""

    def job(connection: Any) -> MaintenanceResult:
        now_us = context.clock.now_us() - round(context.behaviour.sweep_lag_s * 1e6)
        return maintain(connection, behaviour=context.behaviour, now_us=now_us)

    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            await context.write(job)
        except StoreProblem as problem:
            _LOGGER.error("maintenance failed: %s", problem)


def _addresses(options: Options, context: Context, port: int) -> dict[str, Any]:
    host = f"[{options.host}]" if ":" in options.host else options.host
    root = f"http://{host}:{port}"
    shown: dict[str, Any] = {
        "url": root + BASE,
        "ingest_url": root + INGEST,
        "tenants": [
            {
                "public_key": tenant.public_key,
                "private_key": tenant.private_key,
                "customer_id": tenant.customer_id,
                "name": tenant.name,
            }
            for tenant in context.store.tenants
        ],
    }
    if options.control:
        shown["control_url"] = root + CONTROL
        shown["control_key"] = context.store.control_key
    shown["ingest_key"] = context.ingest_key
    return shown
