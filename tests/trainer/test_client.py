"""The trainer process for real: events, commands, and every way that either side can die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec
import numpy as np
import psutil
import pytest

from femtotui.blas.kernel import limited_blas
from femtotui.core.commands import Pause, Resume, SaveCheckpoint, SetLearningRate, Snapshot, Stop
from femtotui.core.config import RunConfig
from femtotui.core.events import (
    CheckpointSaved,
    Event,
    Paused,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    StepDone,
)
from femtotui.core.run_folder.catalog import list_runs
from femtotui.presets import load_preset, run_config
from femtotui.trainer.client import Trainer
from femtotui.trainer.protocol import (
    Continue,
    EventsArrived,
    PipeChannel,
    ProtocolError,
    SnapshotArrived,
    Start,
    TrainerExited,
    TrainerMessage,
    receive_message,
    send_frame,
)

PATIENCE_S = 30.0


def config(steps: int) -> RunConfig:
    """Entry 10, made smaller still."""
    whole = run_config(load_preset("10"), steps=steps, threads=1)
    replace = msgspec.structs.replace
    return replace(
        whole,
        model=replace(whole.model, n_layers=1, width=8, context=8),
        train=replace(whole.train, batch=2, eval_every=1_000_000, eval_windows=2),
    )


def all_events(process: subprocess.Popen[bytes], order: Start) -> list[Event]:
    """What a trainer process says of an order, to the end of its output."""
    channel = PipeChannel(process.stdout, process.stdin)
    send_frame(channel, order)
    events: list[Event] = []
    with suppress(EOFError):
        while True:
            message = receive_message(channel)
            events += message.events if isinstance(message, EventsArrived) else ()
    return events


class Watched:
    """A trainer and everything it has said."""

    def __init__(self) -> None:
        self.messages: list[TrainerMessage] = []
        self._arriving: SimpleQueue[TrainerMessage] = SimpleQueue()
        self.trainer = Trainer(self._arriving.put)

    def until(self, wanted: Callable[[TrainerMessage], bool]) -> TrainerMessage:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                message = self._arriving.get(timeout=max(0.01, deadline - time.monotonic()))
            except Empty:
                pytest.fail(f"it never came; so far: {self.messages[-5:]}")
            self.messages.append(message)
            if wanted(message):
                return message

    def until_event(self, kind: type[Event]) -> Event:
        def has_it(message: TrainerMessage) -> bool:
            return isinstance(message, EventsArrived) and any(isinstance(e, kind) for e in message.events)

        return next(e for e in self.until(has_it).events if isinstance(e, kind))

    def until_exit(self) -> TrainerExited:
        return self.until(lambda message: isinstance(message, TrainerExited))

    @property
    def events(self) -> list[Event]:
        return [e for m in self.messages if isinstance(m, EventsArrived) for e in m.events]


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.trainer.close(timeout=1)
    assert not watched.trainer._reader.is_alive()


def test_a_short_run_from_start_to_exit(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(30), runs=str(tmp_path)))
    exited = watched.until_exit()
    assert exited == TrainerExited(0, "")
    assert isinstance(watched.events[0], RunStarted)
    assert isinstance(watched.events[-1], RunFinished)
    assert [e.step for e in watched.events if isinstance(e, StepDone)] == list(range(1, 31))
    (run,) = list_runs(tmp_path)
    assert run.finished


def test_steps_come_in_batches_at_most_ten_a_second(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    before, begin = len(watched.messages), time.monotonic()
    watched.until(lambda _: time.monotonic() - begin > 1)
    steps_only = [
        m
        for m in watched.messages[before:]
        if isinstance(m, EventsArrived) and all(isinstance(e, StepDone) for e in m.events)
    ]
    assert 2 <= len(steps_only) <= 13
    assert sum(len(message.events) for message in steps_only) > 2 * len(steps_only)


def test_pause_resume_checkpoint_and_stop(watched: Watched, tmp_path: Path) -> None:
    send = watched.trainer.send
    send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    send(Pause())
    paused = watched.until_event(Paused)
    assert paused.step > 0
    assert any(isinstance(e, CheckpointSaved) and e.step == paused.step for e in watched.events)
    send(SaveCheckpoint())
    assert watched.until_event(CheckpointSaved).step == paused.step
    send(SetLearningRate(base_lr=0.001))
    send(Resume())
    assert watched.until_event(Resumed).step == paused.step
    watched.until_event(StepDone)
    send(Stop())
    finished = watched.until_event(RunFinished)
    assert finished.reason == "stopped"
    assert watched.until_exit().code == 0


def test_a_snapshot_answers_while_training_and_while_paused(watched: Watched, tmp_path: Path) -> None:
    send = watched.trainer.send
    send(Start(config=config(100_000), runs=str(tmp_path)))
    started = watched.until_event(RunStarted)
    watched.until_event(StepDone)
    send(Snapshot())
    first = watched.until(lambda m: isinstance(m, SnapshotArrived))
    assert first.parameters_P.shape == (started.parameters,)
    assert first.parameters_P.dtype == np.float32
    assert np.isfinite(first.parameters_P).all()
    while watched.until_event(StepDone).step <= first.step:
        pass
    send(Pause())
    paused = watched.until_event(Paused)
    send(Snapshot())
    second = watched.until(lambda m: isinstance(m, SnapshotArrived))
    assert second.step == paused.step
    assert second.train_loss > 0
    assert not np.array_equal(first.parameters_P, second.parameters_P)


def test_the_last_parameters_come_unasked_before_the_end(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(7), runs=str(tmp_path)))
    last = watched.until(lambda m: isinstance(m, SnapshotArrived))
    finished = watched.until_event(RunFinished)
    assert last.step == finished.step == 7
    assert watched.until_exit().code == 0


def test_a_stopped_run_goes_on_in_another_process(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    watched.trainer.send(Stop())
    stopped = watched.until_event(RunFinished)
    watched.until_exit()
    other = Watched()
    try:
        other.trainer.send(Continue(run=stopped.run))
        started = other.until_event(RunStarted)
        assert (started.resumed, started.step) == (True, stopped.step)
        assert other.until_event(StepDone).step == stopped.step + 1
    finally:
        other.trainer.close()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda tmp: Continue(run=str(tmp / "nowhere")), "not a run folder"),
        (lambda tmp: Start(config=config(5), runs=str(tmp / "file")), "a file of that name is in the way"),
    ],
)
def test_what_cannot_start_fails_in_words(
    watched: Watched, tmp_path: Path, order: Callable, words: str
) -> None:
    (tmp_path / "file").write_text("x")
    watched.trainer.send(order(tmp_path))
    failed = watched.until_event(RunFailed)
    assert words in failed.message
    assert watched.until_exit().code == 2


def test_when_the_app_dies_the_trainer_saves_and_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "femtotui.trainer.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=limited_blas(dict(os.environ)),
    )
    channel = PipeChannel(process.stdout, process.stdin)
    send_frame(channel, Start(config=config(100_000), runs=str(tmp_path)))
    while not any(isinstance(e, StepDone) for e in receive_message(channel).events):
        pass
    process.stdin.close()
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    (run,) = list_runs(tmp_path)
    assert run.can_continue
    assert run.checkpoint_step == run.step > 0


def test_a_trainer_that_was_never_told_anything_ends_with_its_app(watched: Watched) -> None:
    watched.trainer.close(timeout=PATIENCE_S)
    assert watched.until_exit() == TrainerExited(0, "")


def test_a_killed_trainer_is_reported_and_its_run_can_be_listed(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    watched.trainer.send(SaveCheckpoint())
    watched.until_event(CheckpointSaved)
    os.kill(watched.trainer._process.pid, signal.SIGKILL)
    assert watched.until_exit().code == -signal.SIGKILL
    assert not watched.trainer._reader.is_alive()
    for _ in range(100):
        watched.trainer.send(Snapshot())  # nobody is there, and nobody minds
    (run,) = list_runs(tmp_path)
    assert run.can_continue


def test_ctrl_c_in_the_terminal_does_not_reach_the_trainer(watched: Watched, tmp_path: Path) -> None:
    watched.trainer.send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    assert os.getpgid(watched.trainer._process.pid) != os.getpgid(0)
    os.kill(watched.trainer._process.pid, signal.SIGINT)
    watched.until_event(StepDone)
    os.kill(watched.trainer._process.pid, signal.SIGTERM)
    assert watched.until_event(RunFinished).reason == "stopped"
    assert watched.until_exit().code == 0


def test_closing_a_trainer_that_does_not_answer_kills_it(tmp_path: Path) -> None:
    watched = Watched()
    watched.trainer.send(Start(config=config(100_000), runs=str(tmp_path)))
    watched.until_event(StepDone)
    process = psutil.Process(watched.trainer._process.pid)
    process.suspend()
    begin = time.monotonic()
    watched.trainer.close(timeout=0.2)
    assert time.monotonic() - begin < 5
    assert not watched.trainer._reader.is_alive()
    assert watched.until_exit().code == -signal.SIGKILL


def trainer_that_runs(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=limited_blas(dict(os.environ)),
    )


def test_stray_prints_cannot_break_a_frame(tmp_path: Path) -> None:
    """A library that prints, from Python or from C, writes to standard error."""
    program = (
        "import os, sys; from femtotui.trainer import process as t, session as s; prepare = s.prepare\n"
        "def noisy(*a, **k): print('noise'); os.write(1, b'raw noise'); return prepare(*a, **k)\n"
        "s.prepare = noisy; sys.exit(t.main())"
    )
    process = trainer_that_runs(program)
    events = all_events(process, Start(config=config(5), runs=str(tmp_path)))
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert isinstance(events[-1], RunFinished)
    assert b"raw noise" in stderr


def test_a_bug_in_the_trainer_arrives_in_words_and_is_logged(tmp_path: Path) -> None:
    program = (
        "import sys; from femtotui.trainer import process as t\n"
        "from femtotui.core.training.training import Training\n"
        "def broken(self): raise ZeroDivisionError('a bug')\n"
        "Training.advance = broken; sys.exit(t.main())"
    )
    process = trainer_that_runs(program)
    events = all_events(process, Start(config=config(5), runs=str(tmp_path)))
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    failed = events[-1]
    assert isinstance(failed, RunFailed)
    assert "ZeroDivisionError: a bug" in failed.message
    assert "Traceback" in (Path(failed.run) / "trainer.log").read_text()


def test_rubbish_from_a_trainer_is_an_exit_and_not_an_exception() -> None:
    read, write = os.pipe()
    os.write(write, b"\xff\xff\xff\xff rubbish")
    os.close(write)
    with os.fdopen(read, "rb") as stream, pytest.raises(ProtocolError):
        receive_message(PipeChannel(stream, stream))
