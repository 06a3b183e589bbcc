"""An experiment: a question, the trainings that answer it, and the goal that they are judged by.

Each trial is a run in a folder that its settings name, so that `femtotui reproduce` and the app share runs:
what is finished is only read, and what was interrupted is resumed. Two drivers train what is missing:
`ExperimentRunner` in trainer processes of the app, `reproduction.train_trials` in this process.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, FemtoError
from femtotui.core.events import ScoreDone
from femtotui.core.run_folder.catalog import RunSummary, list_runs
from femtotui.presets import Goal, Preset, run_config

from ..runs.library import load_state
from ..runs.manager import RunManager, TrainerFactory
from ..runs.state import RunState, Status
from ..text.formats import duration

FOLDER = "reproduce"
"""Under the folder of all runs; `femtotui runs` does not look in there."""

TRIAL_THREADS = 2
"""Fixed, and so is the chunk that follows from it: a seed gives the same run only with the same of both."""


def trial_folder(config: RunConfig, runs: Path) -> Path:
    """Folder of the runs of `config`; its name changes with every setting."""
    settings, train = hashlib.sha256(msgspec.json.encode(config)).hexdigest()[:8], config.train
    name = f"{config.preset}-{config.recipe.name}-seed{train.seed}-{train.steps}steps-{settings}"
    return runs / FOLDER / name


def trial_run(config: RunConfig, runs: Path) -> RunSummary | None:
    """Return the newest run of `config` that is finished, resumable or being trained, if there is one.

    Raises: RunError if the folder cannot be read.
    """
    found = (run for run in list_runs(trial_folder(config, runs)) if run.info is not None)
    return next((run for run in found if run.finished or run.can_continue or run.holder is not None), None)


def reaches(goal: Goal, score: ScoreDone) -> bool:
    """Whether a score counts as success."""
    if goal.score is None:
        return score.score < score.details.get("bits_a_byte.trigram", -math.inf)
    return score.score <= goal.score if score.unit == "bits a byte" else score.score >= goal.score


@dataclass(eq=False)
class Trial:
    """One training of an experiment.

    `retry_of` is the shorter trial that this one repeats for longer, if that missed the goal. `state` is
    None until something has been trained. `is_ours` is set by the driver that trains it in this process, and
    `trained_elsewhere` while another process does.
    """

    name: str
    config: RunConfig
    retry_of: Trial | None = None
    state: RunState | None = None
    is_ours: bool = False
    trained_elsewhere: bool = False
    problem: str = ""

    @property
    def score(self) -> ScoreDone | None:
        """The thorough score at the end of the run."""
        score = self.state.score if self.state is not None else None
        return score if score is not None and score.thorough else None

    @property
    def is_done(self) -> bool:
        """Whether all steps are trained and the end was scored."""
        finished = self.state is not None and self.state.status is Status.FINISHED
        return finished and (self.is_ours or self.score is not None)

    @property
    def has_failed(self) -> bool:
        return self.state is not None and self.state.status is Status.FAILED

    @property
    def is_training(self) -> bool:
        """Whether a trainer of this process works on it."""
        active = {Status.STARTING, Status.TRAINING, Status.PAUSED}
        return self.is_ours and self.state is not None and self.state.status in active

    def read(self, runs: Path) -> bool:
        """Read the run from disk, unless it is ours; return whether anything has changed."""
        if self.is_ours:
            return False
        before = self._summary
        try:
            run = trial_run(self.config, runs)
            self.trained_elsewhere = run is not None and run.holder is not None
            if run is not None:
                is_new = self.state is None or self.state.step != run.step
                if is_new or (run.finished and not self.is_done):
                    self.state = load_state(run)
            self.problem = ""
        except FemtoError as error:
            self.problem = f"{error.title}: {error}"
        return self._summary != before

    @property
    def _summary(self) -> tuple[object, ...]:
        return self.state.step if self.state else -1, self.trained_elsewhere, self.problem, self.is_done


@dataclass(frozen=True, eq=False)
class Experiment:
    """A question and its trials, in the order in which they are trained.

    `preset` gives the goal, the landmarks on the chart and the result to compare with; `answer` are sentences
    below the table.
    """

    title: str
    trials: tuple[Trial, ...]
    preset: Preset | None = None
    answer: tuple[str, ...] = ()

    @property
    def goal(self) -> Goal | None:
        return self.preset.goal if self.preset is not None else None

    def succeeded(self, trial: Trial) -> bool:
        """Whether a trial's model reaches the goal."""
        return self.goal is not None and trial.score is not None and reaches(self.goal, trial.score)

    def is_unneeded(self, trial: Trial) -> bool:
        """Whether the shorter trial has succeeded already."""
        return trial.retry_of is not None and self.succeeded(trial.retry_of)

    @property
    def next_trial(self) -> Trial | None:
        """The first trial with something left to train, unless another process trains it."""
        left = (trial for trial in self.trials if not (trial.is_done or self.is_unneeded(trial)))
        trial = next(left, None)
        return None if trial is None or trial.trained_elsewhere else trial


