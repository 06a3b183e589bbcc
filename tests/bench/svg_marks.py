"""What the charts of the README are drawn with: text and lines of SVG, in the house colours."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

INK, FAINT = "#333333", "#e4e4e4"


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 11, fill: str = INK) -> str:
    """Words at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


def line(
    points: Sequence[tuple[float, float]], colour: str, *, width: float = 1, dashed: bool = False
) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'
