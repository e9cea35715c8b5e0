"""The user that runs Postgres, which refuses to run as root.

A normal user runs it directly. Root runs it as `postgres`, a user that the server package creates.
If that user cannot enter the project (say, under /root), the server's folder is made under /var/tmp
instead, private to that user and named after the project's path.
"""

import hashlib
import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.localstack.folder import make_folder, not_ours
from node.runtime.errors import Fatal

# `nobody` is used if Postgres came as a Python wheel, which creates no user.
_ACCOUNTS = ("postgres", "nobody")
_ELSEWHERE = Path("/var/tmp")
_PRIVATE_MODE = 0o700


def server_account() -> pwd.struct_passwd | None:
    """Return the user that root runs Postgres as; None for a normal user."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Fatal("Postgres does not run as root and there is no user `postgres`: run `make setup`")


def run_as_owner(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a Postgres program as the user that owns the server, output captured."""
    user = server_account()
    switch: dict[str, Any] = {}
    if user:
        switch = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        list(command), cwd="/", env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", check=False, **switch,
    )  # fmt: skip


def server_folder(folder: Path) -> Path:
    """Return the private folder of the server of this stack, made if need be."""
    inside, elsewhere = possible_folders(make_folder(folder))
    can_enter = run_as_owner(["test", "-x", str(folder)]).returncode == 0
    return _private(inside if can_enter else elsewhere)


def possible_folders(folder: Path) -> list[Path]:
    """Return the folders where the server of this stack may have its files."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return [folder / "postgres", _ELSEWHERE / f"petitionlink-{digest}"]


def own(path: Path) -> None:
    """Give a file that we wrote to the user who runs the server."""
    user = server_account()
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)


def _private(path: Path) -> Path:
    """Return a folder that only the server's user may enter, never one that another user made."""
    user = server_account()
    owner = user.pw_uid if user else os.geteuid()
    try:
        path.mkdir(mode=_PRIVATE_MODE)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner:
            raise not_ours(path, PermissionError("it belongs to another user")) from None
        return path
    except OSError as error:
        raise not_ours(path, error) from None
    own(path)
    return path
