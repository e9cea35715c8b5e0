"""Broker and Postgres of the stack: its own, started if they do not run, or outside services.

The chosen ports are written to the stack's file before a server starts, so that the next command
finds whatever a command that died half-way has started.

Outside services, which the environment names, are used and never started or stopped. A stack keeps
them until it is taken down: its databases hold positions in one cluster's topics.
"""

import os
from collections.abc import Callable
from pathlib import Path

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from node.localstack import broker, postgres
from node.localstack.ports import any_kafka_answers, is_free
from node.localstack.state import Kafka, Postgres, StackState, write_state
from node.runtime.errors import Fatal, Transient

Say = Callable[[str], None]

_KAFKA = "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS"
_POSTGRES = "PETITIONLINK_POSTGRES_DSN"

# A port can be taken between the check and the server's start, but not three times in a row.
_ATTEMPTS = 3


def begin_broker(folder: Path, state: StackState, say: Say) -> StackState:
    """Start our broker without waiting, unless it runs or is an outside one."""
    if state.kafka and (state.kafka.outside or broker.find(folder)):
        return state
    broker.stop(folder)  # in case it runs, but the stack's file with its addresses is lost
    kafka = broker.chosen(state.kafka, state.ports())
    state = _written(folder, state, {"kafka": kafka})
    say(f"starting the broker on {kafka.bootstrap_servers}")
    broker.start(folder, kafka)
    return state


def finish_broker(folder: Path, state: StackState, say: Say) -> StackState:
    """Wait until the broker answers."""
    assert state.kafka
    if state.kafka.outside:
        if not any_kafka_answers(state.kafka.bootstrap_servers):
            raise Transient(
                f"the outside broker {state.kafka.bootstrap_servers} does not answer: "
                f"check {_KAFKA}"
            )
        return state
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            broker.await_ready(folder, state.kafka)
            break
        except Fatal:
            taken = not broker.find(folder) and not broker.ports_are_free(state.kafka)
            if attempt == _ATTEMPTS or not taken:
                raise
            say("somebody took the broker's port: choosing another")
            state = begin_broker(folder, state, say)
            assert state.kafka
    return state


def bring_up_postgres(folder: Path, state: StackState, say: Say) -> StackState:
    """Start our Postgres and wait for it, unless it runs or is an outside one."""
    known = state.postgres
    if known and (known.outside or postgres.find(Path(known.folder))):
        return state
    for attempt in range(1, _ATTEMPTS + 1):
        chosen = postgres.chosen(state.postgres, folder, state.ports())
        state = _written(folder, state, {"postgres": chosen})
        say(f"starting Postgres on port {chosen.port}, data in {chosen.folder}")
        try:
            postgres.start(chosen)
            break
        except Fatal:
            if attempt == _ATTEMPTS or is_free(chosen.port):
                raise
            say("somebody took Postgres' port: choosing another")
    return state


def end_services(folder: Path, state: StackState, say: Say) -> None:
    """End the servers of this stack; outside services are left alone."""
    lines = []
    if state.kafka and state.kafka.outside:
        lines.append(f"the outside broker {state.kafka.bootstrap_servers} is left alone")
    elif broker.stop(folder):
        lines.append("broker stopped")
    if state.postgres and state.postgres.outside:
        lines.append("the outside Postgres is left alone")
    else:
        homes = postgres.homes(folder, state.postgres)
        lines += ["Postgres stopped" for home in homes if postgres.stop(home)]
    for line in lines or ["nothing was running"]:
        say(line)


def _written(folder: Path, state: StackState, update: dict[str, object]) -> StackState:
    state = state.model_copy(update=update)
    write_state(folder, state)
    return state


def with_outside(state: StackState) -> StackState:
    """Return the state with the outside services that the environment names.

    Raises `Fatal` if the stack already has another broker or Postgres.
    """
    servers, dsn = os.environ.get(_KAFKA), os.environ.get(_POSTGRES)
    if servers:
        state = _with_kafka(state, servers)
    if dsn:
        state = _with_postgres(state, dsn)
    return state


def without_outside(state: StackState) -> StackState:
    """Return the state without outside services, which a stack that is down forgets."""
    kafka = None if state.kafka and state.kafka.outside else state.kafka
    postgres = None if state.postgres and state.postgres.outside else state.postgres
    return state.model_copy(update={"kafka": kafka, "postgres": postgres})


def _with_kafka(state: StackState, servers: str) -> StackState:
    if state.kafka is None:
        return state.model_copy(update={"kafka": Kafka(bootstrap_servers=servers, outside=True)})
    if state.kafka.bootstrap_servers != servers:
        raise _changed("broker", state.kafka.bootstrap_servers, _KAFKA)
    return state


def _with_postgres(state: StackState, dsn: str) -> StackState:
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
