"""Presets whose text may have to be downloaded: the question, the download, the stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stage import Stage, stage, training

from femtotui.core.errors import DataError
from femtotui.runs import choices as choices_module
from femtotui.train import download as download_module
from femtotui.train.download import EnglishQuestion


@pytest.fixture
def no_english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(choices_module, "english_is_cached", lambda: False)
    return iter(())


async def asked(it: Stage) -> None:
    await it.until(lambda: isinstance(it.app.screen, EnglishQuestion))
    await it.pilot.pause()


@pytest.mark.usefixtures("no_english")
async def test_english_is_asked_for_before_it_downloads_and_cancel_changes_nothing(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("1", "1", "enter")
        await asked(it)
        await it.pilot.press("escape")
        await it.until(lambda: "nothing has changed" in it.news)
        assert "#2 " in it.header() and not it.trainer.closed


@pytest.mark.usefixtures("no_english")
async def test_ctrl_c_leaves_from_the_question_too(runs: Path) -> None:
    async with stage(runs, key="12") as it:
        await asked(it)
        await it.pilot.press("ctrl+c")
        await it.until(lambda: not it.app.is_running)
        assert it.app.return_code == 0 and it.manager.handles == {}


@pytest.mark.usefixtures("no_english")
async def test_the_stand_in_trains_without_a_download(runs: Path) -> None:
    async with stage(runs, key="11") as it:
        await asked(it)
        assert it.trainer.commands == []
        await it.pilot.press("right", "enter")
        await it.until(lambda: "#11 " in it.header() and "training" in it.header())
        await it.pilot.press("1", "2", "enter")  # the answer holds for the others
        await it.until(lambda: "#12 " in it.header() and "training" in it.header())


@pytest.mark.usefixtures("no_english")
async def test_a_download_shows_its_progress_and_then_trains(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    async with training(runs) as it:

        def download(progress: Callable[[int, int], None]) -> Path:
            progress(557_695, 1_115_390)
            deadline = time.monotonic() + 5
            while "50%" not in it.news and time.monotonic() < deadline:
                time.sleep(0.01)
            heard.append(it.news)
            monkeypatch.setattr(choices_module, "english_is_cached", lambda: True)
            return runs

        monkeypatch.setattr(download_module, "download_english", download)
        await it.pilot.press("1", "2", "enter")
        await asked(it)
        await it.pilot.press("enter")
        await it.until(lambda: "#12 " in it.header())
        assert heard == ["downloading the English text: 50% of 1.1 MB"]


@pytest.mark.usefixtures("no_english")
async def test_a_download_that_fails_says_why_and_asks_again(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(progress: Callable[[int, int], None]) -> Path:
        del progress
        raise DataError("there is no network")

    monkeypatch.setattr(download_module, "download_english", download)
    async with training(runs) as it:
        await it.pilot.press("1", "1", "enter")
        await asked(it)
        await it.pilot.press("d")
        await it.until(lambda: bool(it.app.screen.query("#dialog-trouble")))
        assert "there is no network" in str(it.app.screen.query_one("#dialog-trouble").render())
        assert not it.trainer.closed
