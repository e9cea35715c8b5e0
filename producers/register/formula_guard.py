"""Mark texts that a spreadsheet program would take for a formula 防公式注入, in CSV only.

`=1+1`, `+86 …`, `-`, `@…` get a `'` before them, and so do texts that already begin with such
marks: without one mark they are exactly the original again.
"""

import re
from typing import Final

MARK: Final = "'"
# Half and full width 半角、全角; a tab or line break before a formula does not disarm it.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def guarded(cell: str) -> str:
    """Return the cell as it is written to a CSV file."""
    return MARK + cell if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """Return the cell that `guarded` was given."""
    return cell[1:] if cell[:1] == MARK and _FORMULA.match(cell, 1) else cell
