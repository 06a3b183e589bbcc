"""The actions on runs behind the keys of the Train screen, and their messages.

No Textual in here.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.machine import rss_mib
from femtotui.core.run_folder.catalog import RunSummary, unfinished_run
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.saved_model import newest_weights
from femtotui.presets import Preset

from ..installation import choices_file
from ..text.formats import Tone
from ..trainer.protocol import SnapshotArrived
from .choices import Choices, wants_english
from .forecast import Forecast, forecast
from .library import load_state
from .manager import RunHandle, RunManager
from .state import Status
from .verdict import too_early_words


@dataclass(frozen=True)
class StatusMessage:
    """One line for the status line."""

    words: str
    tone: Tone = "plain"


_AT_REST = {Status.FINISHED, Status.FAILED}
_RUNNING = {Status.TRAINING, Status.PAUSED}


class RunActions:
    """Starts, resumes and steers runs through the manager; each method returns a line for the status line.

    Raises FemtoError children for settings that cannot be.
    """

    def __init__(self, manager: RunManager, choices: Choices, measured: Path | None = None) -> None:
        self.manager, self.choices = manager, choices
        self._left: RunSummary | None = None
        self.measured = measured if measured is not None else choices_file()

    @property
    def current(self) -> RunHandle | None:
        return self.manager.current

    @property
    def status(self) -> Status | None:
        return self.current.state.status if self.current is not None else None

    def needs_english(self, key: str) -> bool:
        """Whether the user must decide on a download before this preset can start."""
        try:
            return key not in self.manager.handles and wants_english(self.choices.config(key))
        except FemtoError:  # starting it says so
            return False

    def open(self) -> StatusMessage:
        """Begin as the command line asked: with a run, or with nothing yet."""
        if self.choices.run is not None:
            return self.open_run(self.choices.run, resumes=self.choices.trains)
        return StatusMessage("nothing trains yet: enter trains the preset under the cursor, u lists the runs")

    def open_run(self, run: RunSummary, *, resumes: bool = True) -> StatusMessage:
        """Resume a run if it can be, else show it, with the parameters that it saved."""
        state = load_state(run, run.checkpoint_step or 0) if run.can_continue else load_state(run)
        name = f"#{state.config.preset} {state.config.title}"
        handle = self.manager.handles.get(state.config.preset)
        if handle is not None and handle.state.run == state.run and handle.state.status not in _AT_REST:
            return self.start_preset(state.config.preset)
        self.manager.adopt(state)
        if run.can_continue and resumes:
            self.manager.resume_run(state.config.preset)
            return StatusMessage(
                f"{name}: its run resumes from step {run.checkpoint_step or 0:,} · n starts a new one", "good"
            )
        self.manager.show(state.config.preset)
        handle = self.manager.handles[state.config.preset]
        with suppress(FemtoError):  # a run without a checkpoint shows its curve
            saved = newest_weights(RunFolder.open(run.path))
            weights = saved.tensors["parameters"].astype("<f4", copy=False)
            handle.snapshot = SnapshotArrived(saved.step, run.loss or math.nan, weights.data.cast("B"))
        if run.holder is not None:
            return StatusMessage(f"{name} is being trained elsewhere: femtotui attach", "warning")
        what = "has finished" if run.finished else f"stopped at step {run.step:,}"
        more = "" if run.finished else "enter resumes it, "
        return StatusMessage(f"{name} {what}: {more}n starts a new run")

    def start_preset(self, key: str) -> StatusMessage:
        """Train a preset: start a run, or resume the one of this session."""
        handle = self.manager.handles.get(key)
        if handle is None:
            return self._start_beside_earlier(key)
        if handle.state.status is Status.FAILED and not handle.state.can_recover:
            return self._start(key, None)
        name = _name(handle)
        if handle.state.status in _AT_REST:
            self.manager.show(key)
            if handle.state.status is Status.FAILED:
                return StatusMessage(f"{name} failed: r resumes, n starts a new run")
            return StatusMessage(f"{name} has finished: n starts a new run")
        if handle is self.current:
            return StatusMessage(f"{name} is training already")
        self.manager.resume_run(key)
        return StatusMessage(f"{name} resumes its parked run from step {handle.state.step:,}", "good")

    def _start_beside_earlier(self, key: str) -> StatusMessage:
        """Start a preset for the first time in this session, and offer the run that an earlier one left."""
        left = unfinished_run(self.manager.runs, key)
        news = self._start(key, None)
        self._left = left
        if left is None:
            return news
        if left.holder is not None:
            more = f"its run {left.path.name} is being trained elsewhere: femtotui attach"
        else:
            more = f"r resumes the run left at step {left.checkpoint_step or 0:,}"
        return StatusMessage(f"{more} · {news.words}", news.tone)  # the end is cut off where there is no room

    @property
    def can_resume(self) -> bool:
        """Whether there is a run to resume: the current one, which failed, or one of an earlier session."""
        handle = self.current
        return handle is not None and (handle.state.can_recover or self._offered(handle) is not None)

    def _offered(self, handle: RunHandle) -> RunSummary | None:
        left = self._left
        if left is None or left.info is None or left.holder is not None:
            return None
        return left if left.info.config.preset == handle.config.preset else None

    def _start(self, key: str, seed: int | None) -> StatusMessage:
        before = self.current
        try:
            config = self.choices.config(key, seed=seed)
        except FemtoError as error:
            return StatusMessage(f"{error.title}: {error}", "error")
        expected = self.forecast(config)
        saved = ""
        if before is not None and before.connection is not None and before.state.status not in _AT_REST:
            early = too_early_words(before.state)
            saved = f" · {_name(before)} is saved{early and ', but ' + early}"
        self.manager.start(config)
        if self.current is not None:
            self.current.state.forecast_mib = expected.mib
        words = f"#{key} {config.title}: a new run, seed {config.train.seed} · {expected.cost}{saved}"
        return StatusMessage(words, "good")

    def forecast(self, config: RunConfig) -> Forecast:
        """Memory and time that a run of `config` will take."""
        return forecast(config, rss_mib(), self.measured)

    def describe(self, key: str) -> StatusMessage:
        """Say what starting a preset would do, and what it would cost."""
        handle = self.manager.handles.get(key)
        if handle is not None:
            words = "is training" if handle is self.current else "resumes where it was"
            words = f"has {handle.state.status.value}" if handle.state.status in _AT_REST else words
            return StatusMessage(
                f"{_name(handle)} {words}: step {handle.state.step:,} of {handle.state.total_steps:,}"
            )
        try:
            config = self.choices.config(key)
        except FemtoError as error:
            return StatusMessage(f"{error.title}: {error}", "error")
        return StatusMessage(f"#{key} {config.title}: {self.forecast(config).words}")

    def forecast_words(self, preset: Preset) -> str:
        """The cost of a run of a preset that is being edited, or why there can be none."""
        try:
            return self.forecast(self.choices.config_of(preset)).words
        except FemtoError as error:
            return str(error)

    def start_edited(self, preset: Preset) -> StatusMessage:
        """Train a preset as it was edited, whatever runs under its key."""
        self.choices.user_presets.add(preset)
        return self._start(preset.key, None)

    def save_preset(self, preset: Preset) -> StatusMessage:
        return StatusMessage(f"saved as {self.choices.user_presets.save(preset)}", "good")

    def new_run(self) -> StatusMessage:
        """Start the current preset again with the next seed; what trained is saved."""
        self._left = None
        if self.current is None:
            return StatusMessage("choose a preset first", "warning")
        return self._start(self.current.config.preset, self.current.config.train.seed + 1)

    def resume_failed(self) -> StatusMessage:
        """Resume a failed run from its last checkpoint, or the one that an earlier session left."""
        handle = self.current
        if handle is not None and handle.state.status is Status.FAILED:
            if not handle.state.can_recover:
                return StatusMessage("this run was never saved: n starts a new run", "warning")
            self.manager.resume_run(handle.config.preset)
            return StatusMessage(f"{_name(handle)} resumes from its last checkpoint", "good")
        left = self._offered(handle) if handle is not None else None
        if left is None:
            return StatusMessage("nothing to resume: the run has not failed")
        self._left = None
        self.manager.continue_run(left.config, str(left.path))
        return StatusMessage(f"resuming {left.path.name} from step {left.checkpoint_step or 0:,}", "good")

    def detach(self) -> StatusMessage:
        """Let the current training continue without the app, which then ends."""
        if self.status not in _RUNNING or not self.manager.detach():
            return StatusMessage("nothing to detach: no training is running")
        return StatusMessage("detaching…")

    def pause(self) -> StatusMessage:
        if self.status is not Status.TRAINING or not self.manager.pause():
            return StatusMessage("nothing to pause: no training is running")
        return StatusMessage("pausing…")

    def pause_for_experiment(self) -> bool:
        """Pause the current run, if it trains, so that an experiment has the cores; whether it did."""
        return self.status in {Status.STARTING, Status.TRAINING} and self.manager.pause()

    def resume(self) -> StatusMessage:
        if self.status is not Status.PAUSED or not self.manager.resume():
            return StatusMessage("nothing to resume: training is not paused")
        return StatusMessage("resumed", "good")

    def checkpoint(self) -> StatusMessage:
        if self.status not in _RUNNING or not self.manager.checkpoint():
            return StatusMessage("nothing to save: no training is running")
        return StatusMessage("saving a checkpoint…")


def _name(handle: RunHandle) -> str:
    return f"#{handle.config.preset} {handle.config.title}"
