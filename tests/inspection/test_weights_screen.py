"""The Weights screen under Pilot: walking, following a training, and what it looks like."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from screen_text import check, screen_text
from stage import Stage, stage, training
from textual.widgets import Static

from femtotui.app.app import KNOWN_ACTIONS, FemtoCommands
from femtotui.app.settings import Settings
from femtotui.core.commands import Snapshot
from femtotui.core.model.parameters import named_tensors
from femtotui.inspection import weights_screen
from femtotui.inspection.weights import HeatMap
from femtotui.inspection.weights_screen import WeightsMap, WeightsScreen
from femtotui.sampling.fields import Prompt
from femtotui.sampling.sample_screen import SampleScreen
from femtotui.train.train_screen import TrainScreen
from femtotui.trainer.protocol import SnapshotArrived
from femtotui.widgets.help_screen import HelpScreen


def parameters(it: Stage, seed: int = 0) -> np.ndarray:
    """Weights that are not alike in any two places."""
    model = it.manager.current.state.config.model
    return np.random.default_rng(seed).normal(0, 0.1, model.n_parameters).astype(np.float32)


def arrive(it: Stage, flat_P: np.ndarray, step: int) -> None:
    it.trainer._listener(SnapshotArrived(step, 1.5, flat_P.data))


def head(it: Stage) -> str:
    return str(it.app.screen.query_one("#weights-head", Static).render()).strip()


def figures(it: Stage) -> list[str]:
    return str(it.app.screen.query_one("#weights-figures", Static).render()).splitlines()


def drawn(it: Stage) -> HeatMap | None:
    return it.app.screen.query_one(WeightsMap).heat_map


@asynccontextmanager
async def opened(runs: Path, **more: object) -> AsyncIterator[Stage]:
    """The screen over a training at step 7, with its parameters drawn."""
    async with training(runs, **more) as it:
        await it.playing(7)
        it.trainer.snapshot = lambda: arrive(it, parameters(it), 7)
        await it.pilot.press("W")
        await it.until(lambda: isinstance(it.app.screen, WeightsScreen) and it.app.screen.is_mounted)
        await it.until(lambda: drawn(it) is not None and bool(figures(it)))
        yield it


def is_drawing() -> bool:
    return any(thread.name == "weights" for thread in threading.enumerate())


async def shown_after(it: Stage, *keys: str) -> HeatMap:
    """The map that follows some keys."""
    before = drawn(it)
    await it.pilot.press(*keys)
    await it.until(lambda: drawn(it) is not before and not is_drawing())
    await it.pilot.pause()
    return drawn(it)


async def test_it_shows_the_newest_parameters_and_walks_through_them(runs: Path) -> None:
    async with opened(runs) as it:
        assert head(it) == "layer 1 of 4 · attention.queries · all heads · #2 very simple model 2, step 7"
        tensors = named_tensors(parameters(it), it.manager.current.state.config.model)
        await shown_after(it, "right", "down")
        assert head(it).startswith("layer 2 of 4 · attention.keys · all heads")
        keys = tensors["layers.1.attention.qkv.weight"][:, 64:128]
        assert f"norm       {np.linalg.norm(keys.astype(float)):.4g}" in figures(it)
        await shown_after(it, "h")
        assert head(it).startswith("layer 2 of 4 · attention.keys · head 1 of 4")
        assert figures(it)[0] == "shape      64 × 16"
        await shown_after(it, "left", "left")
        assert head(it).startswith("embedding · token_embedding.weight · #2")
        assert not it.app.screen.check_action("move", ("head",)), "an embedding has none"
        await it.pilot.press("escape")
        assert isinstance(it.app.screen, TrainScreen)


async def test_it_follows_the_training(runs: Path) -> None:
    async with opened(runs) as it:
        before = drawn(it)
        flat_P = parameters(it, 1)
        arrive(it, flat_P, 400)
        await it.until(lambda: drawn(it) is not before)
        assert head(it).endswith("step 400")
        queries = named_tensors(flat_P, it.manager.current.state.config.model)[
            "layers.0.attention.qkv.weight"
        ][:, :64]
        assert f"largest    {queries.ravel()[np.abs(queries).argmax()]:.4g}" in figures(it)


async def test_nothing_is_drawn_in_the_apps_thread_and_only_the_newest_request_is(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(runs) as it:
        asked: list[threading.Thread] = []
        may_draw = threading.Event()

        class Slow(HeatMap):
            @classmethod
            def of(cls, *args: object, **more: object) -> HeatMap:
                asked.append(threading.current_thread())
                may_draw.wait()
                return HeatMap.of(*args, **more)

        monkeypatch.setattr(weights_screen, "HeatMap", Slow)
        before = drawn(it)
        await it.pilot.press("down")
        await it.until(lambda: len(asked) == 1)
        await it.pilot.press("down", "down", "down")
        assert "feed_forward.up.weight" in head(it), "the name is there at once"
        assert drawn(it) is before
        may_draw.set()
        await it.until(lambda: drawn(it) is not before)
        await it.until(lambda: not is_drawing())
        assert len(asked) == 2 and threading.main_thread() not in asked
        assert figures(it)[0] == "shape      64 × 256"


async def test_weights_that_are_no_numbers_are_counted(runs: Path) -> None:
    async with opened(runs) as it:
        flat_P, before = parameters(it), drawn(it)
        flat_P[:] = np.nan
        arrive(it, flat_P, 8)
        await it.until(lambda: drawn(it) is not before)
        assert "not finite 4,096" in figures(it)


async def test_without_parameters_it_says_so(runs: Path) -> None:
    async with stage(runs) as it:
        await it.until(lambda: it.manager.current is not None)
        it.trainer.snapshot = lambda: None
        await it.pilot.press("W")
        await it.until(lambda: isinstance(it.app.screen, WeightsScreen) and it.app.screen.is_mounted)
        assert head(it) == "waiting for the parameters" and it.sent(Snapshot) >= 1
        await it.pilot.press("left", "down", "h")
        it.trainer.exit(1, "")
        await it.pilot.press("escape")
        await it.until(lambda: it.manager.current.connection is None)
        await it.pilot.press("W")
        await it.until(lambda: isinstance(it.app.screen, WeightsScreen) and it.app.screen.is_mounted)
        assert head(it) == "there are no parameters to show"


async def test_it_opens_from_the_sample_screen_and_from_the_palette(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(3)
        names = [name for name, *_ in FemtoCommands(it.app.screen)._commands()]
        assert "the weights: a map of any tensor" in names and "weights" in KNOWN_ACTIONS
        await it.pilot.press("s", "W")
        await it.until(lambda: isinstance(it.app.screen, SampleScreen))
        await it.until(lambda: it.app.screen.query_one(Prompt).value == "W")  # in a field it is a letter
        await it.pilot.press("enter")
        view = it.app.screen.query_one("#sampling-tokens")
        await it.until(lambda: bool(view.tokens))
        await it.pilot.press("escape", "W")
        await it.until(lambda: isinstance(it.app.screen, WeightsScreen))
        await it.until(lambda: drawn(it) is not None)
        await it.pilot.press("W")
        assert isinstance(it.app.screen, SampleScreen)


async def test_the_help_explains_what_is_seen(runs: Path) -> None:
    async with opened(runs) as it:
        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        await it.pilot.pause()
        shown = screen_text(it.app)
        for words in ("the next attention head alone", "One tensor of the model as a map", "on both sides"):
            assert words in shown


async def test_without_colours_signs_and_digits_stand_for_weights(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(runs, size=(80, 24)) as it:
        lines = it.app.screen.query_one(WeightsMap)
        text = [lines.render_line(y).text for y in range(lines.content_size.height)]
        assert all(set(line) <= set("+-·1234567 ") for line in text[:-1])
        assert text[-1].startswith("-7 to +7: -")


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_looks_as_it_did(size: tuple[int, int], theme: str, runs: Path) -> None:
    async with opened(runs, size=size, settings=Settings(theme=theme)) as it:
        await shown_after(it, "h", "down", "down")
        name = f"weights-{size[0]}x{size[1]}-{theme.removeprefix('textual-')}"
        check(name, screen_text(it.app))
