"""Parameters 参数 that several routes share."""

import re
from datetime import date
from typing import Annotated, Any

from fastapi import Path
from pydantic import BeforeValidator, StringConstraints

from node.entrypoints.web.cursors import MAX_CHARACTERS
from schemas.limits import MAX_CASE_ID_CHARACTERS

MAX_LIMIT = 200

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _iso(value: Any) -> Any:
    """Refuse all but a plain day: pydantic reads numbers as seconds since 1970."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("write a day as 2026-02-13")
    return value


Day = Annotated[date, BeforeValidator(_iso)]
Cursor = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]
CaseId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_CASE_ID_CHARACTERS,
        pattern=r"^[^\x00/]*$",
        description="信访件编号",
    ),
]
