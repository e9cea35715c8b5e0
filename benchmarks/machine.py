"""The machine and versions of a run, in one line: figures of another machine are other figures."""

import os
import platform
from importlib.metadata import version

from node.localstack import LocalStack
from node.localstack.binaries import jar_folder
from node.postgres.connection import connected

_KAFKA_JAR = "kafka_2.13-"
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")


def machine(stack: LocalStack) -> str:
    """Cores, memory, versions, and the Postgres settings that make a commit a promise."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{os.cpu_count()} cores ({_processor()})",
        f"{memory:.0f} GB",
        f"Python {platform.python_version()}",
        _postgres(stack),
        f"Kafka {_kafka(stack)}",
        f"kafka-python {version('kafka-python')}",
        f"psycopg2 {version('psycopg2-binary')}",
    ]
    return " · ".join(parts)


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _postgres(stack: LocalStack) -> str:
    with connected(stack.postgres_dsn, "bench") as connection, connection.cursor() as cursor:
        number = connection.server_version
        values = []
        for name in _SETTINGS:
            cursor.execute("select current_setting(%s)", (name,))
            values.append(f"{name}={(cursor.fetchone() or ('?',))[0]}")
    return f"Postgres {number // 10000}.{number % 10000} ({', '.join(values)})"


def _kafka(stack: LocalStack) -> str:
    jars = jar_folder(stack.folder / "kafka").glob(f"{_KAFKA_JAR}*.jar")
    return next(jar.stem.removeprefix(_KAFKA_JAR) for jar in sorted(jars))
