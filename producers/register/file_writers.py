"""Write registers as files 登记簿文件: in a temporary file that replaces the target in one step.

Both formats hold petitioners or their matters, so only their owner may read them.
"""

import csv
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import WorkbookAlreadySaved

from producers.register.cell_format import Cell
from producers.register.errors import RegisterError
from producers.register.formula_guard import guarded
from producers.register.workbook.package import Package
from producers.register.workbook.strings import escaped

SUFFIXES: Final = (".csv", ".xlsx")
SHEET: Final = "登记簿"
# The rows of a sheet, with the header.
_SHEET_ROWS: Final = 1_048_576
# Excel cuts longer texts off when it opens the workbook.
_CELL_CHARACTERS: Final = 32_767
_CUT_MARK: Final = "…"
# The characters that XML 1.0 cannot hold, by its definition.
NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT: Final = "\ufffd"


class Sink(Protocol):
    """A register that is written row by row, in the memory of one row."""

    def clean(self, cell: Cell) -> Cell:
        """Return what the format can hold of a cell."""

    def write(self, cells: Sequence[Cell]) -> None:
        """Append a row of cleaned cells, the header first."""


@contextmanager
def new_register(path: Path, *, force: bool, formula_guard: bool) -> Iterator[Sink]:
    """Write a register, CSV or XLSX by the name of `path`, which appears if the block succeeds.

    Otherwise this is like `new_file`.
    """
    with new_file(path, force=force) as new:
        if path.suffix.lower() == ".xlsx":
            sheet = XlsxSink(path)
            try:
                yield sheet
                sheet.save(new)
            except BaseException:
                sheet.discard()
                raise
        else:
            with new.open("w", encoding="utf-8-sig", newline="") as file:
                yield CsvSink(file, formula_guard=formula_guard)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Write a file of mode 0600 beside `path` that replaces it if the block succeeds.

    Raises `RegisterError` if there is a file and not `force`, or the folder cannot be written.
    """
    check_place(path, force=force)
    try:
        number, name = tempfile.mkstemp(".new", f".{path.name}.", path.parent)  # mode 0600
    except OSError as error:
        raise _unwritable(path, error) from None
    new = Path(name)
    try:
        yield new
        os.fsync(number)
        check_place(path, force=force)
        new.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        os.close(number)
        new.unlink(missing_ok=True)


def check_place(path: Path, *, force: bool) -> None:
    """Raise `RegisterError` unless a register may be written to `path`."""
    if path.suffix.lower() not in SUFFIXES:
        raise RegisterError(f"{path}: the name tells the format: end it in .csv or .xlsx")
    if path.exists() and not (force and path.is_file()):
        raise RegisterError(f"{path}: is there already: name another file, or add --force")


class CsvSink:
    """A CSV file 逗号分隔 by RFC 4180, in UTF-8 with a byte order mark, for Excel."""

    def __init__(self, file: TextIO, *, formula_guard: bool) -> None:
        self._writer = csv.writer(file)
        self._guard = formula_guard

    def clean(self, cell: Cell) -> Cell:
        return cell

    def write(self, cells: Sequence[Cell]) -> None:
        if self._guard:
            cells = [guarded(cell) if isinstance(cell, str) else cell for cell in cells]
        self._writer.writerow(cells)


class XlsxSink:
    """An XLSX workbook of one sheet, in which no text is taken for a formula."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book = Workbook(write_only=True)
        self._sheet: Any = self._book.create_sheet(SHEET)
        self._sheet.freeze_panes = "A2"
        self._rows = 0

    def clean(self, cell: Cell) -> Cell:
        """Replace what XML cannot hold by �, and cut a longer text than fits, with a mark."""
        if not isinstance(cell, str):
            return cell
        if len(escaped(cell)) > _CELL_CHARACTERS:
            cell = cell[: _CELL_CHARACTERS // 2] + _CUT_MARK  # escapes less than double a text
        return cell if cell.isprintable() else NO_XML.sub(_REPLACEMENT, cell)

    def write(self, cells: Sequence[Cell]) -> None:
        self._rows += 1
        if self._rows > _SHEET_ROWS:
            raise RegisterError(
                f"{self._path}: a sheet holds {_SHEET_ROWS:,} rows: "
                "write a CSV file, or export fewer cases at a time (--from, --to)"
            )
        self._sheet.append([self._typed(cell) for cell in cells])

    def save(self, path: Path) -> None:
        """Write the workbook; until then its rows are in a temporary file.

        Raises `RegisterError` if an import would refuse it for its unpacked size.
        """
        self._book.save(path)
        Package(path).close()

    def discard(self) -> None:
        """Remove the temporary file with the rows: they hold what citizens wrote."""
        with suppress(WorkbookAlreadySaved):
            self._sheet.close()
        with suppress(FileNotFoundError):
            self._sheet._writer.cleanup()

    def _typed(self, cell: Cell) -> Any:
        if not cell:
            return None
        if not isinstance(cell, str):
            return cell
        cell = escaped(cell)
        if cell[0] in "=#":
            made = WriteOnlyCell(self._sheet, cell)
            made.data_type = "s"  # else it would be a formula, or an error
            return made
        return cell


def _unwritable(path: Path, error: OSError) -> RegisterError:
    return RegisterError(f"{path}: cannot be written ({error.strerror}): name another place")
