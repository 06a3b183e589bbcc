"""Memory that a run takes beside what was forecast for it: the trainer and the app together. Linux only.

    python tests/bench/memory.py --preset 10 2 3 9 11 12 5 --seconds 12

The app runs in a pseudo-terminal, trains, draws samples and saves once. Its RAM panel says the most that both
processes were at once, and the forecast. The system is asked for each process's own peak besides.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from endless import endless
from terminal import PtyTerminal, open_terminal, wait_for, wait_for_exit

WIDTH, HEIGHT = 120, 36
START_SECONDS = 90.0
GOAL = 0.2
PANEL = re.compile(r"peak ([\d,]+) ~([\d,]+)")


@dataclass(frozen=True)
class Memory:
    """MiB: the forecast, the most that the panel showed, and each process's own peak."""

    preset: str
    forecast: float
    panel: float
    app: float
    trainer: float

    @property
    def line(self) -> str:
        off = self.forecast / self.panel - 1
        return (
            f"#{self.preset:<3} forecast {self.forecast:5.0f}  took {self.panel:5.0f}  off by {off:+4.0%}"
            f"{'' if abs(off) <= GOAL else '  TOO MUCH'}   app {self.app:4.0f}  trainer {self.trainer:4.0f}"
        )


def measure(preset: str, seconds: float, arguments: list[str]) -> Memory:
    """Train a preset in the app for so long, and read what it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        options = ["--preset", endless(preset, path), *arguments]
        terminal = open_terminal("pty", options, path, WIDTH, HEIGHT)
        assert isinstance(terminal, PtyTerminal)
        try:
            wait_for(terminal, lambda screen: "s/step" in screen, START_SECONDS)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                terminal.screen()
                time.sleep(0.1)
            terminal.type("c")
            wait_for(terminal, lambda screen: "is saved" in screen, START_SECONDS)
            found = PANEL.search(wait_for(terminal, lambda screen: bool(PANEL.search(screen))))
            app = psutil.Process(terminal.pid)
            trainer = next(
                child for child in app.children() if "femtotui.trainer.process" in " ".join(child.cmdline())
            )
            peaks = [peak_mib(process.pid) for process in (app, trainer)]
            terminal.type("q")
            wait_for_exit(terminal, START_SECONDS)
        finally:
            terminal.close()
    if found is None:
        sys.exit("the RAM panel says nothing")
    panel, forecast = (float(figure.replace(",", "")) for figure in found.groups())
    return Memory(preset, forecast, panel, *peaks)


def peak_mib(pid: int) -> float:
    """The most resident memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=["10", "2", "3", "9", "11", "12", "5"])
    parser.add_argument("--seconds", type=float, default=12.0, help="of training, from the first timed step")
    parser.add_argument("--data", help="train on this text, as 11 and 12 do")
    parser.add_argument("--recipe", help="`modern` or `journal`")
    parser.add_argument("--json", action="store_true", help="one JSON object a preset")
    arguments = parser.parse_args()
    given = {"--data": arguments.data, "--recipe": arguments.recipe}
    options = [word for name, value in given.items() if value for word in (name, value)]
    for preset in arguments.preset:
        memory = measure(preset, arguments.seconds, options)
        print(json.dumps(asdict(memory)) if arguments.json else memory.line, flush=True)


if __name__ == "__main__":
    main()
