"""The stack's own broker: one process of Apache Kafka in KRaft mode, run by java directly."""

import base64
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from string import Template

from node.localstack import process
from node.localstack.binaries import jar_folder, java_program
from node.localstack.folder import deploy_file, make_folder
from node.localstack.ports import HOST, free_port, is_free, kafka_answers
from node.localstack.state import Kafka
from node.runtime.errors import Fatal

# For a laptop: enough for a few hundred partitions and a few thousand records a second.
_HEAP = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
# Start takes about 3 s on two idle cores; a busy machine may need many times that.
_START_LIMIT_SECONDS = 90.0
_STOP_LIMIT_SECONDS = 30.0
_KILL_LIMIT_SECONDS = 10.0
_POLL_SECONDS = 0.05
# A new process has no command line at first, so that it is missed a few times.
_MISSES = 5


def chosen(known: Kafka | None, taken: set[int]) -> Kafka:
    """Return the broker's addresses: as before, or on free ports if its own were taken."""
    if known and ports_are_free(known):
        return known
    broker_port = free_port(taken)
    return Kafka(
        bootstrap_servers=f"{HOST}:{broker_port}",
        outside=False,
        controller_port=free_port(taken | {broker_port}),
        cluster_id=known.cluster_id if known else _new_cluster_id(),
    )


def ports_are_free(kafka: Kafka) -> bool:
    """Return whether nobody listens on the ports of this broker."""
    return is_free(kafka.port) and is_free(kafka.controller_port)


def find(folder: Path) -> int | None:
    """Return the process of this stack's broker, if it runs."""
    return process.find("java", _mark(folder))


def start(folder: Path, kafka: Kafka) -> None:
    """Start the broker without waiting for it."""
    home = make_folder(folder / "kafka")
    java = java_program()
    _write_properties(home, kafka)
    if not (home / "data" / "meta.properties").exists():
        _format(java, home, kafka.cluster_id)
    command = [*_command(java, folder), *_HEAP, "kafka.Kafka", str(home / "server.properties")]
    process.spawn(command, home / "broker.out", os.environ)


def await_ready(folder: Path, kafka: Kafka) -> None:
    """Wait until the broker answers; raises `Fatal` with its last log lines if it does not."""
    deadline = time.monotonic() + _START_LIMIT_SECONDS
    misses = 0
    while not kafka_answers(HOST, kafka.port):
        misses = 0 if find(folder) else misses + 1
        if misses == _MISSES:
            raise Fatal(f"the broker ended while starting\n{_why(folder)}")
        if time.monotonic() > deadline:
            raise Fatal(
                f"the broker does not answer after {_START_LIMIT_SECONDS:.0f} s\n{_why(folder)}"
            )
        time.sleep(_POLL_SECONDS)


def stop(folder: Path) -> bool:
    """End the broker, by SIGKILL if SIGTERM does not help; False if none ran."""
    pid = find(folder)
    if pid is None:
        return False
    for how, limit in (
        (signal.SIGTERM, _STOP_LIMIT_SECONDS),
        (signal.SIGKILL, _KILL_LIMIT_SECONDS),
    ):
        if process.end(pid, "java", _mark(folder), how, limit):
            return True
    raise Fatal(f"the broker (process {pid}) does not end, not even when killed")


def _new_cluster_id() -> str:
    # Kafka's form of an id: 16 bytes in base64url without padding, without a dash at the beginning.
    return "p" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _mark(folder: Path) -> str:
    """Return the argument by which this stack's broker is known."""
    return f"-Dpetitionlink.kafka={folder / 'kafka'}"


def _command(java: str, folder: Path) -> list[str]:
    home = folder / "kafka"
    return [
        java,
        _mark(folder),
        f"-Dlog4j2.configurationFile={deploy_file('kafka/log4j2.xml')}",
        f"-XX:ErrorFile={home}/java_error.log",
        "-Djava.awt.headless=true",
        "-cp",
        f"{jar_folder(home)}/*",
    ]


def _write_properties(home: Path, kafka: Kafka) -> None:
    template = Template(deploy_file("kafka/server.properties").read_text(encoding="utf-8"))
    text = template.substitute(
        broker_port=kafka.port, controller_port=kafka.controller_port, data_folder=home / "data"
    )
    (home / "server.properties").write_text(text, encoding="utf-8")


def _format(java: str, home: Path, cluster_id: str) -> None:
    """Write the cluster's identity into the empty data folder."""
    tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"]
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", f"{jar_folder(home)}/*", *tool]
    done = subprocess.run(
        [*command, str(home / "server.properties")], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Fatal(f"Kafka's storage cannot be formatted: {done.stderr.strip()[-2000:]}")


def _why(folder: Path) -> str:
    home = folder / "kafka"
    return process.last_lines([home / "broker.log", home / "broker.out"])
