"""A consumer as a target would have one: takes messages off a broker and hands them to the target.

    python -m tests.brokers.consumer nats  SERVER STREAM URL
    python -m tests.brokers.consumer kafka SERVER TOPIC  URL

Reads messages that hold one event, lines of events or a list of them, posts them to the ingestion
URL of the reference as NDJSON, and confirms them to the broker once the reference has responded.
Prints `ready` when it waits for messages.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable

import aiohttp
import nats
from confluent_kafka import Consumer, TopicPartition

_AT_ONCE = 500
_EVENTS_AT_ONCE = 2_000
"""Events in one request: a message may hold a hundred of them."""


def _lines(payloads: Iterable[bytes]) -> list[bytes]:
    """Return the events of some messages, each as a line."""
    lines: list[bytes] = []
    for payload in payloads:
        if payload.startswith(b"["):
            lines += [json.dumps(event).encode() for event in json.loads(payload)]
        else:
            lines += payload.splitlines()
    return lines


async def _hand_on(session: aiohttp.ClientSession, url: str, payloads: Iterable[bytes]) -> None:
    """Post events until the reference has responded; it refuses impossible ones line by line."""
    lines = _lines(payloads)
    for first in range(0, len(lines), _EVENTS_AT_ONCE):
        await _post(session, url, b"\n".join(lines[first : first + _EVENTS_AT_ONCE]) + b"\n")


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    while True:
        try:
            async with session.post(url, data=body) as response:
                if response.status < 500:
                    response.raise_for_status()
                    return
        except aiohttp.ClientResponseError:
            raise
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)


async def _from_nats(server: str, stream: str, url: str) -> None:
    client = await nats.connect(server)
    found = await client.jetstream().pull_subscribe("", durable="target", stream=stream)
    print("ready", flush=True)
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                messages = await found.fetch(_AT_ONCE, timeout=0.2)
            except TimeoutError:
                continue
            await _hand_on(session, url, [message.data for message in messages])
            for message in messages:
                await message.ack()


async def _from_kafka(server: str, topic: str, url: str) -> None:
    options = {"bootstrap.servers": server, "group.id": "target", "fetch.wait.max.ms": 20}
    consumer = Consumer(options)
    # Without a group: every partition from its begin, which any broker supports.
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    print("ready", flush=True)
    async with aiohttp.ClientSession() as session:
        while True:
            messages = await asyncio.to_thread(consumer.consume, _AT_ONCE, 0.05)
            payloads = [message.value() for message in messages if message.error() is None]
            if payloads:
                await _hand_on(session, url, [one for one in payloads if one is not None])


if __name__ == "__main__":
    run = {"nats": _from_nats, "kafka": _from_kafka}[sys.argv[1]]
    asyncio.run(run(*sys.argv[2:]))
