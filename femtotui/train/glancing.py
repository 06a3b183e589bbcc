"""The newest runs beside the training: pointed at, and laid over the chart."""

from __future__ import annotations

from pathlib import Path

from textual import on, work

from femtotui.core.errors import FemtoError

from ..chart.frame_data import MAX_OVERLAYS
from ..runs.library import RunRow, read_rows
from ..runs.run_list import Glance, RunChosen, RunList, RunPointedAt, run_words
from ..runs.state import Status
from .arranging import ArrangingScreen

NEWEST = 40
"""How many runs are listed; all of them are on the runs screen."""

_Standing = tuple[tuple[str, Status, str | None, bool], ...]


class GlancingScreen(ArrangingScreen):
    """A screen with a RunList, which is read anew whenever a run begins, ends or is saved and left."""

    _rows: tuple[RunRow, ...] = ()
    _standing: _Standing = ()

    def glance(self) -> None:
        """Keep the list up to date: look at the folders only if some run stands otherwise than before."""
        places = self.actions.manager.handles.items()
        standing = tuple(
            (key, place.state.status, place.state.run, place.connection is None) for key, place in places
        )
        if standing != self._standing:
            self._standing = standing
            self._read_runs()

    def runs_changed(self) -> None:
        self._read_runs()

    @work(thread=True, exclusive=True, group="glance")
    def _read_runs(self) -> None:
        try:
            rows = tuple(read_rows(self.actions.manager.runs, NEWEST))
        except FemtoError:
            return  # whoever cannot write there is told by the trainer
        self.app.call_from_thread(self._take_rows, rows)

    def _take_rows(self, rows: tuple[RunRow, ...]) -> None:
        self._rows = rows
        self.show_runs()

    def show_runs(self) -> None:
        """Show the rows as they were read, with marks for those on the chart."""
        if not self.query(RunList):
            return  # the app has ended meanwhile
        current = self.actions.current
        run = current.state.run if current is not None else None
        here = Path(run).name if run is not None else ""
        self.query_one(RunList).show(Glance(self._rows, here, self._overlaid))

    def lay_over(self, rows: tuple[RunRow, ...]) -> None:
        super().lay_over(rows)
        self.show_runs()

    @on(RunPointedAt)
    def _run_pointed_at(self, message: RunPointedAt) -> None:
        if self.query_one(RunList).has_focus:
            self.say(run_words(message.row), "plain" if message.row.summary.info is not None else "warning")

    @on(RunChosen)
    def _run_chosen(self, message: RunChosen) -> None:
        """Lay it over the chart, or take it off."""
        row, name = message.row, message.row.path.name
        current = self.actions.current
        if row.summary.info is None:
            self.say(run_words(row), "warning")
        elif current is not None and current.state.run == str(row.path):
            self.say("this run is the one on the chart")
        elif name in self._overlaid:
            self._keep_over([other for other in self._overlaid if other != name])
            self.say(f"{row.name} is off the chart")
        elif len(self._overlaid) == MAX_OVERLAYS:
            self.say(f"no more than {MAX_OVERLAYS} runs at once", "warning")
        else:
            self._keep_over([*self._overlaid, name], row)
            self.say(f"{row.name} is on the chart too; u compares runs", "good")

    def _keep_over(self, names: list[str], newcomer: RunRow | None = None) -> None:
        kept = {row.path.name: row for row in self.laid_over}
        if newcomer is not None:
            kept[newcomer.path.name] = newcomer
        self.lay_over(tuple(kept[name] for name in names))
