"""How soon the app answers a key while it trains: from writing the key to the words that show its effect.

    python tests/bench/keys.py --preset 5 --keys 40

The app runs in a pseudo-terminal of 120 x 36, as it is or with `--tmux` inside tmux. `l` turns the loss
axis logarithmic, `?` opens the help and closes it. What else is drawn meanwhile does not count: each effect
has words of its own that nothing else writes. `--busy N` starts so many processes beside it that compute.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import random
import select
import shlex
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass

WIDTH, HEIGHT = 120, 36
START_SECONDS = 90.0
ANSWER_SECONDS = 5.0
QUIT_SECONDS = 20.0
GOAL_MS = 100.0
TRAINS = b"s/step"
"""Written when the first steps have been timed."""


@dataclass(frozen=True)
class Probe:
    """A key, the words that only its effect writes, and the key that undoes it."""

    name: str
    key: bytes
    effect: bytes
    undo: bytes


PROBES = (
    Probe("l (axis)", b"l", b"log y", b"l"),
    Probe("? (help)", b"?", b"escape closes", b""),
    Probe("? (back)", b"?", b" presets ", b""),
)


@dataclass(frozen=True)
class Answers:
    """Milliseconds from a key to its effect: every one, and in short."""

    key: str
    ms: list[float]

    @property
    def line(self) -> str:
        within = sum(ms <= GOAL_MS for ms in self.ms) / len(self.ms)
        return (
            f"{self.key:10} {len(self.ms):4} keys  median {statistics.median(self.ms):6.1f} ms"
            f"  p95 {percentile(self.ms, 0.95):6.1f}  most {max(self.ms):6.1f}"
            f"  within {GOAL_MS:.0f} ms {within:4.0%}"
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed."""
    return sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]


class Screen:
    """A program in a pseudo-terminal, and the bytes that it writes."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], list(command), {**environment, "TERM": "xterm-256color"})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))

    def press(self, key: bytes) -> None:
        os.write(self._fd, key)

    def wait_for(self, words: bytes, seconds: float) -> bool:
        """Read until `words` have come; False if they do not in that time."""
        deadline, read = time.monotonic() + seconds, b""
        while words not in read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                return False
            read = read[-len(words) :] + self._read()
        return True

    def rest(self, seconds: float) -> None:
        """Read for so long, whatever comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                self._read()

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 1 << 16)
        except OSError as error:  # how Linux says that the other end is closed
            raise EOFError("the app has ended") from error

    def close(self) -> None:
        """Let it save and leave, and wait."""
        with suppress(EOFError, OSError):
            self.press(b"q")
            self.rest(QUIT_SECONDS)
        os.close(self._fd)  # a terminal that is gone ends the app, which ends the trainer
        os.waitpid(self._pid, 0)


@contextmanager
def app_in_a_terminal(preset: str, tmux: bool) -> Iterator[Screen]:
    """The app, training in a runs folder that goes away with it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "femtotui", "--runs", folder, "--preset", preset]
        if tmux:
            size = ("-x", str(WIDTH), "-y", str(HEIGHT))
            socket = f"femtotui-{uuid.uuid4().hex[:12]}"
            command = ["tmux", "-L", socket, "-f", os.devnull, "new-session", *size, shlex.join(command)]
        hidden = {"COLUMNS", "LINES", "NO_COLOR", "TEXTUAL", "TEXTUAL_DRIVER", "TMUX", "TMUX_PANE"}
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment["LC_ALL"] = "C.UTF-8"
        screen = Screen(command, environment)
        try:
            yield screen
        finally:
            screen.close()


@contextmanager
def busy_process() -> Iterator[None]:
    """A process that computes, and nothing else."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(preset: str, keys: int, tmux: bool, busy: int) -> list[Answers]:
    """Press `keys` keys of every kind at random moments, and time the answers."""
    times: dict[str, list[float]] = {probe.name: [] for probe in PROBES}
    moments = random.Random(0)
    with ExitStack() as stack:
        for _ in range(busy):
            stack.enter_context(busy_process())
        screen = stack.enter_context(app_in_a_terminal(preset, tmux))
        if not screen.wait_for(TRAINS, START_SECONDS):
            sys.exit(f"it does not train within {START_SECONDS:g} seconds")
        screen.rest(4.0)
        for _ in range(keys):
            for probe in PROBES:
                screen.rest(moments.uniform(0.1, 0.3))
                began = time.monotonic()
                screen.press(probe.key)
                if not screen.wait_for(probe.effect, ANSWER_SECONDS):
                    sys.exit(f"{probe.name} was not answered within {ANSWER_SECONDS:g} seconds")
                times[probe.name].append(1000 * (time.monotonic() - began))
                screen.press(probe.undo)
    return [Answers(name, found) for name, found in times.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", default="5")
    parser.add_argument("--keys", type=int, default=40, help="of every kind")
    parser.add_argument("--tmux", action="store_true", help="inside tmux")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.keys < 1:
        parser.error("--keys must be at least 1")
    found = measure(arguments.preset, arguments.keys, arguments.tmux, arguments.busy)
    every = Answers("all", [ms for answers in found for ms in answers.ms])
    for answers in [*found, every]:
        print(json.dumps(asdict(answers)) if arguments.json else answers.line)


if __name__ == "__main__":
    main()
