"""Memory that a run uses beside its forecast: the trainer and the app together. Linux only.

    python tests/bench/memory.py --preset 10 2 3 9 11 12 5 --seconds 12

The app runs in a pseudo-terminal, trains, draws samples and saves once. Its RAM panel shows the peak of both
processes together, and the forecast. The system is asked for the peak of each process besides.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import psutil
from harness import ONE_OF_EACH_SIZE, START_SECONDS, app, options, show
from terminal import wait_for

GOAL = 0.2
PANEL = re.compile(r"peak ([\d,]+) ~([\d,]+)")


def measure(preset: str, seconds: float, arguments: list[str]) -> dict[str, float]:
    """Train a preset in the app for a while.

    Returns MiB: the forecast, the peak that the panel showed, and the peak of each process.
    """
    with app(preset, arguments) as running:
        terminal = running.terminal
        wait_for(terminal, lambda screen: "s/step" in screen, START_SECONDS)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            terminal.screen()
            time.sleep(0.1)
        terminal.type("c")
        wait_for(terminal, lambda screen: "is saved" in screen, START_SECONDS)
        found = PANEL.search(wait_for(terminal, lambda screen: bool(PANEL.search(screen))))
        children = psutil.Process(running.pid).children()
        trainer = next(
            child.pid for child in children if "femtotui.trainer.process" in " ".join(child.cmdline())
        )
        peaks = peak_mib(running.pid), peak_mib(trainer)
    if found is None:
        sys.exit("the RAM panel is empty")
    panel, forecast = (float(figure.replace(",", "")) for figure in found.groups())
    return {"forecast": forecast, "panel": panel, "app": peaks[0], "trainer": peaks[1]}


def peak_mib(pid: int) -> float:
    """The peak of a process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def main() -> None:
    parser = options(__doc__, presets=ONE_OF_EACH_SIZE, seconds=12.0, as_json=True)
    parser.add_argument("options", nargs="*", help="after --: options of the app, as --recipe journal")
    asked = parser.parse_args()
    for preset in asked.preset:
        mib = measure(preset, asked.seconds, asked.options)
        off = mib["forecast"] / mib["panel"] - 1
        verdict = "" if abs(off) <= GOAL else "  TOO MUCH"
        line = (
            f"#{preset:<3} forecast {mib['forecast']:5.0f}  took {mib['panel']:5.0f}  off by {off:+4.0%}"
            f"{verdict}   app {mib['app']:4.0f}  trainer {mib['trainer']:4.0f}"
        )
        show(asked.json, line, preset=preset, **mib)


if __name__ == "__main__":
    main()
