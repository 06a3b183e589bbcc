"""record(): the order of events, obedience to commands, and a folder that is always fit to go on from."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from small_training import record_all, record_doing, resumed_run, rows, small_config, small_run

from femtotui.core.commands import Pause, Resume, SaveCheckpoint, SetLearningRate, Snapshot, Steering, Stop
from femtotui.core.errors import ConfigError, DivergedError
from femtotui.core.events import (
    CheckpointSaved,
    EvalDone,
    Paused,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    SampleDone,
    SavingFailed,
    StepDone,
)
from femtotui.core.run_folder.recorder import record
from femtotui.core.training.training import Training


def kinds(events: list) -> list[type]:
    """What was said, in order. Samples go with every checkpoint and have a test of their own."""
    return [type(event) for event in events if not isinstance(event, SampleDone)]


def steps_of(events: list) -> list[int]:
    return [event.step for event in events if isinstance(event, StepDone)]


def test_a_whole_run_from_its_start_to_its_end(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(6, eval_every=4))
    events = record_all(run, training)
    assert kinds(events) == [
        RunStarted,
        *[StepDone] * 4,
        EvalDone,
        *[StepDone] * 2,
        EvalDone,
        CheckpointSaved,
        RunFinished,
    ]
    started, finished = events[0], events[-1]
    assert not started.resumed
    assert started.notes == ("a stand-in",)
    assert started.data_sha256 == training.source.sha256
    assert started.parameters == training.n_parameters
    assert (finished.reason, finished.step, finished.run) == ("finished", 6, str(run.path))
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert finished.train_loss == pytest.approx(np.mean(losses))
    last_eval = next(event for event in reversed(events) if isinstance(event, EvalDone))
    assert finished.val_loss == last_eval.val_loss
    assert finished.peak_rss_mib > 10


def test_the_folder_says_what_the_events_said(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    events = record_all(run, training)
    said = [(event.step, event.loss, event.lr) for event in events if isinstance(event, StepDone)]
    written = [(int(row[0]), float(row[1]), float(row[2])) for row in rows(run.path / "metrics.csv")]
    assert written == said
    evaluated = [(event.step, event.val_loss) for event in events if isinstance(event, EvalDone)]
    assert [(int(row[0]), float(row[1])) for row in rows(run.path / "evals.csv")] == evaluated


def test_stop_saves_and_ends(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    events = record_doing(run, training, {2: Stop()})
    assert steps_of(events) == [1, 2]
    assert kinds(events)[-3:] == [CheckpointSaved, EvalDone, RunFinished]
    assert events[-1].reason == "stopped"
    assert run.checkpoint_paths()[0].name == "step-2.safetensors"


def test_stop_before_the_first_step_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    events = record_all(run, training, Stop())
    assert kinds(events) == [RunStarted, CheckpointSaved, EvalDone, RunFinished]
    again, resumed = resumed_run(run.path)
    assert steps_of(record_all(again, resumed)) == [1, 2, 3, 4, 5, 6]


def test_an_evaluation_that_is_due_comes_before_a_stop(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(8, eval_every=2))
    events = record_doing(run, training, {2: Stop()})
    assert kinds(events) == [RunStarted, StepDone, StepDone, EvalDone, CheckpointSaved, RunFinished]


def test_pause_saves_waits_and_goes_on_when_told(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    events = record_all(run, training, Pause(), Pause(), Resume(), Resume())
    assert kinds(events)[:5] == [RunStarted, CheckpointSaved, Paused, Resumed, StepDone]
    assert kinds(events).count(Paused) == kinds(events).count(Resumed) == 1
    assert events[-1].reason == "finished"


def test_a_pause_does_not_count_as_training_time(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    commands: SimpleQueue[Steering] = SimpleQueue()
    commands.put(Pause())
    stream = record(run, training, commands)
    for event in stream:
        if isinstance(event, Paused):
            time.sleep(0.5)
            commands.put(Resume())
        last = event
    assert isinstance(last, RunFinished)
    assert last.elapsed_s < 0.4


def test_checkpoint_snapshot_and_learning_rate(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(4, base_lr=0.01))
    commands: SimpleQueue[Steering] = SimpleQueue()
    seen: list[tuple[int, bytes]] = []

    def on_snapshot(training: Training) -> None:
        seen.append((training.step, training.parameters_P.tobytes()))

    for event in record(run, training, commands, on_snapshot=on_snapshot):
        if isinstance(event, StepDone) and event.step == 2:
            commands.put(SaveCheckpoint())
            commands.put(Snapshot())
            commands.put(SetLearningRate(base_lr=0.02))
        elif isinstance(event, StepDone) and event.step == 3:
            changed = event.lr
    assert [step for step, _ in seen] == [2]
    assert {path.name for path in run.checkpoint_paths()} == {"step-2.safetensors", "step-4.safetensors"}
    other, untouched = small_run(tmp_path, small_config(4, base_lr=0.01))
    assert changed == pytest.approx(
        2 * next(e.lr for e in record_all(other, untouched) if isinstance(e, StepDone) and e.step == 3)
    )


def test_a_learning_rate_that_cannot_be_is_refused_where_it_is_made() -> None:
    for rate in (0.0, -1.0, float("nan"), 11.0):
        with pytest.raises(ConfigError, match="base_lr must be a number above 0 and at most 10"):
            SetLearningRate(base_lr=rate)


def test_checkpoints_come_by_training_time(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(200, checkpoint_seconds=0.01, eval_every=1000))
    events = record_all(run, training)
    saved = [event.step for event in events if isinstance(event, CheckpointSaved)]
    assert len(saved) >= 3
    done = {event.step: event.elapsed_s for event in events if isinstance(event, StepDone)}
    assert all(done[later] - done[earlier] >= 0.01 for earlier, later in pairwise(saved[:-1]))


def test_resuming_equals_never_having_stopped(tmp_path: Path) -> None:
    config = small_config(9)
    run, training = small_run(tmp_path / "a", config)
    whole = record_all(run, training)

    broken, first = small_run(tmp_path / "b", config)
    commands: SimpleQueue[Steering] = SimpleQueue()
    for event in record(broken, first, commands):
        if isinstance(event, StepDone) and event.step == 3:
            commands.put(SaveCheckpoint())
        if isinstance(event, StepDone) and event.step == 7:
            break  # as a crash would: the rows up to 7 are there, the checkpoint is of 3
    again, second = resumed_run(broken.path)
    assert second.step == 3
    rest = record_all(again, second)

    assert rest[0].resumed
    assert steps_of(rest) == [4, 5, 6, 7, 8, 9]
    assert second.parameters_P.tobytes() == training.parameters_P.tobytes()
    assert rest[-1].train_loss == whole[-1].train_loss
    assert rest[-1].val_loss == whole[-1].val_loss
    for name, columns in (("metrics.csv", 4), ("evals.csv", 3)):
        assert [row[:columns] for row in rows(again.path / name)] == [
            row[:columns] for row in rows(run.path / name)
        ]


def test_a_finished_run_that_is_resumed_only_says_so_again(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    record_all(run, training)
    events = record_all(*resumed_run(run.path))
    assert kinds(events) == [RunStarted, RunFinished]
    steps = [row[0] for row in rows(run.path / "evals.csv")]
    assert len(steps) == len(set(steps))
    assert events[-1].reason == "finished"


def test_divergence_keeps_the_last_good_state_and_says_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, training = small_run(tmp_path)
    advance = Training.advance

    def diverging(training: Training) -> StepDone:
        if training.step == 5:
            raise DivergedError("the loss became nan at step 6; try a lower learning rate")
        return advance(training)

    monkeypatch.setattr(Training, "advance", diverging)
    events = record_all(run, training)
    failed = events[-1]
    assert kinds(events)[-2:] == [CheckpointSaved, RunFailed]
    assert (failed.title, failed.step, failed.run) == ("Training diverged", 5, str(run.path))
    assert "lower learning rate" in failed.message
    assert "base rate was 0.01" in failed.message
    assert "step 5, is saved" in failed.message
    assert len(rows(run.path / "metrics.csv")) == 5
    _, resumed = resumed_run(run.path)
    assert resumed.parameters_P.tobytes() == training.parameters_P.tobytes()


def test_a_state_that_has_overflowed_is_not_kept_as_good(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)

    def overflow() -> None:
        overflowed = np.full_like(training.parameters_P, np.inf)
        training.restore({**training.tensors(), "parameters": overflowed}, 3, training.elapsed_s)

    events = record_doing(run, training, {2: SaveCheckpoint(), 3: overflow})
    failed = events[-1]
    assert isinstance(failed, RunFailed)
    assert "last good state is step-2.safetensors" in failed.message
    assert [path.name for path in run.checkpoint_paths()] == ["step-2.safetensors"]


def test_a_run_folder_that_vanishes_is_made_anew_and_said(tmp_path: Path) -> None:
    run, training = small_run(tmp_path / "runs")
    run.lock()
    events = record_doing(run, training, {2: lambda: run.path.rename(tmp_path / "elsewhere")})
    again = next(e for e in events[1:] if isinstance(e, RunStarted))
    assert "is gone (moved or deleted?)" in again.notes[-1]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].run == again.run != str(run.path)
    _, resumed = resumed_run(Path(again.run))
    assert resumed.parameters_P.tobytes() == training.parameters_P.tobytes()


def test_a_runs_folder_that_vanishes_whole_is_said_and_fails_at_the_end(tmp_path: Path) -> None:
    run, training = small_run(tmp_path / "runs")
    moved = {2: lambda: (tmp_path / "runs").rename(tmp_path / "elsewhere"), 3: SaveCheckpoint()}
    events = record_doing(run, training, moved)
    assert any(isinstance(e, SavingFailed) and "moved or deleted" in e.message for e in events)
    assert steps_of(events) == [1, 2, 3, 4, 5, 6]
    assert isinstance(events[-1], RunFailed)
    assert "moved or deleted" in events[-1].message


def test_who_stops_iterating_loses_no_rows(tmp_path: Path) -> None:
    run, training = small_run(tmp_path, small_config(50, eval_every=1000))
    stream = record(run, training, SimpleQueue())
    for event in stream:
        if isinstance(event, StepDone) and event.step == 10:
            break
    stream.close()
    assert len(rows(run.path / "metrics.csv")) == 10
