"""Disks that are full, read-only or broken while a run trains: it goes on, says so, loses nothing good."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from queue import SimpleQueue

import pytest
from small_runs import outcome_of, small_config, train_to_the_end

from femtotui.core.commands import SaveCheckpoint, Steering, Stop
from femtotui.core.errors import CheckpointError
from femtotui.core.events import Event, RunFailed, RunFinished, RunStarted, SavingFailed, StepDone
from femtotui.core.run_folder import checkpoint, lock
from femtotui.core.run_folder import folder as run_module
from femtotui.core.run_folder import logs as rows
from femtotui.core.run_folder.catalog import list_runs
from femtotui.core.run_folder.info import read_progress
from femtotui.core.run_folder.logs import read_steps
from femtotui.trainer.session import continue_run, prepare

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
                commands.put(SaveCheckpoint())
            if isinstance(event, StepDone) and event.step == FAULTY.start:
                break_()
            if isinstance(event, StepDone) and event.step in FAULTY:
                commands.put(SaveCheckpoint())
            if isinstance(event, StepDone) and event.step == FAULTY.stop and mend is not None:
                mend()
    finally:
        session.close()
    return session.run.path, events


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = prepare(small_config("modern", "byte"), tmp_path_factory.mktemp("whole"))
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
    ("open", errno.ENOSPC, "the disk is full"),  # of names: its inode table
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


def test_a_device_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = prepare(small_config("modern", "byte"), tmp_path)
    commands: SimpleQueue[Steering] = SimpleQueue()
    events: list[Event] = []
    for event in session.record(commands):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 30:
            monkeypatch.setattr(rows, "open_own", lambda _path, flags: os.open("/dev/full", flags))
            commands.put(SaveCheckpoint())
        if isinstance(event, StepDone) and event.step == 60:
            monkeypatch.undo()
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


@contextmanager
def out_of_reach(folder: Path) -> Iterator[None]:
    """No permission for anything in `folder`; root, who has them all, becomes somebody else."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    else:
        folder.chmod(0)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        else:
            folder.chmod(0o755)


def test_permission_that_is_lost_for_a_while_costs_nothing(whole: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    lost = ExitStack()
    path, events = recorded(runs, lambda: lost.enter_context(out_of_reach(runs)), lost.close)
    said = [event.message for event in events if isinstance(event, SavingFailed)]
    assert said and all("there is no permission" in words for words in said)
    assert isinstance(events[-1], RunFinished)
    assert path == Path(events[-1].run), "what is out of reach is not taken for gone"
    assert outcome_of(path) == outcome_of(whole)


@pytest.mark.parametrize("removed", ["moved", "deleted"])
def test_a_folder_that_goes_while_it_trains_is_said_and_the_end_is_the_same(
    whole: Path, tmp_path: Path, removed: str
) -> None:
    session = prepare(small_config("modern", "byte"), tmp_path / "runs")
    first = session.run.path
    events: list[Event] = []
    for event in session.record(SimpleQueue()):
        events.append(event)
        if isinstance(event, StepDone) and event.step == FAULTY.start:
            if removed == "moved":
                first.rename(tmp_path / "elsewhere")
            else:
                shutil.rmtree(first)
    session.close()
    assert isinstance(events[-1], RunFinished)
    again = [event for event in events if isinstance(event, RunStarted)][1]
    assert "is gone (moved or deleted?): the run continues in" in again.notes[-1]
    assert again.run == events[-1].run != str(first)
    here = outcome_of(Path(again.run))
    assert here.parameters == outcome_of(whole).parameters
    there = [step for step, _ in here.losses]
    assert there == list(range(there[0], 121)) and there[0] <= FAULTY.start + 1
    if removed == "moved":
        kept = _steps_in(tmp_path / "elsewhere")
        assert kept == list(range(1, kept[-1] + 1)) and kept[-1] >= there[0] - 1, "no step is in neither"


def _steps_in(run: Path) -> list[int]:
    return [step.step for step in read_steps(run)]


def test_a_clock_that_is_set_back_changes_nothing_but_a_date(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two sittings, and before another run begins."""
    session = prepare(small_config("modern", "byte"), tmp_path / "runs")
    commands: SimpleQueue[Steering] = SimpleQueue()
    for event in session.record(commands):
        if isinstance(event, StepDone) and event.step == FAULTY.start:
            commands.put(Stop())
    session.close()
    before = read_progress(session.run.path)

    class Yesteryear(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2001, 1, 1, tzinfo=tz)

    for module in (run_module, lock):
        monkeypatch.setattr(module, "datetime", Yesteryear)
    train_to_the_end(continue_run(session.run.path))
    found, expected = outcome_of(session.run.path), outcome_of(whole)
    assert (found.parameters, found.losses) == (expected.parameters, expected.losses)
    after = read_progress(session.run.path)
    assert before is not None and after is not None
    assert after.elapsed_s > before.elapsed_s and after.wall_s > before.wall_s
    train_to_the_end(prepare(small_config("modern", "byte"), tmp_path / "runs"))
    names = [run.path.name for run in list_runs(tmp_path / "runs") if run.finished]
    assert len(names) == 2 and names[1].startswith("20010101-000000-10-")
