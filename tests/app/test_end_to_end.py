"""The app with real trainer processes: what a person does in the first minute."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable
from pathlib import Path

from femtotui.app.app import FemtoApp
from femtotui.chart.loss_chart import LossChart
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training.batches import Source
from femtotui.core.training.training import Training
from femtotui.presets import load_preset
from femtotui.presets.sources import open_source
from femtotui.runs.actions import RunActions
from femtotui.runs.choices import Choices
from femtotui.runs.manager import RunManager
from femtotui.runs.state import RunState, Status
from femtotui.tokens.token_view import TokenView
from femtotui.train.panels import StatPanel
from femtotui.trainer.client import Trainer


async def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


def first_losses(training: Training, count: int) -> list[float]:
    try:
        return [training.advance().loss for _ in range(count)]
    finally:
        training.close()


async def test_the_first_minute(tmp_path: Path) -> None:
    manager = RunManager(tmp_path, Trainer)
    manager.warm_up()
    app = FemtoApp(RunActions(manager, Choices(load_preset("10"))))

    def view(key: str) -> RunState:
        return manager.handles[key].state

    def shown_step() -> int:
        return int(app.train.query_one("#panel-step", StatPanel).lines[0].strip().replace(",", ""))

    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: "10" in manager.handles and view("10").step >= 20, "it trains by itself")
        await until(lambda: shown_step() >= 20, "the step is on screen")
        tokens = app.train.query_one(TokenView)
        await until(lambda: len(tokens.tokens) > 50, "a sample appears by itself")

        await pilot.press("space")
        await until(lambda: view("10").status is Status.PAUSED, "space pauses")
        rested = view("10").step
        await pilot.press("s", "b", "enter")
        asked = app.screen.query_one("#sampling-tokens", TokenView)
        await until(lambda: len(asked.tokens) == 100, "it samples while paused")
        await pilot.press("escape", "escape")
        assert view("10").step == rested
        await pilot.press("space")
        await until(lambda: view("10").step > rested, "space goes on")

        await pilot.press("1", "enter")
        await until(lambda: "1" in manager.handles and view("1").step >= 3, "another preset trains")
        await until(lambda: view("10").status is Status.PARKED, "the first one is parked")
        parked = view("10").step
        assert not app.train.query_one(LossChart).has_focus and shown_step() < parked
        await pilot.press("1", "0", "enter")
        await until(lambda: view("10").step > parked, "the parked one goes on")
        assert list(view("10").steps) == list(range(1, view("10").step + 1))

        await pilot.press("q")
        await until(lambda: not app.is_running, "q leaves")

    manager.collect()
    assert app.return_code == 0
    for key in ("1", "10"):
        assert view(key).status is Status.PARKED
        run = Path(view(key).run or "")
        saved = max(int(path.stem.removeprefix("step-")) for path in (run / "checkpoints").iterdir())
        assert saved == view(key).step
    assert_same_bits(view("10"))


def assert_same_bits(view: RunState) -> None:
    """The app's losses, those in the run folder and those of a training without an app are the same."""
    with (Path(view.run or "") / "metrics.csv").open(encoding="utf-8") as file:
        written = [float(row["loss"]) for row in csv.DictReader(file)]
    assert written == list(view.losses)
    source: Source = open_source(view.config.data, view.config.train.seed)
    training = Training(view.config, source, build_tokenizer(view.config.tokenizer, source.train))
    assert first_losses(training, 15) == list(view.losses[:15])


async def test_a_trainer_that_is_killed_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    trainers: list[Trainer] = []

    def spawn(listener: Callable[..., None]) -> Trainer:
        trainers.append(Trainer(listener))
        return trainers[-1]

    manager = RunManager(tmp_path, spawn)
    app = FemtoApp(RunActions(manager, Choices(load_preset("10"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "10" in manager.handles and manager.handles["10"].state.step >= 5, "it trains")
        view = manager.handles["10"].state
        await pilot.press("c")
        await until(lambda: view.checkpoint_step is not None, "c saves")
        trainers[0]._process.cut()
        await until(lambda: view.status is Status.FAILED, "the app notices")
        lost_at = view.step
        assert shown(app) == f"{lost_at:,}", "the last numbers stay"
        await pilot.press("r")
        await until(lambda: view.status is Status.TRAINING and view.step > lost_at, "r resumes")
        assert list(view.steps) == list(range(1, view.step + 1))
        await pilot.press("ctrl+c")
        await until(lambda: not app.is_running, "ctrl+c leaves")
    assert app.return_code == 0


def shown(app: FemtoApp) -> str:
    return app.train.query_one("#panel-step", StatPanel).lines[0].strip()
