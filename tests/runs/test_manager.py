"""Starting, parking, continuing and ending trainings, without a screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_trainer import FakeFleet, FakeTrainer

from femtotui.app.start import farewell
from femtotui.core.commands import Pause, SaveCheckpoint
from femtotui.core.errors import ConfigError
from femtotui.core.events import RunFailed, RunFinished
from femtotui.presets import load_preset
from femtotui.runs.actions import RunActions
from femtotui.runs.choices import Choices
from femtotui.runs.manager import RunManager
from femtotui.runs.state import Status
from femtotui.trainer.protocol import Continue, Start, TrainerMessage


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(lambda key: str(tmp_path / f"run-{key}"))


@pytest.fixture
def actions(tmp_path: Path, fleet: FakeFleet) -> RunActions:
    return RunActions(RunManager(tmp_path, fleet), Choices(load_preset("2")))


def until(condition: Callable[[], bool], manager: RunManager, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
        manager.collect()


def status(actions: RunActions, key: str) -> Status:
    return actions.manager.handles[key].state.status


def test_the_trainer_that_was_warmed_up_is_the_one_that_starts(actions: RunActions, fleet: FakeFleet) -> None:
    actions.manager.warm_up()
    assert len(fleet.trainers) == 1 and fleet.last.commands == []
    news = actions.start_preset("2")
    assert len(fleet.trainers) == 1
    (start,) = fleet.last.commands
    assert isinstance(start, Start) and start.config.preset == "2" and start.runs == str(actions.manager.runs)
    assert "seed 0" in news.words


def test_messages_wait_until_they_are_taken_and_somebody_is_woken(
    actions: RunActions, fleet: FakeFleet
) -> None:
    woken = threading.Event()
    actions.manager.listen(woken.set)
    actions.start_preset("2")
    woken.clear()
    threading.Thread(target=fleet.last.play, args=(7,)).start()
    assert woken.wait(5)
    assert actions.manager.collect() and actions.manager.handles["2"].state.step == 7
    assert not actions.manager.collect()


def test_switching_parks_one_run_and_starts_another(actions: RunActions, fleet: FakeFleet) -> None:
    actions.start_preset("2")
    first = fleet.last
    first.play(5)
    actions.manager.collect()
    news = actions.start_preset("10")
    assert "#2 very simple model 2 is saved" in news.words
    until(lambda: status(actions, "2") is Status.PARKED, actions.manager)
    assert first.closed and actions.current is actions.manager.handles["10"]


def test_switching_back_continues_the_parked_run_where_it_was(actions: RunActions, fleet: FakeFleet) -> None:
    actions.start_preset("2")
    fleet.last.play(5)
    actions.manager.collect()
    actions.start_preset("10")
    actions.manager.collect()
    news = actions.start_preset("2")
    assert "resumes" in news.words and "step 5" in news.words
    until(lambda: status(actions, "2") is Status.TRAINING, actions.manager)
    (go_on,) = fleet.last.commands
    assert isinstance(go_on, Continue) and go_on.run.endswith("run-2")
    fleet.last.play(8)
    actions.manager.collect()
    assert list(actions.manager.handles["2"].state.steps) == list(range(1, 9))


def test_a_run_is_continued_only_after_it_has_been_saved(tmp_path: Path) -> None:
    saved = threading.Event()

    class SlowTrainer(FakeTrainer):
        def close(self, timeout: float = 5.0) -> None:
            if self.config is not None and self.config.preset == "2":
                assert saved.wait(5)
            super().close(timeout)

    class SlowFleet(FakeFleet):
        def __call__(self, listener: Callable[[TrainerMessage], None]) -> FakeTrainer:
            trainer = SlowTrainer(listener, lambda key: str(tmp_path / key))
            self.trainers.append(trainer)
            return trainer

    fleet = SlowFleet(lambda key: str(tmp_path / key))
    actions = RunActions(RunManager(tmp_path, fleet), Choices(load_preset("2")))
    actions.start_preset("2")
    actions.manager.collect()
    actions.start_preset("10")
    actions.start_preset("2")
    time.sleep(0.05)
    assert fleet.last.commands == []
    saved.set()
    until(lambda: len(fleet.last.commands) == 1, actions.manager)
    assert isinstance(fleet.last.commands[0], Continue)
    actions.manager.close()
    assert all(trainer.closed for trainer in fleet.trainers)


def test_a_new_run_of_the_same_preset_has_the_next_seed(actions: RunActions, fleet: FakeFleet) -> None:
    actions.start_preset("2")
    first = fleet.last
    news = actions.new_run()
    assert "seed 1" in news.words and fleet.last is not first
    start = fleet.last.commands[0]
    assert isinstance(start, Start) and start.config.train.seed == 1
    until(lambda: first.closed, actions.manager)


def test_a_finished_run_is_shown_again_as_it_was(actions: RunActions, fleet: FakeFleet) -> None:
    actions.start_preset("2")
    fleet.last.play(3)
    fleet.last.say(
        RunFinished(
            step=3,
            train_loss=1.0,
            val_loss=1.0,
            elapsed_s=1.0,
            peak_rss_mib=1.0,
            parameters=1,
            run="r",
            reason="finished",
        )
    )
    actions.manager.collect()
    actions.start_preset("10")
    trainers = len(fleet.trainers)
    news = actions.start_preset("2")
    assert "has finished" in news.words and len(fleet.trainers) == trainers
    assert actions.current is actions.manager.handles["2"] and actions.current.state.step == 3


def test_a_failed_run_resumes_from_its_last_checkpoint(actions: RunActions, fleet: FakeFleet) -> None:
    actions.start_preset("2")
    fleet.last.play(9)
    fleet.last.save()
    fleet.last.exit(-9, "")
    actions.manager.collect()
    assert status(actions, "2") is Status.FAILED and actions.manager.handles["2"].state.can_recover
    actions.resume_failed()
    until(lambda: status(actions, "2") is Status.TRAINING, actions.manager)
    assert isinstance(fleet.last.commands[0], Continue)


def test_a_run_that_failed_before_it_was_saved_can_only_start_anew(
    actions: RunActions, fleet: FakeFleet
) -> None:
    actions.start_preset("2")
    fleet.last.say(RunFailed(step=0, title="Trouble with the data", message="the file is empty"))
    actions.manager.collect()
    assert "never saved" in actions.resume_failed().words
    before = len(fleet.trainers)
    actions.start_preset("2")
    assert len(fleet.trainers) == before + 1


def test_commands_reach_the_current_trainer_only_when_they_make_sense(
    actions: RunActions, fleet: FakeFleet
) -> None:
    assert "no training" in actions.pause().words and "choose a preset" in actions.new_run().words
    actions.start_preset("2")
    actions.manager.collect()
    actions.pause()
    actions.manager.collect()
    assert status(actions, "2") is Status.PAUSED
    assert "nothing to pause" in actions.pause().words
    actions.checkpoint()
    actions.resume()
    actions.manager.collect()
    assert status(actions, "2") is Status.TRAINING
    assert [type(command) for command in fleet.last.commands][1:3] == [Pause, SaveCheckpoint]


def test_closing_ends_every_trainer_even_one_that_never_started(
    actions: RunActions, fleet: FakeFleet
) -> None:
    actions.start_preset("2")
    actions.start_preset("10")
    actions.manager.warm_up()
    actions.manager.close()
    actions.manager.collect()
    assert len(fleet.trainers) == 3 and all(trainer.closed for trainer in fleet.trainers)
    assert {status(actions, key) for key in ("2", "10")} == {Status.PARKED}


def test_the_farewell_says_where_the_run_lies_and_how_to_go_on(actions: RunActions, tmp_path: Path) -> None:
    assert farewell(actions.manager) == ""
    actions.start_preset("2")
    actions.manager.collect()
    run = tmp_path / "run-2"
    assert farewell(actions.manager) == f"Run saved in {run}. To resume: femtotui {run}"
    actions.start_preset("10")
    actions.manager.collect()
    assert "(and 1 more)" in farewell(actions.manager) and "\n" not in farewell(actions.manager)


def test_options_hold_for_the_presets_they_fit() -> None:
    choices = Choices(load_preset("4"), recipe="journal", seed=7, data=("mine.rs",))
    rust, simple = choices.config("6"), choices.config("2")
    assert rust.data.paths == ("mine.rs",) and simple.data.paths == ()
    assert {rust.recipe.name, simple.recipe.name} == {"journal"} and {rust.train.seed, simple.train.seed} == {
        7
    }
    with pytest.raises(ConfigError):
        Choices(load_preset("4"), seed=-1).config("4")
