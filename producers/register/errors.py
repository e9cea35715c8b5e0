"""What reading a register 登记簿 refuses: the whole file, or one cell of it."""

from __future__ import annotations

from schemas.errors import PetitionLinkError


class RegisterError(PetitionLinkError):
    """The file or its mapping cannot be used at all: one line that names thing, place and cure."""


class RowError(Exception):
    """What is wrong with one row, as a sentence; the reader turns it into a `Rejected`."""


class CellError(RowError):
    """What is wrong with one cell: the end of a sentence that began with column and value."""
