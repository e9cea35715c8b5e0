"""Open the parts of an Open XML package, a ZIP file, within bounds.

A few kilobytes can unpack to gigabytes. The sizes in the directory are checked before any part is
opened. `zipfile` returns no more of a part than the directory says and then compares its checksum,
so a false directory gains nothing. Each part is read at most three times.
"""

import os
import posixpath
import struct
from collections import deque
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from producers.register.errors import RegisterError
from producers.register.workbook.xml import Handler, pieces

# Registers unpack to 10 to 40 times their size, thousands of rows with one long text to 120 times,
# and a deliberate bomb to 1,000 times. A small file does no harm however dense it is.
MAX_RATIO: Final = 200
HARMLESS_BYTES: Final = 16 << 20
# A directory entry has at least 46 bytes and costs some 500 in memory; workbooks have dozens.
_MAX_DIRECTORY_BYTES: Final = 4 << 20
CHUNK_BYTES: Final = 1 << 16

_XML: Final = (".xml", ".rels")
_END = b"PK\x05\x06"
_END_BYTES: Final = 22
_MAX_COMMENT_BYTES: Final = 0xFFFF
_END_64 = b"PK\x06\x06"
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_BYTES: Final = 20
_IS_64: Final = 0xFFFFFFFF
_IS_ENCRYPTED: Final = 1


class Package:
    """An open package. Raises `RegisterError` if it is no workbook or too large to be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        check_directory(path)
        self._archive = ZipFile(path)
        try:
            # Part names are not case-sensitive, and some programs write them as Windows paths.
            self._parts = {_key(info.filename): info for info in self._archive.infolist()}
            check_sizes(path, path.stat().st_size, [*self._parts.values()])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._archive.close()

    def names(self) -> list[str]:
        """Return the names of all parts, in lower case."""
        return [*self._parts]

    def has(self, name: str) -> bool:
        return _key(name) in self._parts

    def chunks(self, name: str) -> Generator[bytes]:
        """Yield the content of a part in pieces; raise `KeyError` if there is no such part."""
        info = self._parts[_key(name)]
        if info.flag_bits & _IS_ENCRYPTED:
            raise RegisterError(
                f"{self._path}: its parts are encrypted: save it without a password"
            )
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            # Others use as much memory as the file says, and Open XML does not allow them.
            raise BadZipFile
        with self._archive.open(info) as part:
            while chunk := part.read(CHUNK_BYTES):
                yield chunk

    def read(self, name: str, handler: Handler) -> None:
        """Pass a whole part to `handler`; raise `KeyError` as above, `NoXml` if it is damaged."""
        with closing(self.chunks(name)) as chunks:
            deque(pieces(chunks, handler), maxlen=0)


def check_sizes(path: Path, size: int, parts: list[ZipInfo]) -> None:
    """Raise `RegisterError` if the XML in a file of `size` bytes is much larger than plausible.

    Pictures and embedded files do not count, because they are not unpacked.
    """
    parts = [info for info in parts if info.filename.lower().endswith(_XML)]
    total = sum(info.file_size for info in parts)
    packed = min(size, sum(info.compress_size for info in parts))
    if total > HARMLESS_BYTES and total > MAX_RATIO * packed:
        raise RegisterError(
            f"{path}: its {size:,} bytes unpack to {total >> 20:,} MiB, which no register does: "
            "copy the rows into a new workbook, or save it as CSV UTF-8"
        )


def check_directory(path: Path) -> None:
    """Raise `RegisterError` if the directory of the ZIP file alone would fill the memory.

    A file without a directory passes: `ZipFile` refuses it.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _END_BYTES - _MAX_COMMENT_BYTES - _LOCATOR_64_BYTES)
        file.seek(start)
        tail = file.read()
        place = tail.rfind(_END)
        if place < 0 or len(tail) < place + _END_BYTES:
            return
        (directory,) = struct.unpack_from("<L", tail, place + 12)
        if directory == _IS_64:
            directory = _directory_64(file, tail, place)
    if directory > _MAX_DIRECTORY_BYTES:
        raise RegisterError(f"{path}: has a directory of {directory:,} bytes: this is no workbook")


def _directory_64(file: IO[bytes], tail: bytes, end: int) -> int:
    """Return the size of the directory of a large ZIP file; raise `BadZipFile` without one."""
    place = end - _LOCATOR_64_BYTES
    if place < 0 or tail[place : place + 4] != _LOCATOR_64:
        raise BadZipFile
    (offset,) = struct.unpack_from("<Q", tail, place + 8)
    file.seek(min(offset, 1 << 62))
    record = file.read(48)
    if len(record) < 48 or record[:4] != _END_64:
        raise BadZipFile
    return int(struct.unpack_from("<Q", record, 40)[0])


def resolved(target: str, folder: str) -> str:
    """Return the part that a relationship of a part in `folder` names."""
    target = target.replace("\\", "/")
    if target.startswith("/"):
        return posixpath.normpath(target).lstrip("/")
    return posixpath.normpath(posixpath.join(folder, target))


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
