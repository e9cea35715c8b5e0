"""Quix Streams with its own PostgreSQLSink; at least once, as it comes."""

import os
from typing import Any

from quixstreams import Application
from quixstreams.models.serializers import Deserializer
from quixstreams.sinks.community.postgresql import PostgreSQLSink
from records import BROKER, COLUMNS, GROUP, TOPIC, VARIANT, columns

_COMMIT_EVERY = int(VARIANT or 10_000)


class _Framed(Deserializer):  # type: ignore[misc]  # of a library without types here
    """Our frame and Avro; its own Avro deserializer knows one schema or a registry's frame."""

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        row = dict(zip(COLUMNS, columns(value), strict=True))
        row["body"] = row["body"].decode()
        return row


def main() -> None:
    application = Application(
        broker_address=BROKER,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        # The sink writes what came since the last checkpoint.
        commit_every=_COMMIT_EVERY,
        loglevel="WARNING",
    )
    sink = PostgreSQLSink(
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        dbname=os.environ["PGDATABASE"],
        user=os.environ["PGUSER"],
        password=os.environ.get("PGPASSWORD", ""),
        table_name="event",
        schema_auto_update=False,
        on_conflict_do_nothing=True,
        include_metadata=False,
    )
    topic = application.topic(TOPIC, value_deserializer=_Framed())
    application.dataframe(topic).sink(sink)
    application.run()


main()
