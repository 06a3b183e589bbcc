"""The experiments and sweeps that the Train screen opens, and the pause of the current run meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from femtotui.core.errors import FemtoError
from femtotui.presets import Preset

from ..chart.glyphs import Glyphs
from ..experiments.experiment import Experiment, ExperimentRunner, race
from ..experiments.experiment_screen import ExperimentScreen
from ..experiments.why_layers import WHY_LAYERS, why_layers_experiment
from ..runs.actions import RunActions
from ..sweep.spec import SweepError
from ..sweep.sweep_folder import SweepWatcher, find_sweep
from ..sweep.sweep_screen import SweepScreen
from ..text.formats import Say


class OpenExperiments:
    """The experiments of this session: each keeps its trainers while its screen is closed.

    `show` pushes a screen and returns when it is closed; `say` tells why there is nothing to show.
    """

    def __init__(
        self,
        actions: RunActions,
        glyphs: Glyphs,
        show: Callable[[ExperimentScreen], Awaitable[object]],
        say: Say,
    ) -> None:
        self._actions, self._glyphs, self._show, self._say = actions, glyphs, show, say
        self._opened: dict[str, ExperimentRunner] = {}

    async def race(self, preset: Preset) -> None:
        try:
            await self._open(preset.key, lambda: race(preset))
        except FemtoError as error:
            self._say(str(error), "warning")

    async def why_layers(self) -> None:
        """Answer the question of entry 3."""
        await self._open(WHY_LAYERS, why_layers_experiment)

    async def _open(self, key: str, make: Callable[[], Experiment]) -> None:
        """Show an experiment; the current training is paused only while something is trained there."""
        manager, paused = self._actions.manager, False

        def pause_current() -> None:
            nonlocal paused
            paused = self._actions.pause_for_experiment() or paused

        if key not in self._opened:
            self._opened[key] = ExperimentRunner(make(), manager.runs, manager.factory)
        await self._show(ExperimentScreen(self._opened[key], self._glyphs, pause_current))
        if paused:
            manager.resume()

    def newest_sweep(self) -> SweepScreen | None:
        try:
            return SweepScreen(SweepWatcher(find_sweep(self._actions.manager.runs, "latest")), self._glyphs)
        except SweepError as error:
            self._say(f"{error}; femtotui sweep --help explains how to start one", "warning")
            return None

    def close(self) -> None:
        """End every trainer, each with time to save, and wait. From any thread."""
        for runner in self._opened.values():
            runner.close()
