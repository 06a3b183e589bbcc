"""Two runs side by side: the settings in which they differ first, then how they did. No screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .run_shelf import RunRow
from .wording import UNKNOWN, duration, loss, printable


@dataclass(frozen=True)
class Line:
    """One fact of both runs."""

    what: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        return self.left != self.right


def compare(left: RunRow, right: RunRow) -> tuple[list[Line], list[Line], list[Line]]:
    """Settings that differ, results, and settings that are the same."""
    ours, theirs = _settings(left), _settings(right)
    names = list(dict.fromkeys([*ours, *theirs]))
    lines = [Line(name, ours.get(name, UNKNOWN), theirs.get(name, UNKNOWN)) for name in names]
    results = _results(left), _results(right)
    outcome = [Line(name, results[0][name], results[1][name]) for name in results[0]]
    return [line for line in lines if line.differs], outcome, [line for line in lines if not line.differs]


def _settings(row: RunRow) -> dict[str, str]:
    info = row.summary.info
    if info is None:
        return {}
    config = dict(_flat(msgspec.to_builtins(info.config)))
    more = {"data": info.data.name, "data hash": info.data.sha256[:12], "machine": info.machine}
    more |= {"parameters": f"{info.parameters:,}", "created": info.created[:16].replace("T", " ")}
    return {name: printable(value) for name, value in {**config, **more}.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        path = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path} · ")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(map(str, value)) or UNKNOWN
        else:
            yield path, f"{value:g}" if isinstance(value, float) else str(value)


def _results(row: RunRow) -> dict[str, str]:
    summary = row.summary
    return {
        "step": f"{summary.step:,}",
        "loss of the last step": loss(summary.loss),
        "validation loss": loss(summary.val_loss),
        "time spent training": duration(summary.elapsed_s),
        "saved at step": f"{summary.checkpoint_step:,}" if summary.checkpoint_step is not None else UNKNOWN,
        "note": printable(row.note) or UNKNOWN,
    }
