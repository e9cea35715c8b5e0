"""The stack's own Postgres: a real server with its own data folder, run by an unprivileged user."""

import secrets
import shutil
import signal
import time
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn

from node.localstack import process
from node.localstack.account import own, possible_folders, run_as_owner, server_folder
from node.localstack.binaries import binary_folder
from node.localstack.ports import HOST, free_port, is_free
from node.localstack.state import Postgres
from node.runtime.errors import Fatal

_USER = "petitionlink"
_SETTINGS_FILE = "petitionlink.conf"
_START_LIMIT_SECONDS = 60
# Processes of a killed server notice soon that it is gone.
_ORPHAN_LIMIT_SECONDS = 15.0
_STOP_LIMIT_SECONDS = 60.0
_POLL_SECONDS = 0.1
_SETTINGS = {
    # Clients come by TCP on this machine, with a password; no socket file in a shared folder.
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "password_encryption": "scram-sha-256",
    # 33 nodes with relay, consumer and web each stay under it.
    "max_connections": "200",
    # An acknowledged commit is on the disk, in tests too, so that what is measured here holds.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # The working set of a node fits, unlike into the default of 128 MB.
    "shared_buffers": "256MB",
    # A bulk import does not force a checkpoint every few seconds.
    "max_wal_size": "2GB",
    # Statements over a batch are short; compiling one costs more than it gains.
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %d %a '",
}


def chosen(known: Postgres | None, folder: Path, taken: set[int]) -> Postgres:
    """Return the server's addresses: as before, or with a free port if its own was taken.

    Raises `Fatal` if there are data whose password is lost.
    """
    if known is None:
        _refuse_orphaned_data(folder)
    port = known.port if known and is_free(known.port) else free_port(taken)
    password = parse_dsn(known.dsn)["password"] if known else secrets.token_urlsafe(24)
    dsn = make_dsn(host=HOST, port=port, user=_USER, password=password, dbname="postgres")
    has_data = known is not None and _version(Path(known.folder) / "data") is not None
    home = known.folder if known and has_data else str(server_folder(folder))
    return Postgres(dsn=dsn, outside=False, folder=home, port=port)


def homes(folder: Path, known: Postgres | None) -> list[Path]:
    """Return the server's folder if it is known, else all folders where it may be."""
    return [Path(known.folder)] if known else possible_folders(folder)


def find(home: Path) -> int | None:
    """Return the process of the server in this folder, if it runs; its own pid file names it."""
    data = home / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if process.is_running(pid, "postgres", str(data)) else None


def start(postgres: Postgres) -> None:
    """Start the server and wait for it; raises `Fatal` with its last log lines."""
    home = Path(postgres.folder)
    data = home / "data"
    programs = binary_folder(_version(data))
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, parse_dsn(postgres.dsn)["password"])
    _clear_remains(data)
    _write_settings(programs, data, postgres.port)
    log = home / "postgres.log"
    command = [str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-s"]
    done = run_as_owner([*command, "-t", str(_START_LIMIT_SECONDS), "start"])
    if done.returncode != 0:
        raise Fatal(f"Postgres does not start: {done.stderr.strip()}\n{process.last_lines([log])}")


def stop(home: Path) -> bool:
    """Shut the server down as `pg_ctl stop -m fast` does; False if none ran."""
    pid = find(home)
    if pid is None:
        return False
    data = str(home / "data")
    # SIGINT is the fast shutdown, SIGQUIT the immediate one with recovery at the next start.
    for how in (signal.SIGINT, signal.SIGQUIT):
        if process.end(pid, "postgres", data, how, _STOP_LIMIT_SECONDS):
            return True
    raise Fatal(f"Postgres (process {pid}) does not end: see {home}/postgres.log")


def _refuse_orphaned_data(folder: Path) -> None:
    for home in possible_folders(folder):
        if (home / "data").exists():
            raise Fatal(
                f"{folder}/stack.json is gone, and with it the password of the data in {home}: "
                "put it back, or start again with `petitionlink stack down --purge`"
            )


def _version(data: Path) -> str | None:
    try:
        return (data / "PG_VERSION").read_text().strip()
    except OSError:
        return None


def _initialise(programs: Path, data: Path, password: str) -> None:
    """Make the data folder, under another name until it is complete."""
    secret, fresh = data.parent / "password", data.parent / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    own(secret)
    try:
        done = run_as_owner([
            str(programs / "initdb"), "-D", str(fresh), "-U", _USER, "--encoding=UTF8",
            "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}",
        ])  # fmt: skip
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise Fatal(f"Postgres' data folder {data} cannot be made: {done.stderr.strip()}")
    with (fresh / "postgresql.conf").open("a") as file:
        file.write(f"\ninclude_if_exists = '{_SETTINGS_FILE}'\n")
    fresh.rename(data)


def _write_settings(programs: Path, data: Path, port: int) -> None:
    path = data / _SETTINGS_FILE
    path.write_text(_settings_text(programs, data, port))
    own(path)


def _clear_remains(data: Path) -> None:
    """Wait for the last processes of a killed server, then remove its pid file.

    If another process has that number by now, the server would not start.
    """
    deadline = time.monotonic() + _ORPHAN_LIMIT_SECONDS
    while process.at_work_in(data):
        if time.monotonic() > deadline:
            raise Fatal(f"processes of a killed Postgres still work in {data}: end them")
        time.sleep(_POLL_SECONDS)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _settings_text(programs: Path, data: Path, port: int) -> str:
    compression = _wal_compression(programs, data)
    settings = {**_SETTINGS, "port": str(port), "wal_compression": compression}
    lines = (f"{name} = {value}" for name, value in settings.items())
    return "# Written at each `petitionlink stack up`.\n" + "\n".join(lines) + "\n"


def _wal_compression(programs: Path, data: Path) -> str:
    """Return lz4 if this build has it (Postgres 15 and later, usually), else the built-in one."""
    ask = ["-D", str(data), "-c", "wal_compression=lz4", "-C", "wal_compression"]
    return "lz4" if run_as_owner([str(programs / "postgres"), *ask]).returncode == 0 else "on"
