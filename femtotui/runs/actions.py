"""What a person can ask of the manager, and the words that answer. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.machine import rss_mib
from femtotui.core.run_folder.catalog import RunSummary, unfinished_run
from femtotui.presets import Preset

from ..experiments.experiment import ExperimentRunner
from ..paths import choices_file
from ..text.formats import Tone
from .choices import Choices, wants_english
from .forecast import Forecast, forecast
from .library import RunRow, view_of
from .manager import RunHandle, RunManager
from .state import Status
from .verdict import too_early_words


@dataclass(frozen=True)
class StatusMessage:
    """One line for the status line."""

    words: str
    tone: Tone = "plain"


_AT_REST = {Status.FINISHED, Status.FAILED}


class RunActions:
    """Turns wishes into what the manager does. Raises FemtoError children for settings that cannot be."""

    def __init__(self, manager: RunManager, choices: Choices, measured: Path | None = None) -> None:
        self.manager, self.choices = manager, choices
        self._left: RunSummary | None = None
        self._experiments: dict[str, ExperimentRunner] = {}
        self.measured = measured if measured is not None else choices_file()

    @property
    def current(self) -> RunHandle | None:
        return self.manager.current

    def must_ask(self, key: str) -> bool:
        """Whether a download has to be decided on before this preset can start."""
        return key not in self.manager.places and wants_english(self.choices.config(key))

    def choose(self, key: str) -> StatusMessage:
        """Train a preset: start it, or continue what this session has of it."""
        place = self.manager.places.get(key)
        if place is None:
            return self._begin_beside_what_was_left(key)
        if place.view.status is Status.FAILED and not place.view.can_recover:
            return self._begin(key, None)
        name = _name(place)
        if place.view.status in _AT_REST:
            self.manager.show(key)
            failed = place.view.status is Status.FAILED
            return StatusMessage(
                f"{name} failed: r resumes, n starts anew"
                if failed
                else f"{name} has finished: n starts anew"
            )
        if place is self.current:
            return StatusMessage(f"{name} is the one that trains now")
        self.manager.go_on(key)
        return StatusMessage(f"{name} goes on with its parked run from step {place.view.step:,}", "good")

    def _begin_beside_what_was_left(self, key: str) -> StatusMessage:
        """Start a preset for the first time here, and offer the run that an earlier session left of it."""
        left = unfinished_run(self.manager.runs, key)
        news = self._begin(key, None)
        self._left = left
        if left is None:
            return news
        if left.holder is not None:
            more = f"its run {left.path.name} is being trained elsewhere: femtotui attach"
        else:
            more = f"r goes on with the run left at step {left.checkpoint_step or 0:,}"
        return StatusMessage(f"{more} · {news.words}", news.tone)  # what would be cut off first is told last

    @property
    def can_recover(self) -> bool:
        """Whether there is a run to resume: the current one, which failed, or one of an earlier session."""
        place = self.current
        if place is None:
            return False
        return place.view.can_recover or self._offered(place) is not None

    def _offered(self, place: RunHandle) -> RunSummary | None:
        left = self._left
        if left is None or left.info is None or left.holder is not None:
            return None
        return left if left.info.config.preset == place.config.preset else None

    def _begin(self, key: str, seed: int | None) -> StatusMessage:
        before = self.current
        config = self.choices.config(key, seed=seed)
        parked = before is not None and before.link is not None and before.view.status not in _AT_REST
        expected = self.forecast(config)
        self.manager.begin(config)
        if self.current is not None:
            self.current.view.forecast_mib = expected.mib
        saved = f" · {_name(before)} is saved" if before is not None and parked else ""
        early = too_early_words(before.view) if before is not None and parked else ""
        saved += f", but {early}" if early else ""
        words = f"#{key} {config.title}: a new run, seed {config.train.seed} · {expected.cost}{saved}"
        return StatusMessage(words, "good")

    def forecast(self, config: RunConfig) -> Forecast:
        """What a run of `config` will take, before it starts."""
        return forecast(config, rss_mib(), self.measured)

    def foresee(self, key: str) -> StatusMessage:
        """What choosing a preset would do, and what that would take."""
        place = self.manager.places.get(key)
        if place is not None:
            words = "trains now" if place is self.current else "goes on where it was"
            words = f"has {place.view.status.value}" if place.view.status in _AT_REST else words
            return StatusMessage(
                f"{_name(place)} {words}: step {place.view.step:,} of {place.view.total_steps:,}"
            )
        try:
            config = self.choices.config(key)
        except FemtoError as error:
            return StatusMessage(f"{error.title}: {error}", "error")
        return StatusMessage(f"#{key} {config.title}: {self.forecast(config).words}")

    def foresee_preset(self, preset: Preset) -> str:
        """What a run of a preset that is being edited would take."""
        try:
            return self.forecast(self.choices.config_of(preset)).words
        except FemtoError as error:
            return str(error)

    def take_up(self, row: RunRow) -> StatusMessage:
        """Go on with a run from the disk."""
        view = view_of(row.summary, row.summary.checkpoint_step or 0)
        key = view.config.preset
        place = self.manager.places.get(key)
        if place is not None and place.view.run == view.run and place.view.status not in _AT_REST:
            return self.choose(key)
        self.manager.adopt(view)
        self.manager.go_on(key)
        return StatusMessage(f"{row.name} goes on from step {view.step:,}", "good")

    def train_edited(self, preset: Preset) -> StatusMessage:
        """Train a preset as it was edited, whatever runs under its key."""
        self.choices.shelf.add(preset)
        return self._begin(preset.key, None)

    def save_edited(self, preset: Preset) -> StatusMessage:
        """Keep a preset of one's own."""
        path = self.choices.shelf.save(preset)
        return StatusMessage(f"saved as {path}", "good")

    def anew(self) -> StatusMessage:
        """Start the current preset again with the next seed; what trained is saved."""
        self._left = None
        if self.current is None:
            return StatusMessage("choose a preset first", "warning")
        return self._begin(self.current.config.preset, self.current.config.train.seed + 1)

    def recover(self) -> StatusMessage:
        """Resume a failed run from its last checkpoint, or the one that an earlier session left."""
        place = self.current
        if place is not None and place.view.status is not Status.FAILED and (left := self._offered(place)):
            return self._take_up(left)
        if place is None or place.view.status is not Status.FAILED:
            return StatusMessage("nothing to resume: the run has not failed")
        if not place.view.can_recover:
            return StatusMessage("this run was never saved: n starts anew", "warning")
        self.manager.go_on(place.config.preset)
        return StatusMessage(f"{_name(place)} resumes from its last checkpoint", "good")

    def _take_up(self, left: RunSummary) -> StatusMessage:
        self._left = None
        self.manager.take_up(left.config, str(left.path))
        return StatusMessage(
            f"going on with {left.path.name} from step {left.checkpoint_step or 0:,}", "good"
        )

    def detach(self) -> StatusMessage:
        """Let the current training go on without the app, which then leaves."""
        place = self.current
        training = place is not None and place.view.status in {Status.TRAINING, Status.PAUSED}
        if not training or not self.manager.detach():
            return StatusMessage("nothing to detach: no training is running")
        return StatusMessage("detaching…")

    def pause(self) -> StatusMessage:
        """Pause the current run."""
        place = self.current
        if place is None or place.view.status is not Status.TRAINING or not self.manager.pause():
            return StatusMessage("nothing to pause: no training is running")
        return StatusMessage("pausing…")

    def give_way(self) -> bool:
        """Pause the current run, if it trains, for another training; whether it did."""
        place = self.current
        busy = place is not None and place.view.status in {Status.STARTING, Status.TRAINING}
        return busy and self.manager.pause()

    def experiment(self, key: str, make: Callable[[], ExperimentRunner]) -> ExperimentRunner:
        """The experiment of that name, made when it is first asked for. Raises: what `make` raises."""
        if key not in self._experiments:
            self._experiments[key] = make()
        return self._experiments[key]

    def close(self) -> None:
        """End every trainer, each with time to save, and wait. From any thread."""
        for runner in self._experiments.values():
            runner.close()
        self.manager.close()

    def resume(self) -> StatusMessage:
        """Go on after a pause."""
        place = self.current
        if place is None or place.view.status is not Status.PAUSED or not self.manager.resume():
            return StatusMessage("nothing to go on with: no training is paused")
        return StatusMessage("going on", "good")

    def checkpoint(self) -> StatusMessage:
        """Save the current run now."""
        place = self.current
        if (
            place is None
            or place.view.status not in {Status.TRAINING, Status.PAUSED}
            or not self.manager.checkpoint()
        ):
            return StatusMessage("nothing to save: no training is running")
        return StatusMessage("saving a checkpoint…")


def _name(place: RunHandle) -> str:
    return f"#{place.config.preset} {place.config.title}"
