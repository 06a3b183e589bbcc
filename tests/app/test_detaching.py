"""Leaving without ending the training, coming back to what an earlier session left, and saving that fails."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
from small_runs import small_config
from stage import stage, training

from femtotui.app.start import farewell
from femtotui.core.commands import Stop
from femtotui.core.events import CheckpointSaved, SavingFailed
from femtotui.core.run_folder.folder import RunFolder
from femtotui.train.header import Notice
from femtotui.trainer.protocol import Continue, Detach
from femtotui.trainer.session import prepare


@pytest.fixture
def left(tmp_path: Path) -> RunFolder:
    """A run of entry 2 that was stopped at its first step."""
    config = msgspec.structs.replace(small_config("modern", "byte"), preset="2")
    session = prepare(config, tmp_path)
    commands: SimpleQueue = SimpleQueue()
    for event in session.record(commands):
        if event.__class__.__name__ == "StepDone":
            commands.put(Stop())
    session.close()
    return session.run


async def test_d_lets_the_training_go_on_and_ends_the_app(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        await it.playing(30)
        await it.pilot.press("d")
        await it.until(lambda: not it.app.is_running)
        assert it.sent(Detach) == 1
        assert it.sent(Stop) == 0
        assert it.trainer.left
        assert not it.trainer.closed
        line = farewell(it.manager)
        assert "continues without the app (process 4242)" in line
        assert "femtotui attach" in line


async def test_d_without_a_training_says_so(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        it.trainer.exit(1, "gone")
        await it.until(lambda: "failed" in it.header())
        news = it.app.train.actions.detach()
        assert news.words == "nothing to detach: no training is running"


async def test_what_an_earlier_session_left_is_offered_and_taken_up_by_r(
    tmp_path: Path, left: RunFolder
) -> None:
    async with training(tmp_path, size=(160, 36)) as it:
        assert it.news.startswith("r resumes the run left at step 1 · ")
        await it.pilot.press("r")
        await it.until(lambda: f"resuming {left.path.name}" in it.news)
        continued = [c for c in it.trainer.commands if isinstance(c, Continue)]
        assert continued == [Continue(run=str(left.path), history=True)]


async def test_one_that_is_being_trained_elsewhere_is_pointed_to(tmp_path: Path, left: RunFolder) -> None:
    left.lock()
    async with training(tmp_path, size=(160, 36)) as it:
        assert "is being trained elsewhere: femtotui attach" in it.news
        assert not it.app.train.actions.can_resume
    left.unlock()


async def test_without_anything_left_nothing_is_offered(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.until(lambda: "a new run" in it.news)
        assert "r resumes" not in it.news


async def test_saving_that_fails_stands_above_the_chart_until_it_works_again(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        notice = it.app.train.query_one(Notice)
        it.trainer.say(SavingFailed(step=3, message="cannot write x: the disk is full"))
        await it.until(lambda: "the disk is full" in str(notice.render()))
        it.trainer.play(20)
        assert "training" in it.header()
        it.trainer.say(CheckpointSaved(step=20, path="x", ms=1.0))
        await it.until(lambda: not notice.display)
