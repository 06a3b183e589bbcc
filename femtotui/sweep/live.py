"""A sweep that goes on, as files: what it does for those who watch, and what they wish of it.

    reports.jsonl   a line for each report of a worker; appended by the process that leads the sweep
    wishes.jsonl    a line for each wish of a watcher: runs that are to end
    leader.log      what a leader says that was started for a screen
    run.lock        held by the process that leads the sweep

So whoever watches may leave and come back, and the sweep neither waits for them nor needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from femtotui.core.errors import RunError
from femtotui.core.files import open_own, os_error_words, read_limited
from femtotui.core.run_folder.lock import RunLock, holder_of

from .messages import Outcome, SweepReport
from .spec import SweepError
from .sweep_folder import SweepFolder, read_outcomes

REPORTS, WISHES, LOG_NAME = "reports.jsonl", "wishes.jsonl", "leader.log"
_MAX_LOG_BYTES = 2**20


class Wish(msgspec.Struct, frozen=True):
    """These runs are to be saved and to end."""

    stop: tuple[int, ...]


class Lead:
    """Held by the process that leads a sweep; use it in a `with`."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._wishes = Tail(folder.path / WISHES)

    def __enter__(self) -> Self:
        """Raises: SweepError if another process leads the sweep already."""
        path = self._folder.path
        try:
            self._lock = RunLock(path)
        except RunError as error:
            if (holder := holder_of(path)) is None:
                raise SweepError(str(error)) from error
            raise SweepError(
                f"the sweep goes on already, led by process {holder.pid} on {holder.host}: "
                f"femtotui sweep --watch {path.name}"
            ) from error
        self._wishes.skip()  # those of an earlier sitting
        try:
            self._reports = open(path / REPORTS, "ab", buffering=0, opener=open_own)
        except OSError as error:
            self._lock.release()
            raise SweepError(f"cannot write in {path}: {os_error_words(error)}") from error
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._reports.close()
        self._lock.release()

    def note(self, report: SweepReport) -> None:
        """Lets watchers know; if that cannot be written, they miss it."""
        with suppress(OSError):
            self._reports.write(msgspec.json.encode(report) + b"\n")

    def wishes(self) -> set[int]:
        """The runs that watchers have wanted to end since the last time."""
        found: set[int] = set()
        for line in self._wishes.lines():
            with suppress(ValueError, RecursionError):
                found.update(msgspec.json.decode(line, type=Wish).stop)
        return found


class Watch:
    """What a watcher knows of a sweep."""

    def __init__(self, folder: SweepFolder, is_starting: Callable[[], bool] = lambda: False) -> None:
        """`is_starting` tells whether a leader is about to take the sweep."""
        self.folder = folder
        self._is_starting = is_starting
        self.last: dict[int, SweepReport] = {}
        self.curves: dict[int, list[SweepReport]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self._reports = Tail(folder.path / REPORTS)

    def look(self) -> bool:
        """Reads what is new; whether there was anything."""
        news = False
        for line in self._reports.lines():
            with suppress(ValueError, RecursionError):
                self._take(msgspec.json.decode(line, type=SweepReport))
                news = True
        outcomes = {outcome.index: outcome for outcome in read_outcomes(self.folder.path)}
        news = news or outcomes != self.outcomes
        self.outcomes = outcomes
        return news

    def _take(self, report: SweepReport) -> None:
        self.last[report.index] = report
        curve = self.curves.setdefault(report.index, [])
        while curve and curve[-1].step >= report.step:  # it went on from an earlier checkpoint
            curve.pop()
        curve.append(report)

    @property
    def is_led(self) -> bool:
        """Whether a process leads the sweep now."""
        return self._is_starting() or holder_of(self.folder.path) is not None

    @property
    def last_words(self) -> str:
        """What a leader that was started for a screen said last; it may be why it ended."""
        with suppress(OSError, ValueError):
            said = read_limited(self.folder.path / LOG_NAME, _MAX_LOG_BYTES).decode(errors="replace")
            errors = [line for line in said.splitlines() if line.startswith("femtotui: ")]
            return errors[-1] if errors else ""
        return ""

    def ask_to_stop(self, indices: Iterable[int]) -> None:
        """Wishes for these runs to end. Raises: SweepError."""
        line = msgspec.json.encode(Wish(tuple(indices))) + b"\n"
        try:
            with open(self.folder.path / WISHES, "ab", opener=open_own) as file:
                file.write(line)
        except OSError as error:
            raise SweepError(f"cannot write in {self.folder.path}: {os_error_words(error)}") from error


class Tail:
    """The whole lines that a growing file has gained since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def lines(self) -> list[bytes]:
        with suppress(OSError), open(self._path, "rb", opener=open_own) as file:
            file.seek(self._at)
            new, newline, _ = file.read().rpartition(b"\n")
            self._at += len(new) + len(newline)
            return new.splitlines()
        return []

    def skip(self) -> None:
        """Passes over what is there."""
        self.lines()
