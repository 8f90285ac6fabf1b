"""The floor of the streams benchmark: Kafka in, rows committed, Kafka out, without any logic.

    python -m benchmarks.kafka_floor BOOTSTRAP RECORDS_TOPIC OUT_TOPIC DATABASE_URL COUNT

Batches of 200 messages: their rows by COPY with their offsets in one transaction, then one message each in one
transaction of Kafka: the same commits as a worker and a relay make, one after the other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import psycopg
from confluent_kafka import Consumer, Producer

__all__ = ["main"]

_BATCH = 200


def main(arguments: Sequence[str]) -> None:
    """Pass so many messages through and print the seconds that took from the first one on."""
    bootstrap, topics, out_topic, url, count = arguments
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"floor-{out_topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"floor-{out_topic}"})
    producer.init_transactions()
    consumer.subscribe(topics.split(","))
    left, began = int(count), None
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE floor_row (topic text, part int, place bigint, body bytea)")
        connection.execute(
            "CREATE TABLE floor_offset (topic text, part int, place bigint, PRIMARY KEY (topic, part))"
        )
        connection.commit()
        while left > 0:
            found = [one for one in consumer.consume(_BATCH, timeout=0.05) if one.error() is None]
            if not found:
                continue
            began = began or time.monotonic()
            rows = [(one.topic(), one.partition(), one.offset(), one.value()) for one in found]
            with connection.cursor() as cursor:
                with cursor.copy("COPY floor_row FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                cursor.executemany(
                    "INSERT INTO floor_offset VALUES (%s, %s, %s) "
                    "ON CONFLICT (topic, part) DO UPDATE SET place = excluded.place",
                    list({row[:2]: row[:3] for row in rows}.values()),
                )
            connection.commit()
            producer.begin_transaction()
            for one in found:
                producer.produce(out_topic, one.value(), one.key())
            producer.commit_transaction()
            left -= len(found)
    print(time.monotonic() - (began or 0.0))
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
