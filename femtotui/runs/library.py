"""The runs on disk, with the user's titles and notes, and curves for charts."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from femtotui.core.errors import FemtoError, RunError
from femtotui.core.events import AnyEvent
from femtotui.core.files import read_limited, read_record, refuse_newer, reraise_os_errors, write_atomically
from femtotui.core.run_folder.catalog import RunSummary, list_runs
from femtotui.core.run_folder.entry import read_note
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.logs import read_history, read_scores
from femtotui.presets import Preset

from ..chart.chart_model import ChartData, Overlay
from ..chart.quantities import Quantity
from .state import RunState, Status

TITLE_FORMAT = 1
MAX_TITLE_LENGTH = 60
_MAX_BYTES = 4096
_EVERYTHING = 10**15


class _Title(msgspec.Struct, frozen=True, kw_only=True):
    format: int = TITLE_FORMAT
    title: str = ""


@dataclass(frozen=True)
class RunRow:
    """The summary of a run, with the user's title and note."""

    summary: RunSummary
    title: str = ""
    note: str = ""

    @property
    def path(self) -> Path:
        return self.summary.path

    @property
    def preset(self) -> str:
        """The key of the preset; empty for a damaged run."""
        return self.summary.info.config.preset if self.summary.info is not None else ""

    @property
    def known_loss(self) -> float | None:
        """The validation loss, or else that of the last step."""
        return self.summary.val_loss if self.summary.val_loss is not None else self.summary.loss

    @property
    def held(self) -> bool:
        """Whether a process is training it now."""
        return self.summary.holder is not None

    @property
    def name(self) -> str:
        """The user's title, or else preset, recipe and seed."""
        if self.title or self.summary.info is None:
            return self.title or self.path.name
        config = self.summary.info.config
        return f"#{config.preset} {config.recipe.name} seed {config.train.seed}"

    @property
    def short_name(self) -> str:
        return self.title or self.name.replace(" seed ", " s")


def read_rows(runs: Path, most: int | None = None) -> list[RunRow]:
    """Every run, or the newest `most`, newest first. Raises: RunError only if the folder cannot be read."""
    return [read_row(summary) for summary in list_runs(runs, most)]


def read_row(summary: RunSummary) -> RunRow:
    """A run with its title and note; those that cannot be read are left out."""
    note = ""
    with suppress(FemtoError):
        note = read_note(summary.path)
    return RunRow(summary, _read_title(summary.path), note)


def _read_title(folder: Path) -> str:
    """The user's title; empty if it cannot be read, or only by a newer femtotui."""
    with suppress(FemtoError):
        record = read_record(folder / RunFile.TITLE, _Title, TITLE_FORMAT, _MAX_BYTES)
        if record is not None and record.title.isprintable():
            return record.title[:MAX_TITLE_LENGTH]
    return ""


def write_title(folder: Path, title: str) -> None:
    """Give a run a title; an empty one takes it away. Raises: RunError."""
    title, path = title.strip(), folder / RunFile.TITLE
    if len(title) > MAX_TITLE_LENGTH or not title.isprintable():
        raise RunError(f"a title is one line of at most {MAX_TITLE_LENGTH} characters")
    with suppress(OSError, ValueError, RecursionError):  # what cannot be read may be replaced
        refuse_newer(read_limited(path, _MAX_BYTES), TITLE_FORMAT, path, RunError)
    with reraise_os_errors(RunError, f"write {path}"):
        write_atomically(path, msgspec.json.encode(_Title(title=title)) + b"\n")


# -- curves --------------------------------------------------------------------------------------------


def load_state(summary: RunSummary, last_step: int = _EVERYTHING) -> RunState:
    """The state of a run on disk, as if its events had been received. Raises: RunError for a damaged one."""
    state = RunState(summary.config)
    state.folder = str(summary.path)
    state.status = Status.FINISHED if summary.finished else Status.PARKED
    state.fold(event for event in read_history(summary.path, last_step) if isinstance(event, AnyEvent))
    state.checkpoint_step = summary.checkpoint_step
    return state


def load_curve(row: RunRow) -> ChartData:
    """The curves of a run on disk, for a chart. Raises: RunError for a damaged one."""
    state = load_state(row.summary)
    return ChartData(state.curve, state.evals, bytes_per_token=bytes_per_token(row))


def load_overlay(row: RunRow) -> Overlay:
    """A run on disk as a curve to lay over another's. Raises: RunError for a damaged one."""
    curve = load_state(row.summary).curve
    return Overlay(row.path.name, row.short_name, curve, bytes_per_token(row))


def chart_data(state: RunState, preset: Preset | None) -> ChartData:
    """A run of this session for a chart, with its baselines and the end of the journal's own run."""
    levels: list[tuple[str, float]] = []
    bytes_of_a_token: float | None = 1.0
    if state.started is not None:
        known, bytes_of_a_token = state.started.baselines, state.started.bytes_per_token or None
        levels += [("ln V", known.uniform), ("unigram", known.unigram), ("bigram", known.bigram)]
        levels += [("floor", known.floor)] if known.floor is not None else []
    if preset is not None and preset.peer is not None:
        levels.append((preset.peer.name, preset.peer.val_loss))
    record = preset.journal if preset is not None else None
    goal = (record.step, record.loss, f"journal #{record.entry}") if record is not None else None
    return ChartData(state.curve, state.evals, levels, goal, bytes_of_a_token)


def quantity_data(state: RunState, quantity: Quantity) -> ChartData:
    """A quantity of a run of this session other than its loss, for a chart."""
    tokens = state.config.train.batch * state.config.model.context
    return ChartData(state.history.series(quantity, tokens), quantity=quantity, losses=state.curve)


def state_overlay(name: str, state: RunState) -> Overlay:
    """The curve of a run of this session, to lay over another's."""
    is_byte = state.config.tokenizer.kind == "byte"
    bytes_per_token = state.started.bytes_per_token if state.started else 1.0 if is_byte else None
    return Overlay(name, name, state.curve, bytes_per_token)


def bytes_per_token(row: RunRow) -> float | None:
    """Bytes per token of the run; None for a damaged one."""
    return row.summary.info.bytes_per_token if row.summary.info is not None else None


PresetVerdict = Literal["success", "fail"]


def preset_verdicts(runs: Path) -> dict[str, PresetVerdict]:
    """By preset key: `success` if any run of it ended in one, `fail` if some were scored and none did."""
    found: dict[str, PresetVerdict] = {}
    try:
        summaries = list_runs(runs)
    except FemtoError:
        return found
    for summary in summaries:
        last = deque(read_scores(summary.path), maxlen=1)
        if summary.info is None or not last:
            continue
        key = summary.info.config.preset
        if last[0].verdict == "success":
            found[key] = "success"
        elif last[0].verdict == "fail":
            found.setdefault(key, "fail")
    return found
