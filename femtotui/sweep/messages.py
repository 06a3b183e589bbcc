"""Messages between a sweep's coordinator and its workers, and the results in them, ranked and as tables.

Messages are MessagePack of typed structs, as bytes. Dask wraps these bytes in messages of its own, which may
hold pickles: see dask_engine.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from femtotui.core.config import RunConfig

from ..text.formats import UNKNOWN, duration, loss, score
from ..text.safe import one_line
from .spec import ClusterError, RankBy, SweepTrial, Value, differing_settings

MAX_REPORT_BYTES = 2**16
MAX_REPLY_BYTES = 2**32
"""A run folder, of which MessagePack cannot hold more."""

EndState = Literal["finished", "stopped", "failed"]
Words = Annotated[str, msgspec.Meta(max_length=10_000)]
_Message = TypeVar("_Message", bound=msgspec.Struct)
_Row = dict[str, Value | None]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """To a worker: train this. `seconds` is the budget of training time, None for steps alone."""

    sweep: str
    index: int
    config: RunConfig
    versions: str
    seconds: float | None


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run. Losses in nats per token, `score` in `unit`, times in seconds of training."""

    index: int
    worker: Words = ""
    step: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    score: float | None = None
    unit: Words = ""
    elapsed_s: float = 0.0


_Figures = TypeVar("_Figures", bound=RunFigures)


class SweepReport(RunFigures, frozen=True, kw_only=True, rename={"train_loss": "loss"}):
    """From a worker, about once per second: the progress of a run of `steps` steps.

    `begins` marks the first report of an attempt; `step` is then where it starts from.
    """

    begins: bool
    steps: int
    eval_step: int = 0
    ms: float = 0.0


class Outcome(RunFigures, frozen=True, kw_only=True):
    """The result of a run.

    `success_step` and `success_s` are those of the first score that counts as success. `note` describes
    interruptions, `reason` why it failed; `run` is its folder: a name from a worker, a path once unpacked.
    """

    state: EndState
    success_step: int | None = None
    success_s: float | None = None
    reason: Words = ""
    note: Words = ""
    run: Words = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an order: its outcome with the run folder as an archive.

    None from a worker whose versions differ from the order's.
    """

    outcome: Outcome | None = None
    archive: bytes = b""


encode = msgspec.msgpack.encode


def decode(data: object, kind: type[_Message], limit: int = MAX_REPLY_BYTES) -> _Message:
    """Raises: ClusterError if `data` is no such message."""
    if not isinstance(data, bytes):
        raise ClusterError(f"a message that cannot be understood arrived: {type(data).__name__}, not bytes")
    if len(data) > limit:
        raise ClusterError(f"a message that is too long arrived: {len(data):,} bytes")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise ClusterError(f"a message that cannot be understood arrived: {error}") from error


# -- the ranking and its tables ----------------------------------------------------------------------------


def ranked(runs: Iterable[_Figures], by: RankBy) -> list[_Figures]:
    """Sort best first; then runs that cannot be ranked, then failed ones, in the order of the sweep."""
    return sorted(runs, key=lambda run: (*_rank_key(run, by), run.index))


def _rank_key(run: RunFigures, by: RankBy) -> tuple[bool, float]:
    """The sort key of a run: a higher share is better; fewer bits per byte, lower losses and times are."""
    failed, success_s = (run.state == "failed", run.success_s) if isinstance(run, Outcome) else (False, None)
    value = {"loss": run.val_loss, "score": run.score, "time": success_s}[by]
    if value is None or not math.isfinite(value):
        return failed, math.inf
    return failed, -value if by == "score" and run.unit == "share" else value


def table_rows(trials: Sequence[SweepTrial], outcomes: Sequence[Outcome], by: RankBy) -> list[_Row]:
    """A dict per run, best first: rank, the settings that differ, and the results."""
    settings = differing_settings(trials)
    best_first = enumerate(ranked(outcomes, by), 1)
    return [{"rank": rank, **settings[outcome.index], **_figures(outcome)} for rank, outcome in best_first]


def _figures(outcome: Outcome) -> _Row:
    return {
        "state": outcome.state,
        "step": outcome.step,
        "loss": outcome.train_loss,
        "validation": outcome.val_loss,
        **{name: getattr(outcome, name) for name in ("score", "unit", "success_step", "success_s")},
        "seconds": outcome.elapsed_s,
        "ms_per_step": 1000 * outcome.elapsed_s / outcome.step if outcome.step else None,
        "worker": outcome.worker,
        "run": outcome.run.replace("\\", "/").rpartition("/")[2],
        "note": outcome.reason or outcome.note,
    }


def csv_table(rows: Sequence[_Row]) -> str:
    """All figures as CSV, with full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else ["rank"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


_HIDDEN = ("unit", "success_step", "ms_per_step", "worker")
_HEADERS = {"success_s": "success after", "seconds": "took"}
_FORMATS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("success_s", "seconds"), duration),
    **dict.fromkeys(("loss", "validation"), loss),
    "step": "{:,}".format,
}
_MAX_CELL = 120


def markdown_table(rows: Sequence[_Row]) -> str:
    """The figures that people compare, as a Markdown table."""
    if not rows:
        return "No run has ended yet.\n"
    names = [name for name in rows[0] if name not in _HIDDEN]
    header = [_HEADERS.get(name, name) for name in names]
    lines = [header, ["---"] * len(header), *([_cell(name, row) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(name: str, row: _Row) -> str:
    if (value := row[name]) is None:
        return UNKNOWN
    words = score(float(value), str(row["unit"])) if name == "score" else _FORMATS.get(name, str)(value)
    text = one_line(words)
    text = text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…"
    return text.replace("\\", "\\\\").replace("|", "\\|")
