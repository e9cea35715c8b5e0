"""aiokafka and asyncpg, written by hand: batches of 2,000, COPY, insert, commit, then the offsets.

The next batch is fetched and decoded while Postgres works on the one before.
"""

import asyncio
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer
from records import BROKER, COLUMNS, GROUP, TOPIC, VARIANT, columns

_BATCH = 2_000
_NAMES = (*COLUMNS, "value")
_LIST = ", ".join(_NAMES)
_INCOMING = "create temporary table incoming (like event) on commit delete rows"
_INSERT = f"insert into event ({_LIST}) select {_LIST} from incoming on conflict do nothing"
_PLACES = ", ".join(f"${number + 1}" for number in range(len(_NAMES)))
_MANY = f"insert into event ({_LIST}) values ({_PLACES}) on conflict do nothing"


async def main() -> None:
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=BROKER,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        max_poll_records=_BATCH,
        fetch_max_wait_ms=50,
    )
    connection = await asyncpg.connect()
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=bytes
    )
    await connection.execute(_INCOMING)
    await consumer.start()
    written: asyncio.Task[None] | None = None
    while True:
        polled = await consumer.getmany(timeout_ms=1_000, max_records=_BATCH)
        rows = [
            (*columns(record.value), record.value)
            for records in polled.values()
            for record in records
        ]
        if written:
            await written
        after = {place: records[-1].offset + 1 for place, records in polled.items()}
        written = asyncio.create_task(_write(connection, consumer, rows, after)) if rows else None


async def _write(
    connection: Any, consumer: AIOKafkaConsumer, rows: list[Any], after: dict[Any, int]
) -> None:
    async with connection.transaction():
        if VARIANT == "executemany":
            await connection.executemany(_MANY, rows)
        else:
            await connection.copy_records_to_table("incoming", records=rows, columns=_NAMES)
            await connection.execute(_INSERT)
    await consumer.commit(after)


def _jsonb(body: bytes) -> bytes:
    """Version 1 of the binary format, then the text."""
    return b"\x01" + body


uvloop.run(main())
