"""Foreign traffic: events of other users that keep arriving on the tested account.

They share days, networks, countries, client addresses and hostnames with the injected events, but
not their proxy users. They follow the target's clock, so that they keep
arriving when a run moves it.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tests.shared_tenant.environment import Environment, ask

__all__ = ["Foreign"]

NETWORKS = ("datacenter", "isp", "residential", "mobile")
USERS = tuple(f"foreigner-{n:02d}" for n in range(12))
JUDGES = "conformance.test"
"""The end of every injected hostname."""
MOST = 60_000
"""Events at most, whatever happens."""
LEARN_EVERY = 3
"""Batches between two reads of the injected hostnames."""


class Foreign:
    """Posts events from a thread until the `with` block ends.

    `rate` is in events a second, in batches of `batch`. `accepted` counts the accepted events by
    the day of the target's clock.
    """

    def __init__(
        self, at: Environment, *, rate: float = 4000, batch: int = 100, seed: int = 1
    ) -> None:
        self.accepted: dict[str, int] = {}
        self.on_the_judges_hosts = 0
        self.trouble = ""
        self._at = at
        self._pause_s = batch / rate
        self._batch = batch
        self._dice = random.Random(seed)
        self._hosts: list[str] = ["apple.com", "example.org"]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foreign")

    @property
    def events(self) -> int:
        return sum(self.accepted.values())

    def wait_for(self, events: int) -> None:
        """Wait until `count` events have arrived; fail if they stop arriving."""
        while self.events < events:
            assert self._thread.is_alive(), self.trouble
            self._over.wait(self._pause_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the foreign traffic did not end"
        assert not self.trouble, self.trouble

    def _run(self) -> None:
        try:
            self._post_until_over()
        except Exception as error:  # raised in the test when the block ends
            self.trouble = f"{type(error).__name__}: {error}"

    def _post_until_over(self) -> None:
        where = urlsplit(self._at.serving.ingest_url)
        line = http.client.HTTPConnection(where.netloc, timeout=20)
        headers = {"Content-Type": "application/x-ndjson"}
        if self._at.serving.ingest_key:
            headers["X-Ingest-Key"] = self._at.serving.ingest_key
        turn = 0
        try:
            while self.events < MOST:
                if turn % LEARN_EVERY == 0:
                    self._learn_hosts()
                now = self._target_now()
                body = "".join(json.dumps(event) + "\n" for event in self._draw(now))
                line.request("POST", where.path, body.encode(), headers)
                answer = json.loads(line.getresponse().read())
                day = now.date().isoformat()
                self.accepted[day] = self.accepted.get(day, 0) + answer["accepted"]
                turn += 1
                if self._over.wait(self._pause_s):
                    return
        finally:
            line.close()

    def _draw(self, now: datetime) -> Sequence[dict[str, Any]]:
        return [self._event(now) for _ in range(self._batch)]

    def _event(self, now: datetime) -> dict[str, Any]:
        dice = self._dice
        ago = timedelta(
            seconds=dice.choice((0, dice.uniform(0, 600), dice.uniform(0, 6.5 * 86400)))
        )
        host = dice.choice(self._hosts)
        self.on_the_judges_hosts += host.endswith(JUDGES)
        return {
            "log_id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
            "customer_id": self._at.serving.tenants[0].customer_id,
            "proxy_user_id": dice.choice(USERS),
            "log_network": dice.choice(NETWORKS),
            "log_protocol": dice.choice(("http", "socks")),
            "log_hostname": host,
            "log_client_ip_address": f"192.0.2.{dice.randrange(256)}",
            "log_total_bytes": dice.choice((0, 1, 512, 4**9, dice.randrange(10**6))),
            "log_request_datetime": f"{now - ago:%Y-%m-%d %H:%M:%S}",
            "log_authentication_type": 1,
            "country_id": "us",
            "city_alias": "cupertino",
            "asn_id": 1299,
            "log_status_code": dice.choice((200, 200, 404, 503)),
        }

    def _learn_hosts(self) -> None:
        """Add the hostnames that were injected by now."""
        rows = ask(self._at, f"log/search?like_log_hostname={JUDGES}&per_page=100")["data"]
        found = {str(row["log_hostname"]) for row in rows}
        self._hosts = [*self._hosts[:2], *sorted(found)]

    def _target_now(self) -> datetime:
        serving = self._at.serving
        assert serving.control_key is not None
        request = Request(
            f"{serving.control_url}/clock", headers={"X-Control-Key": serving.control_key}
        )
        with urlopen(request, timeout=20) as answer:
            return datetime.fromisoformat(json.load(answer)["now"])
