"""The sampling screen under Pilot: writing, branching, reading, winding, comparing, taking away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_checkpoint import saved_run
from stage import Stage, stage, training
from textual.widgets import Input, Static

from femtotui.core.events import SampleDone
from femtotui.sampling.branches import BranchList
from femtotui.sampling.fields import Prompt, SamplingFields, UserText, completed_model
from femtotui.sampling.sample_screen import SampleScreen
from femtotui.tokens.alternatives import NextToken
from femtotui.tokens.token_view import TokenView


class Studio:
    """The screen, and what a test wants to see of it."""

    def __init__(self, it: Stage) -> None:
        self.it = it
        assert isinstance(it.app.screen, SampleScreen)
        self.screen = it.app.screen

    @property
    def tokens(self) -> TokenView:
        return self.screen.query_one("#sampling-tokens", TokenView)

    @property
    def trouble(self) -> str:
        line = self.screen.query_one("#sampling-trouble", Static)
        return str(line.render()) if line.display else ""

    @property
    def text(self) -> bytes:
        return b"".join(token.bytes for token in self.tokens.tokens)

    def shown(self) -> list[str]:
        panel = self.screen.query_one(NextToken)
        return [panel.render_line(y).text.rstrip() for y in range(panel.content_size.height)]

    async def press(self, *keys: str) -> None:
        await self.it.pilot.press(*keys)
        await self.it.pilot.pause()

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.it.until(condition)


@asynccontextmanager
async def studio(tmp_path: Path, key: str = "2", **more: Any) -> AsyncIterator[Studio]:
    """The screen with a first sample written, the keys on its tokens."""
    async with stage(tmp_path / "runs", key=key, **more) as it:
        await it.until(lambda: "training" in it.header())
        await it.playing(3)
        await it.pilot.press("s", "enter")
        await it.until(lambda: isinstance(it.app.screen, SampleScreen))
        that = Studio(it)
        await it.until(lambda: len(that.tokens.tokens) == 100)
        await that.press("escape")
        yield that


async def test_a_branch_goes_on_from_the_chosen_alternative_and_undo_comes_back(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        first = it.text
        await it.press("right", "right", "right", "enter")
        assert it.screen.query_one(NextToken).has_focus and it.tokens.cursor == 2
        await it.press("down", "down", "enter")
        await it.until(lambda: len(it.tokens.tokens) == 100 and it.text != first)
        second = it.text
        assert second[:2] == first[:2] and second[2] != first[2] and it.tokens.cursor == 2
        tree = it.screen.query_one(BranchList)
        await it.until(lambda: tree.display and tree.option_count == 2)
        await it.press("u")
        assert it.text == first
        await it.press("r")
        assert it.text == second
        tree.focus()
        await it.press("up", "enter")
        assert it.text == first


async def test_moving_a_setting_reshapes_the_bars_at_once(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        kept = [row for row in it.shown() if row.endswith("%")]
        assert 0 < len(kept) < len(it.shown())
        await it.press("less_than_sign")
        assert it.screen.query_one(SamplingFields).request.sampling.top_k == 0, "less than no cut is no cut"
        await it.press("greater_than_sign")
        assert it.screen.query_one(SamplingFields).request.sampling.top_k == 1
        assert sum(row.endswith("100.0%") for row in it.shown()) == 1
        await it.press("comma", "plus")
        settings = it.screen.query_one(SamplingFields).request.sampling
        assert (settings.top_p, settings.temperature) == (0.45, 1.1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("temperature", "-1", "temperature must be from 0"),
        ("temperature", "hot", "must be a number"),
        ("top-p", "0", "top-p must be above 0"),
        ("top-p", "1.5", "top-p must be above 0"),
        ("top-k", "-3", "top-k must be 0"),
        ("top-k", "x", "must be a whole number"),
        ("tokens", "0", "tokens must be from 1"),
        ("seed", "-1", "seed must be from 0"),
    ],
)
async def test_what_cannot_be_is_said_at_the_field_and_changes_nothing(
    tmp_path: Path, field: str, value: str, said: str
) -> None:
    async with studio(tmp_path) as it:
        before, asked = it.text, it.screen.query_one(SamplingFields).request
        entry = it.screen.query_one(SamplingFields).field(field)
        entry.value = value
        await it.until(lambda: said in it.trouble)
        assert entry.has_class("-invalid") and it.screen.query_one(SamplingFields).request == asked
        entry.focus()
        await it.press("enter")
        assert it.text == before
        entry.value = "1"
        await it.until(lambda: not it.trouble)


async def test_temperature_0_takes_the_most_probable(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        field = it.screen.query_one(SamplingFields).field("temperature")
        field.value = "0"
        field.focus()
        await it.press("enter")
        await it.until(lambda: it.text == bytes(100))  # all are alike: the first one


async def test_ones_own_text_is_read_as_it_is_typed_and_as_the_training_goes_on(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await it.press("t", *"abc")
        await it.until(lambda: it.text == b"abc")
        subtitle = str(it.tokens.border_subtitle)
        assert subtitle == "8.000 bits per byte · perplexity 256 · 3 tokens, 3 bytes"
        before = it.tokens.tokens
        it.it.trainer.step += 1
        it.it.trainer.snapshot()
        await it.until(lambda: it.tokens.tokens[0] is not before[0])
        assert it.text == b"abc"


async def test_what_is_pasted_cannot_move_the_terminals_cursor(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        await it.press("t")
        own = it.screen.query_one(UserText)
        own.insert("a\x1b[31mb\u202ec\r\nd\te")
        assert own.text == "a[31mbc\nd\te"


async def test_a_prompt_that_the_tokenizer_lacks_offers_to_leave_it_out(tmp_path: Path) -> None:
    async with studio(tmp_path, key="1") as it:
        await it.press("p", "X", "a", "Z", "enter")
        await it.until(lambda: "'X' (U+0058), 'Z' (U+005A): ctrl+l" in it.trouble)
        await it.press("ctrl+l")
        await it.until(lambda: not it.trouble and len(it.tokens.tokens) == 100)
        assert it.screen.query_one(Prompt).value == "a"


async def test_the_time_lapse_winds_through_what_was_written_before(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        timelapse = it.screen.player.timelapse
        await it.until(lambda: len(timelapse.frames) == 1)
        for step in (500, 1000):
            it.it.trainer.play(step)
            await it.until(lambda step=step: timelapse.frames[-1].step == step)  # type: ignore[misc]
        await it.press("left_square_bracket")
        await it.until(lambda: "step 1,000 · 3 of 3" in str(it.tokens.border_subtitle))
        await it.press(
            "left_square_bracket", "left_square_bracket", "left_square_bracket", "left_square_bracket"
        )
        await it.until(lambda: "step 3 · 1 of 3" in str(it.tokens.border_subtitle))
        await it.press("right_square_bracket")
        await it.until(lambda: "step 500 · 2 of 3" in str(it.tokens.border_subtitle))


async def test_a_frame_every_so_many_steps(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        timelapse = it.screen.player.timelapse
        await it.until(lambda: len(timelapse.frames) == 1)  # the one that the screen opens with
        await it.press("v", *"50", "enter")
        for step in (20, 49, 50, 70, 101):
            await it.it.playing(step)
            if step in (50, 101):
                await it.until(lambda step=step: timelapse.frames[-1].step == step)  # type: ignore[misc]
        assert [frame.step for frame in timelapse.frames[1:]] == [50, 101]
        await it.press("v", *"0x", "enter")
        await it.until(lambda: "whole number above 0" in it.trouble)


async def test_another_checkpoint_beside_it_colours_by_the_difference(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        run = saved_run(tmp_path / "runs", it.screen.reader.model.config)
        await it.press("d", *"other", "enter")
        await it.until(lambda: "there is no run" in it.trouble or "nearest" in it.trouble)
        await it.press("d", *run.path.name, "enter")
        await it.until(lambda: "beside" in str(it.tokens.border_subtitle))
        legend = it.tokens.render_line(it.tokens.scrollable_content_region.height - 1).text
        assert "this" in legend and "the other" in legend
        await it.press("right")
        assert it.shown()[0].split() == ["this", "the", "other"]
        await it.press("d", "enter")
        await it.until(lambda: "beside" not in str(it.tokens.border_subtitle))


async def test_it_is_saved_in_the_form_that_the_ending_names(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        for ending in ("txt", "json", "logprobs", "svg", "html"):
            await it.press("e")
            it.screen.query_one("#ask Input", Input).value = str(tmp_path / f"out.{ending}")
            await it.press("enter")
            await it.until((tmp_path / f"out.{ending}").exists)
        found = json.loads((tmp_path / "out.json").read_text())
        assert b"".join(bytes(token["bytes"]) for token in found["tokens"]) == it.text
        await it.press("e")
        it.screen.query_one("#ask Input", Input).value = str(tmp_path / "out.exe")
        await it.press("enter")
        await it.until(lambda: "no ending that names" in it.trouble)
        await it.press("y")
        assert len(it.it.app.clipboard) > 0


async def test_every_key_is_harmless_before_there_is_anything(tmp_path: Path) -> None:
    async with training(tmp_path / "runs") as it:
        await it.pilot.press("s", "escape")
        await it.until(lambda: not isinstance(it.app.screen, SampleScreen))
        await it.pilot.press("s", "enter", "tab", "tab", "tab", "tab", "tab", "tab", "tab")
        for key in (
            "u",
            "r",
            "left_square_bracket",
            "y",
            "Y",
            "enter",
            "minus",
            "comma",
            "up",
            "question_mark",
        ):
            await it.pilot.press(key)
        assert it.app.is_running


async def test_two_saved_models_beside_each_other_and_back_to_the_run(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        config = it.screen.reader.model.config
        one = saved_run(tmp_path / "runs", config, steps=(3, 7))
        saved_run(tmp_path / "runs", config, steps=(9,))
        alone = it.text
        await it.press("d")
        entry = it.screen.query_one("#ask Input", Input)
        entry.value = f"{one.path.name}/checkpoints/step-3.safetensors vs {one.path.name[:-2]}"
        await it.until(lambda: (entry._suggestion or "").endswith(one.path.name))
        await it.press("end", "right", "enter")
        await it.until(lambda: "beside" in str(it.tokens.border_subtitle))
        head = str(it.screen.query_one("#sampling-head", Static).render())
        assert "sampling from #2 very simple model 2, step 3 · beside #2 very simple model 2, step 7" in head
        assert it.text != alone, "the pinned model writes"
        it.it.trainer.step += 1
        it.it.trainer.snapshot()
        await it.press("t", *"ab")
        await it.until(lambda: it.text == b"ab" and "beside" in str(it.tokens.border_subtitle))
        await it.press("escape", "d", "enter")
        await it.until(
            lambda: str(it.tokens.border_subtitle).startswith("8.000 bits per byte · perplexity 256")
        )
        assert "beside" not in str(it.screen.query_one("#sampling-head", Static).render())


def test_a_name_is_completed_to_the_newest_that_begins_so(tmp_path: Path) -> None:
    for name in ("20260101-2-a", "20260102-2-b"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    for step in (90, 100):
        (tmp_path / "20260101-2-a" / "checkpoints" / f"step-{step}.safetensors").touch()
    newest = "20260101-2-a/checkpoints/step-100.safetensors"
    for typed, completed in (
        ("2026", "20260102-2-b"),
        ("20260101-2-a/c", "20260101-2-a/checkpoints/"),
        ("20260101-2-a/checkpoints/", newest),
        ("20260101-2-a/checkpoints/step-9", "20260101-2-a/checkpoints/step-90.safetensors"),
        ("20260102-2-b vs 20260101-2-a/checkpoints/s", f"20260102-2-b vs {newest}"),
        (f"{tmp_path}/20260102", f"{tmp_path}/20260102-2-b"),
        ("", None),
        ("nothing", None),
        ("no/such/folder/", None),
        ("zero\0byte/", None),
    ):
        assert completed_model(tmp_path, typed) == completed


async def test_the_time_lapse_goes_back_to_what_an_earlier_session_wrote(tmp_path: Path) -> None:
    async with studio(tmp_path) as it:
        samples = Path(it.screen.actions.current.state.run) / "samples.jsonl"
        lines = [SampleDone(step=step, prompt="\n", text=f"at {step}\x1b", seed=0) for step in (1, 2)]
        lines.append(SampleDone(step=2, prompt="other", text="x", seed=0))
        samples.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + b"torn")
        await it.until(lambda: bool(it.screen.player.timelapse.frames))
        await it.press("left_square_bracket", "left_square_bracket")
        kept = "step 2 · 2 of 3 · as the run kept it, without its probabilities"
        await it.until(lambda: str(it.tokens.border_subtitle) == kept)
        assert it.tokens.render_line(1).text.startswith("at·2␛")
        await it.press("left_square_bracket", "left_square_bracket")
        await it.until(lambda: "step 1 · 1 of 3" in str(it.tokens.border_subtitle))
        await it.press("right_square_bracket", "right_square_bracket")
        await it.until(lambda: "step 3 · 3 of 3 · 8.000 bits per byte" in str(it.tokens.border_subtitle))
