"""A sweep on disk: what it trains, its results, and the files by which a running sweep is watched.

sweep.json              the spec and every run's resolved settings; written once
outcomes.jsonl          a line per run that has ended
table.md, table.csv     the same for people and spreadsheets, replaced with every line
reports.jsonl           a line per report of a worker; appended by the coordinator
stop_requests.jsonl     a line per request of a watcher to stop runs
coordinator.log         output of a coordinator that was started for a screen
run.lock                held by the coordinator

So watchers may leave and come back: the sweep neither waits for them nor needs them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from femtotui.core.config import ConfigStruct
from femtotui.core.errors import RunError
from femtotui.core.events import EvalDone, StepDone
from femtotui.core.files import open_own, read_limited, read_record, reraise_os_errors, write_atomically
from femtotui.core.run_folder.lock import RunLock, holder_of

from ..runs.state import RunState
from .messages import Outcome, SweepReport, csv_table, markdown_table, table_rows
from .spec import SweepError, SweepSpec, SweepTrial

FORMAT = 1
FOLDER_NAME = "sweeps"
REPORTS, STOP_REQUESTS, LOG_NAME = "reports.jsonl", "stop_requests.jsonl", "coordinator.log"

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_MAX_BYTES = 256 * 2**20
_MAX_LOG_BYTES = 2**20


class SweepInfo(ConfigStruct, frozen=True):
    """The content of sweep.json. `created` is local time with its offset, ISO 8601."""

    format: int
    created: str
    versions: str
    spec: SweepSpec
    trials: tuple[SweepTrial, ...]


class SweepFolder:
    """One sweep, in `runs`/sweeps; its runs lie in `runs` like all others."""

    def __init__(self, path: Path, info: SweepInfo) -> None:
        self.path, self.info = path, info
        self._outcomes = {outcome.index: outcome for outcome in read_outcomes(path)}

    @classmethod
    def create(cls, runs: Path, info: SweepInfo) -> SweepFolder:
        """Raises: SweepError."""
        stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
        path = runs / FOLDER_NAME / f"{stamp}-{secrets.token_hex(3)}"
        with reraise_os_errors(SweepError, f"make a sweep in {runs}"):
            path.mkdir(parents=True)
            write_atomically(path / "sweep.json", msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """Raises: SweepError for a folder that is no sweep, damaged or of a newer format."""
        try:
            info = read_record(path / "sweep.json", SweepInfo, FORMAT, _MAX_BYTES)
        except RunError as error:
            raise SweepError(str(error)) from error
        if info is None:
            raise SweepError(f"{path} is no sweep: it has no sweep.json")
        return cls(path, info)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def runs(self) -> Path:
        """Folder of the finished runs."""
        return self.path.parent.parent

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes so far, in the order of the sweep."""
        return [self._outcomes[index] for index in sorted(self._outcomes)]

    def missing(self) -> list[SweepTrial]:
        """The runs that have not ended."""
        return [trial for trial in self.info.trials if trial.index not in self._outcomes]

    def add(self, outcome: Outcome) -> None:
        """Save the outcome of a run. Raises: SweepError."""
        self._outcomes[outcome.index] = outcome
        rows = table_rows(self.info.trials, self.outcomes, self.info.spec.rank_by)
        lines = b"".join(msgspec.json.encode(known) + b"\n" for known in self.outcomes)
        with reraise_os_errors(SweepError, f"write {self.path}"):
            write_atomically(self.path / "outcomes.jsonl", lines)
            write_atomically(self.path / "table.md", markdown_table(rows).encode())
            write_atomically(self.path / "table.csv", csv_table(rows).encode())


def find_sweep(runs: Path, name: str) -> SweepFolder:
    """Open a sweep by its name, a part of it, or `latest`. Raises: SweepError."""
    folder = runs / FOLDER_NAME
    names: list[str] = []
    with suppress(OSError):
        names = sorted((path.parent.name for path in folder.glob("*/sweep.json")), reverse=True)
    if not names:
        raise SweepError(f"there are no sweeps in {folder}")
    matching = names[:1] if name == "latest" else [other for other in names if name and name in other]
    if len(matching) != 1:
        raise SweepError(f"`{name}` is {len(matching)} of the sweeps in {folder}: {', '.join(names[:5])}")
    return SweepFolder.open(folder / matching[0])


def read_outcomes(folder: Path) -> list[Outcome]:
    """Read the outcomes in a sweep's folder; none if the file is missing or too large."""
    with suppress(OSError, ValueError):
        lines = read_limited(folder / "outcomes.jsonl", _MAX_BYTES).splitlines()
        return list(_decoded(lines, Outcome))
    return []


def _decoded(lines: Iterable[bytes], kind: type[_Struct]) -> Iterator[_Struct]:
    """Decode lines of JSON; torn and foreign ones are skipped."""
    for line in lines:
        with suppress(ValueError, RecursionError):
            yield msgspec.json.decode(line, type=kind)


