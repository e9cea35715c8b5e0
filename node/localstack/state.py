"""The stack's file `stack.json`, readable by its owner only.

It has no process numbers: processes are found in /proc by their command line (process.py).
"""

import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from node.localstack.folder import not_ours
from node.runtime.errors import Fatal

FILE_NAME = "stack.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(_Part):
    """The broker: ours, or an outside one that is never stopped."""

    bootstrap_servers: str
    outside: bool
    controller_port: int = 0
    cluster_id: str = ""

    @property
    def port(self) -> int:
        """The port of our own broker."""
        return int(self.bootstrap_servers.rpartition(":")[2])


class Postgres(_Part):
    """The server: ours, or an outside one. `dsn` has the password and the database `postgres`."""

    dsn: str
    outside: bool
    folder: str = ""
    port: int = 0


class Ports(_Part):
    """The ports of a node of the stack."""

    http: int
    metrics: int


class StackState(_Part):
    """The whole file. `up` is False from `stack down` until the next `stack up`."""

    up: bool = False
    kafka: Kafka | None = None
    postgres: Postgres | None = None
    nodes: dict[str, Ports] = {}

    def ports(self) -> set[int]:
        """Return all ports that are given to a server or node."""
        taken = {port for node in self.nodes.values() for port in (node.http, node.metrics)}
        if self.kafka and not self.kafka.outside:
            taken |= {self.kafka.port, self.kafka.controller_port}
        if self.postgres and not self.postgres.outside:
            taken.add(self.postgres.port)
        return taken


def read_state(folder: Path) -> StackState:
    """Read the stack's file; return an empty state if there is none. Raises `Fatal` if unusable."""
    path = folder / FILE_NAME
    try:
        return StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return StackState()
    except OSError as error:
        raise not_ours(path, error) from None
    except ValidationError as error:
        raise Fatal(
            f"{path} is not the file of a local stack ({error.errors()[0]['msg']}): "
            "put it back, or remove it together with the folders beside it"
        ) from None


def write_state(folder: Path, state: StackState) -> None:
    """Replace the file atomically: a reader sees the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=FILE_NAME)  # made with mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(state.model_dump_json(indent=2) + "\n")
        os.replace(name, folder / FILE_NAME)
    except BaseException:
        os.unlink(name)
        raise
