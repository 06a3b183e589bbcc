"""A screen as text: what stands in every cell, and in which style, so that two can be compared by `diff`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip

UPDATE = "UPDATE_SNAPSHOTS"
SNAPSHOTS = Path(__file__).parents[1] / "app" / "snapshots"
_LETTERS = "".join(
    map(chr, chain(range(ord("A"), ord("Z") + 1), range(ord("a"), ord("z") + 1), range(0xC0, 0x17F)))
)


def screen_text(app: App[object], hidden: tuple[Region, ...] = ()) -> str:
    """The screen's characters, then a letter a cell for its style, then what the letters mean.

    What lies in `hidden` is left out: it belongs to somebody else.
    """
    styles: dict[str, str] = {}
    text, marks = [], []
    for y, strip in enumerate(app.screen._compositor.render_strips(app.size)):
        row, inks = [], []
        for x, cell in enumerate(cells(strip)):
            if any(region.contains(x, y) for region in hidden):
                row.append("░")
                inks.append("░")
            else:
                row.append(cell.text)
                style = str(cell.style)
                inks.append(styles.setdefault(style, _LETTERS[min(len(styles), len(_LETTERS) - 1)]))
        text.append("".join(row).rstrip())
        marks.append("".join(inks).rstrip())
    legend = [f"{letter} {style}" for style, letter in styles.items()]
    return "\n".join([*text, "", *marks, "", *legend]) + "\n"


def cells(strip: Strip) -> Iterator[Segment]:
    """One segment a cell; of a character two cells wide, the second is empty."""
    for segment in strip:
        for character in segment.text:
            yield Segment(character, segment.style)
            yield from [Segment("", segment.style)] * (cell_len(character) - 1)


def check(name: str, text: str) -> None:
    """Compare with the snapshot of that name; with UPDATE_SNAPSHOTS=1 in the environment, replace it."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get(UPDATE):
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    expected = file.read_text("utf-8") if file.exists() else ""
    if text != expected:
        actual = file.with_suffix(".actual.txt")
        actual.write_text(text, "utf-8")
        differing = [
            n for n, (a, b) in enumerate(zip(text.split("\n"), expected.split("\n"), strict=False)) if a != b
        ]
        raise AssertionError(
            f"{name} looks different (first in row {differing[:1]}): compare {file} with {actual}; "
            f"if it is meant to, run with {UPDATE}=1"
        )
