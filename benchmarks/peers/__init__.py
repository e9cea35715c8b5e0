"""The peers 同类: what somebody could choose instead of our consumer, measured in the same run.

- `peer`         what a peer is
- `tables`       the database and the table that all of them write
- `topic`        what the topic holds
- `running`      one run: a process, and the clock outside it
- `python_peer`  a script of `scripts/` in a virtual environment of its own
- `debezium`     Kafka Connect with Debezium's JDBC sink; its pom and converter are beside it
"""

from __future__ import annotations

from benchmarks.peers.peer import Peer
from benchmarks.peers.python_peer import PythonPeer

__all__ = ["PEERS", "Peer"]

QUIX = PythonPeer("Quix Streams", "its PostgreSQLSink", "with_quix")
ASYNCPG = PythonPeer("aiokafka + asyncpg", "by hand", "with_asyncpg")
ROW_BY_ROW = PythonPeer("row by row", "confluent-kafka", "with_commits", part=10_000)

PEERS: tuple[Peer, ...] = (QUIX, ASYNCPG, ROW_BY_ROW)
