"""`make pictures`: the pictures of README and docs, made from the running app. Takes about two minutes.

The pictures are Textual's own SVG, without the fonts that it would fetch from elsewhere. With a folder as an
argument they go there instead, and with them more screens, in other sizes and themes, to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import events
from textual.pilot import Pilot
from textual.screen import Screen

from femtotui.app.app import FemtoApp
from femtotui.app.settings import Settings
from femtotui.blas.kernel import limit_blas_threads
from femtotui.presets import load_preset
from femtotui.runs.actions import RunActions
from femtotui.runs.choices import Choices
from femtotui.runs.compare_screen import CompareScreen
from femtotui.runs.manager import RunManager
from femtotui.runs.runs_screen import RunsScreen
from femtotui.runs.state import RunState, Status
from femtotui.sampling.fields import Prompt
from femtotui.sampling.sample_screen import SampleScreen
from femtotui.tokens.token_view import TokenView
from femtotui.trainer.client import Trainer

DOCS = Path(__file__).parents[1] / "docs"
PRESET = "2"
SIZE = (120, 36)
SIZES = ((80, 24), (120, 36), (200, 50))
THEMES = ("textual-dark", "textual-light", "nord", "solarized-light", "gruvbox")
STEPS = 350
"""By then entry 2 has learnt most of its words' rules, and the curve has a shape."""

FILMED = (1, 20, 45, 75, 110, 160, 220, 300, STEPS)
"""The steps after which the moving picture has its frames."""

FRAME_SECONDS, LAST_FRAME_SHARE = 0.8, 4.0
FIRST_STEPS = 150
"""How far the run goes that is compared with."""

LAYERS_STEPS = 300
SUM = "13 + 29 = "
SAMPLE_LENGTH = 100
"""What the sampling screen writes unless it is told otherwise."""

PATIENCE_SECONDS = 120.0
REST_SECONDS = 0.4


@dataclass
class Studio:
    """An app that runs, and a way to press its keys and to keep its screen."""

    app: FemtoApp
    pilot: Pilot[None]
    manager: RunManager
    folder: Path
    preset: str

    @property
    def state(self) -> RunState | None:
        return self.manager.handles[self.preset].state if self.preset in self.manager.handles else None

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"no picture: {what} did not happen within {PATIENCE_SECONDS:g} seconds")
            await asyncio.sleep(0.05)

    async def trained(self, step: int) -> None:
        await self.until(lambda: self.state is not None and self.state.step >= step, f"step {step}")

    async def press(self, *keys: str) -> None:
        """Press keys as a terminal does, without waiting for a screen that never comes to rest."""
        for key in keys:
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await asyncio.sleep(0.1)

    async def keep(self, name: str) -> None:
        """Write the screen, once it has come to rest."""
        await asyncio.sleep(REST_SECONDS)
        (self.folder / f"{name}.svg").write_text(self.screen(), "utf-8")

    def screen(self) -> str:
        """The screen as SVG."""
        svg = re.sub(r"@font-face \{.*?\}", "", self.app.export_screenshot(), flags=re.DOTALL)
        return svg.replace("<text ", '<text xml:space="preserve" ')

    async def film(self, name: str, steps: Sequence[int]) -> None:
        """Write the training as a moving picture of what the screen shows after these steps."""
        frames = []
        for step in steps:
            await self.trained(step)
            frames.append(self.screen())
        (self.folder / f"{name}.svg").write_text(animated(frames), "utf-8")

    async def opened(self, kind: type[Screen[object]]) -> None:
        await self.until(
            lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__
        )

    async def back(self) -> None:
        """To the Train screen."""
        while self.app.screen is not self.app.train:
            await self.press("escape")

    async def resized(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)


def animated(frames: Sequence[str]) -> str:
    """Screens of one size as an SVG that shows them in turn, the last one longest, and begins again."""
    shares = [1.0] * (len(frames) - 1) + [LAST_FRAME_SHARE]
    total, begins = sum(shares), 0.0
    parts, rules = [], []
    for number, (frame, share) in enumerate(zip(frames, shares, strict=True)):
        body = frame[frame.index(">") + 1 : frame.rindex("</svg>")]
        body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
        body = re.sub(r' clip-path="url\(#[\w-]+-line-\d+\)"| textLength="[\d.]+"', "", body)
        body = re.sub(r"<clipPath id=\"[\w-]+-line-\d+\">.*?</clipPath>", "", body, flags=re.DOTALL)
        body = re.sub(r"terminal-\d+", f"t{number}", body)
        at, until = 100 * begins / total, 100 * (begins + share) / total
        begins += share
        rules.append(
            f"@keyframes f{number}{{0%{{visibility:hidden}}{at:.3f}%{{visibility:visible}}"
            f"{until:.3f}%{{visibility:hidden}}}}"
            f".f{number}{{animation:f{number} {total * FRAME_SECONDS:g}s step-end infinite}}"
        )
        body = re.sub(r"\s*\n\s*", " ", body)
        parts.append(f'<g class="f{number}">{body}</g>')
    return f"{frames[0][: frames[0].index('>') + 1]}<style>{''.join(rules)}</style>{''.join(parts)}</svg>"


