"""What the three file formats have in common: columns, then rows of raw cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from producers.register.errors import RegisterError
from producers.register.text_encoding import Encoding

# No register has such a line; without a bound a file that is none would fill the memory.
LINE_CHARACTERS_LIMIT: Final = 16 << 20

# A register has some sixty; every row gets a cell for each, so a row of two bytes could cost
# megabytes.
MAX_COLUMNS: Final = 1000


class RawRow(NamedTuple):
    """One data row before it is understood.

    `cells` are as many as the source's columns. `problem` is what the format itself finds wrong
    with the row, "" if nothing; `rest` is what belongs to no column.
    """

    row: int
    line: int
    cells: list[str]
    problem: str = ""
    rest: str = ""


@dataclass
class Source:
    """An open register.

    `found` are the columns that the file names, `columns` those that the rows have cells for.
    `progress` is the share that was read, 0 to 1, None if the format cannot tell.
    """

    found: list[str]
    columns: list[str]
    rows: Iterator[RawRow]
    close: Callable[[], None]
    progress: Callable[[], float | None]
    remark: str = ""


def open_text(path: Path, encoding: Encoding) -> TextIO:
    """The file as text, line breaks as they are, after any byte order mark."""
    file = path.open(encoding=encoding.codec, newline="")
    if file.read(1) != "\ufeff":
        file.seek(0)
    return file


def read_line(file: TextIO, path: Path, number: int) -> str:
    """The next line, "" at the end; `RegisterError` if it has no end within reason."""
    line = file.readline(LINE_CHARACTERS_LIMIT)
    if len(line) >= LINE_CHARACTERS_LIMIT:
        raise RegisterError(
            f"{path}: line {number} is longer than {LINE_CHARACTERS_LIMIT:,} characters: "
            "this is no register"
        )
    return line


def check_width(columns: int, path: Path) -> None:
    """`RegisterError` if a header has more columns than any register."""
    if columns > MAX_COLUMNS:
        raise RegisterError(
            f"{path}: the header has {columns:,} columns, at most {MAX_COLUMNS:,} are read: "
            "remove the ones that are not needed"
        )


def text_progress(file: TextIO, path: Path) -> Callable[[], float | None]:
    """How far a text file was read, from the position in its bytes."""
    size = path.stat().st_size
    return lambda: 1.0 if file.closed or not size else file.buffer.tell() / size
