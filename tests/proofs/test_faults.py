"""Disks that are full, read-only or broken while a run trains: it goes on, says so, loses nothing good."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from small_runs import outcome_of, small_config, train_to_the_end

from femtotui.core import checkpoint
from femtotui.core.commands import Checkpoint, Steering
from femtotui.core.errors import CheckpointError
from femtotui.core.events import Event, RunFailed, RunFinished, SavingFailed, StepDone
from femtotui.session import continue_run, prepare

FAULTY = range(30, 60)
"""The steps during which nothing can be written."""


def recorded(
    runs: Path, break_: Callable[[], None], mend: Callable[[], None] | None
) -> tuple[Path, list[Event]]:
    """A run during whose steps 30 to 60 the disk is broken; without `mend` it stays so."""
    session = prepare(small_config("modern", "byte"), runs)
    commands: SimpleQueue[Steering] = SimpleQueue()
    events: list[Event] = []
    try:
        for event in session.record(commands):
            events.append(event)
            if isinstance(event, StepDone) and event.step == FAULTY.start - 1:
                commands.put(Checkpoint())
            if isinstance(event, StepDone) and event.step == FAULTY.start:
                break_()
            if isinstance(event, StepDone) and event.step in FAULTY:
                commands.put(Checkpoint())
            if isinstance(event, StepDone) and event.step == FAULTY.stop and mend is not None:
                mend()
    finally:
        session.close()
    return session.run.path, events


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    session = prepare(small_config("modern", "byte"), tmp_path / "whole")
    train_to_the_end(session)
    return session.run.path


class Disk:
    """A disk that a test can break: fsync and opening for writing fail with `number`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
        self._broken, genuine = False, getattr(os, call)

        def faulty(*arguments: object, **named: object) -> object:
            if self._broken:
                raise OSError(number, os.strerror(number))
            return genuine(*arguments, **named)

        monkeypatch.setattr(os, call, faulty)

    def break_(self) -> None:
        self._broken = True

    def mend(self) -> None:
        self._broken = False


FAULTS = [
    ("fsync", errno.EIO, "the disk reports an error"),
    ("fsync", errno.ENOSPC, "the disk is full"),
    ("open", errno.EACCES, "there is no permission"),
    ("open", errno.EROFS, "read-only"),
]


@pytest.mark.parametrize(("call", "number", "words"), FAULTS)
def test_a_fault_that_passes_is_said_and_costs_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, words: str
) -> None:
    disk = Disk(monkeypatch, call, number)
    path, events = recorded(tmp_path / "runs", disk.break_, disk.mend)
    assert any(isinstance(event, SavingFailed) and words in event.message for event in events)
    assert isinstance(events[-1], RunFinished)
    assert outcome_of(path) == outcome_of(whole)
    assert not list(path.rglob("*.tmp"))


def test_a_fault_that_stays_leaves_the_last_good_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, "fsync", errno.EIO)
    path, events = recorded(tmp_path / "runs", disk.break_, None)
    assert isinstance(events[-1], RunFailed)
    assert "the disk reports an error" in events[-1].message
    assert [event.step for event in events if isinstance(event, StepDone)][-1] == 120
    disk.mend()
    session = continue_run(path)
    assert FAULTY.start - 1 <= session.training.step <= FAULTY.start
    train_to_the_end(session)
    assert outcome_of(path) == outcome_of(whole)


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Lets a test limit how long any file may grow, as a full disk or a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_files_that_may_not_grow_for_a_while(
    whole: Path, tmp_path: Path, file_limit: Callable[[int], None]
) -> None:
    path, events = recorded(
        tmp_path / "runs", lambda: file_limit(1000), lambda: file_limit(resource.RLIM_INFINITY)
    )
    assert any(isinstance(event, SavingFailed) and "no file that large" in event.message for event in events)
    assert isinstance(events[-1], RunFinished)
    assert outcome_of(path) == outcome_of(whole)


def test_a_device_that_is_full(tmp_path: Path) -> None:
    session = prepare(small_config("modern", "byte"), tmp_path)
    metrics, kept = session.run.path / "metrics.csv", session.run.path / "kept.csv"
    commands: SimpleQueue[Steering] = SimpleQueue()
    events: list[Event] = []
    for event in session.record(commands):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 30:
            metrics.rename(kept)
            metrics.symlink_to("/dev/full")
            commands.put(Checkpoint())
        if isinstance(event, StepDone) and event.step == 60:
            kept.replace(metrics)
    session.close()
    assert any(isinstance(event, SavingFailed) and "the disk is full" in event.message for event in events)
    assert isinstance(events[-1], RunFinished)
    assert [step for step, _ in outcome_of(session.run.path).losses] == list(range(1, 121))


def test_on_a_full_disk_older_checkpoints_make_room(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save_checkpoint

    def save_where_there_is_room(path: Path, *arguments: object, **named: object) -> None:
        if len(list(path.parent.iterdir())) >= 2:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise CheckpointError("the disk is full") from full
        save(path, *arguments, **named)

    monkeypatch.setattr(checkpoint, "save_checkpoint", save_where_there_is_room)
    session = prepare(small_config("modern", "byte"), tmp_path)
    train_to_the_end(session)
    assert outcome_of(session.run.path) == outcome_of(whole)
