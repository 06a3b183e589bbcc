"""Starting, parking, continuing and ending trainings, without a screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_trainer import FakeFleet, FakeTrainer

from femtotui.app import farewell
from femtotui.choices import Choices
from femtotui.commands import Checkpoint, Continue, Pause, Start
from femtotui.core.errors import ConfigError
from femtotui.core.events import RunFailed, RunFinished
from femtotui.desk import Desk
from femtotui.helm import Helm
from femtotui.presets import load_preset
from femtotui.run_view import Status
from femtotui.trainer import TrainerMessage


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(lambda key: str(tmp_path / f"run-{key}"))


@pytest.fixture
def helm(tmp_path: Path, fleet: FakeFleet) -> Helm:
    return Helm(Desk(tmp_path, fleet), Choices(load_preset("2")))


def until(condition: Callable[[], bool], desk: Desk, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
        desk.take()


def status(helm: Helm, key: str) -> Status:
    return helm.desk.places[key].view.status


def test_the_trainer_that_was_warmed_up_is_the_one_that_starts(helm: Helm, fleet: FakeFleet) -> None:
    helm.desk.warm_up()
    assert len(fleet.trainers) == 1 and fleet.last.commands == []
    news = helm.choose("2")
    assert len(fleet.trainers) == 1
    (start,) = fleet.last.commands
    assert isinstance(start, Start) and start.config.preset == "2" and start.runs == str(helm.desk.runs)
    assert "seed 0" in news.words


def test_messages_wait_until_they_are_taken_and_somebody_is_woken(helm: Helm, fleet: FakeFleet) -> None:
    woken = threading.Event()
    helm.desk.listen(woken.set)
    helm.choose("2")
    woken.clear()
    threading.Thread(target=fleet.last.play, args=(7,)).start()
    assert woken.wait(5)
    taken = helm.desk.take()
    assert taken.changed and helm.desk.places["2"].view.step == 7
    assert not helm.desk.take().changed


def test_switching_parks_one_run_and_starts_another(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    first = fleet.last
    first.play(5)
    helm.desk.take()
    news = helm.choose("10")
    assert "#2 very simple model 2 is saved" in news.words
    until(lambda: status(helm, "2") is Status.PARKED, helm.desk)
    assert first.closed and helm.current is helm.desk.places["10"]


def test_switching_back_continues_the_parked_run_where_it_was(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    fleet.last.play(5)
    helm.desk.take()
    helm.choose("10")
    helm.desk.take()
    news = helm.choose("2")
    assert "goes on" in news.words and "step 5" in news.words
    until(lambda: status(helm, "2") is Status.TRAINING, helm.desk)
    (go_on,) = fleet.last.commands
    assert isinstance(go_on, Continue) and go_on.run.endswith("run-2")
    fleet.last.play(8)
    helm.desk.take()
    assert list(helm.desk.places["2"].view.steps) == list(range(1, 9))


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
    helm = Helm(Desk(tmp_path, fleet), Choices(load_preset("2")))
    helm.choose("2")
    helm.desk.take()
    helm.choose("10")
    helm.choose("2")
    time.sleep(0.05)
    assert fleet.last.commands == []
    saved.set()
    until(lambda: len(fleet.last.commands) == 1, helm.desk)
    assert isinstance(fleet.last.commands[0], Continue)
    helm.desk.close()
    assert all(trainer.closed for trainer in fleet.trainers)


def test_a_new_run_of_the_same_preset_has_the_next_seed(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    first = fleet.last
    news = helm.anew()
    assert "seed 1" in news.words and fleet.last is not first
    start = fleet.last.commands[0]
    assert isinstance(start, Start) and start.config.train.seed == 1
    until(lambda: first.closed, helm.desk)


def test_a_finished_run_is_shown_again_as_it_was(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
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
    helm.desk.take()
    helm.choose("10")
    trainers = len(fleet.trainers)
    news = helm.choose("2")
    assert "has finished" in news.words and len(fleet.trainers) == trainers
    assert helm.current is helm.desk.places["2"] and helm.current.view.step == 3


def test_a_failed_run_resumes_from_its_last_checkpoint(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    fleet.last.play(9)
    fleet.last.save()
    fleet.last.exit(-9, "")
    helm.desk.take()
    assert status(helm, "2") is Status.FAILED and helm.desk.places["2"].view.can_recover
    helm.recover()
    until(lambda: status(helm, "2") is Status.TRAINING, helm.desk)
    assert isinstance(fleet.last.commands[0], Continue)


def test_a_run_that_failed_before_it_was_saved_can_only_start_anew(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    fleet.last.say(RunFailed(step=0, title="Trouble with the data", message="the file is empty"))
    helm.desk.take()
    assert "never saved" in helm.recover().words
    before = len(fleet.trainers)
    helm.choose("2")
    assert len(fleet.trainers) == before + 1


def test_commands_reach_the_current_trainer_only_when_they_make_sense(helm: Helm, fleet: FakeFleet) -> None:
    assert "no training" in helm.pause().words and "choose a preset" in helm.anew().words
    helm.choose("2")
    helm.desk.take()
    helm.pause()
    helm.desk.take()
    assert status(helm, "2") is Status.PAUSED
    assert "nothing to pause" in helm.pause().words
    helm.checkpoint()
    helm.resume()
    helm.desk.take()
    assert status(helm, "2") is Status.TRAINING
    assert [type(command) for command in fleet.last.commands][1:3] == [Pause, Checkpoint]


def test_closing_ends_every_trainer_even_one_that_never_started(helm: Helm, fleet: FakeFleet) -> None:
    helm.choose("2")
    helm.choose("10")
    helm.desk.warm_up()
    helm.desk.close()
    helm.desk.take()
    assert len(fleet.trainers) == 3 and all(trainer.closed for trainer in fleet.trainers)
    assert {status(helm, key) for key in ("2", "10")} == {Status.PARKED}


def test_the_farewell_says_where_the_run_lies_and_how_to_go_on(helm: Helm, tmp_path: Path) -> None:
    assert farewell(helm.desk) == ""
    helm.choose("2")
    helm.desk.take()
    run = tmp_path / "run-2"
    assert farewell(helm.desk) == f"Run saved in {run}. To go on: femtotui train --resume {run}"
    helm.choose("10")
    helm.desk.take()
    assert "1 more beside it" in farewell(helm.desk) and "\n" not in farewell(helm.desk)


def test_options_hold_for_the_presets_they_fit() -> None:
    choices = Choices(load_preset("4"), recipe="journal", seed=7, data=("mine.rs",))
    rust, simple = choices.config("6"), choices.config("2")
    assert rust.data.paths == ("mine.rs",) and simple.data.paths == ()
    assert {rust.recipe.name, simple.recipe.name} == {"journal"} and {rust.train.seed, simple.train.seed} == {
        7
    }
    with pytest.raises(ConfigError):
        Choices(load_preset("4"), seed=-1).config("4")
