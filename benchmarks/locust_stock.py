"""Locust's own users with ready bodies, for comparison (BENCH_URL, BENCH_BYTES, BENCH_USER)."""

from __future__ import annotations

import os

from locust import FastHttpUser, HttpUser, task

URL = os.environ["BENCH_URL"]
BODY = b"x" * int(os.environ["BENCH_BYTES"])


class FastUser(FastHttpUser):
    abstract = os.environ["BENCH_USER"] != "fast"
    host = URL

    @task
    def post(self) -> None:
        self.client.post(URL, data=BODY)  # type: ignore[arg-type]  # bytes are sent as they are


class PlainUser(HttpUser):
    abstract = os.environ["BENCH_USER"] != "plain"
    host = URL

    @task
    def post(self) -> None:
        self.client.post(URL, data=BODY)
