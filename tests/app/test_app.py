"""The app under Pilot: training, steering, sampling, leaving."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from stage import Stage, stage, training

from femtotui.chart.loss_chart import LossChart
from femtotui.core.commands import Pause, Resume, SaveCheckpoint, Snapshot
from femtotui.core.events import RunFailed, RunFinished
from femtotui.core.sampling.sampler import SampledToken
from femtotui.runs.state import Status
from femtotui.sampling.fields import Prompt
from femtotui.sampling.models import LiveModel, continuation
from femtotui.sampling.sample_pane import SamplePane
from femtotui.tokens.token_view import TokenView
from femtotui.train.header import Notice
from femtotui.train.preset_list import PresetList
from femtotui.trainer.protocol import Start


async def test_it_opens_training_the_preset_it_was_asked_for(runs: Path) -> None:
    async with training(runs) as it:
        assert it.sent(Start) == 1 and len(it.fleet.trainers) == 1
        assert "#2 very simple model 2 · modern · 232,320 parameters · byte · simple_dummy" in it.header()
        assert "seed 0" in it.news


async def test_panels_and_chart_follow_the_steps(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(150)
        assert it.panel("step")[1].startswith("of ")
        assert it.panel("loss")[0] != "–" and it.panel("loss")[1].startswith("val ")
        assert it.panel("elapsed") == ("0m 02s", "0m 04s left")
        assert it.panel("ram")[0].endswith("MiB") and it.panel("ram")[1].startswith("peak ")
        assert it.panel("speed") == ("16.9 ms/step", "121k tok/s")
        early = it.app.train.query_one(LossChart).model.latest_smoothed
        await it.playing(600)
        assert it.app.train.query_one(LossChart).model.latest_smoothed < early


async def test_the_screen_is_refreshed_a_few_times_a_second_whatever_comes(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with training(runs) as it:
        takes = 0
        take = it.manager.collect

        def counted() -> object:
            nonlocal takes
            takes += 1
            return take()

        monkeypatch.setattr(it.manager, "collect", counted)
        began = time.monotonic()
        for step in range(1, 60):
            it.trainer.play(step)
            await it.pilot.pause(0.01)
        await it.until(lambda: it.panel("step")[0] == "59")
        assert takes <= (time.monotonic() - began) / 0.2 + 2


async def test_space_pauses_and_goes_on(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(10)
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        assert it.sent(Pause) == 1 and "paused at step 10" in it.news
        await it.pilot.press("space")
        await it.until(lambda: "training" in it.header())
        assert it.sent(Resume) == 1


async def test_c_saves_a_checkpoint(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(7)
        await it.pilot.press("c")
        await it.until(lambda: it.sent(SaveCheckpoint) == 1 and it.news == "step 7 is saved")


async def test_arrows_and_enter_switch_presets_and_back(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(12)
        first = it.trainer
        await it.pilot.press("down", "enter")
        await it.until(lambda: "#3 " in it.header() and "training" in it.header())
        await it.until(lambda: first.closed)
        assert "#2 very simple model 2 is saved" in it.news
        assert it.panel("step")[0] == "0"
        await it.playing(4)
        await it.pilot.press("up", "enter")
        await it.until(lambda: "#2 " in it.header() and "training" in it.header())
        assert "parked run from step 12" in it.news and it.panel("step")[0] == "12"
        await it.playing(20)


async def test_digits_and_a_click_point_and_enter_or_a_double_click_train(runs: Path) -> None:
    async with training(runs) as it:
        presets = it.app.train.query_one(PresetList)
        await it.pilot.press("1", "0")
        assert presets.highlighted_key == "10" and presets.has_focus and "#2 " in it.header()
        await it.pilot.click(presets, offset=(4, 9))
        assert presets.highlighted_key == "9" and "#2 " in it.header()
        await it.until(lambda: "#9 very simple model 4" in it.news)
        await it.pilot.click(presets, offset=(4, 9), times=2)
        await it.until(lambda: "#9 " in it.header())
        await it.pilot.press("1", "0", "enter")
        await it.until(lambda: "#10 " in it.header())
        await it.pilot.press("0")
        await it.until(lambda: "no preset 0" in it.news)


async def test_digits_unfold_the_list_where_it_is_folded_away(runs: Path) -> None:
    async with stage(runs, size=(80, 24)) as it:
        await it.until(lambda: "training" in it.header())
        presets = it.app.train.query_one(PresetList)
        assert not presets.display or not presets.region.width
        await it.pilot.press("9")
        await it.until(lambda: presets.has_focus and presets.highlighted_key == "9")
        await it.pilot.press("enter")
        await it.until(lambda: "#9 " in it.header())


async def test_n_starts_a_new_run_with_a_new_seed(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(5)
        await it.pilot.press("n")
        await it.until(lambda: it.panel("step")[0] == "0")
        start = it.trainer.commands[0]
        assert isinstance(start, Start) and start.config.train.seed == 1 and "seed 1" in it.news


async def test_a_sample_is_drawn_by_itself_and_at_once_on_enter(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(3)
        tokens = it.app.train.query_one(TokenView)
        await it.until(lambda: len(tokens.tokens) > 100)
        await it.pilot.press("s", *"ab", "enter")
        asked = it.app.screen.query_one("#sampling-tokens", TokenView)
        await it.until(lambda: len(asked.tokens) == 100)
        assert it.app.screen.query_one(Prompt).value == "ab"
        await it.pilot.press("escape", "escape")
        assert it.app.screen is it.app.train


async def test_it_samples_while_paused_and_after_the_trainer_is_gone(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(3)
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        it.trainer.exit(1, "out of memory")
        await it.until(lambda: "failed" in it.header())
        tokens = it.app.train.query_one(TokenView)
        await it.until(lambda: len(tokens.tokens) > 100)
        await it.pilot.press("s", "enter")
        asked = it.app.screen.query_one("#sampling-tokens", TokenView)
        await it.until(lambda: len(asked.tokens) == 100)


def drawn(it: Stage, samples: int) -> bool:
    """Whether so many samples were asked for, and are complete."""
    frames = it.app.train.query_one(SamplePane).timelapse.frames
    return it.sent(Snapshot) >= samples and len(frames) >= samples


async def test_samples_are_drawn_every_few_seconds_of_training(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("femtotui.sampling.stream.BUSY_SHARE", 1.0)
    async with training(runs) as it:
        for step, samples in ((3, 1), (40, 1), (80, 2), (120, 2), (180, 3), (600, 4), (700, 4), (900, 5)):
            await it.playing(step)
            await it.until(partial(drawn, it, samples))
            assert it.sent(Snapshot) == samples, f"at step {step}, {step * 0.0169:.1f} s"


async def test_a_slow_sample_is_finished_before_the_next_begins(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def slowly(*arguments: Any) -> Iterator[SampledToken]:
        tokens = continuation(*arguments)
        yield next(tokens)
        may_go_on.wait(30)
        yield from islice(tokens, 20)

    monkeypatch.setattr("femtotui.sampling.models.continuation", slowly)
    monkeypatch.setattr("femtotui.sampling.stream.BUSY_SHARE", 1.0)
    async with training(runs) as it:
        pane, tokens = it.app.train.query_one(SamplePane), it.app.train.query_one(TokenView)
        await it.playing(3)
        await it.until(lambda: len(tokens.tokens) == 1)  # a run's first sample is shown as it comes
        for step in (400, 800, 1200):
            await it.playing(step)
        assert it.sent(Snapshot) == 1
        may_go_on.set()
        await it.until(lambda: len(tokens.tokens) == 21 and not pane.is_drawing)
        await it.playing(1201)
        await it.until(partial(drawn, it, 2))


async def test_parameters_that_were_sampled_from_are_let_go_of(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("femtotui.sampling.stream.BUSY_SHARE", 1.0)

    def models() -> int:
        return sum(type(thing) is LiveModel for thing in gc.get_objects())

    async with training(runs) as it:
        gc.collect()
        before = models()
        gc.disable()  # what stands in a circle stays
        try:
            for n, step in enumerate((3, 400, 800, 1200), start=1):
                await it.playing(step)
                await it.until(partial(drawn, it, n))
            assert models() == before + 1
        finally:
            gc.enable()


async def test_a_prompt_the_tokenizer_lacks_is_refused_at_the_place(runs: Path) -> None:
    async with stage(runs, key="1") as it:
        await it.until(lambda: "training" in it.header())
        await it.playing(3)
        await it.pilot.press("s", "X", "enter")
        trouble = it.app.screen.query_one("#sampling-trouble")
        await it.until(lambda: trouble.display)
        assert "X" in str(trouble.render())
        await it.pilot.press("backspace", "a", "enter")
        tokens = it.app.screen.query_one("#sampling-tokens", TokenView)
        await it.until(lambda: not trouble.display and len(tokens.tokens) == 100)


async def test_a_failure_is_told_in_words_and_r_resumes(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(30)
        it.trainer.save()
        failed = RunFailed(step=30, title="Training diverged", message="try less", run=str(runs / "run-2"))
        it.trainer.say(failed)
        it.trainer.exit(1, "")
        await it.until(lambda: "failed" in it.header())
        notice = it.app.train.query_one(Notice)
        assert notice.display and "Training diverged: try less" in str(notice.render())
        assert it.panel("step")[0] == "30"
        await it.pilot.press("r")
        await it.until(lambda: "training" in it.header())
        assert not notice.display
        await it.playing(40)


async def test_a_stand_in_is_said_plainly(runs: Path) -> None:
    async with stage(runs) as it:
        it.trainer.notes = ("This is the standard library, not your own Rust.",)
        await it.pilot.press("n")
        await it.until(lambda: "training" in it.header())
        it.trainer.notes = ("a stand-in for your own Rust",)
        it.trainer.send(it.trainer.commands[0])
        await it.until(lambda: it.app.train.query_one(Notice).display)
        assert "a stand-in" in str(it.app.train.query_one(Notice).render())


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_saves_first(runs: Path, key: str) -> None:
    async with training(runs) as it:
        await it.playing(5)
        await it.pilot.press("down", "enter")
        await it.until(lambda: "#3 " in it.header())
        await it.pilot.press(key)
        await it.until(lambda: not it.app.is_running)
        assert all(trainer.closed for trainer in it.fleet.trainers)
        assert it.app.return_code == 0
        it.manager.collect()
        assert {place.state.status for place in it.manager.handles.values()} == {Status.PARKED}


async def test_ctrl_c_leaves_from_the_prompt_and_from_help_too(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("s", "question_mark", "escape", "question_mark", "ctrl+c")
        await it.until(lambda: not it.app.is_running)
        assert it.trainer.closed


async def test_every_key_at_every_moment_is_harmless(runs: Path) -> None:
    keys = ["l", "x", "plus", "minus", "c", "r", "p", "p", "s", "escape", "tab", "question_mark", "escape"]
    async with stage(runs) as it:
        await it.pilot.press(*keys)
        await it.until(lambda: it.manager.current is not None)
        await it.playing(20)
        await it.pilot.press(*keys)
        it.trainer.exit(1, "gone")
        await it.until(lambda: "failed" in it.header())
        await it.pilot.press(*(key for key in keys if key != "r"))
        assert it.app.is_running


async def test_the_end_says_what_was_learnt_and_what_to_do_next(runs: Path) -> None:
    async with training(runs) as it:
        await it.playing(20)
        it.trainer.say(
            RunFinished(
                step=20,
                train_loss=1.3,
                val_loss=1.3,
                elapsed_s=9.0,
                peak_rss_mib=99.0,
                parameters=232_320,
                run=str(runs / "run-2"),
                reason="finished",
            )
        )
        notice = it.app.train.query_one(Notice)
        await it.until(lambda: "Finished after" in str(notice.render()))
        assert "s try a prompt" in str(notice.render()) and notice.has_class("-finished")
        await it.pilot.press("n")
        await it.until(lambda: not notice.display or "Finished" not in str(notice.render()))


async def test_the_first_points_are_drawn_at_once(runs: Path) -> None:
    async with training(runs) as it:
        it.trainer.play(3)
        chart = it.app.train.query_one(LossChart)
        await it.until(lambda: it.panel("step")[0] == "3")
        assert len(chart.model.series) == 3
