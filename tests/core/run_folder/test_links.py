"""A run folder that somebody sent leads nowhere else: no link in it is read, written to or emptied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_training import record_all, small_config, small_run

from femtotui.core.errors import RunError
from femtotui.core.events import RunFailed
from femtotui.core.files import remove_leftovers, write_atomically
from femtotui.core.run_folder.catalog import find_run, list_runs
from femtotui.core.run_folder.entry import read_note
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.info import RunFile, read_info, read_progress
from femtotui.core.run_folder.lock import RunLock, holder_of
from femtotui.core.run_folder.logs import read_history, read_samples, read_steps
from femtotui.trainer.session import continue_run

SECRET = b"step,loss,lr,grad_norm,ms,elapsed_s,rss_mib\n1,1.5,0.1,0.5,1,1,1\n"
NAMES = (
    "run.json",
    "tokenizer.json",
    "metrics.csv",
    "evals.csv",
    "samples.jsonl",
    "scores.jsonl",
    "progress.json",
    "entry.md",
    "note.md",
    "title.json",
    "trainer.log",
    "run.lock",
    "metrics.csv.1.tmp",
)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run of six steps, with its checkpoints."""
    run, training = small_run(tmp_path / "runs", small_config(checkpoint_seconds=0.01))
    record_all(run, training)
    return run.path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the user's, elsewhere."""
    path = tmp_path / "mine" / "secret"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def put_link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_a_link_for_a_file_is_refused_in_words(trained: Path, mine: Path, name: str) -> None:
    put_link(trained / name, mine)
    for refused in (RunFolder.open, read_info, continue_run):
        with pytest.raises(RunError, match=rf"{name} is a link"):
            refused(trained)
    listed = list_runs(trained.parent)
    assert [run.path for run in listed] == [trained]
    assert "is a link" in listed[0].problem and listed[0].loss is None
    assert mine.read_bytes() == SECRET


def test_no_link_is_read_through_however_it_is_come_by(trained: Path, mine: Path) -> None:
    for name in ("metrics.csv", "evals.csv", "scores.jsonl", "samples.jsonl", "note.md", "progress.json"):
        put_link(trained / name, mine)
    assert list(read_history(trained, 10)) == []
    assert list(read_samples(trained)) == []
    for read in (read_note, read_progress):
        with pytest.raises(RunError, match="it is a link"):
            read(trained)


def test_a_lock_is_not_taken_through_a_link(trained: Path, mine: Path) -> None:
    put_link(trained / RunFile.LOCK, mine)
    with pytest.raises(RunError, match=r"run\.lock: it is a link"):
        RunLock(trained)
    assert holder_of(trained) is None
    (trained / RunFile.LOCK).unlink()
    os.link(mine, trained / RunFile.LOCK)
    with pytest.raises(RunError, match=r"run\.lock: it has a second name"):
        RunLock(trained)
    assert mine.read_bytes() == SECRET


def test_a_lock_that_another_holds_is_not_truncated(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    signed = (tmp_path / RunFile.LOCK).read_bytes()
    with pytest.raises(RunError, match="is being trained"):
        RunLock(tmp_path)
    assert (tmp_path / RunFile.LOCK).read_bytes() == signed
    lock.release()


def test_checkpoints_in_a_linked_folder_are_neither_seen_nor_removed(trained: Path, mine: Path) -> None:
    run = RunFolder.open(trained)
    (trained / "checkpoints").rename(mine.parent / "checkpoints")
    (trained / "checkpoints").symlink_to(mine.parent / "checkpoints")
    (mine.parent / "checkpoints" / "a.tmp").write_bytes(b"mine")
    before = sorted(path.name for path in (mine.parent / "checkpoints").iterdir())
    for refused in (RunFolder.open, continue_run):
        with pytest.raises(RunError, match="checkpoints is a link"):
            refused(trained)
    # And by one who had opened it before the link was there.
    assert run.checkpoint_paths() == [] and not run.make_room()
    run.remove_old_checkpoints()
    with pytest.raises(RunError, match="it is a link"):
        run.cut_after(1)
    with pytest.raises(RunError, match="it is a link"):
        run.save({}, 9, 1.0)
    assert sorted(path.name for path in (mine.parent / "checkpoints").iterdir()) == before


def test_a_checkpoint_that_is_a_link_is_refused(trained: Path, mine: Path) -> None:
    (trained / "checkpoints" / "step-999.safetensors").symlink_to(mine)
    with pytest.raises(RunError, match=r"step-999\.safetensors is a link"):
        continue_run(trained)


def test_a_file_that_becomes_a_link_is_not_written_through(tmp_path: Path, mine: Path) -> None:
    run, training = small_run(tmp_path / "runs")
    put_link(run.path / "metrics.csv", mine)
    events = record_all(run, training)
    assert isinstance(events[-1], RunFailed) and "it is a link" in events[-1].message
    assert mine.read_bytes() == SECRET


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(tmp_path: Path, mine: Path) -> None:
    (tmp_path / f"note.md.{os.getpid()}.tmp").symlink_to(mine)
    write_atomically(tmp_path / "note.md", b"a note")
    assert (tmp_path / "note.md").read_bytes() == b"a note" and not (tmp_path / "note.md").is_symlink()
    (tmp_path / "b.tmp").symlink_to(mine)
    remove_leftovers(tmp_path)
    assert mine.read_bytes() == SECRET


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(trained: Path) -> None:
    for name in ("run.json", "metrics.csv", "run.lock"):
        (trained / name).unlink(missing_ok=True)
        os.mkfifo(trained / name)
    with pytest.raises(RunError, match="not an ordinary file"):
        RunFolder.open(trained)
    with pytest.raises(RunError, match="not an ordinary file"):
        RunLock(trained)
    assert list(read_steps(trained)) == []


def test_a_runs_folder_and_a_run_may_be_reached_through_links(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(trained.parent)
    (trained.parent / "other-name").symlink_to(trained)
    for path in (tmp_path / "elsewhere" / trained.name, find_run(trained.parent, "other-name")):
        run = RunFolder.open(path)
        run.lock()
        run.cut_after(6)
        run.unlock()
        assert run.checkpoint_paths()
    assert not any(run.problem for run in list_runs(tmp_path / "elsewhere"))
