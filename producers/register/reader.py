"""Read a register file of any format row by row."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from producers.register.column_check import check_columns
from producers.register.csv_source import open_csv
from producers.register.errors import RegisterError
from producers.register.file_kinds import OLE, ZIP, kind_by_start, ole_kind
from producers.register.jsonl_source import open_jsonl
from producers.register.mapping import Mapping
from producers.register.records import Registration, Rejected
from producers.register.row_reader import RowReader
from producers.register.source import Source
from producers.register.xlsx_source import open_xlsx
from schemas.instants import Clock, now_micros

_START_BYTES: Final = 4096
_JSON_SUFFIXES = (".jsonl", ".ndjson")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class RegisterRows(Iterator[Registration | Rejected]):
    """The rows of an open register, one at a time; the file is closed after the last."""

    def __init__(self, path: Path, source: Source, reader: RowReader) -> None:
        self._path = path
        self._source = source
        self._reader = reader

    def __next__(self) -> Registration | Rejected:
        try:
            return self._reader.read(next(self._source.rows))
        except OSError as error:
            self.close()
            raise _unreadable(self._path, error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def progress(self) -> float | None:
        """Return the share of the file that was read, 0 to 1; None for XLSX."""
        return self._source.progress()

    def close(self) -> None:
        self._source.close()


def read_register(path: Path, mapping: Mapping, *, clock: Clock = now_micros) -> RegisterRows:
    """Open a register 登记簿 and return its rows, each a `Registration` or a `Rejected`.

    The content shows format and encoding: XLSX, JSON lines, else CSV with comma, tab or semicolon;
    UTF-8, GB18030 or, with a byte order mark, UTF-16. Memory does not grow with the file. Empty
    rows are passed over and not counted. Raises `RegisterError` before the first row if the file or
    columns of the mapping are missing; later only if the file is damaged or lost.
    """
    try:
        source = _open(path, mapping)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        check_columns(source, mapping, path)
        return RegisterRows(path, source, RowReader(mapping, source.columns, clock()))
    except BaseException:
        source.close()
        raise


def _open(path: Path, mapping: Mapping) -> Source:
    if path.exists() and not path.is_file():
        raise RegisterError(f"{path}: is a folder or a device, not a file: name the register")
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if start.startswith(ZIP):
        return open_xlsx(path, mapping)
    if start.startswith(OLE):
        raise RegisterError(f"{path}: is {ole_kind(path)}: save it as .xlsx without a password")
    if kind := kind_by_start(start):
        raise RegisterError(f"{path}: is {kind}: save the register as .xlsx or CSV UTF-8")
    return _open_text(path, mapping, start)


def _open_text(path: Path, mapping: Mapping, start: bytes) -> Source:
    for mark in _MARKS:
        start = start.removeprefix(mark)
    # In UTF-16 a NUL is half of an ASCII character.
    first = start.replace(b"\0", b"").lstrip()[:1]
    if first == b"<":
        raise RegisterError(
            f"{path}: is HTML or XML, whatever its name says: open it in a spreadsheet program "
            "and save it as .xlsx"
        )
    if first == b"[" and path.suffix == ".json":
        raise RegisterError(f"{path}: is one JSON array: write one object per line")
    if first == b"{" or path.suffix in _JSON_SUFFIXES:
        return open_jsonl(path, mapping)
    return open_csv(path, mapping)


def _unreadable(path: Path, error: OSError) -> RegisterError:
    cure = "copy it to a local disk"
    if isinstance(error, FileNotFoundError):
        cure = "check the path"
    if isinstance(error, PermissionError):
        cure = "ask for the right to read it"
    return RegisterError(f"{path}: cannot be read ({error.strerror}): {cure}")
