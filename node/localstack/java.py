"""Kafka's jars and the Java that runs them. There are no shell scripts in the jars; none needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from node.localstack.folder import PROJECT
from node.runtime.errors import Fatal

# Kafka 4 brokers need it.
_OLDEST_JAVA = 17


def java_program() -> str:
    """The `java` of JAVA_HOME or of the PATH; `Fatal` with the cure if missing or too old."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(f"{home}/bin/java") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise Fatal(f"java is missing: run `make setup` (Kafka needs Java {_OLDEST_JAVA} or newer)")
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        raise Fatal(f"{program} is older than Java {_OLDEST_JAVA}, which Kafka needs: `make setup`")
    return program


def jar_folder(kafka_folder: Path) -> Path:
    """The folder of the jars: the stack's own, or the one that `make setup` fills."""
    shared = PROJECT / ".local" / "kafka" / "libs"
    for folder in (kafka_folder / "libs", shared):
        if any(folder.glob("kafka_2.13-*.jar")):
            return folder
    raise Fatal(f"Kafka's jars are missing in {shared}: run `make setup`")
