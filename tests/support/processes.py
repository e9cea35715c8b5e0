"""Long-lived processes of nodes of the local stack, as an operator runs them."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from support.cli import PROGRAM, as_environment, environment
from support.world import WAIT_SECONDS, eventually

from node.localstack import LocalStack
from node.localstack.process import last_lines
from node.runtime.settings import Settings

# What operators are promised for SIGTERM (docs/faults.md 24): a bound that is tested, not a wait.
STOP_SECONDS = 30.0
# Imported registers are years old: their evaluation windows would expire in the middle of a count.
_NO_EXPIRY = {"PETITIONLINK_EVALUATION_GRACE_HOURS": "876000"}
# Shows what the Kafka clients did if a process does not become ready.
_VERBOSE = {"PETITIONLINK_LOG_LEVEL": "debug"}
_started: weakref.WeakSet[Process] = weakref.WeakSet()


class Process:
    """`petitionlink run|relay|consume`, its log and its metrics.

    With `--node`, or with these settings in its environment and ports of its own. `variables` are
    added to its environment.
    """

    def __init__(
        self,
        stack: LocalStack,
        node: str,
        command: str = "run",
        settings: Settings | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.node = node
        self.command = command
        self._folder = stack.folder
        self.log = _new_log(stack, f"{command}-{node}")
        self.metrics_port = settings.metrics_port if settings else stack.metrics_port(node)
        own = as_environment(settings) if settings else {}
        with self.log.open("wb") as stream:
            self._process = subprocess.Popen(
                [PROGRAM, command, *(() if settings else ("--node", node))],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment() | _VERBOSE | _NO_EXPIRY | own | dict(variables or {}),
            )
        _started.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def await_ready(self, seconds: float = WAIT_SECONDS) -> None:
        """Wait until it answers with its metrics and, if it consumes, holds partitions."""
        try:
            eventually(self._is_ready, f"{self.command} of {self.node} is ready", seconds)
        except AssertionError as error:
            said = f"it said: {self.text()[-6000:]}; the broker: {self._of_broker()}"
            raise AssertionError(f"{error}; {said}") from error

    def _is_ready(self) -> bool:
        assert self.is_alive, self.text()
        shown = metrics_at(self.metrics_port)
        if self.command == "relay" or shown is None:
            return shown is not None
        return "petitionlink_consumer_applied_offset{" in shown

    def _of_broker(self) -> str:
        """Return the last lines of the broker's log."""
        return last_lines([self._folder / "kafka" / "broker.log"])

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code, which must come in time."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {STOP_SECONDS} s: {self.text()}") from None

    def text(self) -> str:
        """Return its log so far."""
        return self.log.read_text(errors="replace")

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sum of a metric's samples with these labels; None if it has none or is
        silent."""
        return metric_at(self.metrics_port, name, **labels)

    def freeze(self) -> None:
        """SIGSTOP: it holds what it has and does nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)


def is_running(command: str, node: str) -> bool:
    """Return whether a process of this session runs the command for the node now."""
    return any((one.command, one.node) == (command, node) for one in _started if one.is_alive)


def metric(stack: LocalStack, node: str, name: str, **labels: str) -> float | None:
    """Return the sum of the samples of `petitionlink_<name>` that have these labels."""
    return metric_at(stack.metrics_port(node), name, **labels)


def metrics_at(port: int) -> str | None:
    """Return the text of a metrics port; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def metric_at(port: int, name: str, **labels: str) -> float | None:
    """Return a metric of whoever answers on a metrics port."""
    text = metrics_at(port)
    if text is None:
        return None
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"petitionlink_{name}" and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


@contextmanager
def running_nodes(
    stack: LocalStack, *nodes: str, command: str = "run"
) -> Iterator[dict[str, Process]]:
    """Run a ready process for each node; stop them after the block, each with exit code 0."""
    processes = {node: Process(stack, node, command) for node in nodes}
    try:
        for process in processes.values():
            process.await_ready()
        yield processes
    except BaseException:
        for process in processes.values():
            process.kill()
        raise
    codes = {node: process.stop() for node, process in processes.items() if process.is_alive}
    assert set(codes.values()) <= {0}, {node: processes[node].text() for node in codes}


@contextmanager
def one(make: Callable[[], Process]) -> Iterator[Process]:
    """Run a ready process that the block may end; kill it after the block if it still lives."""
    process = make()
    try:
        process.await_ready()
        yield process
    finally:
        if process.is_alive:
            process.kill()


def _new_log(stack: LocalStack, name: str) -> Path:
    folder = stack.folder / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}-{time.time_ns()}.log"


def resident_bytes(pid: int, *, peak: bool = False) -> int:
    """Return the memory that a process has now, or its `peak` since `forget_peak`."""
    name = "VmHWM" if peak else "VmRSS"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no {name}")


def forget_peak(pid: int) -> None:
    """Begin the peak of a process's memory again (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
