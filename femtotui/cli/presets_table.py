"""The presets as a table for people and as plain rows for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from rich.table import Table
from rich.text import Text

from femtotui.presets import Preset

from ..text.formats import UNKNOWN, duration, loss, preset_parameters

WIDE = 120
_Column = tuple[str, Literal["left", "right"]]
_VERDICT_STYLES = {"success": "green", "fail": "red"}
_WIDE_COLUMNS: tuple[_Column, ...] = (
    ("#", "right"),
    ("preset", "left"),
    ("parameters", "right"),
    ("layers", "right"),
    ("width", "right"),
    ("heads", "right"),
    ("context", "right"),
    ("tokenizer", "left"),
    ("data", "left"),
    ("steps", "right"),
    ("journal", "left"),
    ("step", "right"),
    ("loss", "right"),
    ("time", "right"),
)
_NARROW_COLUMNS: tuple[_Column, ...] = (
    ("#", "right"),
    ("preset\ntokenizer · data", "left"),
    ("parameters\nsteps", "right"),
    ("layers × width\ncontext", "left"),
    ("journal\nloss at its step", "left"),
)


def presets_rows(presets: Sequence[Preset]) -> list[dict[str, object]]:
    """One dict a preset, for JSON: its settings flat, the journal's record beneath `journal`.

    `peer` is what another program reached, where the preset is not the journal's. Units: `journal.loss` and
    `peer.val_loss` are in nats a token, `journal.elapsed_s` and `peer.elapsed_s` in seconds.
    """
    return [_row(preset) for preset in presets]


def presets_table(presets: Sequence[Preset], width: int) -> Table:
    """The presets for a terminal `width` columns wide: a line each, or two where a line has no room."""
    wide = width >= WIDE
    columns, cells = (_WIDE_COLUMNS, _wide_cells) if wide else (_NARROW_COLUMNS, _narrow_cells)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for header, justify in columns:
        table.add_column(header, justify=justify, no_wrap=wide, min_width=2)
    for preset in presets:
        table.add_row(*cells(preset))
    return table


def _row(preset: Preset) -> dict[str, object]:
    model = preset.model
    return {
        "key": preset.key,
        "title": preset.title,
        "parameters": preset_parameters(preset),
        "n_layers": model.n_layers,
        "width": model.width,
        "n_heads": model.n_heads,
        "context": model.context,
        "tokenizer": preset.tokenizer.kind,
        "vocab_size": model.vocab_size,
        "data": preset.data.source,
        "steps": preset.steps,
        "batch": preset.batch,
        "recipe": preset.recipe,
        "notes": list(preset.notes),
        "journal": msgspec.to_builtins(preset.journal) if preset.journal else None,
        "peer": msgspec.to_builtins(preset.peer) if preset.peer else None,
    }


def _wide_cells(preset: Preset) -> list[Text]:
    model, record = preset.model, preset.journal
    return [
        Text(preset.key),
        Text(preset.title),
        Text(f"{preset_parameters(preset):,}"),
        Text(str(model.n_layers)),
        Text(str(model.width)),
        Text(str(model.n_heads)),
        Text(str(model.context)),
        Text(_tokenizer(preset)),
        Text(preset.data.source),
        Text(f"{preset.steps:,}"),
        _verdict(preset),
        Text(f"{record.step:,}" if record else UNKNOWN),
        Text(loss(_loss(preset))),
        Text(_time(preset)),
    ]


def _narrow_cells(preset: Preset) -> list[Text]:
    model, record = preset.model, preset.journal
    verdict = _verdict(preset)
    if record or preset.peer:
        at = f" at {record.step:,}" if record else ""
        verdict.append(f", {_time(preset)}\n{loss(_loss(preset))}{at}", style="default")
    return [
        Text(preset.key),
        Text(f"{preset.title}\n{_tokenizer(preset)} · {preset.data.source}"),
        Text(f"{preset_parameters(preset):,}\n{preset.steps:,} steps"),
        Text(f"{model.n_layers} × {model.width}, {model.n_heads} heads\ncontext {model.context}"),
        verdict,
    ]


def _tokenizer(preset: Preset) -> str:
    asked = preset.tokenizer
    return f"bpe {asked.vocab_size}" if asked.kind == "bpe" else asked.kind


def _verdict(preset: Preset) -> Text:
    """The journal's verdict, or whose figures follow where the preset is not the journal's."""
    if preset.journal is not None:
        verdict = preset.journal.verdict
        return Text().append(verdict, _VERDICT_STYLES[verdict])
    return Text(preset.peer.name if preset.peer is not None else UNKNOWN)


def _loss(preset: Preset) -> float | None:
    if preset.journal is not None:
        return preset.journal.loss
    return preset.peer.val_loss if preset.peer is not None else None


def _time(preset: Preset) -> str:
    known = preset.journal or preset.peer
    return duration(known.elapsed_s) if known is not None and known.elapsed_s is not None else UNKNOWN
