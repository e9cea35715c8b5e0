"""confluent-kafka and psycopg2, one event after the other: INSERT, COMMIT, then its offset."""

import psycopg2
from confluent_kafka import Consumer
from records import BROKER, COLUMNS, GROUP, TOPIC, columns

_NAMES = (*COLUMNS, "value")
_INSERT = (
    f"insert into event ({', '.join(_NAMES)}) values ({', '.join(['%s'] * len(_NAMES))}) "
    "on conflict do nothing"
)


def main() -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": BROKER,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            # The library commits in the background what was stored; stored is what was written.
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe([TOPIC])
    connection = psycopg2.connect("")
    with connection.cursor() as cursor:
        while True:
            message = consumer.poll(1.0)
            if message is None or message.error():
                continue
            value = message.value()
            *envelope, body = columns(value)
            cursor.execute(_INSERT, (*envelope, body.decode(), value))
            connection.commit()
            consumer.store_offsets(message)


main()
