"""The main screens as they were last looked at, in three sizes and two themes.

Everything is recorded or stopped: events, curves, the clock, memory. The sample pane is left out: what it
draws is tested on its own. To take new ones: UPDATE_SNAPSHOTS=1 make test ARGS=tests/app/test_snapshots.py
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from inspected_steps import inspected
from run_folders import make_run, trial_on_disk
from screen_text import check, screen_text
from stage import Stage, training
from textual.geometry import Region
from textual.widgets import DataTable

from femtotui.app.settings import Settings
from femtotui.chart.loss_chart import LossChart
from femtotui.edit.edit_screen import EditScreen
from femtotui.experiments.experiment import trial_configs
from femtotui.experiments.experiment_screen import ExperimentScreen
from femtotui.inspection.layers_panel import LayersPanel
from femtotui.presets import load_preset
from femtotui.runs.compare_screen import CompareScreen
from femtotui.runs.run_list import RunList
from femtotui.runs.runs_screen import RunsScreen
from femtotui.widgets.help_screen import HelpScreen

SIZES = ((80, 24), (120, 36), (200, 50))
THEMES = ("textual-dark", "textual-light")


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same memory, time of day and cores everywhere."""
    for module in ("train.train_screen", "runs.actions"):
        monkeypatch.setattr(f"femtotui.{module}.rss_mib", lambda: 75.0)
    monkeypatch.setattr("femtotui.train.run_pane.available_mib", lambda: 4096.0)
    monkeypatch.setattr("femtotui.train.run_pane.local_now", lambda: datetime(2026, 1, 5, 20, 15, tzinfo=UTC))
    monkeypatch.setattr("femtotui.runs.forecast.choose_threads", lambda _batch: 2)


def recorded_run(runs: Path, name: str, key: str, last: int, seed: int) -> None:
    """A run that is the same wherever it was made."""
    made = make_run(runs, key, last, seed)
    file = made / "run.json"
    info = json.loads(file.read_text("utf-8"))
    info |= {"created": "2026-01-05T20:00:00+00:00", "machine": "a laptop", "blas": "a BLAS", "versions": {}}
    file.write_text(json.dumps(info), "utf-8")
    made.rename(runs / name)


async def settled(it: Stage) -> None:
    """Wait until everything that was told is drawn; the chart takes its time over new points."""
    chart = it.app.train.query_one(LossChart)
    await it.until(lambda: not chart._stale or not chart.is_on_screen)
    for _ in range(3):
        await it.pilot.pause()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_screens_look_as_they_did(size: tuple[int, int], theme: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    recorded_run(runs, "20260105-200000-2-aaaaaa", "2", 300, 4)
    recorded_run(runs, "20260105-190000-10-bbbbbb", "10", 500, 5)
    preset = load_preset("2")
    trial_on_disk(trial_configs(preset, "journal", 0)[0], runs, 0.12)
    trial_on_disk(trial_configs(preset, "modern", 0)[0], runs, last=300)
    kind = f"{size[0]}x{size[1]}-{theme.removeprefix('textual-')}"
    async with training(runs, size=size, settings=Settings(theme=theme)) as it:
        it.trainer.play(450)
        await it.until(lambda: it.panel("step")[0] == "450")
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        it.app.train.say("paused", "warning")
        await it.until(lambda: it.app.train.query_one(RunList).option_count == 2)
        await settled(it)
        pane = it.app.train.query_one("#sample-pane")
        check(f"train-{kind}", screen_text(it.app, (pane.region,)))

        await it.pilot.press("g", "left", "up")
        await settled(it)
        chart = it.app.train.query_one(LossChart).region
        check(f"chart-{kind}", screen_text(it.app, _all_but(chart, it.app.size)))
        await it.pilot.press("home")

        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        await settled(it)
        box = it.app.screen.query_one("#help").region
        check(f"help-{kind}", screen_text(it.app, _all_but(box, it.app.size)))
        await it.pilot.press("escape", "escape", "escape")

        await it.pilot.press("e")
        await it.until(lambda: isinstance(it.app.screen, EditScreen) and bool(it.app.screen.query("#cancel")))
        await settled(it)
        form = it.app.screen.query_one("#edit").region
        check(f"edit-{kind}", screen_text(it.app, _all_but(form, it.app.size)))
        await it.pilot.press("escape")

        await it.pilot.press("u")
        await it.until(lambda: isinstance(it.app.screen, RunsScreen) and bool(it.app.screen.query(DataTable)))
        await it.pilot.press("space", "down")
        await settled(it)
        check(f"runs-{kind}", screen_text(it.app))
        await it.pilot.press("c")
        await it.until(lambda: isinstance(it.app.screen, CompareScreen))
        await settled(it)
        check(f"compare-{kind}", screen_text(it.app))
        await it.pilot.press("escape", "escape")

        await it.pilot.press("v")
        await it.until(lambda: isinstance(it.app.screen, ExperimentScreen))
        await it.until(lambda: "space trains" in screen_text(it.app))
        await settled(it)
        check(f"race-{kind}", screen_text(it.app))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_layers_look_as_they_did(size: tuple[int, int], theme: str, tmp_path: Path) -> None:
    async with training(tmp_path / "runs", size=size, settings=Settings(theme=theme)) as it:
        it.trainer.play(450)
        await it.until(lambda: it.panel("step")[0] == "450")
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        it.app.train.say("paused", "warning")
        for step in (50, 150, 300, 440):
            few = {1: 9.0 - step / 100, 2: 3.0, 3: 4.0 + step / 50}
            it.trainer.say(inspected(step, carrying=few, gradient={1: 1e-3 * step / 100}, silent={4: 0.7}))
        await it.pilot.press("T")
        panel = it.app.train.query_one(LayersPanel)
        await it.until(lambda: "step 440" in panel.render().plain)
        await settled(it)
        kind = f"{size[0]}x{size[1]}-{theme.removeprefix('textual-')}"
        check(f"layers-{kind}", screen_text(it.app, _all_but(panel.region, it.app.size)))


def _all_but(region: Region, size: tuple[int, int]) -> tuple[Region, ...]:
    width, height = size
    return (
        Region(0, 0, width, region.y),
        Region(0, region.bottom, width, height - region.bottom),
        Region(0, region.y, region.x, region.height),
        Region(region.right, region.y, width - region.right, region.height),
    )
