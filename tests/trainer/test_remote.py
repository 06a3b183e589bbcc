"""A training that goes on without its app, and every way back to it; with real trainer processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from queue import SimpleQueue

import msgspec
import psutil
import pytest
from small_runs import small_config

from femtotui.cli.runs import state
from femtotui.core.errors import RunError
from femtotui.core.run_folder.catalog import list_runs, unfinished_run
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.lock import holder_of
from femtotui.runs.manager import RunManager
from femtotui.runs.state import Status
from femtotui.trainer import remote
from femtotui.trainer.client import Trainer
from femtotui.trainer.protocol import MAX_COMMAND_BYTES
from femtotui.trainer.remote import (
    Address,
    RemoteListener,
    RemoteProcess,
    read_address,
    shut_down,
)

PATIENCE_S = 30.0


def until(manager: RunManager, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        manager.collect()
        time.sleep(0.01)


def trains(manager: RunManager, beyond: int = 0) -> Callable[[], bool]:
    return lambda: (
        manager.current is not None
        and manager.current.state.status is Status.TRAINING
        and manager.current.state.step > beyond
    )


@pytest.fixture
def detached(tmp_path: Path) -> Iterator[Path]:
    """A run that is being trained by nobody's app."""
    manager = RunManager(tmp_path, Trainer)
    manager.start(small_config("modern", "byte", steps=10_000_000))
    until(manager, trains(manager, 10))
    assert manager.detach()
    until(manager, lambda: manager.is_detached)
    manager.close()
    run = Path(manager.current.state.run)
    yield run
    holder = holder_of(run)
    if holder is not None:
        os.kill(holder.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(holder.pid)] if psutil.pid_exists(holder.pid) else [], timeout=5)


def attached(run: Path) -> RunManager:
    manager = RunManager(run.parent, Trainer)
    manager.attach(small_config("modern", "byte"), lambda listener: Trainer(listener, RemoteProcess(run)))
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
        assert stat.S_IMODE((detached / RunFile.TRAINER_ADDRESS).stat().st_mode) == 0o600


def test_who_attaches_sees_all_that_happened_and_can_steer_leave_and_stop(detached: Path) -> None:
    manager = attached(detached)
    until(manager, trains(manager, 50))
    view = manager.current.state
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
    until(again, lambda: again.current.state.status is Status.PAUSED)
    assert again.current.state.step == paused_at
    again.resume()
    until(again, trains(again, paused_at))
    again.close()
    again.collect()
    assert again.current.state.status is Status.PARKED
    deadline = time.monotonic() + PATIENCE_S
    while holder_of(detached) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (run,) = list_runs(detached.parent)
    assert run.can_continue
    assert not (detached / RunFile.TRAINER_ADDRESS).exists()
    assert not list(detached.glob("*.sock"))


def test_an_app_that_dies_while_attached_takes_nothing_with_it(detached: Path) -> None:
    manager = attached(detached)
    until(manager, trains(manager))
    shut_down(manager.current.connection.trainer._process.channel)  # as the system does when a process dies
    until(manager, lambda: manager.current.state.status is Status.FAILED)
    again = attached(detached)
    until(again, trains(again))
    again.close()


def test_a_second_app_is_refused_in_words(detached: Path) -> None:
    first = attached(detached)
    until(first, trains(first))
    second = attached(detached)
    until(second, lambda: second.current.state.status is Status.FAILED)
    assert "another app is attached" in second.current.state.failure.message
    until(first, trains(first, first.current.state.step))
    first.close()


def test_a_client_with_a_wrong_key_is_refused(detached: Path) -> None:
    address = read_address(detached)
    for secret in ("0" * 64, "", address.secret[:-1]):
        with pytest.raises(AuthenticationError):
            msgspec.structs.replace(address, secret=secret).connect()
    (detached / RunFile.TRAINER_ADDRESS).write_bytes(
        msgspec.json.encode(msgspec.structs.replace(address, secret="0" * 64))
    )
    with pytest.raises(RunError, match=r"did not accept the key in trainer.json"):
        RemoteProcess(detached)
    assert holder_of(detached) is not None


def test_silent_clients_keep_nobody_waiting_and_are_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "HANDSHAKE_SECONDS", 1.0)
    served: SimpleQueue[Connection] = SimpleQueue()
    listener = RemoteListener(tmp_path, served.put)
    address = read_address(tmp_path)
    silent = [Client(address.path) for _ in range(40)]
    address.connect()
    assert served.get(timeout=PATIENCE_S) is not None
    for connection in silent:
        connection.recv_bytes()  # the challenge, which it does not answer
        assert connection.poll(PATIENCE_S)
        with pytest.raises(EOFError):
            connection.recv_bytes()
    listener.close()
    assert not list(tmp_path.iterdir())


def test_a_trainer_that_does_not_answer_is_said_after_the_time_limit(
    detached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "HANDSHAKE_SECONDS", 0.3)
    process = psutil.Process(holder_of(detached).pid)
    process.suspend()
    with pytest.raises(RunError, match="did not answer"):
        RemoteProcess(detached)
    process.resume()
    manager = attached(detached)
    until(manager, trains(manager))
    manager.close()


@pytest.mark.parametrize("before_the_key", [True, False])
def test_garbage_and_oversized_frames_do_no_harm(detached: Path, before_the_key: bool) -> None:
    address = read_address(detached)
    for data in (
        b"",
        b"rubbish",
        b"\xff\xff\xff\xff" + b"\x7f" * 8,
        (MAX_COMMAND_BYTES + 1).to_bytes(4, "big") + b"x" * 100,
        (0x80000000).to_bytes(4, "big") + b"x" * 100,
        (4).to_bytes(4, "big") + b"\x80\x04N.",  # a pickle
    ):
        connection = Client(address.path) if before_the_key else address.connect()
        with connection, socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(2**16):
                pass
    manager = attached(detached)
    until(manager, trains(manager))
    manager.close()


def test_what_cannot_be_attached_to_is_said(tmp_path: Path, detached: Path) -> None:
    os.kill(holder_of(detached).pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while holder_of(detached) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(RunError, match="is not being trained now: resume it with"):
        RemoteProcess(detached)
    manager = RunManager(tmp_path, Trainer)
    manager.start(small_config("modern", "byte", steps=10_000_000, seed=1))
    until(manager, trains(manager))
    with pytest.raises(RunError, match="was not detached: press d"):
        RemoteProcess(Path(manager.current.state.run))
    manager.close()


def test_what_a_killed_detached_trainer_left_is_gone_on_with(detached: Path) -> None:
    os.kill(holder_of(detached).pid, signal.SIGKILL)
    config = small_config("modern", "byte", steps=10_000_000)
    manager = RunManager(detached.parent, Trainer)
    manager.continue_run(config, str(detached))
    view = manager.current.state
    until(manager, lambda: view.started is not None and view.step > view.started.step)
    assert list(view.steps) == list(range(1, view.step + 1))  # the curve of the earlier session is there
    manager.detach()
    until(manager, lambda: manager.is_detached)
    manager.close()
    assert read_address(detached).pid == holder_of(detached).pid


def test_an_address_that_is_damaged_or_newer_is_an_error_in_words(tmp_path: Path) -> None:
    assert read_address(tmp_path) is None
    (tmp_path / RunFile.TRAINER_ADDRESS).write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        read_address(tmp_path)
    newer = msgspec.json.encode(Address(format=9, pid=1, secret="x"))
    (tmp_path / RunFile.TRAINER_ADDRESS).write_bytes(newer)
    with pytest.raises(RunError, match="newer femtotui"):
        read_address(tmp_path)
