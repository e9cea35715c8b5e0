"""The file of query codes 查询码清单 that an import issues: the only place where they stand."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from node.enquiry_access.query_codes import issue
from node.postgres.connection import Cursor
from producers.register_import.prepare_rows import Prepared
from schemas.errors import PetitionLinkError

_HEADER = ("信访件编号", "登记编号", "查询码")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CodeFile:
    """Appends the code of each new case, on disk before the case is committed.

    Made when the first code is, mode 0600. What was written for a transaction that did not
    commit is taken back: `keep` tells that one did. An import that goes on after a crash appends;
    a crash at the worst moment leaves codes of cases that are not there, never a case without.
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

    def __enter__(self) -> CodeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.truncate(self._kept)
            self._file.close()

    def issue(self, cursor: Cursor, cases: Sequence[Prepared]) -> None:
        """A code for each case, in the transaction of `cursor`; `PetitionLinkError` if the file
        cannot be written, so that the transaction fails too."""
        lines = [
            (one.case_id, one.origin_number, issue(cursor, one.case_id, self._issued_by))
            for one in cases
        ]
        try:
            self._write(lines)
        except OSError as error:
            raise PetitionLinkError(
                f"query codes {self._path}: cannot be written ({error.strerror}): "
                "name another place; nothing of these rows was registered"
            ) from None

    def keep(self) -> None:
        """What was issued so far is committed."""
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
