"""The panels in the chart's place: how one gets to them, and what is asked of the trainer for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_trainer import run_started
from inspected_steps import inspected
from run_folders import make_run
from stage import Stage, training

from femtotui.app.app import FemtoCommands
from femtotui.core.commands import InspectStep
from femtotui.inspection.layers_panel import LayersPanel
from femtotui.runs.library import load_state, quantity_data, read_rows
from femtotui.runs.runs_screen import RunsScreen
from femtotui.train.chart_tabs import TABS, tab_line
from femtotui.train.run_pane import RunPane
from femtotui.widgets.help_screen import HelpScreen, HelpText

NAMES = ["loss", "learning rate", "gradient norm", "throughput", "layers"]


def pane(it: Stage) -> RunPane:
    return it.app.train.query_one(RunPane)


def current(it: Stage) -> str:
    return TABS[pane(it).tab].name


def layers(it: Stage) -> str:
    return it.app.train.query_one(LayersPanel)._content.plain


def test_the_names_are_cut_sensibly() -> None:
    assert tab_line(1, 60).plain == "loss · learning rate · gradient norm · throughput · layers"
    assert tab_line(1, 52).plain == "loss learning rate gradient norm throughput layers"
    assert tab_line(1, 40).plain == "loss · rate · gradient · speed · layers"
    assert tab_line(1, 34).plain == "loss rate gradient speed layers"
    assert tab_line(4, 30).plain == "layers 5/5"
    assert [str(span.style) for span in tab_line(1, 60).spans if "bold" in str(span.style)]


async def test_t_goes_round_and_back(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(20)
        seen = []
        for _ in NAMES:
            seen.append(current(it))
            await it.pilot.press("t")
        assert seen == NAMES and current(it) == "loss"
        await it.pilot.press("T")
        assert current(it) == "layers" and not pane(it).chart.display


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (40, 20)], ids=str)
async def test_a_click_on_a_name_chooses_its_panel(runs: Path, size: tuple[int, int]) -> None:
    async with training(runs, size=size) as it:
        await it.playing(20)
        for number in (2, 4, 0):
            shown = pane(it).shown_panel
            await it.until(lambda shown=shown: shown.region.area > 0 and bool(shown.border_title))  # type: ignore[misc]
            await it.pilot.pause()
            line = tab_line(pane(it).tab, pane(it).size.width - 6).plain
            name = TABS[number].name if TABS[number].name in line else TABS[number].short
            region = shown.region
            assert await it.pilot.click(offset=(region.x + 2 + line.index(name) + 1, region.y))
            await it.until(lambda wanted=number: pane(it).tab == wanted)  # type: ignore[misc]


async def test_the_charts_agree_with_the_panels_in_numbers(runs: Path) -> None:
    async with training(runs, size=(200, 50)) as it:
        await it.playing(120)
        for number, (panel, row) in enumerate((("rate", 0), ("rate", 1), ("speed", 1)), 1):
            it.app.train.action_panel(number)
            await it.pilot.pause()
            figure = it.panel(panel)[row].strip().removeprefix("gradient ")
            frame = pane(it).chart.model.frame()
            assert frame is not None and frame.newest is not None and frame.newest.label == figure
            assert not frame.levels and frame.goal is None


async def test_the_view_and_the_focus_go_with_the_panel(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(200)
        await it.pilot.press("g", "x", "up", "left", "t")
        model = pane(it).chart.model
        assert model.view.x is not None and model.cursor_step == 200 and model.x_axis == "time"
        assert pane(it).chart.has_focus
        await it.pilot.press("t", "t", "t")
        assert it.app.train.query_one(LayersPanel).has_focus
        await it.pilot.press("escape")
        assert not it.app.train.query_one(LayersPanel).has_focus


async def test_nothing_is_drawn_for_a_hidden_panel(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with training(runs) as it:
        await it.playing(20)
        panels = {"chart": pane(it).chart, "layers": pane(it).layers_panel}
        shown: list[str] = []
        for name, panel in panels.items():
            monkeypatch.setattr(panel, "show", lambda *_, name=name: shown.append(name))
        await it.pilot.press("T")
        await it.playing(60)
        assert set(shown) == {"layers"}
        shown.clear()
        await it.pilot.press("t")
        await it.playing(100)
        assert set(shown) == {"chart"}


async def test_a_run_of_an_earlier_session_has_its_history(runs: Path) -> None:
    make_run(runs, "2", 300, 4)
    state = load_state(read_rows(runs)[0].summary)
    for tab in TABS[1:4]:
        assert tab.quantity is not None
        series = quantity_data(state, tab.quantity).series
        assert series.steps.tolist() == list(range(1, 301)) and (series.losses > 0).all()


# -- asking the trainer ----------------------------------------------------------------------------------


async def test_a_step_is_inspected_only_while_the_panel_is_in_sight(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(400)
        assert not it.sent(InspectStep)
        await it.pilot.press("T")
        await it.until(lambda: it.sent(InspectStep) == 1)
        assert "waiting for the next measurement" in layers(it)
        it.trainer.say(inspected(401, carrying={1: 3.0}))
        await it.until(lambda: "3/64" in layers(it))
        await it.playing(800)
        await it.until(lambda: it.sent(InspectStep) == 2)
        await it.pilot.press("u")
        await it.until(lambda: isinstance(it.app.screen, RunsScreen))
        it.trainer.play(1600)
        await it.until(lambda: it.manager.current is not None and it.manager.current.state.step == 1600)
        assert it.sent(InspectStep) == 2
        await it.pilot.press("escape", "t")
        await it.until(lambda: current(it) == "loss")
        asked = it.sent(InspectStep)
        await it.playing(2400)
        assert it.sent(InspectStep) == asked


async def test_a_paused_run_keeps_what_was_measured_or_says_how_to_get_it(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(40)
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        await it.pilot.press("T")
        await it.until(lambda: "space resumes" in layers(it))
        assert not it.sent(InspectStep)
        it.trainer.say(inspected(40, silent={2: 0.75}))
        await it.until(lambda: "layer 2: 75% of the feed-forward units never fire" in layers(it))


async def test_a_run_resumed_from_a_checkpoint_forgets_later_measurements(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(40)
        it.trainer.say(inspected(20), inspected(40))
        assert it.manager.current is not None
        state = it.manager.current.state
        await it.until(lambda: len(state.inspected) == 2)
        it.trainer.say(run_started(state.config, str(runs), step=30))
        await it.until(lambda: [e.step for e in state.inspected] == [20])
        assert state.history.series(TABS[1].quantity, 1).steps[-1] == 30  # type: ignore[arg-type]


async def test_the_arrows_choose_the_layer_whose_weights_are_shown(runs: Path) -> None:
    async with training(runs, size=(200, 50)) as it:
        await it.playing(4)
        it.trainer.say(inspected(4))
        await it.pilot.press("T", "g")
        await it.until(lambda: "layer 1: entropy of its heads" in layers(it))
        await it.pilot.press("down")
        await it.until(lambda: "layer 2: entropy of its heads" in layers(it))
        await it.pilot.press("up", "up", "up", "up")
        await it.until(lambda: "token_embedding.weight" in layers(it))


async def test_a_low_panel_scrolls_to_the_chosen_layer_and_says_the_worst_in_its_frame(runs: Path) -> None:
    async with training(runs, size=(80, 24)) as it:
        await it.playing(4)
        it.trainer.say(inspected(4, n_layers=12, carrying={3: 2.0}))
        await it.pilot.press("T")
        await it.until(lambda: "layer 3" in layers(it))
        assert "layer 12" not in layers(it)
        subtitle = str(it.app.train.query_one(LayersPanel).border_subtitle)
        assert "layer 3: 2 of 64 coordinates carry the stream" in subtitle
        await it.pilot.press("g", *["down"] * 20)
        await it.until(lambda: "layer 12" in layers(it))


# -- palette and help --------------------------------------------------------------------------------------


async def test_the_palette_shows_each_panel(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(4)
        commands = {name: run for name, _, run in FemtoCommands(it.app.train)._commands()}
        assert all(f"show {name}" in commands for name in NAMES)
        commands["show gradient norm"]()
        assert current(it) == "gradient norm"


async def test_the_help_explains_the_layers_where_they_are_focused(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("T", "g", "question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen) and bool(it.app.screen.query(HelpText)))
        sections = dict(it.app.screen.query_one(HelpText)._sections)
        assert "carrying" in dict(sections["the layers"])
        assert any("learning rate, gradient norm" in words for _, words in sections["keys"])
