"""Text for a terminal 终端输出: what would act on it is shown, not done.

A title, an actor or a line of a file may hold escape codes, which recolour, overwrite and on some
terminals type; and signs that turn the direction of what follows, so that a line reads otherwise
than it is.
"""

from __future__ import annotations

import logging
import re

# C0 but for the line break and the tab, DEL, C1; marks, embeddings, overrides and isolates of
# direction; the two separators that some terminals break a line at; half a surrogate pair.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LINES = re.compile("[\n\t]")


def escaped(text: str, *, one_line: bool = False) -> str:
    """`text` with what would act on a terminal written as `\\x1b` or `\\u202e`.

    With `one_line` line breaks and tabs too: what somebody else wrote must not make a line that
    looks like ours.
    """
    text = _ACTS.sub(_code, text)
    return _LINES.sub(_code, text) if one_line else text


def escaped_json(document: str) -> str:
    """A JSON document of the same value, in which such signs are escaped as JSON does it."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class SafeFormatter(logging.Formatter):
    """Writes log lines that a terminal shows as they are; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of the library
        """One line."""
        return escaped(super().formatMessage(record), one_line=True)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        return escaped(super().format(record))
