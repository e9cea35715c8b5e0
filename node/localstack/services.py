"""Broker and Postgres of the stack: found if they run, started if not, outside if one is named.

The choice of ports is written down before a server starts, so that a command that dies half-way
leaves nothing behind that the next one would not find.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from node.localstack import broker, postgres
from node.localstack.ports import is_free
from node.localstack.probe import any_answers
from node.localstack.state import State, write_state
from node.runtime.errors import Fatal, Transient

Say = Callable[[str], None]

# A port can be taken between our look and the server's start; thrice in a row is no accident.
_ATTEMPTS = 3


def begin_broker(folder: Path, state: State, say: Say) -> State:
    """Our broker started, unless it runs or is an outside one; not waited for."""
    if state.kafka and state.kafka.outside:
        return state
    if state.kafka and broker.find(folder):
        return state
    broker.stop(folder)  # one whose addresses are lost, since the stack's file is gone
    kafka = broker.chosen(state.kafka, state.ports())
    state = _written(folder, state, {"kafka": kafka})
    say(f"starting the broker on {kafka.bootstrap_servers}")
    broker.start(folder, kafka)
    return state


def finish_broker(folder: Path, state: State, say: Say) -> State:
    """The broker answers."""
    assert state.kafka
    if state.kafka.outside:
        if not any_answers(state.kafka.bootstrap_servers):
            raise Transient(
                f"the outside broker {state.kafka.bootstrap_servers} does not answer: "
                "check PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS"
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


def bring_up_postgres(folder: Path, state: State, say: Say) -> State:
    """Our Postgres takes connections; an outside one is only noted."""
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


def end_services(folder: Path, state: State, say: Say) -> None:
    """End what was started for this stack; outside services are left alone."""
    said = [*_end_broker(folder, state), *_end_postgres(folder, state)]
    for line in said or ["nothing was running"]:
        say(line)


def _end_broker(folder: Path, state: State) -> list[str]:
    if state.kafka and state.kafka.outside:
        return [f"the outside broker {state.kafka.bootstrap_servers} is left alone"]
    return ["broker stopped"] if broker.stop(folder) else []


def _end_postgres(folder: Path, state: State) -> list[str]:
    if state.postgres and state.postgres.outside:
        return ["the outside Postgres is left alone"]
    homes = postgres.homes(folder, state.postgres)
    return ["Postgres stopped" for home in homes if postgres.stop(home)]


def _written(folder: Path, state: State, update: dict[str, object]) -> State:
    state = state.model_copy(update=update)
    write_state(folder, state)
    return state
