"""The ways from one training to several and back: to a contest, for which the current run waits, and to a
sweep, which goes on beside it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from femtotui.core.errors import FemtoError

from ..experiments.experiment import Experiment, ExperimentRunner
from ..experiments.experiment_screen import ExperimentScreen
from ..experiments.race import race
from ..experiments.why_layers import WHY_LAYERS, why_layers_experiment
from ..runs.actions import RunActions
from ..sweep.spec import SweepError
from ..sweep.sweep_folder import SweepWatcher, find_sweep
from ..sweep.sweep_screen import SweepScreen
from .arranging import ArrangingScreen


class OpenExperiments:
    """The experiments of this session: each keeps its trainers while its screen is closed."""

    def __init__(self) -> None:
        self._opened: dict[str, ExperimentRunner] = {}

    def open(self, key: str, make: Callable[[], ExperimentRunner]) -> ExperimentRunner:
        """The experiment of that name, made when it is first asked for. Raises: what `make` raises."""
        if key not in self._opened:
            self._opened[key] = make()
        return self._opened[key]

    def close(self) -> None:
        """End every trainer, each with time to save, and wait. From any thread."""
        for runner in self._opened.values():
            runner.close()


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

    @work(exclusive=True, group="experiment")
    async def action_race(self) -> None:
        """Race on the preset under the cursor, or on the one that trains."""
        preset = self.preset_at_hand()
        if preset is None:
            return
        try:
            await self._show_experiment(preset.key, lambda: race(preset))
        except FemtoError as error:
            self.say(str(error), "warning")

    @work(exclusive=True, group="experiment")
    async def action_why_layers(self) -> None:
        await self._show_experiment(WHY_LAYERS, why_layers_experiment)

    async def _show_experiment(self, key: str, make: Callable[[], Experiment]) -> None:
        """Show an experiment; the current training is paused only while something is trained there."""
        manager, paused = self.actions.manager, False

        def pause_current() -> None:
            nonlocal paused
            paused = self.actions.pause_for_experiment() or paused

        runner = self.experiments.open(key, lambda: ExperimentRunner(make(), manager.runs, manager.factory))
        await self.app.push_screen_wait(ExperimentScreen(runner, self.glyphs, pause_current))
        if paused:
            manager.resume()

    def action_sweep(self) -> None:
        try:
            watcher = SweepWatcher(find_sweep(self.actions.manager.runs, "latest"))
        except SweepError as error:
            self.say(f"{error}; femtotui sweep --help says how to begin one", "warning")
            return
        self.app.push_screen(SweepScreen(watcher, self.glyphs))
