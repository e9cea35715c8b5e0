"""Debezium's JDBC sink on Kafka Connect, standalone: one Java process.

Connect's jars come from Maven Central as our broker's do, of the broker's version. The sink wants
records with a schema; our frame has a schema id, and the converters that are to be had read the
frames of registries. So a converter of our own, compiled here, makes of a record what Debezium
takes: nothing is published anew, it reads the very topic that everybody reads.

A cold Java would compile itself for most of a short run. So a first connector brings the whole
topic once, uncounted; it is deleted, and a second one in the same process, of another group and
into a fresh table, is what is measured.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from xml.etree import ElementTree

from psycopg2.extensions import parse_dsn

from benchmarks.peers.connect_worker import Worker
from benchmarks.peers.python_peer import PEERS_FOLDER
from benchmarks.peers.running import Course, course, process
from node.localstack import LocalStack
from node.localstack.binaries import java_program
from node.localstack.ports import free_port
from node.runtime.errors import PetitionLinkError
from schemas.catalogue import FOLDER

_OURS = Path(__file__).with_name("connect")
_HOME = PEERS_FOLDER / "debezium"
_LIBS, _CLASSES, _STAMP = _HOME / "libs", _HOME / "classes", _HOME / ".stamp"
_CONVERTER = _OURS / "FramedAvroConverter.java"
_POM = _OURS / "pom.xml"
_MAVEN = {"": "http://maven.apache.org/POM/4.0.0"}
# As Kafka's own start script for Connect has it.
_HEAP = ("-Xms256M", "-Xmx2G", "-XX:+UseG1GC")
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"


@dataclass(frozen=True)
class Debezium:
    """The sink with its settings, see `connect/sink.properties`."""

    name: str
    about: str
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def versions(self) -> str:
        """The sink's and Connect's."""
        root = ElementTree.parse(_POM).getroot()
        kafka = root.findtext("properties/kafka.version", "", _MAVEN)
        found = {
            each.findtext("artifactId", "", _MAVEN): each.findtext("version", "", _MAVEN)
            for each in root.iterfind("dependencies/dependency", _MAVEN)
        }
        sink = "debezium-connector-jdbc"
        return f"{sink} {found[sink]}, connect-runtime {kafka}"

    def install(self) -> None:
        """Copy the jars and compile the converter, once for each state of both."""
        java = java_program()
        digest = hashlib.sha256(_POM.read_bytes() + _CONVERTER.read_bytes()).hexdigest()
        if _STAMP.is_file() and _STAMP.read_text() == digest:
            return
        shutil.rmtree(_HOME, ignore_errors=True)
        _copy_jars()
        _compile(java)
        _STAMP.write_text(digest)

    def run(self, stack: LocalStack, topic: str, events: int) -> float:
        """See `Peer.run`."""
        worker = Worker(free_port())
        with process(stack, "debezium", _command(worker, stack), {}) as running:
            worker.await_ready(running)
            warm_up = course(stack, "debezium", topic, events)
            worker.start(warm_up.group, self._sink(warm_up))
            warm_up.timed(running)
            worker.delete(warm_up.group)
            given = course(stack, "debezium", topic, events)
            worker.start(given.group, self._sink(given))
            return given.timed(running)

    def _sink(self, given: Course) -> dict[str, str]:
        address = parse_dsn(given.dsn)
        url = "jdbc:postgresql://{host}:{port}/{dbname}?reWriteBatchedInserts=true"
        values = {
            "topic": given.topic,
            "url": url.format(**address),
            "user": address["user"],
            "password": address.get("password", ""),
            **self.settings,
        }
        lines = (_OURS / "sink.properties").read_text(encoding="utf-8").splitlines()
        settings = [line.partition("=") for line in lines if not line.startswith("#")]
        return {name: Template(value).substitute(values) for name, _, value in settings}


def _command(worker: Worker, stack: LocalStack) -> list[str]:
    folder = _HOME / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    text = Template((_OURS / "worker.properties").read_text(encoding="utf-8")).substitute(
        broker=stack.bootstrap_servers, address=worker.address, folder=folder, schemas=FOLDER
    )
    file = folder / "worker.properties"
    file.write_text(text, encoding="utf-8")
    log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    program = "org.apache.kafka.connect.cli.ConnectStandalone"
    return [java_program(), *_HEAP, log, "-cp", f"{_CLASSES}:{_LIBS}/*", program, str(file)]


def _copy_jars() -> None:
    if shutil.which("mvn") is None:
        raise PetitionLinkError("Debezium cannot be installed without Maven: run `make setup`")
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
    _do([*command, f"-DoutputDirectory={_LIBS}", "-DincludeScope=runtime"], "Maven has no jars")


def _compile(java: str) -> None:
    compiler = [java, "-cp", f"{_LIBS}/*", _COMPILER, "-17", "-proc:none", "-nowarn"]
    jars = ":".join(str(jar) for jar in sorted(_LIBS.glob("*.jar")))
    _do([*compiler, "-cp", jars, "-d", str(_CLASSES), str(_CONVERTER)], "the converter is refused")


def _do(command: Iterable[str], failed: str) -> None:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing was said"]
        raise PetitionLinkError(f"Debezium cannot be installed: {failed}: {said[0][:500]}")
