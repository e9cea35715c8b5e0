"""Fixtures that all tests share: one real broker and one real Postgres for the whole session.

Ask for what a test needs; nothing is started for tests that ask for none of it.

    def test_something(stack): ...
        The running LocalStack with nodes 000000, 110000, 370000 and 660000. PETITIONLINK_LOCAL
        names its folder, so `stack_settings("370000")`, `localstack.load()` and any
        `petitionlink … --node 370000` that a test starts find it by themselves. All tests of the
        session share its databases and topics: only read there, or use what follows.

    def test_something(fresh_settings): settings = fresh_settings("370000")
        Settings of a node whose database is empty and migrated, on the stack's broker with the
        stack's keys. It is emptied after the test and used again (support/databases.py).

    def test_something(fresh_dsn): dsn = fresh_dsn("370000")
        The same for tests that need only the database.

    def test_something(empty_topics, fresh_settings): ...
        Nothing of other tests is in the topics of the stack's nodes; offsets go on from where
        they were. With `fresh_settings` for each node the test is apart from all others. (Topics
        are not made again: a record might still go to the log that is being deleted.)

    def test_something(new_nodes): ...
        The stack, its nodes as if new: empty tables, positions at the end of the topics.

    def test_something(kafka_link): settings = through(stack_settings("370000"), kafka=kafka_link)
        A proxy in front of the stack's broker, up and passing everything (support/proxy.py).

    def test_something(stack_folder): ...
        A folder for a further stack, empty; PETITIONLINK_LOCAL names it. Whatever the test brings
        up there is taken down after it.

The stack lives in `.local/tests/<process>`, apart from the developer's own. One that a killed
session left there is taken down by the next. With TEST_STACK=<folder> the session uses the stack in
that folder, starts it if need be and leaves it running, which saves its start; only one session at
a time uses it. If Java, Kafka's jars or Postgres are missing, tests
fail with the line to run; they are never skipped.
"""

import fcntl
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import hypothesis
import pytest
from psycopg2.extensions import make_dsn
from pydantic import SecretStr
from support.databases import Databases
from support.gate import confirm_database
from support.ledgers import empty_groups, forget_everything
from support.links import Listener, broker_with, kafka_link_of, make_listeners
from support.offices import BEIJING, CENTRE, SHANDONG, Desk, Desks
from support.proxy import Proxy
from support.world import WAIT_SECONDS

from node import localstack
from node.kafka import clients
from node.kafka.clients import TopicPartition
from node.kafka.topics import apply as topics
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

# On a busy machine the time of an example says nothing.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

NODES = ("000000", "110000", "370000", "660000")
_SESSIONS = Path(__file__).parents[1] / ".local" / "tests"
_KEPT_STACK = "TEST_STACK"
_counter = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Take SIGINT, which a shell lets what it starts in the background ignore."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # A broker of a test lives for minutes: the second compiler costs it more than it saves.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        for name in [name for name in os.environ if name.startswith("PETITIONLINK_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def _session_folder() -> Iterator[Path]:
    """The folder of the session's stack; no other session uses it meanwhile."""
    _sweep()
    if kept := os.environ.get(_KEPT_STACK):
        with _kept_folder(Path(kept).absolute()) as folder:
            yield folder
    else:
        with _held_folder(_SESSIONS / str(os.getpid())) as folder:
            yield folder


