"""The way from the training to a contest and back: the current run waits while a contest is trained."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from femtotui.core.errors import FemtoError

from ..contest import Contest
from ..contests import WHY_LAYERS, race, why_layers_contest
from .arranging import ArrangingScreen
from .contest import ContestScreen


class ContestingScreen(ArrangingScreen):
    """A screen from which presets race, and the question of entry 3 is answered."""

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
    ]

    @work(exclusive=True, group="contest")
    async def action_race(self) -> None:
        """Race on the preset under the cursor, or on the one that trains."""
        preset = self.preset_at_hand()
        if preset is None:
            return
        desk = self.helm.desk
        try:
            contest = self.helm.contest(preset.key, lambda: race(preset, desk.runs, desk.factory))
        except FemtoError as error:
            self.say(str(error), "warning")
            return
        await self._hold(contest)

    @work(exclusive=True, group="contest")
    async def action_why_layers(self) -> None:
        desk = self.helm.desk
        await self._hold(self.helm.contest(WHY_LAYERS, lambda: why_layers_contest(desk.runs, desk.factory)))

    async def _hold(self, contest: Contest) -> None:
        """Show a contest; what is trained now waits only if something is trained there."""
        waiting = False

        def give_way() -> None:
            nonlocal waiting
            waiting = self.helm.give_way() or waiting

        preset = self.presets.get(contest.preset_key or "")
        await self.app.push_screen_wait(ContestScreen(contest, preset, self.glyphs, give_way))
        if waiting:
            self.helm.desk.resume()
