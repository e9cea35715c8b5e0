"""One protection: what holds it, and the tests that fail when it is taken out."""

from typing import NamedTuple


class Protection(NamedTuple):
    """One of them; `rows` are those of the list of faults."""

    name: str
    rows: str
    file: str
    replaced: str
    by: str
    tests: tuple[str, ...]
