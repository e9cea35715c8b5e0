"""Write the file of the query codes 查询码清单 of an import, which are stored nowhere else."""

import csv
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from node.enquiry_access.query_codes import issue
from node.postgres.connection import Cursor
from producers.register_import.prepare_rows import PreparedRow
from schemas.errors import PetitionLinkError

_HEADER = ("信访件编号", "登记编号", "查询码")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CodeFile:
    """Appends the code of each new case, on disk before the case is committed.

    The first code creates the file, with mode 0600. `keep` confirms a commit; lines of a
    transaction that did not commit are removed. An import that continues after a crash appends; a
    crash may leave codes without a case, never a case without a code.
    """

    def __init__(self, path: Path, issued_by: str) -> None:
        self._path = path
        self._issued_by = issued_by
        self._file: io.BufferedRandom | None = None
        self._kept = 0
        if path.exists() and (not path.is_file() or path.stat().st_mode & _OTHERS):
            raise PetitionLinkError(
                f"query codes {path}: is there and open to other users, or no file: "
                "name another file, or chmod 600 it to append to it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.truncate(self._kept)
            self._file.close()

    def issue(self, cursor: Cursor, cases: Sequence[PreparedRow]) -> None:
        """Issue a code for each case in the transaction of `cursor`; raise `PetitionLinkError`,
        which ends the transaction too, if the file cannot be written."""
        lines = [
            (case.case_id, case.origin_number, issue(cursor, case.case_id, self._issued_by))
            for case in cases
        ]
        try:
            self._write(lines)
        except OSError as error:
            raise PetitionLinkError(
                f"query codes {self._path}: cannot be written ({error.strerror}): "
                "name another place; nothing of these rows was registered"
            ) from None

    def keep(self) -> None:
        """Keep the codes issued so far, which are committed."""
        if self._file is not None:
            self._kept = self._file.tell()

    def _write(self, lines: Sequence[tuple[str, str, str]]) -> None:
        file = self._file or self._open()
        file.seek(self._kept)
        file.truncate()
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines if self._kept else [_HEADER, *lines])
        mark = b"" if self._kept else "\ufeff".encode()
        file.write(mark + text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())

    def _open(self) -> io.BufferedRandom:
        number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(number, "r+b")
        self._kept = self._file.seek(0, os.SEEK_END)
        return self._file
