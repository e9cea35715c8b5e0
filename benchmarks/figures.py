"""A figure: what several runs of one measurement gave, and the reference beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the table. `values` and `references` hold one number per run, in order.

    `reference` names what the numbers in `references` are; empty if there is none. `about` is
    what a reader must know to judge the line.
    """

    what: str
    unit: str
    values: Sequence[float]
    about: str = ""
    reference: str = ""
    references: Sequence[float] = field(default=())

    @property
    def median(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def ratios(self) -> list[float]:
        """Each run against the reference of the same run: a slow hour slows both."""
        pairs = zip(self.values, self.references, strict=True)
        return [value / reference for value, reference in pairs]


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def shown(value: float) -> str:
    """A number as the table prints it: four digits are enough for what runs differ by."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
