"""Outside services: a broker or a Postgres that the environment names instead of our own.

They are used and never started or stopped. A stack keeps what it began with until it is taken
down: its databases remember positions in one cluster's topics, and mean nothing to another.
"""

from __future__ import annotations

import os

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from node.localstack.state import Kafka, Postgres, State
from node.runtime.errors import Fatal

_KAFKA = "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS"
_POSTGRES = "PETITIONLINK_POSTGRES_DSN"


def with_outside(state: State) -> State:
    """The state with the outside services that the environment names.

    `Fatal` if the stack already has another broker or Postgres.
    """
    servers, dsn = os.environ.get(_KAFKA), os.environ.get(_POSTGRES)
    if servers:
        state = _with_kafka(state, servers)
    if dsn:
        state = _with_postgres(state, dsn)
    return state


def without_outside(state: State) -> State:
    """The state after the stack was taken down: outside services are forgotten."""
    kafka = None if state.kafka and state.kafka.outside else state.kafka
    postgres = None if state.postgres and state.postgres.outside else state.postgres
    return state.model_copy(update={"kafka": kafka, "postgres": postgres})


def _with_kafka(state: State, servers: str) -> State:
    if state.kafka is None:
        return state.model_copy(update={"kafka": Kafka(bootstrap_servers=servers, outside=True)})
    if state.kafka.bootstrap_servers != servers:
        raise _changed("broker", state.kafka.bootstrap_servers, _KAFKA)
    return state


def _with_postgres(state: State, dsn: str) -> State:
    if state.postgres is None:
        _address(dsn)
        return state.model_copy(update={"postgres": Postgres(dsn=dsn, outside=True)})
    if _address(state.postgres.dsn) != _address(dsn):
        raise _changed("Postgres", _address(state.postgres.dsn), _POSTGRES)
    return state


def _address(dsn: str) -> str:
    try:
        parts = parse_dsn(dsn)
    except ProgrammingError:
        raise Fatal(f"{_POSTGRES} is no Postgres address: postgresql://user@host/name") from None
    return f"{parts.get('host', 'localhost')}:{parts.get('port', '5432')}"


def _changed(service: str, ours: str, variable: str) -> Fatal:
    return Fatal(
        f"the local stack's {service} is {ours} and {variable} names another: unset it, or give "
        "up this stack and its data with `petitionlink stack down --purge`"
    )
