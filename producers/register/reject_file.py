"""Write the reject file: the rows that were not registered, with the reason, for correction.

It opens in a spreadsheet program, and once corrected it can be imported with the same mapping. It
holds the personal data of its rows.
"""

import csv
import json
import os
import stat
from pathlib import Path
from typing import Any, Self, TextIO

from node.keys.key_files import PRIVATE_MODE
from producers.register.errors import RegisterError
from producers.register.formula_guard import guarded
from producers.register.records import LINE, REASON, REJECT_COLUMNS, REST, ROW, Rejected


def reject_path(register: Path) -> Path:
    """Return the default path of the reject file, beside the register."""
    return register.with_name(f"{register.stem}.rejected.csv")


class RejectWriter:
    """Writes rejected rows to `path`, a CSV file in UTF-8 with a byte order mark.

    The first rejected row creates or replaces the file; without one nothing is touched. Only its
    owner may read it, even if it existed before. Its columns are row, line, reason, those of the
    register, and the rest. `count` rows were written. `formula_guard` is that of the mapping.
    Raises `RegisterError` if the file cannot be written.
    """

    def __init__(self, path: Path, *, formula_guard: bool = False) -> None:
        self.path = path
        self._guard = guarded if formula_guard else str
        self.count = 0
        self._file: TextIO | None = None
        self._columns: list[str] = []
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, rejected: Rejected) -> None:
        try:
            if self._file is None:
                self._open(rejected)
            self._writer.writerow(self._line(rejected))
        except OSError as error:
            raise self._unwritable(error) from None
        self.count += 1

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            raise self._unwritable(error) from None

    def _open(self, first: Rejected) -> None:
        self._columns = [column for column in first.cells if column not in REJECT_COLUMNS]
        # Half a surrogate pair, a frequent reason of rejection, cannot be written.
        self._file = open(  # noqa: SIM115 - `close` closes it
            self.path,
            "w",
            encoding="utf-8-sig",
            errors="backslashreplace",
            newline="",
            opener=_private,
        )
        self._writer = csv.writer(self._file)
        self._writer.writerow([ROW, LINE, REASON, *self._columns, REST])

    def _line(self, rejected: Rejected) -> list[object]:
        cells = dict(rejected.cells)
        own = [cells.pop(column, "") for column in self._columns]
        rest = cells.pop(REST, "")
        if cells:  # JSON lines may have keys that the first rejected row did not have
            rest = json.dumps({**cells, REST: rest}, ensure_ascii=False)
        return [rejected.row, rejected.line, rejected.reason, *map(self._guard, [*own, rest])]

    def _unwritable(self, error: OSError) -> RegisterError:
        return RegisterError(
            f"reject file {self.path}: cannot be written ({error.strerror}): name another place"
        )


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner may read; the mode of a device stays as it is."""
    number = os.open(path, flags, PRIVATE_MODE)
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, PRIVATE_MODE)
    return number
