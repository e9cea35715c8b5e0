"""Escape text for a terminal 终端输出: codes that would act on it are shown instead.

A title, an actor or a line of a file may hold escape codes, which recolour, overwrite and on some
terminals type, and marks that reverse the direction of the text after them.
"""

import logging
import re

# C0 except line break and tab, DEL, C1; marks, embeddings, overrides and isolates of direction;
# the two separators at which some terminals break a line; half a surrogate pair.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LINES = re.compile("[\n\t]")


def escaped(text: str, *, one_line: bool = False) -> str:
    """Return `text` with what would act on a terminal written as `\\x1b` or `\\u202e`.

    With `one_line` line breaks and tabs too: foreign text must not make a line like ours.
    """
    text = _ACTS.sub(_code, text)
    return _LINES.sub(_code, text) if one_line else text


def escaped_json(document: str) -> str:
    """Return a JSON document of the same value, with such characters escaped as in JSON."""
    return _ACTS.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class SafeFormatter(logging.Formatter):
    """A formatter whose lines are safe to show; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of the library
        """Return the line without the traceback."""
        return escaped(super().formatMessage(record), one_line=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with the traceback, if there is one."""
        return escaped(super().format(record))