@asynccontextmanager
async def studio(folder: Path, preset: str = PRESET, recipe: str | None = None) -> AsyncIterator[Studio]:
    """The app in a terminal that does not exist, with trainers that do."""
    with tempfile.TemporaryDirectory() as runs:
        manager = RunManager(Path(runs), Trainer)
        manager.warm_up()
        app = FemtoApp(RunActions(manager, Choices(load_preset(preset), recipe=recipe)), Settings())
        try:
            async with app.run_test(size=SIZE) as pilot:
                yield Studio(app, pilot, manager, folder, preset)
        finally:
            manager.close()


async def take_pictures(folder: Path, *, more: bool) -> None:
    """Train twice, the second time up to step `STEPS`, and keep the main screens."""
    async with studio(folder) as it:
        await it.trained(FIRST_STEPS)
        await it.press("n")
        await it.film("training", FILMED)
        await it.press("space")
        await it.until(lambda: it.state is not None and it.state.status is Status.PAUSED, "the pause")
        step = it.manager.handles[PRESET].state.step
        await it.until(
            lambda: f"step {step:,}" in str(it.app.train.query_one("#sample").border_subtitle), "a sample"
        )
        await it.keep("train")
        it.app.theme = "textual-light"
        await it.keep("train-light")
        it.app.theme = "textual-dark"
        await it.press("u")
        await it.opened(RunsScreen)
        await it.press("space", "down")
        await it.press("c")
        await it.opened(CompareScreen)
        await it.keep("compare")
        await it.back()
        await it.press("s")
        await it.opened(SampleScreen)
        await it.until(lambda: isinstance(it.app.focused, Prompt), "a prompt")
        await it.press("b", "a", "enter")
        tokens = it.app.screen.query_one(TokenView)
        await it.until(lambda: len(tokens.tokens) >= SAMPLE_LENGTH, "a text")
        await it.press("escape", *["right"] * 9)
        await it.keep("sample")
        await it.back()
        if more:
            await take_more(it)


async def take_layers(folder: Path) -> None:
    """The layers of entry 3 by the journal's recipe, and with gains of 1."""
    for recipe in ("journal", "journal-gains-1"):
        async with studio(folder, "3", recipe) as it:
            await it.trained(1)
            await it.press("T")
            await it.trained(LAYERS_STEPS)
            await it.until(
                lambda it=it: it.state.inspected and it.state.inspected[-1].step >= LAYERS_STEPS - 100,
                "a measurement",
            )
            await it.keep(f"layers-{recipe}")


async def take_inside(folder: Path) -> None:
    """Inside an addition model, at the token that answers."""
    async with studio(folder, "7") as it:
        await it.until(lambda: it.state is not None and it.state.status is Status.FINISHED, "the end")
        await it.press("s")
        await it.opened(SampleScreen)
        await it.until(lambda: isinstance(it.app.focused, Prompt), "a prompt")
        it.app.screen.query_one(Prompt).value = SUM
        await it.press("enter")
        tokens = it.app.screen.query_one(TokenView)
        await it.until(lambda: len(tokens.tokens) >= SAMPLE_LENGTH, "a text")
        await it.press("escape", "right", "i")
        await it.keep("inside")


async def take_more(it: Studio) -> None:
    """The same in other sizes and themes, and what opens over it."""
    for width, height in SIZES:
        await it.resized(width, height)
        for theme in THEMES:
            it.app.theme = theme
            await it.keep(f"{theme}-{width}x{height}-train")
        for name, key in (("edit", "e"), ("help", "question_mark"), ("runs", "u"), ("sample", "s")):
            await it.press(key)
            await it.keep(f"{theme}-{width}x{height}-{name}")
            await it.back()


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    limit_blas_threads()
    folder = arguments.folder or DOCS
    folder.mkdir(parents=True, exist_ok=True)
    for take in (partial(take_pictures, more=arguments.folder is not None), take_layers, take_inside):
        asyncio.run(take(folder))


if __name__ == "__main__":
    main()
