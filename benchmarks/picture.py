"""What the picture of the rates shows: ours, the limit and the peers, of the same run."""

from collections.abc import Sequence
from statistics import median

from benchmarks import chart, limit
from benchmarks.chart import FILE, Bar, Kind
from benchmarks.comparison import OURS, OURS_ALONE
from benchmarks.figures import Figure

__all__ = ["FILE", "write"]

_TITLE = "Kafka → Postgres, events per second"
_PEER = "peer: "
_NOTES = {
    OURS: "fold, digests, fenced offsets",
    OURS_ALONE: "fenced offsets; one process",
}


def write(figures: Sequence[Figure], machine: str) -> None:
    """Draw docs/throughput.svg; does nothing if the comparison was not among the figures."""
    bars = [bar for figure in figures if (bar := _bar(figure)) is not None]
    if bars:
        chart.write([*_limits(figures), *bars], _TITLE, machine.partition(" · Python")[0])


def _bar(figure: Figure) -> Bar | None:
    if figure.what in _NOTES:
        return Bar(figure.what, figure.median, Kind.ours, _NOTES[figure.what])
    if figure.what.startswith(_PEER):
        return Bar(figure.what.removeprefix(_PEER), figure.median, Kind.peer, "one table")
    return None


def _limits(figures: Sequence[Figure]) -> list[Bar]:
    """The first one: the same order of events as the comparison has."""
    found = [median(one.references) for one in figures if one.reference == limit.NAME][:1]
    return [Bar(limit.NAME, rate, Kind.limit, "no Python, no fold") for rate in found]
