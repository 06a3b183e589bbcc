"""Shared parts of the benchmarks: options, turns and output, the app in a terminal, marks of an SVG chart.

Nothing here imports NumPy before it is used: a benchmark prepares BLAS first.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

T = TypeVar("T")
ONE_OF_EACH_SIZE = ("10", "2", "3", "9", "11", "12", "5")
WIDTH, HEIGHT = 120, 36
START_SECONDS = 90.0
SETTLE_SECONDS = 1.0
ENDLESS_STEPS = 100_000_000
INK, FAINT, QUIET = "#333333", "#e4e4e4", "#777777"


def options(
    doc: str | None, presets: Sequence[str] = (), rounds: int = 0, seconds: float = 0, as_json: bool = False
) -> argparse.ArgumentParser:
    """A parser with those of the shared options that are given a default."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=as_written, allow_abbrev=False)
    if presets:
        several = f"default: {' '.join(presets)}"
        parser.add_argument("--preset", nargs="+", default=presets, metavar="KEY", help=several)
    if rounds:
        parser.add_argument("--rounds", type=positive, default=rounds, help=f"default: {rounds}")
    if seconds:
        lasting = f"seconds of training per measurement (default: {seconds:g})"
        parser.add_argument("--seconds", type=float, default=seconds, help=lasting)
    if as_json:
        parser.add_argument("--json", action="store_true", help="one JSON object per line")
    return parser


def positive(text: str) -> int:
    """An option's value of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def show(as_json: bool, line: str, **figures: object) -> None:
    """Print a result as one JSON object, or as a line for people."""
    print(json.dumps(figures) if as_json else line, flush=True)


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Lines of Markdown; the first row is the header."""
    header, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *others))


def in_turn(rounds: int, *sides: Callable[[], T]) -> list[list[T]]:
    """The values of each side, called in turn so that all see the same machine; odd rounds are reversed."""
    found: list[list[T]] = [[] for _ in sides]
    for i in range(rounds):
        order = range(len(sides))
        for j in order if i % 2 == 0 else reversed(order):
            found[j].append(sides[j]())
    return found


def seconds_of(run: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# -- runs and the app ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flush:
    """A flush of metrics.csv: its time, and the last step in it."""

    time: float
    step: int

    def rate_until(self, end: Flush) -> float:
        """Steps per second by the clock, so that everything between steps counts."""
        if end.step <= self.step:
            sys.exit("no step was made: ask for more --seconds")
        return (end.step - self.step) / (end.time - self.time)


def newest_flush(metrics: Path) -> Flush:
    """The newest flush. Rows are appended whole: time and text fit if the time stays the same meanwhile."""
    while True:
        before = metrics.stat().st_mtime_ns
        lines = metrics.read_text("utf-8").splitlines()
        if metrics.stat().st_mtime_ns == before:
            return Flush(before / 1e9, int(lines[-1].split(",")[0]) if len(lines) > 1 else 0)


def wait_for_metrics(runs: Path, wait: Callable[[float], object] = time.sleep) -> Path:
    """The metrics.csv of the run in `runs`, once it holds a step; `wait` passes the time until then."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for metrics in runs.glob("*/metrics.csv"):
            if newest_flush(metrics).step:
                return metrics
        wait(0.1)
    sys.exit(f"no step within {START_SECONDS:g} seconds")


def endless(preset: str, folder: Path) -> str:
    """The path of a preset file in `folder`: `preset`, but it does not end while it is measured."""
    import msgspec  # noqa: PLC0415

    from femtotui.presets import load_preset  # noqa: PLC0415
    from femtotui.runs.choices import UserPresets  # noqa: PLC0415

    lasting = msgspec.structs.replace(load_preset(preset), key=f"endless-{preset}", steps=ENDLESS_STEPS)
    return str(UserPresets(folder / "presets").save(lasting))


class App:
    """The app in a pseudo-terminal. Its bytes are read without an emulator, which would use the processor."""

    def __init__(self, terminal: Any, runs: Path) -> None:
        self.terminal = terminal
        self.runs = runs
        self.pid: int = terminal._pid
        self._fd: int = terminal._fd

    @property
    def busy_seconds(self) -> float:
        """Processor time of the app's process; the trainer is another one."""
        import psutil  # noqa: PLC0415

        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, pattern: bytes, seconds: float = START_SECONDS) -> float:
        """The seconds until bytes that match `pattern` are sent."""
        begin, seen = time.perf_counter(), b""
        while not re.search(pattern, seen):
            left = begin + seconds - time.perf_counter()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                sys.exit(f"the terminal was not sent {pattern!r} within {seconds:g} seconds")
            seen = seen[-4096:] + os.read(self._fd, 1 << 16)
        return time.perf_counter() - begin

    def read_for(self, seconds: float) -> bytes:
        """Everything that is sent in this time."""
        end, seen = time.perf_counter() + seconds, b""
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                seen += os.read(self._fd, 1 << 16)
        return seen

    def wait_for_metrics(self) -> Path:
        """The run's metrics.csv, once it trains and the first parameters have come."""
        metrics = wait_for_metrics(self.runs, self.read_for)
        self.read_for(2 * SETTLE_SECONDS)
        return metrics


@contextmanager
def terminal_app(kind: str, preset: str, arguments: Sequence[str] = ()) -> Iterator[tuple[Any, Path]]:
    """The app in a terminal of some kind, training a preset without end; and its runs folder."""
    from terminal import open_terminal, wait_for_exit  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        terminal = open_terminal(kind, [endless(preset, path), *arguments], path, WIDTH, HEIGHT)
        try:
            yield terminal, path / "runs"
            terminal.type("C-c")
            wait_for_exit(terminal, START_SECONDS)
        finally:
            terminal.close()


@contextmanager
def app(preset: str, arguments: Sequence[str] = (), *, inside_tmux: bool = False) -> Iterator[App]:
    """The app in a pseudo-terminal, as it is or inside tmux."""
    with terminal_app("tmux in pty" if inside_tmux else "pty", preset, arguments) as (terminal, runs):
        yield App(terminal, runs)


# -- SVG -------------------------------------------------------------------------------------------------


def picture(width: int, height: int, parts: Iterable[str]) -> str:
    """An SVG document on white paper."""
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, sans-serif" fill="{INK}">'
    )
    paper = f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>'
    return "\n".join([frame, paper, *parts, "</svg>\n"])


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 11, fill: str = INK) -> str:
    """Words at a point."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


@dataclass(frozen=True)
class Axis:
    """An axis of a chart from the coordinate `start` to `stop`, for values from `low` to `high`."""

    start: float
    stop: float
    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The coordinate of a value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(max(value, self.low))
        return self.start + (self.stop - self.start) * (at - low) / (high - low)


def line(points: Sequence[tuple[float, float]], colour: str, width: float = 1, dashed: bool = False) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'


def dot(x: float, y: float, colour: str, *, radius: float = 4.0, hollow: bool = False) -> str:
    """A filled circle or a ring."""
    paint = f'fill="#ffffff" stroke="{colour}" stroke-width="1.8"' if hollow else f'fill="{colour}"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {paint}/>'
