"""Read the table of shared strings of a workbook, which may be larger than the memory."""

import os
import re
import tempfile
from array import array
from typing import Final

from producers.register.workbook.package import Package
from producers.register.workbook.xml import Attributes, Handler, NoXml

# No cell holds more; the limit of Excel is 32,767 characters.
MAX_TEXT_CHARACTERS: Final = 1 << 20
# Each takes eight bytes of memory.
_MAX_TEXTS: Final = 8_000_000
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
# One escape may end where the next begins: _x005F_x0041_.
_BEFORE_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class TextCollector:
    """A collector of the text of a string item, without its phonetic readings 注音."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._in_text = False
        self._phonetic = 0

    def start(self, name: str) -> None:
        if name == "rPh":
            self._phonetic += 1
        elif name == "t":
            self._in_text = not self._phonetic

    def end(self, name: str) -> None:
        if name == "rPh":
            self._phonetic -= 1
        elif name == "t":
            self._in_text = False

    def text(self, text: str) -> None:
        if self._in_text:
            self._length += len(text)
            if self._length > MAX_TEXT_CHARACTERS:
                raise NoXml(f"a text has more than {MAX_TEXT_CHARACTERS:,} characters")
            self._pieces.append(text)

    def taken(self) -> str:
        """Return the text so far, and begin the next one."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        return unescaped(text)


class StringTable(Handler):
    """The shared strings by number, kept in an anonymous temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._ends = array("Q", [0])
        self._item = TextCollector()

    def close(self) -> None:
        self._file.close()

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise IndexError(number)
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), end - start, start).decode("utf-8", "surrogatepass")

    def read(self, package: Package, part: str) -> None:
        """Read the part of shared strings."""
        package.read(part, self)
        self._file.flush()

    def start(self, name: str, attributes: Attributes) -> None:
        self._item.start(name)

    def text(self, text: str) -> None:
        self._item.text(text)

    def end(self, name: str) -> None:
        self._item.end(name)
        if name == "si":
            encoded = self._item.taken().encode("utf-8", "surrogatepass")
            self._file.write(encoded)
            self._ends.append(self._ends[-1] + len(encoded))
            if len(self._ends) > _MAX_TEXTS:
                raise NoXml(f"more than {_MAX_TEXTS:,} texts")


def unescaped(text: str) -> str:
    r"""Return the text that Excel shows: `_x000D_` is a carriage return, `_x005F_` is `_`."""
    if "_x" not in text:
        return text
    made = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    if _SURROGATE.search(made):  # a character beyond U+FFFF, escaped as two halves
        return made.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return made


def escaped(text: str) -> str:
    r"""Return the text of which `unescaped` makes this one."""
    return _BEFORE_ESCAPE.sub("_x005F_", text) if "_x" in text else text