# -- the files of a running sweep --------------------------------------------------------------------------


class StopRequest(msgspec.Struct, frozen=True):
    """Runs to be saved and ended."""

    stop: tuple[int, ...]


class CoordinatorFiles:
    """The coordinator's side: holds the lock, writes reports, reads stop requests. Use it in a `with`."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._requests = LineReader(folder.path / STOP_REQUESTS)

    def __enter__(self) -> Self:
        """Raises: SweepError if another process coordinates the sweep already."""
        path = self._folder.path
        with reraise_os_errors(SweepError, f"write in {path}"):
            self._reports = open(path / REPORTS, "ab", buffering=0, opener=open_own)
        try:
            self._lock = RunLock(path)
        except RunError as error:
            self._reports.close()
            if (holder := holder_of(path)) is None:
                raise SweepError(str(error)) from error
            raise SweepError(
                f"the sweep is running already, in process {holder.pid} on {holder.host}: "
                f"femtotui sweep --watch {path.name}"
            ) from error
        self._requests.lines()  # skips those to an earlier coordinator
        return self

    def __exit__(self, *_: object) -> None:
        self._reports.close()
        self._lock.release()

    def write_report(self, report: SweepReport) -> None:
        """Publish a report; watchers miss it if it cannot be written."""
        with suppress(OSError):
            self._reports.write(msgspec.json.encode(report) + b"\n")

    def stop_requests(self) -> set[int]:
        """The runs that watchers have asked to stop since the last call."""
        return {index for request in _decoded(self._requests.lines(), StopRequest) for index in request.stop}


class SweepWatcher:
    """A watcher's side: the state of every run that has begun, folded from its reports.

    `is_starting` tells whether a coordinator has been started that may not hold the lock yet.
    """

    def __init__(self, folder: SweepFolder, is_starting: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder
        self._is_starting = is_starting
        self.trials = {trial.index: trial for trial in folder.info.trials}
        self.states: dict[int, RunState] = {}
        self.reports: dict[int, SweepReport] = {}
        self.outcomes: dict[int, Outcome] = {}
        self._lines = LineReader(folder.path / REPORTS)

    def read(self) -> bool:
        """Read what is new; return whether there was anything."""
        reports = list(_decoded(self._lines.lines(), SweepReport))
        for report in reports:
            if report.index in self.trials:
                self._fold(report)
        before = self.outcomes
        self.outcomes = {o.index: o for o in read_outcomes(self.folder.path) if o.index in self.trials}
        return bool(reports) or self.outcomes != before

    def _fold(self, report: SweepReport) -> None:
        self.reports[report.index] = report
        state = self.states.setdefault(report.index, RunState(self.trials[report.index].config))
        step, elapsed_s, nan = report.step, report.elapsed_s, math.nan
        loss = nan if report.train_loss is None else report.train_loss
        if report.train_loss is not None:
            done = StepDone(
                step=step, loss=loss, lr=nan, grad_norm=nan, ms=report.ms, elapsed_s=elapsed_s, rss_mib=0.0
            )
            state.fold([done])
        at, val_loss = report.eval_step, report.val_loss
        if val_loss is not None and at not in {step for step, _ in state.evals[-1:]}:
            state.fold([EvalDone(step=at, val_loss=val_loss, train_loss=loss, elapsed_s=elapsed_s)])

    @property
    def is_running(self) -> bool:
        """Whether a process coordinates the sweep now."""
        return self._is_starting() or holder_of(self.folder.path) is not None

    @property
    def last_error(self) -> str:
        """The last error in the log of a coordinator that was started for a screen."""
        with suppress(OSError, ValueError):
            log = read_limited(self.folder.path / LOG_NAME, _MAX_LOG_BYTES).decode(errors="replace")
            return next((line for line in reversed(log.splitlines()) if line.startswith("femtotui: ")), "")
        return ""

    def request_stop(self, indices: Iterable[int]) -> None:
        """Ask the coordinator to stop these runs. Raises: SweepError."""
        line = msgspec.json.encode(StopRequest(tuple(indices))) + b"\n"
        path = self.folder.path
        with (
            reraise_os_errors(SweepError, f"write in {path}"),
            open(path / STOP_REQUESTS, "ab", opener=open_own) as file,
        ):
            file.write(line)


class LineReader:
    """Reads the whole lines that a growing file has gained since the last call."""

    def __init__(self, path: Path) -> None:
        self._path, self._position = path, 0

    def lines(self) -> list[bytes]:
        with suppress(OSError), open(self._path, "rb", opener=open_own) as file:
            file.seek(self._position)
            new, newline, _ = file.read().rpartition(b"\n")
            self._position += len(new) + len(newline)
            return new.splitlines()
        return []
