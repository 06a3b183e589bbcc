"""What a chart's cells are drawn with: braille, half blocks where a font lacks it, or plain ASCII.

A cell holds `dots_y` x `dots_x` dots; its bits, one a dot, number the character that shows them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .cell_grid import CellGrid

GlyphsName = Literal["auto", "braille", "blocks", "ascii"]
GLYPHS_NAMES: tuple[GlyphsName, ...] = get_args(GlyphsName)

BLANK = 0x2800


@dataclass(frozen=True, eq=False)
class Glyphs:
    """A way to draw. `stand_ins` are simpler characters for axes and marks, where those are needed too."""

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
        """The grid with the stand-ins in place of what they stand for."""
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
    """The glyphs asked for; `auto` takes what the terminal can be expected to have.

    The Linux console's fonts have half blocks and no braille; an encoding other than UTF-8 has neither.
    """
    if asked != "auto":
        return _BY_NAME[asked]
    environment = os.environ if environment is None else environment
    if "TEXTUAL_DRIVER" not in environment and not _speaks_unicode():
        return ASCII
    return BLOCKS if environment.get("TERM") == "linux" else BRAILLE


def _speaks_unicode() -> bool:
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").startswith("utf")