@pytest.fixture(scope="session")
def _listener(_session_folder: Path) -> Listener:
    """The broker's second listener, for clients that come through a proxy."""
    file = _session_folder / "listener.json"
    if not file.exists():
        file.write_text(json.dumps(make_listeners(1)[0]), encoding="utf-8")
    return Listener(*json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def stack(_session_folder: Path, _listener: Listener) -> Iterator[LocalStack]:
    """The running stack of this session; see above."""
    with (
        broker_with(_session_folder, [_listener]),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PETITIONLINK_LOCAL", str(_session_folder))
        try:
            yield localstack.up(NODES, print)
        finally:
            patch.setenv("PETITIONLINK_LOCAL", str(_session_folder))
            if _KEPT_STACK not in os.environ:
                localstack.down(print, purge=True)


@pytest.fixture(scope="module")
def module_stack_folder() -> Iterator[Path]:
    """A folder for a further stack of a whole module; the module names it in PETITIONLINK_LOCAL."""
    with _further_folder() as folder:
        yield folder


@pytest.fixture
def stack_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for a further stack; see above."""
    with _further_folder() as folder:
        monkeypatch.setenv("PETITIONLINK_LOCAL", str(folder))
        yield folder


@pytest.fixture
def new_nodes(stack: LocalStack) -> LocalStack:
    """The stack, its nodes as if new; see above."""
    empty_groups(stack)
    forget_everything(stack)
    for node in stack.nodes:  # a test before may have restarted Postgres without a relay
        confirm_database(stack_settings(node).dsn)
    return stack


@pytest.fixture
def kafka_link(stack: LocalStack, _listener: Listener) -> Iterator[Proxy]:
    """A proxy in front of the broker; see above."""
    with kafka_link_of(_listener) as link:
        yield link


@pytest.fixture(scope="session")
def _databases(stack: LocalStack) -> Iterator[Databases]:
    databases = Databases(stack.postgres_dsn)
    yield databases
    databases.drop_all()


@pytest.fixture
def fresh_dsn(stack: LocalStack, _databases: Databases) -> Iterator[Callable[..., str]]:
    """A maker of fresh databases; see above."""
    taken: list[tuple[str, str]] = []

    def make(node: str = "370000") -> str:
        name = _databases.take(node)
        taken.append((node, name))
        dsn = make_dsn(stack.postgres_dsn, dbname=name)
        confirm_database(dsn)
        return dsn

    yield make
    for node, name in taken:
        _databases.give_back(node, name)


@pytest.fixture
def fresh_settings(stack: LocalStack, fresh_dsn: Callable[..., str]) -> Callable[..., Settings]:
    """A maker of settings with a fresh database; see above."""

    def make(node: str = "370000") -> Settings:
        dsn = SecretStr(fresh_dsn(node))
        return stack_settings(node).model_copy(update={"postgres_dsn": dsn})

    return make


@pytest.fixture
def empty_topics(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack with nothing in its topics; see above."""
    cluster = localstack.cluster_settings(stack.bootstrap_servers)
    declared = topics.declared_topics(stack.nodes, local=True)
    with closing(clients.admin(cluster)) as client:
        with closing(clients.plain_consumer(cluster, "tests")) as reader:
            ends = reader.end_offsets(
                [TopicPartition(one.name, n) for one in declared for n in range(one.partitions)],
                timeout_ms=int(WAIT_SECONDS * 1000),
            )
        client.delete_records({one: end for one, end in ends.items() if end})
        yield stack
        # A test may have deleted a topic to see what happens.
        there = set(client.list_topics())
        missing = [topic for topic in declared if topic.name not in there]
        new = [topics.TopicChange(topic.name, topics.Action.CREATE) for topic in missing]
        topics.apply(client, missing, new)


@contextmanager
def _further_folder() -> Iterator[Path]:
    """Give a folder whose stack is taken down at the end."""
    _sweep()
    with _held_folder(_SESSIONS / f"{os.getpid()}-{next(_counter)}") as folder:
        yield folder
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PETITIONLINK_LOCAL", str(folder))
            localstack.down(print, purge=True)


@contextmanager
def _held_folder(folder: Path) -> Iterator[Path]:
    """Hold the folder by a lock that the kernel releases when this session ends."""
    folder.mkdir(parents=True)
    lock = folder.with_suffix(".session")
    with folder.with_suffix(".new").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Only now: another session removes what has this name and is not locked.
        Path(file.name).rename(lock)
        yield folder
        shutil.rmtree(folder)
        lock.unlink()


@contextmanager
def _kept_folder(folder: Path) -> Iterator[Path]:
    """The folder of a stack that outlives the session, once no other session uses it."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


def _sweep() -> None:
    """Take down the stacks whose session is no more."""
    for lock in _SESSIONS.glob("*.session"):
        with lock.open("a") as file, pytest.MonkeyPatch.context() as patch:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            patch.setenv("PETITIONLINK_LOCAL", str(lock.with_suffix("")))
            localstack.down(print, purge=True)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()


@pytest.fixture
def desks(empty_topics: LocalStack, fresh_settings: Callable[..., Settings]) -> Desks:
    """The centre, Beijing and Shandong, new."""
    centre, beijing, shandong = (fresh_settings(node) for node in (CENTRE, BEIJING, SHANDONG))
    return Desk(centre, Metrics()), Desk(beijing, Metrics()), Desk(shandong, Metrics())
