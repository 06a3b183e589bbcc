"""A real scheduler and real workers, as processes on loopback, and the command line beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from distributed import Client

DEADLINE_S = 60.0

PRESET = """\
key = "tiny-sweep"
title = "tiny, for sweeps"
steps = {steps}
batch = 4
recipe = "modern"

[model]
n_layers = 1
width = 16
n_heads = 2
context = 16

[tokenizer]
kind = "byte"

[data]
source = "files"
paths = ["{text}"]
"""


def preset_file(folder: Path, *, steps: int) -> str:
    text, preset = folder / "text.txt", folder / "tiny.toml"
    text.write_text("bacedi;\nhokuba;\ngifude;\n" * 60)
    preset.write_text(PRESET.format(steps=steps, text=text))
    return str(preset)


def femtotui(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "femtotui", *arguments]


class Cluster:
    """A scheduler and its workers; each worker keeps things in a folder of its own name."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_for(file.exists)
        self.address = _address(file)
        self.options = ("--scheduler", self.address, "--insecure-network")

    def add_worker(self, name: str, *, cache: Path, program: str = "") -> None:
        """`program` runs in the worker before anything else."""
        preload = self._folder / f"{name}.py"
        preload.write_text(program)
        options = ("--name", name, "--nthreads", "1", "--no-nanny", "--preload", str(preload))
        local = ("--local-directory", str(self._folder / name))
        self.workers[name] = self._start("worker", self.address, *options, *local, cache=cache)

    def wait_for_workers(self) -> None:
        with Client(self.address) as client:
            client.wait_for_workers(len(self.workers), timeout=DEADLINE_S)

    def _start(self, what: str, *arguments: str, cache: Path | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard"]
        command += [*self._options, *arguments]
        log = (self._folder / f"{what}-{len(self._processes)}.log").open("wb")
        environment = {**os.environ, **({"FEMTOTUI_CACHE": str(cache)} if cache else {})}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._folder)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


class SweepProcess:
    """`femtotui sweep ... --json`, read line by line."""

    def __init__(self, runs: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            femtotui("sweep", *arguments, "--json", "--runs", str(runs)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.seen: list[dict[str, Any]] = []

    def events(self) -> Iterator[dict[str, Any]]:
        """To the end of the sweep."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = msgspec.json.decode(line)
            self.seen.append(event)
            yield event

    def until(self, happens: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found = next((event for event in self.events() if happens(event)), None)
        assert found is not None, self.end()[1]
        return found

    def end(self) -> tuple[int, str]:
        """Reads the rest; the exit code, and what was said."""
        for _ in self.events():
            pass
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        return self.process.wait(DEADLINE_S), said

    def outcomes(self) -> dict[int, dict[str, Any]]:
        return {event["index"]: event for event in self.seen if event["event"] == "run_ended"}


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _address(file: Path) -> str:
    address = ""

    def read() -> bool:
        nonlocal address
        try:
            address = msgspec.json.decode(file.read_bytes())["address"]
        except (OSError, ValueError, KeyError):
            return False
        return True

    wait_for(read)
    return address
