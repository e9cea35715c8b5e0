"""Node processes 节点进程 of the local stack: each is started on its own and ended with SIGTERM."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from node.localstack import LocalStack
from node.runtime.errors import PetitionLinkError

_READY_SECONDS = 40
_END_SECONDS = 30


def start_node(stack: LocalStack, node: str, command: str = "run") -> subprocess.Popen[bytes]:
    """Start a process of `node`; its log goes to `logs/` in the stack's folder."""
    log = log_file(stack, node, command)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "node.entrypoints.cli", command, "--node", node],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def log_file(stack: LocalStack, node: str, command: str = "run") -> Path:
    """Return the log file of a process of `node`."""
    return stack.folder / "logs" / f"{command}-{node}.log"


@contextmanager
def running_nodes(stack: LocalStack, nodes: Sequence[str], *, keep: bool) -> Iterator[None]:
    """Run all `nodes` inside the block; with `keep` they stay up if the block ended well."""
    missing = [node for node in nodes if metrics_text(stack, node) is None]
    processes = {node: start_node(stack, node) for node in missing}
    ended_well = False
    try:
        for node, process in processes.items():
            _await_ready(stack, node, process)
        yield
        ended_well = True
    finally:
        if not (keep and ended_well):
            end(processes.values())


def end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Send SIGTERM to all and wait; send SIGKILL to those that do not end in time."""
    running = list(processes)
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def metrics_text(stack: LocalStack, node: str) -> str | None:
    """Return the node's metrics as Prometheus reads them; None while nobody answers."""
    url = f"http://127.0.0.1:{stack.metrics_port(node)}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None
    return text


def _await_ready(stack: LocalStack, node: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the node holds partitions, so that Kafka and Postgres answer it."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log_file(stack, node).read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "its log is empty"
            raise PetitionLinkError(f"node {node} ended at once: {last}")
        text = metrics_text(stack, node) or ""
        if "petitionlink_consumer_applied_offset{" in text:
            return
        time.sleep(0.1)
    raise PetitionLinkError(f"node {node} is not ready: see {log_file(stack, node)}")
