"""Links of nodes to the stack's servers that lead through proxies.

A Kafka client asks the first address it knows for the broker's own and goes on there. So the
broker gets a listener for each link, and tells who comes by it the address of the link's proxy.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from psycopg2.extensions import make_dsn, parse_dsn
from pydantic import SecretStr
from support.proxy import HOST, Proxy, Verdict

from node.localstack import broker
from node.localstack.ports import free_port
from node.localstack.state import Kafka
from node.runtime.settings import Settings


class Listener(NamedTuple):
    """A listener of the broker, and the port that it tells clients to come to."""

    name: str
    port: int
    advertised: int


def make_listeners(number: int) -> list[Listener]:
    """Listeners on free ports: LINK1, LINK2, …"""
    return [Listener(f"LINK{n + 1}", free_port(), free_port()) for n in range(number)]


@contextmanager
def broker_with(
    folder: Path, listeners: Sequence[Listener], properties: Sequence[str] = ()
) -> Iterator[None]:
    """The broker of the stack in `folder` has these listeners and properties (lines `name=value`)
    too, whenever it is started inside."""
    write = broker._write_properties

    def write_more(home: Path, kafka: Kafka) -> None:
        write(home, kafka)
        if home == folder / "kafka":
            path = home / "server.properties"
            text = with_listeners(path.read_text("utf-8"), listeners)
            path.write_text("\n".join([text, *properties, ""]), "utf-8")

    broker._write_properties = write_more
    try:
        yield
    finally:
        broker._write_properties = write


def with_listeners(properties: str, listeners: Sequence[Listener]) -> str:
    """Return the broker's properties with further listeners."""
    more = {
        "listeners": [f"{one.name}://{HOST}:{one.port}" for one in listeners],
        "advertised.listeners": [f"{one.name}://{HOST}:{one.advertised}" for one in listeners],
        "listener.security.protocol.map": [f"{one.name}:PLAINTEXT" for one in listeners],
    }
    lines = []
    for line in properties.splitlines():
        name = line.partition("=")[0]
        lines.append(",".join([line, *more.pop(name, ())]))
    assert not more, f"the broker's properties lack {more.keys()}"
    return "\n".join(lines) + "\n"


def kafka_link_of(listener: Listener, seed: int = 0) -> Proxy:
    """Run the proxy that belongs to a listener."""
    return Proxy((HOST, listener.port), listener.advertised, seed)


def postgres_link(dsn: str, seed: int = 0) -> Proxy:
    """Run a proxy to the server of this address."""
    parts = parse_dsn(dsn)
    return Proxy((parts["host"], int(parts["port"])), seed=seed)


def through(
    settings: Settings, *, kafka: Proxy | None = None, postgres: Proxy | None = None
) -> Settings:
    """Return the settings of a node whose links lead through these proxies."""
    changed: dict[str, object] = {}
    if kafka is not None:
        changed["kafka_bootstrap_servers"] = kafka.address
    if postgres is not None:
        changed["postgres_dsn"] = SecretStr(
            make_dsn(settings.dsn, host=HOST, port=str(postgres.port))
        )
    return settings.model_copy(update=changed)


class Cut:
    """A watch on a Postgres link that cuts the connection at one statement, once it is armed.

    It lets those pass that come before a statement `behind`. `then` is called at the cut, on a
    thread of its own.
    """

    def __init__(
        self, statement: bytes, behind: bytes = b"", then: Callable[[], None] | None = None
    ) -> None:
        self._statement = statement
        self._behind = behind
        self._then = then
        self._armed: Verdict | None = None
        self._seen = False
        self.done = 0

    def arm(self, verdict: Verdict) -> None:
        """Cut the next one before the server sees it, or after it."""
        self._armed = verdict
        self._seen = not self._behind

    def __call__(self, sent: bytes) -> Verdict:
        """Decide what becomes of these bytes."""
        if self._armed is None:
            return Verdict.PASS
        self._seen |= self._behind in sent
        if not self._seen or self._statement not in sent:
            return Verdict.PASS
        verdict, self._armed = self._armed, None
        self.done += 1
        if self._then is not None:
            threading.Thread(target=self._then, daemon=True).start()
        return verdict
