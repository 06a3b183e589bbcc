"""Experiments: what they train, in which order, what they show, and that they can be left and resumed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_trainer import FakeTrainer
from run_folders import score_done, trial_on_disk
from stage import Stage, training

from femtotui.chart.labels import legend
from femtotui.chart.loss_chart import LossChart
from femtotui.core.commands import Pause, Resume
from femtotui.core.errors import ConfigError
from femtotui.core.events import RunFinished
from femtotui.core.run_folder.lock import RunLock
from femtotui.experiments.experiment import ExperimentRunner, race, trial_configs
from femtotui.experiments.experiment_screen import ExperimentScreen, experiment_rows, table_lines
from femtotui.experiments.why_layers import ANSWER, why_layers_experiment
from femtotui.presets import Preset, load_preset
from femtotui.runs.library import chart_data
from femtotui.sweep.coordinator import new_sweep
from femtotui.sweep.spec import SweepSpec
from femtotui.sweep.sweep_screen import SweepScreen
from femtotui.trainer.protocol import Continue, Start


def finish(trainer: FakeTrainer, share: float) -> None:
    """Train to the end in one go, and be judged."""
    assert trainer.config is not None
    last = trainer.config.train.steps
    trainer.play(last)
    ended = RunFinished(
        step=last, train_loss=1.3, val_loss=1.31, elapsed_s=last * 0.0169, peak_rss_mib=70.0, parameters=1,
        run="somewhere", reason="finished",
    )  # fmt: skip
    trainer.say(score_done(last, share), ended)
    trainer.exit(0, "")


class Trainers:
    """Makes fake trainers and remembers them."""

    def __init__(self) -> None:
        self.all: list[FakeTrainer] = []

    def __call__(self, listener: object) -> FakeTrainer:
        trainer = FakeTrainer(listener, lambda preset: f"run-{preset}")  # type: ignore[arg-type]
        self.all.append(trainer)
        return trainer


def race_runner(preset: Preset, runs: Path, trainers: Trainers) -> ExperimentRunner:
    return ExperimentRunner(race(preset), runs, trainers)


def verdicts(runner: ExperimentRunner) -> list[str]:
    return [row.cells[-1] for row in experiment_rows(runner.experiment)]


def test_the_trials_train_one_after_another_and_a_longer_try_only_after_a_miss(tmp_path: Path) -> None:
    trainers = Trainers()
    runner = race_runner(load_preset("10"), tmp_path, trainers)
    runner.read()
    assert [trial.name for trial in runner.experiment.trials] == ["journal", "modern", "modern, 1,000"]
    assert not trainers.all
    runner.start()
    assert verdicts(runner)[1:] == ["starting", "not yet", "not yet"]
    for number, (share, recipe, length) in enumerate(
        [(0.1, "journal", 528), (0.9, "modern", 528), (0.99, "modern", 1000)]
    ):
        assert len(trainers.all) == number + 1
        config = trainers.all[-1].config
        assert config is not None
        assert (config.recipe.name, config.train.steps) == (recipe, length)
        finish(trainers.all[-1], share)
        assert runner.drain()
    assert verdicts(runner) == ["success", "fail", "fail", "success"]
    assert runner.experiment.next_trial is None
    assert not runner.running


def test_a_preset_that_takes_less_than_the_journal_is_trained_for_both_lengths() -> None:
    short, at_its_step = trial_configs(load_preset("2"), "modern", 0)
    assert (short.train.steps, at_its_step.train.steps) == (400, 629)
    journal, modern, also = race(load_preset("2")).trials
    assert [trial.name for trial in (journal, modern, also)] == ["journal", "modern, 400", "modern"]
    assert modern.retry_of is also.retry_of is None


def test_a_success_at_the_journals_step_needs_no_longer_try(tmp_path: Path) -> None:
    preset = load_preset("10")
    trial_on_disk(trial_configs(preset, "journal", 0)[0], tmp_path, 0.1)
    trial_on_disk(trial_configs(preset, "modern", 0)[0], tmp_path, 0.96)
    trainers = Trainers()
    runner = race_runner(preset, tmp_path, trainers)
    assert runner.read()
    assert not runner.start()
    assert not trainers.all
    assert verdicts(runner) == ["success", "fail", "success", "not needed"]
    assert not runner.read()


def test_what_was_left_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    preset = load_preset("2")
    left = trial_on_disk(trial_configs(preset, "journal", 0)[0], tmp_path, last=100)
    trainers = Trainers()
    runner = race_runner(preset, tmp_path, trainers)
    runner.read()
    assert verdicts(runner)[1] == "stopped"
    runner.start()
    assert trainers.all[0].commands == [Continue(run=str(left))]


def test_a_run_that_another_process_trains_is_watched_and_left_alone(tmp_path: Path) -> None:
    preset = load_preset("2")
    run = trial_on_disk(trial_configs(preset, "journal", 0)[0], tmp_path, last=100)
    lock = RunLock(run)
    try:
        runner = race_runner(preset, tmp_path, Trainers())
        runner.read()
        assert verdicts(runner)[1] == "trained elsewhere"
        assert not runner.start()
    finally:
        lock.release()
    assert runner.read()
    assert runner.experiment.next_trial is runner.experiment.trials[0]


def test_a_trial_that_fails_ends_the_experiment_and_can_be_tried_again(tmp_path: Path) -> None:
    trainers = Trainers()
    runner = race_runner(load_preset("2"), tmp_path, trainers)
    runner.start()
    trainers.all[0].exit(9, "killed")
    runner.drain()
    assert verdicts(runner)[1] == "aborted"
    assert (runner.running, len(trainers.all)) == (False, 1)
    assert runner.start()
    assert len(trainers.all) == 2


def test_what_came_after_the_journal_races_its_peer_alone(tmp_path: Path) -> None:
    runner = race_runner(load_preset("13"), tmp_path, Trainers())
    assert [trial.name for trial in runner.experiment.trials] == ["modern"]
    noted = experiment_rows(runner.experiment)[0].cells
    assert noted[0] == "nanoGPT"
    assert "1.9170" in noted
    own = msgspec.structs.replace(load_preset("2"), key="mine", goal=None)
    with pytest.raises(ConfigError, match="no goal"):
        race(own)


def test_a_peer_is_a_level_on_the_chart(tmp_path: Path) -> None:
    preset = load_preset("14")
    trial_on_disk(trial_configs(preset, "modern", 0)[0], tmp_path, last=50)
    runner = race_runner(preset, tmp_path, Trainers())
    runner.read()
    chart, view = LossChart(), runner.experiment.trials[0].state
    assert view is not None
    chart.model.show(chart_data(view, preset))
    picture = chart.model.frame()
    assert picture is not None
    assert [level.label for level in picture.levels] == ["nanoGPT 1.470"]


@pytest.mark.parametrize("width", [60, 76, 116, 196])
def test_the_table_fits(width: int, tmp_path: Path) -> None:
    preset = load_preset("9")
    trial_on_disk(trial_configs(preset, "journal", 0)[0], tmp_path, 0.1)
    runner = race_runner(preset, tmp_path, Trainers())
    runner.read()
    lines = list(table_lines(experiment_rows(runner.experiment), width))
    assert len(lines) == 2 + len(runner.experiment.trials)
    assert all(len(cells) + len(last) <= width for cells, last, _ in lines)
    assert (lines[0][0].split()[0], lines[0][1]) == ("run", "verdict")


async def opened(it: Stage, key: str) -> ExperimentScreen:
    await it.pilot.press(key)
    await it.until(lambda: isinstance(it.app.screen, ExperimentScreen) and it.app.screen.is_mounted)
    await it.pilot.pause()
    assert isinstance(it.app.screen, ExperimentScreen)
    return it.app.screen


def curves(chart: LossChart) -> dict[str, int]:
    """The points of every curve, by name."""
    picture = chart.model.frame()
    return {curve.name: len(curve.x_K) for curve in picture.overlays} if picture is not None else {}


def shown(screen: ExperimentScreen) -> str:
    return str(screen.query_one("#experiment-table").render())


async def test_a_race_lets_the_training_wait_and_gives_it_back(tmp_path: Path) -> None:
    async with training(tmp_path / "runs") as it:
        before = it.trainer
        screen = await opened(it, "v")
        await it.until(lambda: "space trains what is missing, journal first" in shown(screen))
        assert not any(isinstance(command, Pause) for command in before.commands)
        await it.pilot.press("space")
        await it.until(lambda: it.trainer is not before)
        assert isinstance(before.commands[-1], Pause)
        assert isinstance(it.trainer.commands[0], Start)
        it.trainer.play(50)
        chart = screen.query_one(LossChart)
        await it.until(lambda: curves(chart) == {"journal": 50} and "50 of 629" in shown(screen))
        racing = it.trainer
        await it.pilot.press("escape")
        await it.until(lambda: it.app.screen is it.app.train and isinstance(before.commands[-1], Resume))
        await it.until(lambda: racing.closed)
        screen = await opened(it, "v")
        await it.until(lambda: "stopped" in shown(screen))
        await it.pilot.press("space")
        await it.until(lambda: it.trainer is not racing and bool(it.trainer.commands))
        assert isinstance(it.trainer.commands[0], Continue)


async def test_entry_3s_question_is_answered_in_one_picture(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for trial in why_layers_experiment().trials:
        trial_on_disk(trial.config, runs, 0.5)
    async with training(runs) as it:
        screen = await opened(it, "w")
        picture = screen.query_one(LossChart).model.frame()
        assert picture is not None
        assert curves(screen.query_one(LossChart)) == {
            "4 layers, near 0": 600,
            "6 layers, near 0": 600,
            "4 layers, at 1": 600,
            "6 layers, at 1": 600,
        }
        assert len({curve.ink for curve in picture.overlays}) == 4
        assert [item.text for item in legend(picture)] == list(curves(screen.query_one(LossChart)))
        await it.pilot.press("x")
        await it.until(lambda: screen.query_one(LossChart).model.by_time)
        assert " ".join(ANSWER) in str(screen.query_one("#experiment-answer").render())
        assert shown(screen).count("finished") == 4
        await it.pilot.press("q")
        await it.until(lambda: it.app.screen is it.app.train)


async def test_the_palette_offers_the_race(tmp_path: Path) -> None:
    async with training(tmp_path / "runs") as it:
        await it.pilot.press("ctrl+p")
        await it.until(lambda: bool(it.app.screen.query("CommandInput")))
        await it.pilot.press(*"race")
        await it.until(lambda: bool(it.app.screen.query_one("CommandList").option_count))  # type: ignore[attr-defined]
        await it.pilot.press("enter")
        await it.until(lambda: isinstance(it.app.screen, ExperimentScreen))


async def test_the_newest_sweep_is_watched_beside_the_training(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("m")
        await it.until(lambda: "there are no sweeps" in it.news and "--help" in it.news)
        sweep = new_sweep(
            SweepSpec(presets=("10",), settings={"lr": (1e-3, 3e-3)}, steps=100), runs, threads=1
        )
        await it.pilot.press("m")
        await it.until(lambda: isinstance(it.app.screen, SweepScreen))
        await it.until(lambda: sweep.name in str(it.app.screen.query_one("#sweep-box").border_title))
        it.trainer.play(20)
        await it.pilot.press("q")
        await it.until(lambda: it.app.screen is it.app.train)
        await it.until(lambda: it.panel("step")[0] == "20")
