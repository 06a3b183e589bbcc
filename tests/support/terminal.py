"""A real terminal to try the app in: a program in a pseudo-terminal, with an emulator that reads its screen.

`tmux` is used where it is installed, because people use it; elsewhere a pty and the emulator pyte.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyte


class Terminal(Protocol):
    """What a test does with a terminal."""

    def type(self, *keys: str) -> None: ...
    def screen(self) -> str: ...
    def resize(self, width: int, height: int) -> None: ...
    def exit_code(self) -> int | None: ...
    def close(self) -> None: ...


def wait_for(terminal: Terminal, condition: Callable[[str], bool], seconds: float = 20.0) -> str:
    """The screen as soon as it fulfils `condition`."""
    deadline = time.monotonic() + seconds
    while not condition(screen := terminal.screen()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the screen is\n{screen}"
        time.sleep(0.05)
    return screen


def wait_for_exit(terminal: Terminal, seconds: float = 20.0) -> int:
    """The exit code of the program."""
    deadline = time.monotonic() + seconds
    while (code := terminal.exit_code()) is None:
        assert time.monotonic() < deadline, f"it has not ended; the screen is\n{terminal.screen()}"
        time.sleep(0.05)
    return code


class PtyTerminal:
    """A pseudo-terminal and pyte. Keys are names from the table below, or characters."""

    _KEYS = {"Enter": "\r", "Space": " ", "Escape": "\x1b", "Down": "\x1b[B", "Up": "\x1b[A", "C-c": "\x03"}  # noqa: RUF012

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], width: int = 80, height: int = 24
    ) -> None:
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._code: int | None = None
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], list(command), {**environment, "TERM": "xterm-256color"})
        self.resize(width, height)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._pid

    def type(self, *keys: str) -> None:
        for key in keys:
            os.write(self._fd, self._KEYS.get(key, key).encode())
            time.sleep(0.05)

    def screen(self) -> str:
        while select.select([self._fd], [], [], 0)[0]:
            try:
                read = os.read(self._fd, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not read:
                break
            self._stream.feed(_without_unknown(read))
        return "\n".join(line.rstrip() for line in self._screen.display)

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def exit_code(self) -> int | None:
        self.screen()  # a program whose output nobody reads cannot end
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def close(self) -> None:
        if self.exit_code() is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)


_PRIVATE = re.compile(rb"\x1b\[[<>=][\d;]*[a-zA-Z]|\x1b\[\?[\d;]*\$p|\x1bP.*?\x1b\\")


def _without_unknown(output: bytes) -> bytes:
    """Questions about the terminal that pyte would print instead of ignoring."""
    return _PRIVATE.sub(b"", output)


class TmuxTerminal:
    """A window of a tmux server of our own. Keys are tmux's names, or characters."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        width: int = 80,
        height: int = 24,
    ) -> None:
        self._socket = f"femtotui-{uuid.uuid4().hex[:12]}"
        self._code_file = folder / "exit-code"
        line = f"{shlex.join(command)}; echo $? > {shlex.quote(str(self._code_file))}; sleep 60"
        self._environment = dict(environment)
        size = ("-x", str(width), "-y", str(height))
        self._run("-f", os.devnull, "new-session", "-d", "-s", "main", *size, line)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env=self._environment,
        )
        return done.stdout

    def type(self, *keys: str) -> None:
        for key in keys:
            self._run("send-keys", "-t", "main", key)

    def screen(self) -> str:
        return self._run("capture-pane", "-p", "-t", "main")

    def resize(self, width: int, height: int) -> None:
        self._run("resize-window", "-t", "main", "-x", str(width), "-y", str(height))

    def exit_code(self) -> int | None:
        text = self._code_file.read_text("utf-8").strip() if self._code_file.exists() else ""
        return int(text) if text else None

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)


def kinds() -> list[str]:
    """The terminals that can be had on this machine."""
    return ["pty", *(["tmux"] if shutil.which("tmux") else [])]


def open_terminal(
    kind: str, arguments: Sequence[str], folder: Path, width: int = 80, height: int = 24
) -> Terminal:
    """femtotui in a terminal, with its runs in `folder`; `tmux in pty` has its bytes pass through tmux."""
    command = [sys.executable, "-m", "femtotui", "--runs", str(folder / "runs"), *arguments]
    hidden = {"COLUMNS", "LINES", "NO_COLOR", "TEXTUAL", "TEXTUAL_DRIVER", "TMUX", "TMUX_PANE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["LC_ALL"] = "C.UTF-8"
    if kind == "tmux":
        return TmuxTerminal(command, environment, folder, width, height)
    if kind == "tmux in pty":
        tmux = ["tmux", "-L", f"femtotui-{uuid.uuid4().hex[:12]}", "-f", os.devnull, "new-session"]
        command = [*tmux, "-x", str(width), "-y", str(height), shlex.join(command)]
    return PtyTerminal(command, environment, width, height)
