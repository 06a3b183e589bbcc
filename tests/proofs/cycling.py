"""A day in fast motion: start, switch, resume and quit, again and again, with real trainer processes.

    python tests/proofs/cycling.py --cycles 1000

Afterwards there are no more processes, threads, file descriptors, shared memory or temporary files than
before, and every run is whole.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from small_runs import small_config

from femtotui.core.events import RunStarted
from femtotui.core.run_folder.catalog import list_runs
from femtotui.runs.manager import RunManager
from femtotui.runs.state import Status
from femtotui.trainer.client import Trainer

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Belongings:
    """What a process may leak."""

    children: int
    threads: int
    descriptors: int
    shared_memory: frozenset[str]
    temporary: frozenset[str]

    @classmethod
    def now(cls) -> Belongings:
        process = psutil.Process()
        return cls(
            children=len(process.children(recursive=True)),
            threads=threading.active_count(),
            descriptors=process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
            shared_memory=_names(Path("/dev/shm")),
            temporary=_names(Path(tempfile.gettempdir())),
        )


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.glob("*femto*"))


def _until(manager: RunManager, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        manager.collect()
        time.sleep(0.01)


def _training(manager: RunManager) -> bool:
    view = manager.current.state if manager.current else None
    assert view is None or view.status is not Status.FAILED, view and view.failure
    return view is not None and view.status is Status.TRAINING and view.step > 0


def cycle(runs: Path, number: int) -> None:
    """Start a run, switch to another, come back to the first, pause, go on, quit."""
    manager = RunManager(runs, Trainer)
    first = small_config("modern", "byte", steps=1_000_000, seed=number)
    other = small_config("journal", "char", steps=1_000_000, seed=number)
    other = msgspec.structs.replace(other, preset="1")
    try:
        manager.start(first)
        _until(manager, lambda: _training(manager))
        manager.start(other)
        _until(manager, lambda: _training(manager))
        manager.resume_run(first.preset)
        _until(manager, lambda: _training(manager) and _resumed(manager))
        manager.pause()
        _until(manager, lambda: manager.current is not None and manager.current.state.status is Status.PAUSED)
        manager.resume()
        _until(manager, lambda: _training(manager))
    finally:
        manager.close()
        manager.collect()


def _resumed(manager: RunManager) -> bool:
    started = manager.current.state.started if manager.current else None
    return isinstance(started, RunStarted) and started.resumed


def cycles(count: int, folder: Path) -> None:
    """Raises: AssertionError, naming what was leaked."""
    cycle(folder / "warm-up", 0)
    before = Belongings.now()
    for number in range(count):
        runs = folder / f"runs-{number}"
        cycle(runs, number)
        found = list_runs(runs)
        assert [run.can_continue for run in found] == [True, True], found
        assert not list(runs.rglob("*.tmp"))
    assert Belongings.now() == before, f"before: {before}, now: {Belongings.now()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=1000)
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # Temporary files of our own: what others leave beside them meanwhile is not our leak.
        own = Path(folder) / "temporary"
        own.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(own)
        cycles(options.cycles, Path(folder))
    print(f"{options.cycles} cycles, nothing leaked ({time.monotonic() - begin:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
