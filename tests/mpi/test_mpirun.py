"""`mpirun -n N femtotui train PRESET --mpi`: the same losses as one process, whoever dies."""

from __future__ import annotations

import csv
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from mpirun import command, femtotui, mpirun, preset_file, rank_pid, run, start, wait_for

from femtotui.core.run_folder.catalog import list_runs, summarise
from femtotui.core.run_folder.lock import holder_of

EQUAL = {"rtol": 2e-5, "atol": 0}


def losses(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def only_run(runs: Path) -> Path:
    (found,) = list_runs(runs)
    return found.path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one undisturbed process, 120 steps of them."""
    folder = tmp_path_factory.mktemp("alone")
    done = run(femtotui("train", preset_file(folder, steps=120), "--threads", "1"), folder / "runs")
    assert done.returncode == 0, done.stderr
    return losses(only_run(folder / "runs"))


@pytest.mark.parametrize("ranks", [2, 3])
def test_losses_are_the_single_process_ones(ranks: int, tmp_path: Path, alone: list[float]) -> None:
    # 120 steps: beyond where the ranks' parameters are aligned
    done = run(command(ranks, "train", preset_file(tmp_path, steps=120), "--mpi"), tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert f"{ranks} processes over MPI" in done.stderr
    assert done.stdout.count("step 120") == 1  # one rank speaks
    np.testing.assert_allclose(losses(only_run(tmp_path / "runs")), alone, **EQUAL)


def test_a_killed_rank_leaves_a_run_that_any_number_of_ranks_go_on_with(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    settings = ("--steps", "1000000", "--checkpoint-seconds", "0.02")
    process = start(command(2, "train", preset_file(tmp_path), *settings, "--mpi"), runs)
    try:
        wait_for(lambda: any(found.checkpoint_step for found in list_runs(runs)))
        os.kill(rank_pid(process.pid, 1), signal.SIGKILL)
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.communicate()
    folder = only_run(runs)
    wait_for(lambda: holder_of(folder) is None)
    left = summarise(folder)
    assert left.can_continue
    assert left.checkpoint_step is not None

    process = start(command(3, "train", "--resume", folder.name, "--mpi"), runs)
    try:
        wait_for(lambda: summarise(folder).checkpoint_step != left.checkpoint_step)
        process.send_signal(signal.SIGINT)  # mpirun hands it on
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert f"resumed at step {left.checkpoint_step:,}" in said
    assert said.count("saved; resume it with: femtotui train --resume") == 1

    stopped = summarise(folder)
    assert holder_of(folder) is None
    # And with one process, without MPI, it is an ordinary run.
    process = start(femtotui("train", "--resume", folder.name), runs)
    try:
        wait_for(lambda: summarise(folder).checkpoint_step != stopped.checkpoint_step)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert f"resumed at step {stopped.checkpoint_step:,}" in said
    assert list_runs(runs)[0].path == folder


def test_more_ranks_than_sequences_are_one_mistake(tmp_path: Path) -> None:
    done = run(command(7, "train", preset_file(tmp_path), "--mpi"), tmp_path / "runs")
    assert done.returncode == 2
    assert done.stderr == (
        "femtotui: That setting does not work: 7 processes cannot share a batch of 6 sequences: "
        "start at most 6\n"
    )
    assert list_runs(tmp_path / "runs") == []


def test_an_mpirun_of_another_mpi_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    done = run(femtotui("train", preset_file(tmp_path), "--mpi"), tmp_path / "runs")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "femtotui: Trouble with MPI: mpirun started 4 processes, but mpi4py is connected to another MPI"
    )
    assert done.stderr.count("\n") == 1


def test_a_rank_with_another_version_is_refused_with_both(tmp_path: Path) -> None:
    arguments = ["train", preset_file(tmp_path), "--mpi"]
    other = (
        "import sys, femtotui; femtotui.__version__ = '0.0.7'\n"
        f"from femtotui.cli.main import main; sys.exit(main({arguments!r}))"
    )
    mixed = [mpirun(), "-n", "1", *femtotui(*arguments), ":", "-n", "1", sys.executable, "-c", other]
    done = run(mixed, tmp_path / "runs")
    assert done.returncode == 2
    assert done.stderr.startswith("femtotui: Trouble with MPI: rank 0 has femtotui ")
    assert "but rank 1 has femtotui 0.0.7, NumPy " in done.stderr
    assert done.stderr.count("\n") == 1
    assert list_runs(tmp_path / "runs") == []
