"""Find the encoding of a text file by decoding all of it strictly, in chunks.

A byte order mark decides. Without one it is UTF-8 if every byte is valid UTF-8, else GB18030
(which contains GBK and GB2312) if every byte is valid GB18030. Statistics would take a short GBK
file for another encoding, so only the message of a refusal guesses.
"""

import codecs
import contextlib
from pathlib import Path
from typing import Final, NamedTuple

from charset_normalizer import from_bytes

from producers.register.errors import RegisterError

# Large enough to be fast, and small enough for a sample for charset-normalizer, which is slow.
CHUNK_BYTES: Final = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Encoding(NamedTuple):
    """A codec name, and a remark for the message if the columns turn out to be wrong."""

    codec: str
    remark: str = ""


def find_encoding(path: Path) -> Encoding:
    """Return the encoding; raise `RegisterError`, naming the first invalid byte, if none fits."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, codec in _MARKS:
        if start.startswith(mark):
            offset = first_invalid_byte(path, codec)
            if offset is not None:
                raise _damaged(path, codec, offset)
            return Encoding(codec)
    not_utf8 = first_invalid_byte(path, "utf-8")
    if not_utf8 is None:
        return Encoding("utf-8")
    not_gb18030 = first_invalid_byte(path, "gb18030")
    if not_gb18030 is None:
        return Encoding("gb18030", f"read as GB18030, because byte {not_utf8} is not UTF-8")
    raise _neither(path, not_utf8, not_gb18030)


def first_invalid_byte(path: Path, codec: str) -> int | None:
    """Return the offset (from 0) of the first byte that is invalid in this encoding, or None."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    position = 0  # bytes handed to the decoder so far
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            position += len(chunk)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # `object` is the decoder's buffer: the rest of the previous chunk, then this chunk.
                return position - len(error.object) + error.start
            if not chunk:
                return None


def _damaged(path: Path, codec: str, offset: int) -> RegisterError:
    name = codec.removesuffix("-sig").upper()
    return RegisterError(
        f"{path}: byte {offset} is not {name}, though the file begins with the mark of it: "
        "the file is damaged; export it again"
    )


def _neither(path: Path, not_utf8: int, not_gb18030: int) -> RegisterError:
    likely = _likely_name(path)
    return RegisterError(
        f"{path}: neither UTF-8 (byte {not_utf8} is not) nor GB18030 (byte {not_gb18030} is not)"
        f"{f'; it looks like {likely}' if likely else ''}: save it as UTF-8"
    )


def _likely_name(path: Path) -> str:
    with path.open("rb") as file, contextlib.suppress(Exception):
        best = from_bytes(file.read(CHUNK_BYTES)).best()
        return best.encoding if best else ""
    return ""
