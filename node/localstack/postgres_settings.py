"""The settings of the stack's Postgres: honest ones, so that what is measured here holds."""

from __future__ import annotations

from pathlib import Path

from node.localstack.account import run_as_owner
from node.localstack.ports import HOST

_SETTINGS = {
    # Reached by TCP on this machine only, by password; no socket file in a shared folder.
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "password_encryption": "scram-sha-256",
    # 33 nodes with relay, consumer and web each stay under it.
    "max_connections": "200",
    # A commit that was acknowledged is on the disk: never switched off, not for a test either.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # The default of 128 MB is made for machines of long ago; the working set of a node fits.
    "shared_buffers": "256MB",
    # A bulk import does not force a checkpoint every few seconds.
    "max_wal_size": "2GB",
    # Statements over a batch are short; compiling one costs more than it gains.
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %d %a '",
}


def settings_text(programs: Path, data: Path, port: int) -> str:
    """The server's settings file."""
    compression = _wal_compression(programs, data)
    settings = {**_SETTINGS, "port": str(port), "wal_compression": compression}
    lines = (f"{name} = {value}" for name, value in settings.items())
    return "# Written at each `petitionlink stack up`.\n" + "\n".join(lines) + "\n"


def _wal_compression(programs: Path, data: Path) -> str:
    """lz4 where this build has it (Postgres 15 and later, usually), else the built-in one."""
    ask = ["-D", str(data), "-c", "wal_compression=lz4", "-C", "wal_compression"]
    return "lz4" if run_as_owner([str(programs / "postgres"), *ask]).returncode == 0 else "on"
