"""Starts the real command line under a real mpirun."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

DEADLINE_S = 60.0

PRESET = """\
key = "tiny-mpi"
title = "tiny, for MPI"
steps = 30
batch = 6
recipe = "modern"

[model]
n_layers = 2
width = 16
n_heads = 2
context = 16
dropout = 0.1

[tokenizer]
kind = "byte"

[data]
source = "files"
paths = ["{text}"]
"""


def preset_file(folder: Path, *, steps: int = 30) -> str:
    text, preset = folder / "text.txt", folder / "tiny.toml"
    text.write_text("bacedi;\nhokuba;\ngifude;\n" * 60)
    preset.write_text(PRESET.replace("steps = 30", f"steps = {steps}").replace("{text}", str(text)))
    return str(preset)


def mpirun() -> str:
    """The launcher of the MPI that this Python's mpi4py is connected to: the one beside Python, if any."""
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    assert found, "there is no mpirun: pip install mpich"
    return found


def command(ranks: int, *arguments: str) -> list[str]:
    return [mpirun(), "-n", str(ranks), *femtotui(*arguments)]


def femtotui(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "femtotui", *arguments]


def run(command: list[str], runs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(runs), capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )


def start(command: list[str], runs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment(runs), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def environment(runs: Path) -> dict[str, str]:
    return {**os.environ, "FEMTOTUI_RUNS": str(runs)}


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def rank_pid(launcher: int, rank: int) -> int:
    """The process of a rank, by what its launcher told it."""
    for process in psutil.Process(launcher).children(recursive=True):
        told = process.environ()
        if str(rank) in (told.get("PMI_RANK"), told.get("OMPI_COMM_WORLD_RANK")):
            return process.pid
    raise AssertionError(f"no rank {rank}")
