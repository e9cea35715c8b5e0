"""What comes out of a register: a registration 登记 per row, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

# What a reject file adds before the original columns. Readers pass over these, so that a corrected
# reject file can be imported as it is.
ROW: Final = "行号/row"
LINE: Final = "文件行/line"
REASON: Final = "原因/reason"
# And behind them: what belongs to no column, as surplus cells or a line that is no row.
REST: Final = "其余/rest"
REJECT_COLUMNS: Final = (ROW, LINE, REASON, REST)

# What an export tells besides the columns of a mapping that passes these over.
CASE_ID: Final = "信访件编号"
STATE: Final = "现状态"
HANDLER: Final = "现承办节点"


@dataclass(slots=True)
class Registration:
    """One row of a register, cleaned and converted; instants are micros.

    `row` counts data rows from 1, without the header and without empty rows; `line` is the line of
    a text file on which the row begins, or the row of the sheet. (`source`, `origin_number`)
    identifies the row across files. `registered` has the fields of case.registered that the row or
    the mapping gave, under their schema names. `registered_at` is when that event occurred.
    `petitioner` has the filled ones of name, id_type, id_number, phone, address. `handling` are
    the commands that follow, in order: (name, occurred at, fields).

    `content_digest` (SHA-256, hex) is the same for the same content whatever file format, encoding
    or dialect it came in, and covers the petitioner too: keep it in the node's own database, never
    in an event, because a plain hash of personal data can be searched for. `cells` are the row as
    it came, for the reject file if the case cannot be registered after all. `exported_case` is the
    case that the row was exported from, "" if the row does not say.
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
    """A row that cannot be registered: where it stands, why, and its cells as they were.

    `reason` quotes the value that is wrong, shortened, but never one that tells who the
    petitioner is. `cells` does hold personal data.
    """

    row: int
    line: int
    reason: str
    cells: dict[str, str]
