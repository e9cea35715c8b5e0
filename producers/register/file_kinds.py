"""Recognise files that are no register by their first bytes, so that a message can name them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The name of the stream of an encrypted workbook, as OLE writes it.
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_SEARCHED_BYTES: Final = 32 << 20

# PK\3\4 begins a package with parts, PK\5\6 one without, PK\7\8 one in pieces.
ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_STARTS: Final = (
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"MIME-Version:", "a web archive (MHT)"),
    (b"\x09\x08\x08\x00", "an old Excel workbook (.xls)"),
    (b"\x09\x08\x10\x00", "an old Excel workbook (.xls)"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"\xff\xfe\x00\x00", "text in UTF-32"),
    (b"PAR1", "a Parquet file"),
)

_PARTS: Final = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "content.xml": "an OpenDocument file (.ods)",
    "index/document.iwa": "an Apple Numbers file",
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a presentation",
}


def kind_by_start(start: bytes) -> str:
    """Return the kind of a file that begins like this, "" if it may be a text."""
    return next((kind for mark, kind in _STARTS if start.startswith(mark)), "")


def ole_kind(path: Path) -> str:
    """Return the kind of an OLE container: an old workbook, or a new one under a password."""
    with path.open("rb") as file:
        is_encrypted = _ENCRYPTED in file.read(_SEARCHED_BYTES)
    return "a workbook under a password" if is_encrypted else "an old Excel workbook (.xls, .et)"


def zip_kind(names: Iterable[str]) -> str:
    """Return the kind of a ZIP file by the names of its parts, "" if it may be an XLSX workbook."""
    found = set(names)
    no_workbook = "a ZIP archive without a workbook"
    rest = no_workbook if found and "_rels/.rels" not in found else ""
    return next((kind for part, kind in _PARTS.items() if part in found), rest)
