"""Check the columns of a file against the mapping, and find a mapping that fits."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from producers.register.clean_text import quoted
from producers.register.errors import RegisterError
from producers.register.mapping import Mapping
from producers.register.mapping_file import load_mapping, shipped_names
from producers.register.source import Source

# A file that is no register can have any number of columns; a message stays one line.
_LISTED_COLUMNS = 20


def check_columns(source: Source, mapping: Mapping, path: Path) -> None:
    """Raise `RegisterError` if a required column is missing, or any is repeated or unknown."""
    found = source.found
    missing = [column for column in mapping.required_columns if column not in found]
    if missing:
        remark = f" ({source.remark})" if source.remark else ""
        raise RegisterError(
            f"{path}: {_columns(missing)} of mapping {mapping.name!r} not found{remark}; "
            f"the file has {_listed(found)}: {_cure(found, mapping)}"
        )
    twice = [column for column, times in Counter(found).items() if times > 1 and column]
    if twice:
        raise RegisterError(f"{path}: {_columns(twice)} there twice: rename or remove one")
    unknown = [
        column
        for column in found
        if column and column not in mapping.columns and not mapping.passes_over(column)
    ]
    if unknown:
        raise RegisterError(
            f"{path}: {_columns(unknown)} not in mapping {mapping.name!r}, so its content would "
            "be lost: correct the header, or list it under 'ignored' in a mapping of your own"
        )


def fitting_mapping(found: Collection[str]) -> str | None:
    """Return the shipped mapping with most matches, if all of its required columns are there."""
    fitting = [
        mapping
        for mapping in map(load_mapping, shipped_names())
        if set(mapping.required_columns) <= set(found)
    ]
    best = max(fitting, key=lambda mapping: len(set(mapping.columns) & set(found)), default=None)
    return best.name if best else None


def _cure(found: Collection[str], mapping: Mapping) -> str:
    fitting = fitting_mapping(found)
    if fitting and fitting != mapping.name:
        return f"mapping {fitting!r} fits"
    return "rename the columns, or write a mapping for this file (docs/register-format.md)"


def _columns(names: list[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: list[str]) -> str:
    shown = [quoted(name)[1:-1] for name in names if name][:_LISTED_COLUMNS]
    more = len([name for name in names if name]) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") or "none"
