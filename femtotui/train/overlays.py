"""The earlier runs whose curves lie over the chart of the current one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from femtotui.core.errors import FemtoError

from ..chart.chart_model import Overlay
from ..chart.frame_data import MAX_OVERLAYS
from ..runs.actions import StatusMessage
from ..runs.library import RunRow, load_overlay, read_rows
from ..runs.manager import RunManager
from ..runs.run_list import run_words
from ..text.formats import Say


class Overlays:
    """Adds and removes overlays. `draw` gets all of them after each change; `say` what cannot be read."""

    def __init__(self, manager: RunManager, draw: Callable[[Sequence[Overlay]], None], say: Say) -> None:
        self._manager, self._draw, self._say = manager, draw, say
        self.rows: tuple[RunRow, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The folder names of the runs laid over the chart."""
        return tuple(row.path.name for row in self.rows)

    def show(self, rows: Sequence[RunRow]) -> None:
        """Lay these runs over the chart, and no others; the current run is left out."""
        here = self._manager.current_folder
        drawn: list[tuple[RunRow, Overlay]] = []
        for row in rows:
            if row.path == here:
                continue
            try:
                drawn.append((row, load_overlay(row)))
            except FemtoError as error:
                self._say(str(error), "warning")
        self.rows = tuple(row for row, _ in drawn)
        self._draw([overlay for _, overlay in drawn])

    def toggle(self, row: RunRow) -> StatusMessage:
        """Lay a run over the chart, or remove it."""
        name = row.path.name
        if row.summary.info is None:
            return StatusMessage(run_words(row), "warning")
        if row.path == self._manager.current_folder:
            return StatusMessage("this run is the one on the chart")
        if name in self.names:
            self.show([other for other in self.rows if other.path.name != name])
            return StatusMessage(f"{row.name} is off the chart")
        if len(self.rows) == MAX_OVERLAYS:
            return StatusMessage(f"no more than {MAX_OVERLAYS} runs at once", "warning")
        self.show([*self.rows, row])
        return StatusMessage(f"{row.name} is on the chart too; u compares runs", "good")

    def toggle_newest(self) -> StatusMessage:
        """Overlay the newest other run, if possible one of the same preset; or remove all overlays."""
        if self.rows:
            self.show(())
            return StatusMessage("only this run is on the chart")
        current, here = self._manager.current, self._manager.current_folder
        try:
            rows = read_rows(self._manager.runs)
        except FemtoError as error:
            return StatusMessage(str(error), "error")
        others = [row for row in rows if row.preset and row.summary.step and row.path != here]
        if not others:
            return StatusMessage("there is no other run yet")
        same = [row for row in others if current is not None and row.preset == current.config.preset]
        row = (same or others)[0]
        self.show((row,))
        return StatusMessage(f"{row.name} is on the chart too; u chooses others", "good")
