"""A Kafka cluster of one mocked broker, as librdkafka ships it, in a process of its own.

    python -m tests.brokers.mock_kafka TOPIC

It speaks Kafka's protocol over TCP on the loopback: producers, consumer groups, acknowledgements.
It is not Kafka: nothing is stored on a disk, and no access is checked. Creates the topic and prints
`HOST:PORT`; ends with SIGTERM.
"""

from __future__ import annotations

import signal
import sys

from confluent_kafka import Producer


def _main(topic: str) -> None:
    cluster = Producer(
        {
            "bootstrap.servers": "replaced-by-the-mock",
            "test.mock.num.brokers": 1,
            "allow.auto.create.topics": True,
            "log_level": 0,
        }
    )
    (broker,) = cluster.list_topics(topic, timeout=10).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)
    signal.pause()


if __name__ == "__main__":
    _main(sys.argv[1])
