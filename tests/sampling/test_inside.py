"""Inside the Sample screen under Pilot: heads and layers, two models, through time, from the Train screen."""

from __future__ import annotations

import shutil
from pathlib import Path

from small_checkpoint import saved_run, small_config
from stage import Stage, stage, training
from test_sample_screen import Studio, studio
from textual.widgets import Static

from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.saved_model import open_saved
from femtotui.inspection.inside_view import InsidePanel
from femtotui.sampling.inside import MAX_KEPT_BYTES, InsideRead
from femtotui.sampling.sample_screen import SampleScreen
from femtotui.tokens.alternatives import NextToken
from femtotui.tokens.token_view import TokenView
from femtotui.widgets.help_screen import HelpScreen


def panels(screen: SampleScreen) -> list[InsidePanel]:
    """The panels in sight."""
    return [panel for panel in screen.query(InsidePanel) if panel.size.height]


def said(panel: InsidePanel) -> str:
    return "\n".join(panel.render_line(y).text.rstrip() for y in range(panel.content_size.height))


def caption(it: Studio) -> str:
    return str(it.tokens.border_subtitle)


async def look_inside(it: Studio) -> None:
    await it.press("i")
    await it.until(lambda: caption(it).startswith("layer 1, mean"))
    await it.it.pilot.pause()


def pin(it: Studio, *steps: int) -> RunFolder:
    """Sample from a saved run with checkpoints at these steps."""
    run = saved_run(it.it.manager.runs, it.screen.reader.model.config, steps=steps)
    it.screen.reader.compare_with(None, open_saved(it.it.manager.runs, str(run.path)))
    return run


