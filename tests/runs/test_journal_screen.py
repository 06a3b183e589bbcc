"""The journal screen: the run's own entry beside the original, a note that is kept, text that is inert."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import small_config, train_to_the_end
from stage import Stage, stage, training
from textual.widgets import Static, TextArea

from femtotui.core.events import ScoreDone
from femtotui.core.run_folder.entry import read_note
from femtotui.core.run_folder.folder import RunFolder
from femtotui.runs import journal_screen as journal_module
from femtotui.runs.journal_screen import JournalScreen
from femtotui.text.formats import score_bars, score_curve
from femtotui.trainer.session import prepare


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run, finished."""
    session = prepare(small_config("modern", "byte", steps=40), tmp_path_factory.mktemp("runs"))
    train_to_the_end(session)
    return session.run.path


async def opened(it: Stage, run: Path) -> JournalScreen:
    preset = it.app.train.presets["10"]
    screen = JournalScreen(run, preset)
    it.app.push_screen(screen)
    await it.until(lambda: "Training" in shown(screen))
    return screen


def shown(screen: JournalScreen) -> str:
    return str(screen.query_one("#journal-entry", Static).render()) if screen.is_mounted else ""


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_the_entry_stands_beside_the_original(tmp_path: Path, run: Path, size: tuple[int, int]) -> None:
    async with stage(tmp_path, size=size) as it:
        text = shown(await opened(it, run))
        assert "10. Training very simple model 5 (fail)" in text
        for words in ("parameters", "40 of 40", "528", "1.5303", "Intel Core Ultra 7"):
            assert words in text, words
        assert "sampled" in text
        assert "score, simple_dummy" in text
        note = it.app.screen.query_one(TextArea)  # one sees what one types, however small the terminal is
        assert it.app.screen.region.contains_region(note.region)
        await it.until(lambda: note.has_focus)


async def test_a_note_is_kept_when_the_screen_is_left(tmp_path: Path, run: Path) -> None:
    async with stage(tmp_path) as it:
        await opened(it, run)
        await it.pilot.press(*"it works q", "escape")
        await it.until(lambda: not isinstance(it.app.screen, JournalScreen))
    assert read_note(run) == "it works q"
    assert "it works q" in (run / "entry.md").read_text()


async def test_a_note_that_cannot_be_kept_is_not_thrown_away_unasked(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_run: Path, _note: str) -> None:
        raise journal_module.FemtoError("the disk is full")

    monkeypatch.setattr(journal_module, "save_note", refuse)
    async with stage(tmp_path) as it:
        screen = await opened(it, run)
        screen.query_one(TextArea).load_text("something new")
        await it.pilot.press("escape")
        assert it.app.screen is screen
        assert screen.query_one(TextArea).text == "something new"
        await it.pilot.press("escape")
        await it.until(lambda: it.app.screen is not screen)


async def test_j_opens_it_and_says_what_is_damaged(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        await it.pilot.press("j")
        await it.until(lambda: isinstance(it.app.screen, JournalScreen))
        screen = it.app.screen
        await it.until(lambda: "is not a run folder" in shown(screen))


async def test_markup_and_escapes_of_a_run_are_text(tmp_path: Path, run: Path) -> None:
    folder = RunFolder.open(run)
    hostile = "[bold]x[/] \x1b[2J [/nothing]"
    folder.append(
        ScoreDone(
            step=40, evaluator=hostile, score=0.5, unit="share", verdict="fail",
            summary=hostile, details={}, thorough=True,
        )
    )  # fmt: skip
    async with stage(tmp_path) as it:
        text = shown(await opened(it, run))
        assert "[bold]x[/]" in text
        assert "\x1b" not in text


def scores(*values: float, unit: str = "share") -> list[ScoreDone]:
    return [
        ScoreDone(
            step=step, evaluator="e", score=value, unit=unit, verdict="fail",
            summary="", details={}, thorough=False,
        )
        for step, value in enumerate(values)
    ]  # fmt: skip


def test_the_score_as_a_curve() -> None:
    assert score_curve([], 40) == ""
    assert score_curve(scores(0.0, 0.5, 1.0), 40) == "▁▅█ 100.0%"
    assert score_curve(scores(4.0, 3.0, 2.0, unit="bits a byte"), 40) == "█▅▁ 2.000 bits per byte"
    assert score_curve(scores(*[0.5] * 100), 20) == "▅" * 14 + " 50.0%"


def test_a_long_curve_is_thinned_out_and_ends_with_the_last() -> None:
    rising = scores(*(step / 99 for step in range(100)))
    assert score_bars(rising, 8) == "▁▂▃▄▅▆▇█"
    assert score_bars(rising, 1) == "█"
    assert len(score_bars(rising, 99)) == 99
    assert score_bars(rising, 0) == score_bars([], 8) == ""
