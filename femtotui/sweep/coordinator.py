"""All of a sweep: orders out, reports and runs in, until every run has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from femtotui.core.training.batches import Source
from femtotui.core.training.workers import usable_cores
from femtotui.presets.sources import open_source

from ..packages import versions_here
from ..trainer.text_transfer import encode_text, pack_text
from .engine import Ended, Engine
from .halving import Halving
from .messages import Order, Outcome, Reply, SweepReport
from .spec import SweepSpec, SweepTrial, trials_of
from .sweep_folder import FORMAT, SweepFolder, SweepInfo
from .work import unpack_run

_TICK_S = 0.5


class Remark(msgspec.Struct, frozen=True):
    """Something to be said plainly."""

    text: str


SweepEvent = SweepReport | Outcome | Remark


def new_sweep(spec: SweepSpec, runs: Path, threads: int) -> SweepFolder:
    """A sweep whose runs are all known to be possible. Raises: FemtoError."""
    trials = trials_of(spec, threads)
    created = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    info = SweepInfo(format=FORMAT, created=created, versions=versions_here(), spec=spec, trials=trials)
    return SweepFolder.create(runs, info)


def local_shape(n_runs: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Workers on this machine and threads for each of their runs.

    Runs beside each other never wait for one another, and threads of one run do: so a run a core, and more
    threads only where there are fewer runs than cores. Measured by tests/bench/sweeps.py --shapes.
    """
    cores = usable_cores()
    chosen = workers or max(1, min(cores // (threads or 1), n_runs))
    return chosen, threads or max(1, cores // chosen)


class Sweep:
    """A sweep that goes on, by `engine`."""

    def __init__(self, folder: SweepFolder, engine: Engine, wishes: Callable[[], set[int]] = set) -> None:
        """`wishes` gives the runs that somebody wants to end, again and again while the sweep goes on."""
        self.folder = folder
        self._engine = engine
        self._wishes = wishes
        self._waiting = deque(folder.missing())
        self._running: dict[int, SweepTrial] = {}
        self._texts: dict[tuple[object, int], bytes] = {}
        self._placed: dict[int, str] = {}
        self._notes: dict[int, str] = {}
        spec = folder.info.spec
        self._halving = Halving(spec.halving) if spec.halving else None

    def run(self) -> Iterator[SweepEvent]:
        """Everything that happens, to the end. Raises: ClusterError if the scheduler goes; SweepError."""
        yield from (Remark(words) for words in self._engine.refusals())
        while self._waiting or self._running:
            yield from self._stop(self._wishes())
            self._hand_out()
            message = self._engine.next_message(_TICK_S)
            if isinstance(message, SweepReport) and message.index in self._running:
                yield self._noted(message)
            elif isinstance(message, Ended):
                yield from self._taken_in(message)
        self._engine.discard()

    def _stop(self, indices: set[int]) -> Iterator[SweepEvent]:
        """Lets these runs end where they are; those that have not begun do not begin."""
        if under_way := indices & self._running.keys():
            self._notes.update(dict.fromkeys(under_way, "stopped when asked to"))
            self._engine.stop(under_way)
        for trial in [trial for trial in self._waiting if trial.index in indices]:
            self._waiting.remove(trial)
            outcome = Outcome(index=trial.index, state="stopped", note="stopped before it had begun")
            self.folder.add(outcome)
            yield outcome

    def _hand_out(self) -> None:
        slots = self._engine.slots if self._waiting else 0
        while self._waiting and len(self._running) < slots:
            trial = self._waiting.popleft()
            self._running[trial.index] = trial
            order = Order(
                sweep=self.folder.name,
                index=trial.index,
                config=trial.config,
                versions=versions_here(),
                seconds=self.folder.info.spec.seconds,
            )
            self._engine.submit(order, self._text(trial))

    def _text(self, trial: SweepTrial) -> bytes:
        config = trial.config
        key = (config.data, config.train.seed)
        if key not in self._texts:
            source: Source = open_source(config.data, config.train.seed)
            self._texts[key] = encode_text(pack_text(source, config.data))
        return self._texts[key]

    def _noted(self, report: SweepReport) -> SweepReport:
        index = report.index
        if report.begins:
            before = self._placed.get(index)
            self._placed[index] = report.worker
            how = f"continued from step {report.step:,}" if report.step else "restarted from the beginning"
            if before is not None:
                self._notes[index] = f"worker {before} was lost; {how} on {report.worker}"
            elif report.step:
                self._notes[index] = how
        elif self._halving is not None and report.val_loss is not None:
            self._halve(report, report.val_loss)
        return report

    def _halve(self, report: SweepReport, val_loss: float) -> None:
        if self._halving and self._halving.must_stop(report.index, report.steps, report.eval_step, val_loss):
            self._notes[report.index] = f"stopped by successive halving at step {report.eval_step:,}"
            self._engine.stop([report.index])

    def _taken_in(self, ended: Ended) -> Iterator[SweepEvent]:
        trial = self._running.pop(ended.index)
        reply = ended.reply or Reply(
            outcome=Outcome(
                index=ended.index,
                state="failed",
                worker=self._placed.get(ended.index, ""),
                reason=ended.reason,
            )
        )
        if reply.outcome is None:
            self._engine.check_workers()  # one that came later, and has another version
            self._waiting.appendleft(trial)
            yield from (Remark(words) for words in self._engine.refusals())
            return
        run = ""
        if reply.archive:
            run = str(unpack_run(reply.archive, self.folder.runs, reply.outcome.run))
        outcome = msgspec.structs.replace(
            reply.outcome, index=trial.index, note=self._notes.get(trial.index, ""), run=run
        )
        self.folder.add(outcome)
        yield outcome
