"""The real PgBouncer between a node and its Postgres."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg2.extensions import make_dsn, parse_dsn
from support.world import WAIT_SECONDS, eventually

from node.localstack.account import own, server_account
from node.localstack.ports import HOST, free_port

# Debian has it where only root looks.
_PLACES = f"{os.environ['PATH']}:/usr/sbin"


@contextmanager
def pooler(dsn: str, mode: str, **settings: str) -> Iterator[str]:
    """Give an address of the same database through a pooler of this mode."""
    program = shutil.which("pgbouncer", path=_PLACES)
    assert program, "pgbouncer is missing: run `deploy/setup.sh --tests`"
    parts, port = parse_dsn(dsn), free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own(folder)
        users = _written(folder / "users.txt", f'"{parts["user"]}" "{parts["password"]}"\n')
        lines = {
            "listen_addr": HOST, "listen_port": str(port), "unix_socket_dir": "",
            "auth_type": "scram-sha-256", "auth_file": str(users), "pool_mode": mode, **settings,
        }  # fmt: skip
        text = "".join(f"{one} = {value}\n" for one, value in lines.items())
        databases = f"[databases]\n* = host={parts['host']} port={parts['port']}\n"
        file = _written(folder / "pgbouncer.ini", f"{databases}[pgbouncer]\n{text}")
        process = subprocess.Popen([program, "-q", str(file)], **_unprivileged())
        try:
            eventually(lambda: _answers(port), "PgBouncer answers")
            yield make_dsn(dsn, port=port)
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    own(path)
    return path


def _unprivileged() -> dict[str, Any]:
    """It refuses root, as Postgres does."""
    user = server_account()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
