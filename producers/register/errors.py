"""The errors of reading a register 登记簿: of the whole file, a row or a cell."""

from schemas.errors import PetitionLinkError


class RegisterError(PetitionLinkError):
    """The file or its mapping cannot be used; the line names object, place and cure."""


class RowError(Exception):
    """One row is wrong; the reader makes a `Rejected` of it."""


class CellError(RowError):
    """One cell is wrong; the text completes a sentence that begins with column and value."""
