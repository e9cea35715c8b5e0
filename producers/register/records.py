"""The results of reading a register: a registration 登记 per row, or why there is none."""

from dataclasses import dataclass
from typing import Any, Final

# A reject file adds these before the original columns. Readers pass over them, so that a corrected
# reject file can be imported as it is.
ROW: Final = "行号/row"
LINE: Final = "文件行/line"
REASON: Final = "原因/reason"
# It adds this after them, for surplus cells or a line that is no row.
REST: Final = "其余/rest"
REJECT_COLUMNS: Final = (ROW, LINE, REASON, REST)

# An export adds these columns if the mapping ignores them.
CASE_ID: Final = "信访件编号"
STATE: Final = "现状态"
HANDLER: Final = "现承办节点"


@dataclass(slots=True)
class Registration:
    """One row of a register, cleaned and converted; instants are micros.

    `row` counts data rows from 1, without the header and empty rows; `line` is the first line of
    the row in a text file, or the row of the sheet. (`source`, `origin_number`) identifies the row
    across files. `registered` has the fields of case.registered that the row or the mapping gave,
    `petitioner` the filled ones of its five fields. `registered_at` is when the event occurred.
    `handling` are the commands that follow, in order: (name, occurred at, fields).

    `content_digest` (SHA-256, hex) does not depend on file format, encoding or dialect, and covers
    the petitioner too: keep it in the node's own database, never in an event, because a plain hash
    of personal data can be searched for. `cells` are the unchanged row, for the reject file.
    `exported_case` is the case that the row was exported from, or "".
    """

    row: int
    line: int
    source: str
    origin_number: str
    registered: dict[str, Any]
    received_at: int
    registered_at: int
    petitioner: dict[str, str] | None
    handling: list[tuple[str, int, dict[str, Any]]]
    content_digest: str
    cells: dict[str, str]
    exported_case: str = ""


@dataclass(slots=True)
class Rejected:
    """A row that cannot be registered: its place, the reason, and its unchanged cells.

    `reason` quotes the wrong value, shortened, unless it identifies the petitioner. `cells` hold
    personal data.
    """

    row: int
    line: int
    reason: str
    cells: dict[str, str]
