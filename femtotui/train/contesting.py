"""The ways from one training to several and back: to a contest, for which the current run waits, and to a
sweep, which goes on beside it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from femtotui.core.errors import FemtoError

from ..experiments.experiment import Experiment
from ..experiments.experiment_screen import ExperimentScreen
from ..experiments.race import WHY_LAYERS, race, why_layers_contest
from ..runs.actions import RunActions
from ..sweep.live import Watch
from ..sweep.spec import SweepError
from ..sweep.sweep_folder import find_sweep
from ..sweep.sweep_screen import SweepScreen
from .arranging import ArrangingScreen


class OpenExperiments:
    """The experiments of this session: each keeps its trainers while its screen is closed."""

    def __init__(self) -> None:
        self._opened: dict[str, Experiment] = {}

    def open(self, key: str, make: Callable[[], Experiment]) -> Experiment:
        """The experiment of that name, made when it is first asked for. Raises: what `make` raises."""
        if key not in self._opened:
            self._opened[key] = make()
        return self._opened[key]

    def close(self) -> None:
        """End every trainer, each with time to save, and wait. From any thread."""
        for experiment in self._opened.values():
            experiment.close()


class ContestingScreen(ArrangingScreen):
    """A screen from which presets race, the question of entry 3 is answered, and sweeps are watched."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v",
            "race",
            "race",
            id="race",
            show=False,
            tooltip="Race the journal's recipe against ours on this preset",
        ),
        Binding(
            "w",
            "why_layers",
            "why layers",
            id="why-layers",
            show=False,
            tooltip="Why did more layers make it worse? Entry 3's question",
        ),
        Binding(
            "m",
            "sweep",
            "sweep",
            id="sweep",
            show=False,
            tooltip="Watch the newest sweep: many runs, best first",
        ),
    ]

    def __init__(self, actions: RunActions) -> None:
        super().__init__(actions)
        self.experiments = OpenExperiments()

    @work(exclusive=True, group="contest")
    async def action_race(self) -> None:
        """Race on the preset under the cursor, or on the one that trains."""
        preset = self.preset_at_hand()
        if preset is None:
            return
        manager = self.actions.manager
        try:
            contest = self.experiments.open(preset.key, lambda: race(preset, manager.runs, manager.factory))
        except FemtoError as error:
            self.say(str(error), "warning")
            return
        await self._hold(contest)

    @work(exclusive=True, group="contest")
    async def action_why_layers(self) -> None:
        manager = self.actions.manager
        await self._hold(
            self.experiments.open(WHY_LAYERS, lambda: why_layers_contest(manager.runs, manager.factory))
        )

    async def _hold(self, contest: Experiment) -> None:
        """Show a contest; what is trained now waits only if something is trained there."""
        waiting = False

        def give_way() -> None:
            nonlocal waiting
            waiting = self.actions.pause_for_experiment() or waiting

        preset = self.presets.get(contest.preset_key or "")
        await self.app.push_screen_wait(ExperimentScreen(contest, preset, self.glyphs, give_way))
        if waiting:
            self.actions.manager.resume()

    def action_sweep(self) -> None:
        try:
            watch = Watch(find_sweep(self.actions.manager.runs, "latest"))
        except SweepError as error:
            self.say(f"{error}; femtotui sweep --help says how to begin one", "warning")
            return
        self.app.push_screen(SweepScreen(watch, self.glyphs))
