"""The characters of a chart's cells (braille, half blocks or ASCII) and the grid that holds them.

A cell holds `dots_y` x `dots_x` dots; its bits, one per dot, are the number of its character.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

GlyphsName = Literal["auto", "braille", "blocks", "ascii"]

BLANK = 0x2800


@dataclass(frozen=True, eq=False)
class Glyphs:
    """A set of characters; `stand_ins` replace those of axes and marks where fonts lack them, too."""

    name: str
    weights_YX: NDArray[np.uint8]
    codes: NDArray[np.uint32]
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    @property
    def dots_y(self) -> int:
        return int(self.weights_YX.shape[0])

    @property
    def dots_x(self) -> int:
        return int(self.weights_YX.shape[1])

    def simplified(self, grid: CellGrid) -> CellGrid:
        """The grid with the stand-ins in place of the characters that they replace."""
        codes_HW = grid.codes_HW
        for character, plain in self.stand_ins.items():
            codes_HW[codes_HW == ord(character)] = ord(plain)
        return grid


def _codes(characters: str) -> NDArray[np.uint32]:
    return np.array([ord(character) for character in characters], dtype=np.uint32)


# Unicode numbers the dots down the left column, then the right; the lowest pair came later (7 and 8).
BRAILLE = Glyphs(
    "braille",
    np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8),
    BLANK + np.arange(256, dtype=np.uint32),
)
BLOCKS = Glyphs(
    "blocks",
    np.array([[1], [2]], dtype=np.uint8),
    _codes(" ▀▄█"),
    dict(zip("╰┄┊◂━•◆▲▼▶↑↓…", "└-|<=o#^v>^v.", strict=True)),
)
ASCII = Glyphs(
    "ascii",
    np.array([[1], [2]], dtype=np.uint8),
    _codes(" '.:"),
    dict(zip("│┤╰─┄┊◂━•◆▲▼▶↑↓…·", "|++--|<=o#^v>^v.-", strict=True)),
)
_BY_NAME = {glyphs.name: glyphs for glyphs in (BRAILLE, BLOCKS, ASCII)}


def choose_glyphs(asked: GlyphsName, environment: Mapping[str, str] | None = None) -> Glyphs:
    """The glyphs asked for; with `auto`, those that the terminal probably has.

    The Linux console's fonts have half blocks and no braille; an encoding other than UTF-8 has neither.
    """
    if asked != "auto":
        return _BY_NAME[asked]
    environment = os.environ if environment is None else environment
    if "TEXTUAL_DRIVER" not in environment and not _encodes_unicode():
        return ASCII
    return BLOCKS if environment.get("TERM") == "linux" else BRAILLE


def _encodes_unicode() -> bool:
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").startswith("utf")


_SPACE = ord(" ")


@dataclass(frozen=True)
class CellGrid:
    """Characters (code points, each one cell wide) and inks (indices into a list of styles), both (H, W)."""

    codes_HW: NDArray[np.uint32]
    inks_HW: NDArray[np.uint8]

    @classmethod
    def blank(cls, height: int, width: int) -> CellGrid:
        """A grid of spaces in ink 0."""
        return cls(
            np.full((height, width), _SPACE, dtype=np.uint32), np.zeros((height, width), dtype=np.uint8)
        )

    @property
    def height(self) -> int:
        return int(self.codes_HW.shape[0])

    @property
    def width(self) -> int:
        return int(self.codes_HW.shape[1])

    def put(self, row: int, column: int, text: str, ink: int) -> None:
        """Write `text`, one cell per character; the part outside the grid is dropped."""
        if not 0 <= row < self.height or column >= self.width:
            return
        text = text[max(-column, 0) : self.width - column]
        column = max(column, 0)
        if text:
            self.codes_HW[row, column : column + len(text)] = [ord(character) for character in text]
            self.inks_HW[row, column : column + len(text)] = ink

    def strip(self, row: int, styles: Sequence[Style]) -> Strip:
        """One row as a strip: a segment for each stretch of one ink."""
        if not self.width:
            return Strip([], 0)
        inks_W = self.inks_HW[row]
        text = self.codes_HW[row].astype("<u4").tobytes().decode("utf-32-le")
        bounds = [0, *(np.flatnonzero(np.diff(inks_W)) + 1).tolist(), self.width]
        segments = [Segment(text[start:stop], styles[inks_W[start]]) for start, stop in pairwise(bounds)]
        return Strip(segments, self.width)

    def changed_rows(self, other: CellGrid) -> list[int]:
        """The rows that differ from those of a grid of the same size."""
        differs_HW = (self.codes_HW != other.codes_HW) | (self.inks_HW != other.inks_HW)
        return np.flatnonzero(differs_HW.any(axis=1)).tolist()
