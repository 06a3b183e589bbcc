"""What a run keeps of itself: the best checkpoint, how far it is, its journal entry, its scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
from small_training import record_all, resumed_run, small_config, small_run

from femtotui.core.commands import Steering, Stop
from femtotui.core.errors import CheckpointError, RunError
from femtotui.core.events import EvalDone, SampleDone, ScoreDone
from femtotui.core.run_folder.entry import (
    MAX_NOTE_BYTES,
    code,
    duration,
    entry_markdown,
    gather_entry,
    read_note,
    write_note,
)
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.info import read_progress
from femtotui.core.run_folder.logs import read_history
from femtotui.core.run_folder.recorder import record
from femtotui.core.training.training import Training


class Examiner:
    """Gives the step as the score, after as many looks as it was told."""

    name = "steps"

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        yield None
        yield ScoreDone(
            step=training.step,
            evaluator=self.name,
            score=training.step / 100,
            unit="share",
            verdict="success",
            summary=f"at step {training.step}",
            details={"val_loss": val_loss},
            thorough=thorough,
        )


def evaluated(step: int, val_loss: float) -> EvalDone:
    return EvalDone(step=step, val_loss=val_loss, train_loss=1.0, elapsed_s=1.0)


def saved_steps(run: RunFolder) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in run.checkpoint_paths()]


def keep(tmp_path: Path, **settings: float) -> RunFolder:
    """Six checkpoints, the second of which is the best."""
    run, training = small_run(tmp_path, small_config(**settings))
    for step, val_loss in enumerate((2.0, 1.1, 1.5, 1.6, 1.7, 1.8), start=1):
        run.append(evaluated(step, val_loss))
        run.save(training.tensors(), step, 0.0)
    return run


def test_the_last_few_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    run = keep(tmp_path)
    assert saved_steps(run) == [6, 5, 4, 2]
    assert run.best_checkpoint() == run.find_checkpoint("2") == run.find_checkpoint("best")
    assert run.find_checkpoint("latest").name == "step-6.safetensors"
    with pytest.raises(CheckpointError, match=r"no checkpoint `3`.*steps 2, 4, 5, 6"):
        run.find_checkpoint("3")


def test_how_many_checkpoints_are_kept_is_a_setting(tmp_path: Path) -> None:
    assert saved_steps(keep(tmp_path, keep_checkpoints=1, keep_best=False)) == [6]


def test_a_score_at_every_few_evaluations_and_a_thorough_one_at_the_end(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(12, eval_every=2, score_every=4))
    events = list(record(run, training, SimpleQueue(), evaluator=Examiner()))
    scores = [(e.step, e.thorough) for e in events if isinstance(e, ScoreDone)]
    assert scores == [(4, False), (8, False), (12, True)]
    entry = gather_entry(run.path)
    assert (entry.verdict, entry.state, entry.score.step) == ("success", "finished", 12)
    assert "(success)" in entry_markdown(entry).splitlines()[0]
    again, resumed = resumed_run(run.path)
    events = list(record(again, resumed, SimpleQueue(), evaluator=Examiner()))
    assert not any(isinstance(event, ScoreDone) for event in events)  # it is judged already


def test_a_stop_does_not_wait_for_a_score(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(12, eval_every=2, score_every=2))
    commands: SimpleQueue[Steering] = SimpleQueue()
    events = []
    for event in record(run, training, commands, evaluator=Examiner()):
        events.append(event)
        if isinstance(event, EvalDone):
            commands.put(Stop())
    assert not any(isinstance(event, ScoreDone) for event in events)
    assert gather_entry(run.path).state == "stopped"


def test_progress_adds_up_over_sittings(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(6))
    record_all(run, training, Stop())
    again, resumed = resumed_run(run.path)
    record_all(again, resumed)
    progress = read_progress(run.path)
    assert (progress.state, progress.step, progress.sittings) == ("finished", 6, 2)
    third, finished = resumed_run(run.path)
    record_all(third, finished)
    after = read_progress(run.path)
    assert after.sittings == 3
    assert after.wall_s > progress.wall_s
    assert after.elapsed_s == pytest.approx(progress.elapsed_s)


def test_an_entry_says_what_the_journal_would(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(6))
    events = record_all(run, training)
    write_note(run.path, "it learns; `twice`\n\n- even this")
    text = entry_markdown(gather_entry(run.path))
    assert text.startswith("# small. Training a small one (not judged)\n\n- run: ")
    for words in (
        f"- tokenizer: char, {training.tokenizer.vocab_size} tokens",
        f"embedding degree: 8, num layers: 1, num heads: 2 ({training.n_parameters:,} params)",
        "base_lr: 0.01, min_lr: 0.00001, warmup_steps: 2, decay_steps: 4",
        f"- step: 6 of 6, loss: {events[-1].train_loss:.4f}, validation: {events[-1].val_loss:.4f}",
        "of training, 0m 0s by the clock",
        f"sha256 {training.source.sha256}",
        "- data, note: a stand-in",
        "A sample at step 6:",
        "it learns; `twice`",
    ):
        assert words in text, words
    assert (run.path / "entry.md").read_text().startswith("# small. Training a small one (not judged)")


def test_the_entry_is_true_at_the_checkpoint_and_not_beyond(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(50, eval_every=1000))
    stream = record(run, training, SimpleQueue())
    for event in stream:
        if event.__class__.__name__ == "StepDone" and event.step == 30:
            break
    stream.close()  # as if the process had been killed here
    entry = gather_entry(run.path)
    assert (entry.state, entry.step, entry.loss) == ("not saved", 0, None)
    assert "nothing saved yet" in entry_markdown(entry)


def test_a_sample_can_do_nothing_to_markdown_or_a_terminal(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    record_all(run, training)
    run.append(SampleDone(step=6, prompt="\n", text="```\n# no heading\x1b[2J\n<b>", seed=0))
    text = entry_markdown(gather_entry(run.path))
    assert "    ```\n    # no heading\\x1b[2J\n    <b>" in text


def test_history_gives_back_what_was_said(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(8, eval_every=4))
    said = [e for e in record_all(run, training) if e.__class__.__name__ in {"StepDone", "EvalDone"}]
    read = list(read_history(run.path, 8))
    assert [(type(e), e.step) for e in read] == [(type(e), e.step) for e in said]
    assert [e.loss for e in read if hasattr(e, "loss")] == [e.loss for e in said if hasattr(e, "loss")]
    with (run.path / "metrics.csv").open("a") as file:
        file.write("rubbish\n9,1,1,1,1,1,1\n10,1,1")
    assert max(e.step for e in read_history(run.path, 100)) == 9
    assert max(e.step for e in read_history(run.path, 3)) == 3


def test_a_note_comes_back_and_cannot_be_endless(tmp_path: Path) -> None:
    assert read_note(tmp_path) == ""
    write_note(tmp_path, "  grün\n")
    assert read_note(tmp_path) == "grün"
    with pytest.raises(RunError, match="a note has at most"):
        write_note(tmp_path, "x" * (MAX_NOTE_BYTES + 1))
    assert read_note(tmp_path) == "grün"


def test_a_newer_format_is_refused_politely(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    record_all(run, training)
    path = run.path / "progress.json"
    path.write_bytes(msgspec.json.encode({"format": 99, "later": True}))
    with pytest.raises(RunError, match="written by a newer femtotui"):
        read_progress(run.path)


def test_a_run_json_of_another_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    record_all(run, training)
    run.require_own_checkpoint()
    path = run.path / "run.json"
    path.write_text(path.read_text().replace('"width": 8', '"width": 4096'))
    with pytest.raises(RunError, match="does not belong to step-6"):
        RunFolder.open(run.path).require_own_checkpoint()


def test_durations_and_code_spans() -> None:
    assert [duration(s) for s in (0, 136.9, 3725)] == ["0m 0s", "2m 16s", "1h 02m 05s"]
    assert code("a `b` c") == "``a `b` c``"
