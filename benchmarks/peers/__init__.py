"""The peers 同类: what somebody could choose instead of our consumer, measured in the same run.

- `peer`         what a peer is
- `tables`       the database and the table that all of them write
- `topic`        what the topic holds
- `running`      one run: a process, and the clock outside it
- `python_peer`  a script of `scripts/` in a virtual environment of its own
- `debezium`     Kafka Connect with Debezium's JDBC sink; jars, converter, settings: `connect/`

Their versions are pinned in `scripts/*.txt` and `connect/pom.xml`; everything goes to
`.local/peers`, nothing into the product's own environment.
"""

from benchmarks.peers.debezium import Debezium
from benchmarks.peers.peer import Peer
from benchmarks.peers.python_peer import PythonPeer

__all__ = ["ASYNCPG", "DEBEZIUM", "PEERS", "QUIX", "ROW_BY_ROW", "Peer", "versions"]

QUIX: Peer = PythonPeer(
    "Quix Streams",
    "its PostgreSQLSink, at least once, a checkpoint every 10,000 events; the table is made "
    "before and not asked for its columns (schema_auto_update off), no columns of metadata, "
    "rows that are known are left alone; our frame is decoded by fastavro, the wire bytes are "
    "not kept",
    "with_quix",
)
ASYNCPG: Peer = PythonPeer(
    "aiokafka + asyncpg",
    "written by hand: batches of 2,000, binary COPY into a temporary table and INSERT … ON "
    "CONFLICT DO NOTHING, which was no slower than executemany; the next batch is decoded "
    "while Postgres writes; uvloop, fastavro; the ledger alone with the wire bytes: no "
    "isolation of bad records, no fencing, offsets in Kafka afterwards",
    "with_asyncpg",
)
ROW_BY_ROW: Peer = PythonPeer(
    "row by row",
    "confluent-kafka and psycopg2, an INSERT and a COMMIT for each event, the first 10,000 "
    "that come; the ledger alone with the wire bytes",
    "with_commits",
    part=10_000,
)
DEBEZIUM: Peer = Debezium(
    "Debezium JDBC sink",
    "Kafka Connect standalone, one process with two tasks: upsert in batches as large as a poll "
    "(5,000), reduction buffer on, reWriteBatchedInserts, headers not parsed; it reads the very "
    "same records through a converter of ours (Avro to one flat record, what is not envelope as "
    "JSON), the wire bytes are not kept; Java is warm: the topic was brought once before, "
    "uncounted",
    {"tasks": 2, "batch": 5_000, "buffer": "true", "unnest": "false"},
)

PEERS: tuple[Peer, ...] = (DEBEZIUM, QUIX, ASYNCPG, ROW_BY_ROW)


def versions() -> str:
    """What all of them are made of, in one line."""
    return "; ".join(f"{peer.name}: {peer.versions}" for peer in PEERS)