async def test_inside_shows_what_was_looked_at_and_escape_goes_back(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await look_inside(it)
        assert it.tokens.cursor == 0 and not it.screen.query_one(NextToken).size.height
        (panel,) = panels(it.screen)
        text = said(panel)
        assert text.startswith("to predict '") and "'⏎' before it looked at" in text
        assert "layer 1, mean: '⏎' 100% 1 back" in text and "lens" in text
        assert str(panel.border_title) == "step 3 · #2 very simple model 2"
        await it.press("right", "l", "j")
        assert caption(it).startswith("layer 2, head 1 · step 3")
        assert "'⏎' 50% 2 back" in said(panel), "parameters of zero look at everything alike"
        await it.press("h", "k", "h", "k")
        assert caption(it).startswith("layer 1, mean")
        await it.press("escape")
        assert it.tokens.cursor == 1 and not panels(it.screen) and "bits per byte" in caption(it)
        assert it.screen.query_one(NextToken).size.height
        await it.press("i", "i")
        assert not panels(it.screen) and isinstance(it.it.app.screen, SampleScreen)


async def test_a_text_longer_than_the_context_is_read_as_the_sampler_read_it(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        context = it.screen.reader.model.config.model.context
        await look_inside(it)
        await it.press("end")
        await it.until(lambda: f"its context of {context} holds" in said(panels(it.screen)[0]))
        sight = it.screen._panels._seen[0].sight
        assert sight is not None and sight.at == 99 and sight.window.start > 0
        top = it.tokens.render_line(0)
        assert len({str(segment.style) for segment in top if segment.text.strip()}) <= 3, (
            "no weight, no colour"
        )


async def test_a_newer_snapshot_looks_again_at_the_same_text(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await look_inside(it)
        text = it.text
        it.it.trainer.step += 1
        it.it.trainer.snapshot()
        await it.until(lambda: "step 4 ·" in caption(it))
        assert it.text == text and it.tokens.cursor == 0


async def test_two_models_see_the_same_token_and_one_of_them_colours_the_text(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        run = saved_run(tmp_path / "runs", it.screen.reader.model.config)
        await look_inside(it)
        await it.press("d", *run.path.name, "enter")
        await it.until(lambda: len(panels(it.screen)) == 2)
        await it.until(lambda: all("to predict" in said(panel) for panel in panels(it.screen)))
        assert [str(panel.border_title)[:8] for panel in panels(it.screen)] == ["▸ step 3", "step 7 ·"]
        assert panels(it.screen)[0].region.x == panels(it.screen)[1].region.x, "one above the other"
        weights = list(it.tokens._weights or ())
        await it.press("right", "right", "o")
        await it.until(lambda: "step 7" in caption(it))
        assert list(it.tokens._weights or ()) != weights
        await it.it.pilot.resize_terminal(80, 24)
        await it.it.pilot.pause()
        (one,) = panels(it.screen)
        assert str(one.border_title).startswith("▸ step 7")
        await it.press("o")
        assert str(panels(it.screen)[0].border_title).startswith("▸ step 3")
        await it.it.pilot.resize_terminal(200, 50)
        await it.it.pilot.pause()
        upper, lower = panels(it.screen)
        assert upper.region.x == lower.region.x and upper.region.width > 100


async def test_through_time_goes_along_the_kept_checkpoints_and_back_to_the_newest(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        pin(it, 3, 5, 7)
        await look_inside(it)
        await it.until(lambda: "step 7" in caption(it))
        weights = []
        for key, step in (
            ("[", "5 · checkpoint 2 of 2"),
            ("[", "3 · checkpoint 1 of 2"),
            ("]", "5"),
            ("]", "7"),
        ):
            weights.append(it.screen._panels._seen[0].sight.weights(0, 0).tolist())
            await it.press("left_square_bracket" if key == "[" else "right_square_bracket")
            await it.until(lambda step=step: f"step {step}" in caption(it))  # type: ignore[misc]
        assert len(it.screen.inside._windows) == 3, "each was read once"
        await it.press("right_square_bracket")
        assert "step 7" in caption(it)
        await it.press("left_square_bracket", "left_square_bracket")
        await it.until(lambda: "step 3" in caption(it))
        await it.press("left_square_bracket")
        assert "no earlier checkpoint is kept" in it.trouble and "step 3" in caption(it)
        assert sum(frame.model is not None for frame in it.screen.inside._frames.values()) <= 1
        await it.press("escape", "i")
        assert "step 7" in caption(it), "it begins at the newest again"


async def test_a_checkpoint_that_cannot_be_read_is_said_and_the_newest_stays(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        run = pin(it, 5, 7)
        await look_inside(it)
        await it.until(lambda: "step 7" in caption(it))
        with run.checkpoints()[5].open("r+b") as file:
            file.truncate(1000)
        await it.press("left_square_bracket")
        await it.until(lambda: "step 5 cannot be shown: step-5.safetensors is damaged" in it.trouble)
        assert "step 7" in caption(it) and "to predict" in said(panels(it.screen)[0])
        shutil.rmtree(run.path)
        await it.press("left_square_bracket")
        assert "run" in it.trouble.lower() and "step 7" in caption(it)


async def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        pin(it, 7)
        await look_inside(it)
        await it.press("left_square_bracket")
        assert "no earlier checkpoint is kept" in it.trouble


async def test_a_model_of_another_tokenizer_says_so_in_its_panel(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        other = saved_run(tmp_path / "runs")  # of another size, over bytes
        alphabet = saved_run(tmp_path / "runs", small_config("char"))
        await look_inside(it)
        it.screen.reader.compare_with(open_saved(tmp_path / "runs", str(alphabet.path)))
        it.screen._show_inside()
        await it.until(lambda: len(panels(it.screen)) == 2)
        await it.until(
            lambda: (
                "to predict" not in said(panels(it.screen)[1]) and "reading" not in said(panels(it.screen)[1])
            )
        )
        assert "to predict" in said(panels(it.screen)[0])
        it.screen.reader.compare_with(open_saved(tmp_path / "runs", str(other.path)))
        it.screen._show_inside()
        await it.until(lambda: "to predict" in said(panels(it.screen)[1]))
        await it.press("j", "o")
        assert caption(it).startswith("layer 1, mean · step 7"), "it has one layer"


async def test_frames_of_the_time_lapse_have_no_parameters_and_their_keys_come_back(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await it.until(lambda: bool(it.screen.player.timelapse.frames))
        await it.press("left_square_bracket", "i")
        assert "keep no parameters" in it.trouble
        await it.until(lambda: "to predict" in said(panels(it.screen)[0]))
        await it.press("escape", "left_square_bracket")
        assert "step 3 · 1 of 1" in caption(it)


async def test_the_help_explains_what_is_inside(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await look_inside(it)
        await it.press("question_mark")
        await it.until(lambda: isinstance(it.it.app.screen, HelpScreen))
        await it.it.pilot.pause()
        words = " ".join(" ".join(map(str, row)) for _, rows in it.it.app.screen._sections for row in rows)
        assert "stopped after a layer" in words and "looked at" in words


async def test_what_is_kept_is_bounded_and_never_less_than_what_is_shown(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await look_inside(it)
        reader = it.screen.inside
        source, window = reader._windows[0]
        n = MAX_KEPT_BYTES // window.n_bytes + 2
        for _ in range(3):
            reader.keep(InsideRead([(source, window)] * n))
        assert sum(kept.n_bytes for _, kept in reader._windows) <= MAX_KEPT_BYTES


async def test_from_the_train_screen_the_sample_there_is_looked_into(tmp_path: Path) -> None:
    async with training(tmp_path / "runs") as it:
        await it.playing(3)
        view = it.app.train.query_one("#tokens", TokenView)
        pane = it.app.train._pane.samples
        await it.until(lambda: len(view.tokens) > 20 and not pane.is_drawing)
        view.focus()
        await it.pilot.press("right", "right", "right", "right")
        tokens, cursor = [token.bytes for token in view.tokens], view.cursor
        await it.pilot.press("i")
        await it.until(lambda: isinstance(it.app.screen, SampleScreen) and bool(panels(it.app.screen)))
        that = Studio(it)
        await it.until(lambda: caption(that).startswith("layer 1, mean"))
        assert [token.bytes for token in that.tokens.tokens] == tokens and that.tokens.cursor == cursor == 3
        assert that.tokens.has_focus
        await that.press("escape", "escape", "escape")
        await it.until(lambda: it.app.screen is it.app.train)


async def test_without_a_sample_or_a_model_there_are_words(tmp_path: Path) -> None:
    async with stage(tmp_path / "runs") as it:
        await it.pilot.press("i")
        await it.until(lambda: "no sample yet to look into" in it.news)
        await it.pilot.press("s")
        await it.until(lambda: isinstance(it.app.screen, SampleScreen) and bool(it.app.screen.query(Static)))
        await _every_key(it)
        assert "no model yet" in said(panels(it.app.screen)[0])  # type: ignore[arg-type]


async def _every_key(it: Stage) -> None:
    await it.pilot.press("tab", "tab", "tab", "tab", "tab", "tab", "i")
    await it.pilot.press("j", "l", "a", "o", "left_square_bracket", "right_square_bracket", "enter", "u", "r")
    await it.pilot.pause()
