"""The task's score on the Train screen: a curve that grows, that a resumption cuts, and that is inert."""

from __future__ import annotations

from pathlib import Path

from fake_trainer import run_started
from stage import Stage, training

from femtotui.core.events import ScoreDone
from femtotui.train.panels import ScoreLine


def score(
    step: int, share: float, *, summary: str = "of the words obey", thorough: bool = False
) -> ScoreDone:
    return ScoreDone(
        step=step, evaluator="e", score=share, unit="share", verdict="success" if thorough else "fail",
        summary=f"{share:.0%} {summary}", details={}, thorough=thorough,
    )  # fmt: skip


def line(it: Stage) -> str:
    found = it.app.train.query_one(ScoreLine)
    return found.render_line(0).text.strip() if found.display else ""


async def test_the_curve_appears_with_the_first_score_and_grows(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        await it.playing(100)
        assert line(it) == ""
        it.trainer.say(score(50, 0.0), score(100, 0.5))
        await it.until(lambda: line(it) == "task score ▁▅ 50% of the words obey · step 100, a quick look")
        it.trainer.say(score(150, 1.0, thorough=True))
        await it.until(lambda: line(it) == "task score ▁▅█ 100% of the words obey · step 150")


async def test_a_run_resumed_from_an_earlier_step_forgets_what_came_after_it(tmp_path: Path) -> None:
    async with training(tmp_path) as it:
        it.trainer.say(score(50, 0.25), score(100, 0.5))
        await it.until(lambda: "step 100" in line(it))
        it.trainer.say(run_started(it.manager.current.config, str(tmp_path), step=60))
        await it.until(lambda: "step 50" in line(it))


async def test_whatever_the_summary_holds_it_stays_one_inert_line(tmp_path: Path) -> None:
    async with training(tmp_path, size=(80, 24)) as it:
        it.trainer.say(score(50, 0.25, summary="[bold]\x1b[2J\n漢字" * 20))
        await it.until(lambda: "25%" in line(it))
        shown = it.app.train.query_one(ScoreLine).render_line(0)
        assert shown.cell_length <= 80 and shown.text.isprintable() and "[bold]␛[2J" in shown.text
