"""The common form of the three file formats: columns, then rows of raw cells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from producers.register.errors import RegisterError
from producers.register.text_encoding import find_encoding

# No register has longer lines; without a bound another kind of file would fill the memory.
LINE_CHARACTERS_LIMIT: Final = 16 << 20

# A register has about sixty. Every row gets a cell for each, so a row of two bytes could cost
# megabytes.
MAX_COLUMNS: Final = 1000


class RawRow(NamedTuple):
    """A data row before its cells are converted.

    There is a cell for each column of the source. `problem` is an error in the format of the row,
    or ""; `rest` is the text that belongs to no column.
    """

    row: int
    line: int
    cells: list[str]
    problem: str = ""
    rest: str = ""


@dataclass
class Source:
    """An open register.

    `found` are the columns that the file names, `columns` those for which the rows have cells.
    `progress` returns the share that was read, 0 to 1, None if the format does not allow it.
    """

    found: list[str]
    columns: list[str]
    rows: Iterator[RawRow]
    close: Callable[[], None]
    progress: Callable[[], float | None]
    remark: str = ""


Columns = list[str]


def open_text(
    path: Path, read: Callable[[TextIO], tuple[Columns, Columns, Iterator[RawRow]]]
) -> Source:
    """Open a text file, with unchanged line breaks and after any byte order mark.

    `read` returns the fields `found`, `columns` and `rows` of the source.
    """
    encoding = find_encoding(path)
    file: TextIO = path.open(encoding=encoding.codec, newline="")
    try:
        if file.read(1) != "\ufeff":
            file.seek(0)
        found, columns, rows = read(file)
        size = path.stat().st_size
    except BaseException:
        file.close()
        raise
    return Source(
        *(found, columns, rows, file.close),
        progress=lambda: 1.0 if file.closed or not size else file.buffer.tell() / size,
        remark=encoding.remark,
    )


def read_line(file: TextIO, path: Path, number: int) -> str:
    """Return the next line, "" at the end; raise `RegisterError` if it is too long."""
    line = file.readline(LINE_CHARACTERS_LIMIT)
    if len(line) >= LINE_CHARACTERS_LIMIT:
        raise RegisterError(
            f"{path}: line {number} is longer than {LINE_CHARACTERS_LIMIT:,} characters: "
            "this is no register"
        )
    return line


def check_width(columns: int, path: Path) -> None:
    """Raise `RegisterError` if a header has more columns than any register."""
    if columns > MAX_COLUMNS:
        raise RegisterError(
            f"{path}: the header has {columns:,} columns, at most {MAX_COLUMNS:,} are read: "
            "remove the ones that are not needed"
        )
