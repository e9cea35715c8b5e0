"""A figure: what several runs of one measurement gave, and the reference beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median


@dataclass(frozen=True)
class Goal:
    """What a figure shall reach: its ratio or, with `of_ratio` off, its own median.

    At least `value`; with `below`, less than it.
    """

    value: float
    of_ratio: bool = True
    below: bool = False

    def met_by(self, reached: float) -> bool:
        """Whether this number reaches the goal."""
        return reached < self.value if self.below else reached >= self.value


@dataclass(frozen=True)
class Figure:
    """One line of the table. `values` and `references` hold one number per run, in order.

    `reference` names what the numbers in `references` are; empty if there is none. `about` is
    what a reader must know to judge the line. `goal` is what it shall reach, if anything.
    """

    what: str
    unit: str
    values: Sequence[float]
    about: str = ""
    reference: str = ""
    references: Sequence[float] = field(default=())
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def ratios(self) -> list[float]:
        """Each run against the reference of the same run: a slow hour slows both."""
        pairs = zip(self.values, self.references, strict=True)
        return [value / reference for value, reference in pairs]

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None without one."""
        if self.goal is None:
            return None
        return self.goal.met_by(median(self.ratios) if self.goal.of_ratio else self.median)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def shown(value: float) -> str:
    """A number as the table prints it: four digits are enough for what runs differ by."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
