"""How long after Enter the first token is on the screen, with the app in a terminal of its own (120 x 36).

    python tests/bench/first_token.py --preset 2 5 --rounds 20

Enter is pressed on the sampling screen, in the prompt, while the run trains and again while it is paused.
What counts is the time until the terminal has been sent the figures of the first piece of the text.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
import psutil
from endless import endless
from terminal import PtyTerminal, open_terminal, wait_for_exit

WIDTH, HEIGHT = 120, 36
START_SECONDS = 60.0
SETTLE_SECONDS = 1.0
_FIRST = re.compile(rb"\D1 tokens, \d+ bytes")
"""While it trains the text comes slowly, and that of the round before may still be coming."""

_ANY = re.compile(rb"\d tokens, \d+ bytes")
"""While it is paused all of it may come at once."""


class Watched:
    """The app, and all it sends; reading is done without an emulator, which would take a core's time."""

    def __init__(self, terminal: PtyTerminal) -> None:
        self._terminal = terminal
        self._fd = terminal._fd

    @property
    def busy_seconds(self) -> float:
        """What the app's process has used of the processor; the trainer is another one."""
        times = psutil.Process(self._terminal._pid).cpu_times()
        return times.user + times.system

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, pattern: re.Pattern[bytes], seconds: float = START_SECONDS) -> float:
        """The seconds until something that fits is sent."""
        begin, seen = time.perf_counter(), b""
        while not pattern.search(seen):
            left = begin + seconds - time.perf_counter()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                sys.exit(f"the terminal was not sent {pattern.pattern!r} within {seconds:g} seconds")
            seen = seen[-4096:] + os.read(self._fd, 1 << 16)
        return time.perf_counter() - begin

    def leave(self) -> None:
        """Quit, as a person would; the runs are saved."""
        self.send("\x03")
        wait_for_exit(self._terminal)

    def read_for(self, seconds: float) -> bytes:
        """Everything that is sent meanwhile."""
        end, seen = time.perf_counter() + seconds, b""
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                seen += os.read(self._fd, 1 << 16)
        return seen


def measured(preset: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds to the first token, while it trains and while it is paused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        terminal = open_terminal("pty", ["--preset", endless(preset, path)], path, WIDTH, HEIGHT)
        assert isinstance(terminal, PtyTerminal)
        app = Watched(terminal)
        try:
            app.until(re.compile(rb"trained|training"))
            wait_for_steps(path / "runs", app)
            found = {"training": _rounds(app, rounds, _FIRST)}
            app.send("\x1b")
            app.read_for(SETTLE_SECONDS)
            app.send("\x1b")
            app.read_for(SETTLE_SECONDS)
            app.send(" ")
            app.until(re.compile(b"paused"))
            found["paused"] = _rounds(app, rounds, _ANY)
            app.leave()
        finally:
            terminal.close()
    return found


def wait_for_steps(runs: Path, app: Watched) -> Path:
    """The metrics of the run, once there are some and the first parameters have come."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        for metrics in runs.glob("*/metrics.csv"):
            if metrics.stat().st_size > 200:
                app.read_for(2 * SETTLE_SECONDS)
                return metrics
        if time.monotonic() > deadline:
            sys.exit(f"no step within {START_SECONDS:g} seconds")
        app.read_for(0.2)


def _rounds(app: Watched, rounds: int, shown: re.Pattern[bytes]) -> list[float]:
    app.send("s")
    app.until(re.compile(b"sampling from"))
    app.read_for(SETTLE_SECONDS)
    times = []
    for number in range(rounds):
        app.send("\r")
        times.append(1000 * app.until(shown))
        app.read_for(SETTLE_SECONDS + 0.07 * (number % 11))  # at every phase of what recurs
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=["2", "5"])
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    for preset in arguments.preset:
        for state, times in measured(preset, arguments.rounds).items():
            print(
                f"#{preset:<3} {state:9} median {statistics.median(times):6.1f} ms, "
                f"at most {max(times):6.1f} ms of {len(times)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
