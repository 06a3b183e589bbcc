"""Two processes on one run are impossible, and a crash leaves no lock behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from femtotui.core.errors import RunError
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.lock import RunLock, holder_of

HOLD = """
import sys, time
from pathlib import Path
from femtotui.core.run_folder.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def holding(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_lock_is_refused_in_words_until_the_first_is_released(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    with pytest.raises(RunError, match=rf"is being trained by process {os.getpid()} on "):
        RunLock(tmp_path)
    first.release()
    first.release()
    RunLock(tmp_path).release()


def test_another_process_is_kept_out_and_named(tmp_path: Path) -> None:
    process = holding(tmp_path)
    try:
        with pytest.raises(RunError, match=f"process {process.pid} "):
            RunLock(tmp_path)
        holder = holder_of(tmp_path)
        assert holder is not None
        assert holder.pid == process.pid
    finally:
        process.kill()
        process.wait()


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    process = holding(tmp_path)
    process.kill()
    process.wait()
    assert holder_of(tmp_path) is None
    RunLock(tmp_path).release()


def test_looking_does_not_keep_anybody_out(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    RunLock(tmp_path).release()
    assert holder_of(tmp_path) is None
    RunLock(tmp_path).release()


def test_a_lock_file_full_of_rubbish_still_locks(tmp_path: Path) -> None:
    (tmp_path / RunFile.LOCK).write_bytes(b"\xff" * 10_000)
    lock = RunLock(tmp_path)
    (tmp_path / RunFile.LOCK).write_bytes(b"[" * 10_000)
    holder = holder_of(tmp_path)
    assert holder is not None
    assert holder.pid == 0
    lock.release()


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot lock"):
        RunLock(tmp_path / "gone")
