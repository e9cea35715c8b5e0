"""Where the measurements live 测量环境: a stack of their own, so that they may empty it.

The stack lies in `.local/bench`; Kafka's jars are shared with the project's other stack. Settings
of the environment that name another broker or database are ignored: nothing there is touched.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from kafka.admin import MemberToRemove
from kafka.errors import CoordinatorNotAvailableError

from cases.nodes import NATIONAL
from consumers import offsets
from node import localstack
from node.entrypoints.cli.node_processes import end, log_file
from node.kafka import clients
from node.kafka.topic_names import consumed_topics, produced_topics
from node.localstack import LocalStack
from node.localstack.folder import PROJECT
from node.localstack.ports import free_port
from node.localstack.stack import stack_settings
from node.localstack.updown import Say
from node.postgres.connection import connect, connected
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import ENV_PREFIX, Settings

# The provinces that produce, one for each topic that must hold nothing else, and the one that cases
# are sent on to.
NODES = (NATIONAL, "110000", "370000", "500000", "660000")

_TABLES = (
    "case_event, petition_case, case_clock, case_evaluation, case_supervision, case_route, outbox, "
    "consumer_offset, dead_letter, imported_row, node_contact, case_digest, digest_bucket, "
    "digest_change, withheld_event, flow_day, flow_change, flow_report, receipt, peer_position, "
    "reported_dead_letter, own_position, reconciliation"
)
_ANSWER_MS = 20_000
_LOCAL = PROJECT / ".local" / "bench"
# Where the logs of the processes are after a measurement that failed.
KEPT_LOGS = PROJECT / ".local" / "bench.logs"


@contextmanager
def bench_stack(say: Say) -> Iterator[LocalStack]:
    """The stack, up inside, gone with its data behind; one run at a time, for each empties it."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
    os.environ["PETITIONLINK_LOCAL"] = str(_LOCAL)
    # Ledgers of benchmarks are copied in without digests: nothing to be verified.
    os.environ["PETITIONLINK_SCRUB_EVENTS_PER_SECOND"] = "0"
    with _alone():
        shutil.rmtree(KEPT_LOGS, ignore_errors=True)
        try:
            yield localstack.up(NODES, say)
        except BaseException:
            if (_LOCAL / "logs").exists():
                shutil.copytree(_LOCAL / "logs", KEPT_LOGS)
            raise
        finally:
            localstack.down(say, purge=True)


@contextmanager
def _alone() -> Iterator[None]:
    lock = PROJECT / ".local" / "bench.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PetitionLinkError("another run measures here: wait until it is done") from None
        yield


def empty(stack: LocalStack, nodes: Sequence[str] = NODES) -> None:
    """Empty the tables of these nodes; a checkpoint, so that no run pays for the one before."""
    for node in nodes:
        with closing(connect(stack.dsn(node), "bench")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"truncate {_TABLES} restart identity")
                cursor.execute("checkpoint")
        know_own_records(node)


def know_own_records(node: str) -> None:
    """Let `node` know what it wrote to its topics before, or its relay would first look at that."""
    settings = stack_settings(node)
    _, behind = _bounds(settings, produced_topics(node))
    with connected(settings.dsn, "bench") as connection, connection, connection.cursor() as cursor:
        cursor.execute("truncate own_position")
        for place, end in behind.items():
            cursor.execute("insert into own_position values (%s, %s, %s)", (*place, end))


def begin_at_end(node: str, *, but: str = "") -> int:
    """Let `node` begin behind everything on its topics, except `but`, which it reads whole.

    The number of records on `but`.
    """
    settings = stack_settings(node)
    first, behind = _bounds(settings, consumed_topics(node))
    begins = {place: end if place[0] != but else first[place] for place, end in behind.items()}
    with connected(settings.dsn, "bench") as connection, connection, connection.cursor() as cursor:
        offsets.begin(cursor, begins)
    return sum(behind[place] - begin for place, begin in begins.items())


def ends(node: str) -> offsets.Offsets:
    """Behind the last record of every partition that `node` reads."""
    _, behind = _bounds(stack_settings(node), consumed_topics(node))
    return behind


def begin_at(node: str, places: offsets.Offsets) -> None:
    """Let `node`, whose database is empty, begin there."""
    settings = stack_settings(node)
    with connected(settings.dsn, "bench") as connection, connection, connection.cursor() as cursor:
        offsets.begin(cursor, places)


def _bounds(settings: Settings, topics: Sequence[str]) -> tuple[offsets.Offsets, offsets.Offsets]:
    """The first and the next offset of every partition of these topics."""
    with closing(clients.plain_consumer(settings, "bench")) as client:
        existing = client.topics()
        places = [
            clients.TopicPartition(topic, number)
            for topic in topics
            if topic in existing
            for number in client.partitions_for_topic(topic)
        ]
        first = client.beginning_offsets(places, timeout_ms=_ANSWER_MS)
        behind = client.end_offsets(places, timeout_ms=_ANSWER_MS)
    return (
        {tuple(place): offset for place, offset in first.items()},
        {tuple(place): offset for place, offset in behind.items()},
    )


@contextmanager
def process(stack: LocalStack, node: str, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """One process of a node, `petitionlink COMMAND --node NODE`, ended behind the block."""
    with processes(stack, node, ("node.entrypoints.cli", command, "--node", node)) as (started,):
        yield started


@contextmanager
def processes(
    stack: LocalStack, node: str, command: Sequence[str], number: int = 1
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Several processes of a node, `python -m COMMAND`, each with a metrics port of its own.

    Several consumers begin together if the run before left a member: the group waits for that, and
    meanwhile all have joined. One need not wait.
    """
    if number == 1 and "relay" not in command:  # which is no member, and may run without a broker
        _leave_group(node)
    started: list[subprocess.Popen[bytes]] = []
    log = log_file(stack, node, command[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        ports: set[int] = set()
        for _ in range(number):
            ports.add(port := free_port(ports))
            own = {f"{ENV_PREFIX}METRICS_PORT": str(port)}
            with log.open("ab") as stream:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command],
                        env=os.environ | own,
                        stdin=subprocess.DEVNULL,
                        stdout=stream,
                        stderr=stream,
                        start_new_session=True,
                    )
                )
        yield started
    finally:
        end(started)


def _leave_group(node: str) -> None:
    """A consumer stays a member of its group for a session's time after its end, so that it may
    come again: the next one of another name would wait for that."""
    settings = stack_settings(node)
    group = clients.group_of(node)
    # The very first consumer of a stack finds no group yet.
    with closing(clients.admin(settings)) as client, suppress(CoordinatorNotAvailableError):
        described = client.describe_groups([group])[group]
        gone = [
            MemberToRemove(group_instance_id=member["group_instance_id"])
            for member in described["members"]
        ]
        client.remove_group_members(group, gone)


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had resident so far, in MB."""
    return megabytes(pid, "VmHWM")


def megabytes(pid: int, name: str) -> float:
    """A size of a process as /proc names it, in MB: VmRSS is what it has resident now."""
    with open(f"/proc/{pid}/status") as lines:
        found = next(line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024 / 1e6
