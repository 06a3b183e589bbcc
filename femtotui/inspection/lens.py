"""The logit lens, drawn: the tokens that are most probable after each layer, and the chosen one's share."""

from __future__ import annotations

import math

from rich.cells import cell_len

from ..tokens.alternatives import quoted
from ..tokens.colours import WEIGHT
from .head_strips import Painted, Row
from .text_window import TokenSight

_ROW_LABEL_WIDTH = 6


def lens_rows(sight: TokenSight, width: int, height: int) -> list[Row]:
    """A column a depth, best guess first, or a row a depth where that fits better.

    The chosen token is marked; at the end stand its probability and rank at each depth.
    """
    ranks = sight.ranks()
    guesses = [sight.guesses(depth) for depth in range(len(ranks))]
    longest = max(cell_len(quoted(name)) for row in guesses for _, name, _ in row[:3])
    cell = min(max(longest, 3), 8) + 7
    is_columns = len(ranks) * cell <= width and height > 4
    n_cells = height - 2 if is_columns else max((width - _ROW_LABEL_WIDTH) // cell - 1, 0)
    n_guesses = min(n_cells, len(guesses[0]) - 1)
    cell = min(width // len(ranks), cell + 6) if is_columns else cell
    n_left = len(ranks) if is_columns else min(len(ranks), max(height - 1, 0))
    depths: list[Row] = []
    for depth in range(len(ranks) - n_left, len(ranks)):  # the last ones decide
        at = (f"layer {depth}", f"{depth:>3}") if depth else ("lens embed", "embed")
        label = at[0].ljust(cell) if is_columns else at[1].ljust(_ROW_LABEL_WIDTH)
        cells = [_guess(guess, guess[0] == sight.chosen_id, cell) for guess in guesses[depth][:n_guesses]]
        end = f" {_share(guesses[depth][-1][2])} #{ranks[depth]}"
        depths.append([Painted(label, "muted"), *cells, Painted(f"{end:<{cell}}", "marked")])
    if is_columns:
        return [list(row) for row in zip(*depths, strict=True)]
    head = f"{'lens':<{_ROW_LABEL_WIDTH}}{'most probable':<{n_guesses * cell}.{n_guesses * cell}}"
    return [[Painted(head, "muted"), Painted(f" {quoted(sight.chosen)}", "marked")], *depths]


def _guess(guess: tuple[int, bytes, float], is_chosen: bool, cell: int) -> Painted:
    _, name, p = guess
    text = f"{'▸' if is_chosen else ' '}{quoted(name, cell - 7)} {_share(p)} "
    return Painted(text, "marked" if is_chosen else "text", WEIGHT.shade_of(p))


def _share(p: float) -> str:
    """A probability in four cells."""
    if not math.isfinite(p):
        return "   ?"
    return f"{p:4.0%}" if p >= 0.005 else " <1%"
