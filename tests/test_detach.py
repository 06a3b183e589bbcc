"""A training that goes on without its app, and every way back to it; with real trainer processes."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from femtotui.cli.runs import state
from femtotui.core.errors import RunError
from femtotui.core.run_folder.catalog import list_runs, unfinished_run
from femtotui.core.run_folder.lock import holder_of
from femtotui.runs.manager import RunManager
from femtotui.runs.state import Status
from femtotui.trainer.client import AttachedTrainer, Trainer
from femtotui.trainer.protocol import read_frame, write_frame
from femtotui.trainer.remote import ADDRESS_NAME, Address, read_address

sys.path.insert(0, str(Path(__file__).parent / "proofs"))
from small_runs import small_config

PATIENCE_S = 30.0


def until(manager: RunManager, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        manager.take()
        time.sleep(0.01)


def trains(manager: RunManager, beyond: int = 0) -> Callable[[], bool]:
    return lambda: (
        manager.current is not None
        and manager.current.view.status is Status.TRAINING
        and manager.current.view.step > beyond
    )


@pytest.fixture
def detached(tmp_path: Path) -> Iterator[Path]:
    """A run that is being trained by nobody's app."""
    manager = RunManager(tmp_path, Trainer)
    manager.begin(small_config("modern", "byte", steps=10_000_000))
    until(manager, trains(manager, 10))
    assert manager.detach()
    until(manager, lambda: manager.is_detached)
    manager.close()
    run = Path(manager.current.view.run)
    yield run
    holder = holder_of(run)
    if holder is not None:
        os.kill(holder.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(holder.pid)] if psutil.pid_exists(holder.pid) else [], timeout=5)


def attached(run: Path) -> RunManager:
    manager = RunManager(run.parent, Trainer)
    manager.attach(small_config("modern", "byte"), lambda listener: AttachedTrainer(run, listener))
    return manager


def test_it_goes_on_alone_and_is_listed(detached: Path) -> None:
    first = list_runs(detached.parent)[0]
    assert state(first) == "detached"
    assert unfinished_run(detached.parent, "10").holder.pid == first.holder.pid
    deadline = time.monotonic() + PATIENCE_S
    while list_runs(detached.parent)[0].step <= first.step:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if os.name != "nt":
        assert stat.S_IMODE((detached / ADDRESS_NAME).stat().st_mode) == 0o600


def test_who_attaches_sees_all_that_happened_and_can_steer_leave_and_stop(detached: Path) -> None:
    manager = attached(detached)
    until(manager, trains(manager, 50))
    view = manager.current.view
    assert list(view.steps) == list(range(1, view.step + 1))
    assert view.evals
    assert manager.current.snapshot is not None
    manager.pause()
    until(manager, lambda: view.status is Status.PAUSED)
    paused_at = view.step
    manager.detach()
    until(manager, lambda: manager.is_detached)
    manager.close()

    again = attached(detached)
    until(again, lambda: again.current.view.status is Status.PAUSED)
    assert again.current.view.step == paused_at
    again.resume()
    until(again, trains(again, paused_at))
    again.close()
    again.take()
    assert again.current.view.status is Status.PARKED
    deadline = time.monotonic() + PATIENCE_S
    while holder_of(detached) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (run,) = list_runs(detached.parent)
    assert run.can_continue
    assert not (detached / ADDRESS_NAME).exists()
    assert not list(detached.glob("*.sock"))


def test_an_app_that_dies_while_attached_takes_nothing_with_it(detached: Path) -> None:
    manager = attached(detached)
    until(manager, trains(manager))
    manager.current.link.trainer._connection.shutdown(2)  # as the system does when a process dies
    until(manager, lambda: manager.current.view.status is Status.FAILED)
    again = attached(detached)
    until(again, trains(again))
    again.close()


def test_a_second_app_is_refused_in_words(detached: Path) -> None:
    first = attached(detached)
    until(first, trains(first))
    second = attached(detached)
    until(second, lambda: second.current.view.status is Status.FAILED)
    assert "another app is attached" in second.current.view.failure.message
    until(first, trains(first, first.current.view.step))
    first.close()


def test_without_the_secret_nobody_comes_in(detached: Path) -> None:
    address = read_address(detached)
    wrong = msgspec.structs.replace(address, secret="0" * 64)
    for hello in ({"secret": wrong.secret}, {"secret": ""}, ["rubbish"]):
        connection = wrong.connect()
        with connection, connection.makefile("rwb") as stream:
            write_frame(stream, hello)
            assert read_frame(stream) is None
    assert holder_of(detached) is not None


def test_what_cannot_be_attached_to_is_said(tmp_path: Path, detached: Path) -> None:
    os.kill(holder_of(detached).pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while holder_of(detached) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(RunError, match="is not being trained now: go on with it by"):
        AttachedTrainer(detached, print)
    manager = RunManager(tmp_path, Trainer)
    manager.begin(small_config("modern", "byte", steps=10_000_000, seed=1))
    until(manager, trains(manager))
    with pytest.raises(RunError, match="was not detached: press d"):
        AttachedTrainer(Path(manager.current.view.run), print)
    manager.close()


def test_what_a_killed_detached_trainer_left_is_gone_on_with(detached: Path) -> None:
    os.kill(holder_of(detached).pid, signal.SIGKILL)
    config = small_config("modern", "byte", steps=10_000_000)
    manager = RunManager(detached.parent, Trainer)
    manager.take_up(config, str(detached))
    view = manager.current.view
    until(manager, lambda: view.started is not None and view.step > view.started.step)
    assert list(view.steps) == list(range(1, view.step + 1))  # the curve of the earlier session is there
    manager.detach()
    until(manager, lambda: manager.is_detached)
    manager.close()
    assert read_address(detached).pid == holder_of(detached).pid


def test_an_address_that_is_damaged_or_newer_is_an_error_in_words(tmp_path: Path) -> None:
    assert read_address(tmp_path) is None
    (tmp_path / ADDRESS_NAME).write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        read_address(tmp_path)
    newer = msgspec.json.encode(Address(format=9, pid=1, secret="x"))
    (tmp_path / ADDRESS_NAME).write_bytes(newer)
    with pytest.raises(RunError, match="newer femtotui"):
        read_address(tmp_path)
