"""Where the local stack lives: `.local` in the project, or the folder PETITIONLINK_LOCAL names.

- stack.json    addresses, ports, the database password (mode 0600)
- stack.lock    held while a command changes the stack
- keys/         key pairs of the nodes
- logs/         of node processes that were started for this stack
- kafka/        libs/ (jars, from `make setup`), data/, server.properties, broker.log, broker.out
- postgres/     data/, postgres.log; elsewhere if its user cannot get here (see account.py)
"""

from __future__ import annotations

import os
from pathlib import Path

from node.runtime.errors import Fatal

_VARIABLE = "PETITIONLINK_LOCAL"
PROJECT = Path(__file__).resolve().parents[2]


def local_folder() -> Path:
    """The stack's folder, absolute; it need not exist."""
    named = os.environ.get(_VARIABLE)
    return Path(named).absolute() if named else PROJECT / ".local"


def make_folder(folder: Path) -> Path:
    """Make a folder of the stack; `Fatal` names it if this user may not write there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_ours(folder, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_ours(folder, PermissionError("it belongs to another user"))
    return folder


def not_ours(path: Path, error: OSError) -> Fatal:
    """The one line about a folder or file that this user cannot use."""
    return Fatal(
        f"{path} cannot be used: {error.strerror or error}: work as the user who made it, "
        f"or name another folder in {_VARIABLE}"
    )


def deploy_file(name: str) -> Path:
    """A file of the project's `deploy` folder; only a source checkout has it."""
    path = PROJECT / "deploy" / name
    if not path.is_file():
        raise Fatal(f"{path} is missing: the local stack needs a checkout of the project's source")
    return path
