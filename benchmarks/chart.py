"""The picture 图: docs/throughput.svg, events per second of ours, of the limit and of the peers.

Plain SVG, readable on a light and on a dark page: the page's choice decides the colours. Every bar
has its name and its number as text, so that nothing is told by colour or length alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.figures import shown
from node.localstack.folder import PROJECT

FILE = PROJECT / "docs" / "throughput.svg"


class Kind(StrEnum):
    """Whose a bar is; the name is its class in the picture."""

    ours = "ours"
    limit = "limit"
    peer = "peer"


@dataclass(frozen=True)
class Bar:
    """One bar. `note` is a few words on what it does or leaves out."""

    label: str
    value: float
    kind: Kind
    note: str = ""


_WIDTH = 880
_LABELS, _NUMBERS = 270, 80  # columns left and right of the bars
_ROW, _BAR, _HEAD, _FOOT = 46, 22, 74, 34
_MARGIN = 24
_STYLE = """
  svg { color-scheme: light dark; }
  text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans CJK SC", sans-serif;
         font-size: 14px; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .note, .foot { font-size: 11.5px; fill: #59636e; }
  .number { font-weight: 600; font-variant-numeric: tabular-nums; }
  .page { fill: #ffffff; }
  .axis { stroke: #b7bec6; }
  .ours { fill: #b3261e; } .limit { fill: #57606a; } .peer { fill: #2f6fab; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note, .foot { fill: #9aa4af; } .page { fill: #0d1117; }
    .axis { stroke: #4a525c; }
    .ours { fill: #f0776c; } .limit { fill: #9aa4af; } .peer { fill: #6cb0f0; }
  }
"""


def write(bars: Sequence[Bar], title: str, foot: str, file: Path = FILE) -> None:
    """Replace the picture."""
    file.write_text(svg(bars, title, foot), encoding="utf-8")


def svg(bars: Sequence[Bar], title: str, foot: str) -> str:
    """The picture: bars in the given order, the longest as wide as there is room."""
    height = _HEAD + _ROW * len(bars) + _FOOT
    told = "; ".join(f"{bar.label}: {shown(bar.value)}" for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(told)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="8"/>',
        f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>',
        *_rows(bars),
        f'<line class="axis" x1="{_LABELS}" y1="{_HEAD - 10}" x2="{_LABELS}" '
        f'y2="{height - _FOOT}"/>',
        f'<text class="foot" x="{_MARGIN}" y="{height - 14}">{escape(foot)}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _rows(bars: Sequence[Bar]) -> Iterator[str]:
    most = max(bar.value for bar in bars)
    room = _WIDTH - _LABELS - _NUMBERS - _MARGIN
    for place, bar in enumerate(bars):
        top = _HEAD + _ROW * place
        length = room * bar.value / most
        yield (
            f'<text x="{_LABELS - 12}" y="{top + (12 if bar.note else 16)}" text-anchor="end">'
            f"{escape(bar.label)}</text>"
        )
        if bar.note:
            yield (
                f'<text class="note" x="{_LABELS - 12}" y="{top + 27}" text-anchor="end">'
                f"{escape(bar.note)}</text>"
            )
        yield (
            f'<rect class="{bar.kind}" x="{_LABELS}" y="{top}" width="{length:.1f}" '
            f'height="{_BAR}" rx="2"/>'
        )
        yield (
            f'<text class="number" x="{_LABELS + length + 8:.1f}" y="{top + 16}">'
            f"{shown(bar.value)}</text>"
        )