# -- the race on a preset: the journal's recipe against ours, or ours against a peer's result ---------------


def race(preset: Preset, seed: int = 0) -> Experiment:
    """The trials of both recipes; for a preset that is not of the journal ours only, beside its peer.

    Raises: ConfigError for a preset with nothing to race against.
    """
    if preset.goal is None or (preset.journal is None and preset.peer is None):
        raise ConfigError(
            f"{preset.title} has no goal and nothing to race against; the built-in presets have"
        )
    recipes = ("journal", "modern") if preset.journal is not None else ("modern",)
    trials = tuple(trial for recipe in recipes for trial in recipe_trials(preset, recipe, seed))
    return Experiment(f"#{preset.key} {preset.title} · goal: {_success(preset.goal)}", trials, preset)


def recipe_trials(preset: Preset, recipe: str, seed: int) -> tuple[Trial, ...]:
    """The trials of one recipe: one longer than the journal's is needed only if that misses the goal."""
    trials: list[Trial] = []
    for config in trial_configs(preset, recipe, seed):
        steps = config.train.steps
        at_its_step = preset.journal is None or steps == preset.journal.step
        is_longer = preset.journal is not None and steps > preset.journal.step
        name = recipe if at_its_step else f"{recipe}, {steps:,}"
        trials.append(Trial(name, config, trials[0] if is_longer else None))
    return tuple(trials)


def trial_configs(preset: Preset, recipe: str, seed: int) -> tuple[RunConfig, ...]:
    """The runs that may be needed, shortest first.

    A run's length is fixed before it begins, since the learning rate falls until its end. So an entry is
    trained for the journal's number of steps, and by our recipe for its usual one, too.
    """
    usual = run_config(preset, recipe=recipe, seed=seed, threads=TRIAL_THREADS)
    if preset.journal is None:
        return (usual,)
    train = msgspec.structs.replace(usual.train, steps=preset.journal.step)
    at_its_step = msgspec.structs.replace(usual, train=train)
    if recipe == "journal" or preset.steps == preset.journal.step:
        return (at_its_step,)
    return (usual, at_its_step) if preset.steps < preset.journal.step else (at_its_step, usual)


def _success(goal: Goal) -> str:
    """The goal in words, before anything has been scored."""
    what = "better than a trigram model"
    if goal.score is not None:
        what = f"{goal.score:.3f} bits per byte" if goal.score > 1 else f"{goal.score:.0%} of the tasks"
    return f"{what} within {duration(goal.seconds)}"


class ExperimentRunner:
    """Trains the rest of an experiment in trainer processes, one trial after another.

    Knows no Textual: the screen that shows the experiment calls `drain` at each tick.
    """

    def __init__(self, experiment: Experiment, runs: Path, factory: TrainerFactory) -> None:
        self.experiment, self.running = experiment, False
        self._runs, self._factory = runs, factory
        self._managers: dict[Trial, RunManager] = {}

    @property
    def current(self) -> Trial | None:
        """The trial in training."""
        return next((trial for trial in self.experiment.trials if trial.is_training), None)

    def read(self) -> bool:
        """Read from disk what others train; return whether anything has changed."""
        changes = [trial.read(self._runs) for trial in self.experiment.trials]
        return any(changes)  # of a list: of a generator only the first would be read

    def start(self) -> bool:
        """Start the first trial that is left; return whether there is one."""
        if self.current is None and self.experiment.next_trial is not None:
            self._start_next()
        return self.running

    def _start_next(self) -> None:
        trial = self.experiment.next_trial
        self.running = trial is not None
        if trial is None:
            return
        preset = trial.config.preset
        if trial not in self._managers:
            self._managers[trial] = RunManager(trial_folder(trial.config, self._runs), self._factory)
            if trial.state is not None:
                self._managers[trial].adopt(trial.state)
        manager = self._managers[trial]
        if preset in manager.handles:
            manager.resume_run(preset)
        else:
            manager.start(trial.config)
        trial.is_ours, trial.state = True, manager.handles[preset].state

    def drain(self) -> bool:
        """Fold what the trainers sent; after a trial's end, start the next. Return whether there was news."""
        news = [manager.collect() for manager in self._managers.values()]
        if not self.running or self.current is not None:
            return any(news)
        if any(trial.has_failed for trial in self.experiment.trials):
            self.running = False  # whether to train the rest all the same is the user's decision
        else:
            self._start_next()
        return True

    def stop(self) -> None:
        """Let the trainer save and end, in the background."""
        self.running = False
        for manager in self._managers.values():
            manager.park()

    def close(self) -> None:
        """End every trainer, each with time to save, and wait."""
        self.running = False
        for manager in self._managers.values():
            manager.close()
