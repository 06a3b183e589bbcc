"""Whatever key is pressed whenever: nothing breaks. And an hour's run costs as little at its end."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from fake_trainer import resolved, steps
from run_folders import make_run
from stage import Stage, stage, training
from textual import events
from textual.binding import Binding
from textual.geometry import Size

from femtotui.chart.loss_chart import LossChart
from femtotui.chart.render import compose
from femtotui.core.events import RunFailed, RunFinished
from femtotui.presets import load_preset, run_config
from femtotui.runs.actions import StatusMessage
from femtotui.runs.library import chart_data
from femtotui.runs.state import RunState, Status
from femtotui.runs.verdict import Judge
from femtotui.train.panels import panel_lines
from femtotui.trainer.protocol import Start
from femtotui.widgets.dialogs import fits

LEAVING = {"q", "d", "ctrl+c", "ctrl+q"}


def keys_here(it: Stage) -> list[str]:
    """Every key that does something where the focus is, but for those that end the program."""
    found: dict[str, Binding] = {}
    for _node, bindings in it.app.screen._binding_chain:
        for key, several in bindings.key_to_bindings.items():
            found.setdefault(key, several[0])
    return [key for key in found if key not in LEAVING and not key.startswith(("ctrl+z",))]


async def tap(it: Stage, *keys: str) -> None:
    """Press keys as fast as the app takes them; Pilot waits for the screen to come to rest after each."""
    for key in keys:
        character = key if len(key) == 1 else " " if key == "space" else None
        it.app.post_message(events.Key(key, character))
        await asyncio.sleep(0.01)


async def press_everything(it: Stage) -> None:
    """Press every key of the Train screen and its panels; whatever opens is pressed through, and closed."""
    walked: set[tuple[str, str]] = set()
    for selector in ("#presets", "#chart", "#tokens", None):
        widget = it.app.train.query_one(selector) if selector else None
        it.app.train.set_focus(widget)
        for key in keys_here(it):
            if (selector or "", key) in walked:
                continue
            walked.add((selector or "", key))
            it.app.train.set_focus(widget)
            await tap(it, key)
            await press_through(it)
            assert it.app._exception is None, key


async def press_through(it: Stage) -> None:
    for _ in range(4):
        if it.app.screen is it.app.train:
            return
        screen = it.app.screen
        for key in ("space", "down", "enter", "left", "tab", "x"):
            if it.app.screen is screen:
                await tap(it, key)
        for _ in range(3):
            if it.app.screen is not it.app.train:
                await tap(it, "escape")


async def stay() -> None:
    """Instead of leaving."""


STATES = (
    "training",
    *(pytest.param(s, marks=pytest.mark.slow) for s in ("step 0", "paused", "failed", "finished")),
)


async def bring_to(it: Stage, state: str) -> None:
    if state != "step 0":
        await it.playing(120)
    if state == "paused":
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
    elif state == "failed":
        it.trainer.say(RunFailed(step=120, title="Training diverged", message="lower the rate", run=None))
        await it.until(lambda: "failed" in it.header())
    elif state == "finished":
        it.trainer.say(finished(it))
        await it.until(lambda: "finished" in it.header())


def finished(it: Stage) -> RunFinished:
    return RunFinished(
        step=120, train_loss=1.4, val_loss=1.5, elapsed_s=9.0, peak_rss_mib=99.0, parameters=1,
        run=it.manager.current.state.run or "", reason="finished",  # type: ignore[union-attr]
    )  # fmt: skip


@pytest.mark.parametrize("state", STATES)
async def test_every_key_in_every_state(
    state: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(runs, "10", 30)
    async with training(runs) as it:
        monkeypatch.setattr(it.app, "deliver_screenshot", lambda name: name)
        # The command palette offers these two, too.
        monkeypatch.setattr(it.app, "action_quit", stay)
        monkeypatch.setattr(it.app.train.actions, "detach", lambda: StatusMessage("the app stays"))
        await bring_to(it, state)
        await press_everything(it)
        await it.pilot.press("2", "enter")
        await it.until(lambda: it.header() != "")
        assert it.app.is_running


SCREENS = {"runs": "u", "edit": "e", "help": "question_mark", "journal": "j", "sample": "s", "race": "v"}


@pytest.mark.parametrize("name", SCREENS)
async def test_every_key_of_another_screen(
    name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(runs, "10", 30)
    make_run(runs, "2", 40)
    opener = SCREENS[name]
    async with training(runs) as it:
        await it.pilot.press(opener)
        await it.until(lambda: it.app.screen is not it.app.train)
        screen = it.app.screen
        for key in keys_here(it):
            if it.app.screen is it.app.train:
                await it.pilot.press(opener)
                await it.until(lambda: it.app.screen is not it.app.train)
            await tap(it, key)
            for _ in range(3):
                if it.app.screen not in {screen, it.app.train}:
                    await tap(it, "escape")
        for _ in range(4):
            if it.app.screen is not it.app.train:
                await tap(it, "escape")
        await it.until(lambda: it.app.screen is it.app.train)
        await it.pilot.pause()  # keys that are still under way must not outlive the app


async def test_keys_before_the_first_step_and_while_a_preset_starts(runs: Path) -> None:
    async with stage(runs) as it:
        await it.pilot.press(
            "space", "c", "n", "s", "escape", "l", "x", "b", "plus", "r", "o", "g", "left", "up"
        )
        await it.pilot.press("escape", "7", "enter", "space", "c", "n", "3", "enter", "space", "n")
        await it.until(lambda: it.sent(Start) == 1 and "#3 " in it.header())


async def test_a_storm_of_resizes(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(200)
        for number in range(24):
            await it.pilot.resize_terminal(40 + 7 * number % 170, 10 + 5 * number % 45)
        await it.pilot.resize_terminal(120, 36)
        await it.until(lambda: it.app.screen is it.app.train)
        await it.playing(210)
        assert it.app.train.query_one(LossChart).size.width > 60


def test_a_terminal_without_a_size_is_too_small() -> None:
    assert not fits(Size(0, 0))


def hour(ms: float = 17.0) -> range:
    return range(0, int(3_600_000 / ms), 2000)


def test_an_hour_costs_as_little_at_its_end_and_does_not_grow() -> None:
    """Events of an hour at entry 2's pace, folded and drawn every 2000 steps."""

    preset = load_preset("2")
    view = RunState(resolved(run_config(preset, steps=10**6)))
    view.status = Status.TRAINING
    chart, judge = LossChart(), Judge()
    block = steps(1, 2000)
    kept: list[int] = []
    scratch: list[int] = []
    calls: list[int] = []
    tracemalloc.start()
    for first in hour():
        view.fold(shifted(block, first))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        with counted_calls() as count:
            chart.model.show(chart_data(view, preset))
            picture = chart.model.frame()
            assert picture is not None
            compose(picture, 14, 90)
            panel_lines(view)
            judge.verdict(view, preset)
        now, peak = tracemalloc.get_traced_memory()
        kept.append(now)
        scratch.append(peak - before)
        calls.append(sum(count.values()))
    tracemalloc.stop()
    assert len(view.steps) > 200_000
    assert kept[-1] - kept[0] < 40 * 2**20, "an hour is a few numbers a step"
    assert calls[-1] < 2 * calls[10], "a frame at the end of an hour takes no more than one at its beginning"
    assert max(scratch) < 16 * 2**20


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """How many functions are called meanwhile, Python's and C's: what a clock says depends on the machine."""
    count: Counter[str] = Counter()
    sys.setprofile(lambda _frame, event, _arg: count.update((event,)))
    try:
        yield count
    finally:
        sys.setprofile(None)


def shifted(block: tuple[object, ...], by: int) -> Iterator[object]:
    for event in block:
        yield msgspec.structs.replace(event, step=event.step + by, elapsed_s=event.elapsed_s + by * 0.0169)  # type: ignore[attr-defined,type-var]
