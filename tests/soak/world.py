"""The world that the soak breaks: nodes as processes, each with links of its own."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.clocks import Clocks
from support.links import through
from support.processes import Process
from support.proxy import Conditions, Proxy

from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.localstack.stack import stack_settings
from node.runtime.settings import Settings

# At the centre, beside its `run`: three consumers share the partitions.
_MORE_CONSUMERS = 2
# Seven processes that start at once on two busy cores.
READY_SECONDS = 180.0


class World:
    """Nodes of a stack, their processes and links; what was done to them is counted."""

    def __init__(
        self, stack: LocalStack, kafka_links: Mapping[str, Proxy], postgres_link: Proxy
    ) -> None:
        self.stack = stack
        self.nodes = [*kafka_links]
        self.kafka_links = kafka_links
        self.postgres_link = postgres_link
        self.direct = {node: stack_settings(node) for node in self.nodes}
        self.processes: dict[str, Process] = {}
        self.clocks = Clocks(stack.folder / "clocks")
        # Poison that was written, by the node that must have dead-lettered it.
        self.poisoned: Counter[str] = Counter()
        self.findings: list[str] = []
        self._lock = threading.Lock()
        self._settings: dict[str, Settings] = {}

    @property
    def centre(self) -> str:
        """Return the national node."""
        return self.nodes[0]

    def add(self, node: str, command: str = "run", number: int = 0) -> str:
        """Add a process of a node that is to run from now on; return its name."""
        settings = through(
            self.direct[node], kafka=self.kafka_links[node], postgres=self.postgres_link
        )
        if number:
            settings = settings.model_copy(update={"metrics_port": free_port()})
        name = f"{command} {node}" + (f" {number}" if number else "")
        self._settings[name] = settings
        self.start(name)
        return name

    def start(self, name: str) -> Process:
        """Start a process that was added, again if it was ended."""
        command, node, *_ = name.split()
        clock = self.clocks.environment(node)
        process = Process(self.stack, node, command, self._settings[name], clock)
        with self._lock:
            self.processes[name] = process
        return process

    def stop(self, name: str) -> None:
        """SIGTERM; another exit code than 0 or more than 30 s is a finding."""
        try:
            code = self.processes[name].stop()
        except AssertionError as error:
            self.find(f"{name}: {str(error)[:200]}")
        else:
            if code != 0:
                self.find(f"{name} ended with exit code {code} on SIGTERM")

    def revive(self) -> None:
        """Report what ended by itself as a finding, and start it again."""
        for name, process in [*self.processes.items()]:
            if not process.is_alive:
                last = process.text().strip().splitlines()[-1:] or ["its log is empty"]
                self.find(f"{name} ended by itself: {last[0][:300]}")
                self.start(name)

    def await_ready(self) -> None:
        """Wait until every process serves."""
        for process in [*self.processes.values()]:
            process.await_ready()

    def heal_links(self) -> None:
        """Everything passes again."""
        for link in (*self.kafka_links.values(), self.postgres_link):
            link.up()
            link.conditions = Conditions()
        for node in self.nodes:
            self.clocks.set(node, 0)

    def kill_all(self) -> None:
        """Kill every process of the world."""
        for process in self.processes.values():
            process.kill()

    def find(self, what: str) -> None:
        """Note what should not be."""
        with self._lock:
            self.findings.append(what)


@contextmanager
def running_world(
    stack: LocalStack, kafka_links: Mapping[str, Proxy], postgres_link: Proxy, *, consumers: bool
) -> Iterator[World]:
    """Run the nodes inside the block, with `consumers` three at the centre; kill them after it."""
    world = World(stack, kafka_links, postgres_link)
    with ExitStack() as exits:
        exits.callback(world.kill_all)
        for node in world.nodes:
            world.add(node)
        for number in range(1, _MORE_CONSUMERS + 1) if consumers else ():
            world.add(world.centre, "consume", number)
        world.await_ready()
        yield world


def end_leftovers(folder: Path) -> int:
    """Kill node processes that a killed soak of this folder has left; how many."""
    mark = f"PETITIONLINK_LOCAL={folder}".encode()
    found = [pid for pid in _others() if mark in _environment(pid) and _is_node(pid)]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)


def _others() -> list[int]:
    return [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit() and int(one.name) != os.getpid()
    ]


def _environment(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0")


def _is_node(pid: int) -> bool:
    command = _read(pid, "cmdline").split(b"\0")
    return any(part.endswith(b"/petitionlink") for part in command[:3])


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
