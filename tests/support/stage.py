"""An app on a stage: under Pilot, with trainers that play a recorded run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fake_trainer import FakeFleet, FakeTrainer
from textual.pilot import Pilot

from femtotui.app.app import FemtoApp
from femtotui.app.settings import Settings
from femtotui.core.config import TokenizerConfig, TokenizerKind
from femtotui.core.tokenizers import build_tokenizer
from femtotui.presets import load_preset
from femtotui.runs.actions import RunActions
from femtotui.runs.choices import Choices, UserPresets
from femtotui.runs.manager import RunManager
from femtotui.train.header import Header, StatusLine
from femtotui.train.panels import StatPanel


@dataclass
class Stage:
    """An app that runs, and what a test wants to see of it."""

    app: FemtoApp
    pilot: Pilot[None]
    fleet: FakeFleet
    manager: RunManager

    @property
    def trainer(self) -> FakeTrainer:
        return self.fleet.last

    @property
    def news(self) -> str:
        return self.app.train.query_one(StatusLine).news

    def header(self) -> str:
        return self.app.train.query_one(Header).render().plain

    def panel(self, name: str) -> tuple[str, str]:
        panel = self.app.train.query_one(f"#panel-{name}", StatPanel)
        return panel.lines[0].strip(), panel.lines[1]

    def sent(self, kind: type) -> int:
        return sum(isinstance(command, kind) for command in self.trainer.commands)

    @property
    def ready(self) -> bool:
        return bool(self.app.train.query(StatusLine))

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it never happened; status line: {self.news!r}"
            await asyncio.sleep(0.01)

    async def playing(self, last: int) -> None:
        self.trainer.play(last)
        await self.until(lambda: self.manager.current is not None and self.manager.current.state.step == last)
        if self.app.screen is self.app.train:
            await self.until(lambda: self.panel("step")[0] == f"{last:,}")


@asynccontextmanager
async def stage(
    runs: Path,
    key: str = "2",
    size: tuple[int, int] = (120, 36),
    settings: Settings | None = None,
    *,
    trains: bool = True,
) -> AsyncIterator[Stage]:
    def run_of(preset: str) -> str:
        folder = runs / f"run-{preset}"
        folder.mkdir(parents=True, exist_ok=True)
        kind: TokenizerKind = "char" if preset == "1" else "byte"
        tokenizer = build_tokenizer(TokenizerConfig(kind=kind), b"abcdefghijkou;\n")
        (folder / "tokenizer.json").write_text(tokenizer.to_json(), "utf-8")
        return str(folder)

    fleet = FakeFleet(run_of)
    manager = RunManager(runs, fleet)
    manager.warm_up()
    choices = Choices(load_preset(key), trains=trains, user_presets=UserPresets(runs.parent / "presets"))
    app = FemtoApp(RunActions(manager, choices, runs.parent / "threads.json"), settings)
    async with app.run_test(size=size) as pilot:
        it = Stage(app, pilot, fleet, manager)
        while not it.ready and app._exception is None:
            await asyncio.sleep(0.01)
        yield it
    manager.close()


@asynccontextmanager
async def training(
    runs: Path, size: tuple[int, int] = (120, 36), settings: Settings | None = None
) -> AsyncIterator[Stage]:
    """Entry 2, as it trains."""
    async with stage(runs, size=size, settings=settings) as it:
        await it.until(lambda: "training" in it.header())
        yield it
