"""`femtotui presets` and `femtotui data`: the presets, and the texts that some of them train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from msgspec import to_builtins

from femtotui.presets import Preset, list_presets

from ..text.formats import UNKNOWN, duration, loss, preset_parameters
from ..text.safe import say
from .options import CliCommand, json_option
from .output import download_bar, print_json, print_rich, styled, table, terminal_width

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from .output import Cell

WIDE = 120
_VERDICT_STYLES = {"success": "green", "fail": "red"}
_WIDE_HEADERS = (
    ">#", "preset", ">parameters", ">layers", ">width", ">heads", ">context", "tokenizer", "data", ">steps",
    "journal", ">step", ">loss", ">time",
)  # fmt: skip
_NARROW_HEADERS = (
    ">#",
    "preset\ntokenizer · data",
    ">parameters\nsteps",
    "layers × width\ncontext",
    "journal\nloss at its step",
)


@click.command(cls=CliCommand, examples={"presets": "a line each", "presets --json": "for programs"})
@json_option
def presets(as_json: bool) -> None:
    """List the presets: the journal's twelve entries with their author's results, and two others."""
    if as_json:
        print_json(presets_rows(list_presets()))
    else:
        print_rich(presets_table(list_presets(), terminal_width()))


@click.group()
def data() -> None:
    """Download texts that are not part of femtotui."""


@data.command()
def english() -> None:
    """Download the English text of presets 11 to 14 (1.1 MB)."""
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    if english_is_cached():
        say("the English text is already here")
    else:
        fetch_english()


def fetch_english() -> None:
    """Download the English text, with a bar on a terminal. Raises: DataError."""
    from femtotui.presets.sources import download_english  # noqa: PLC0415

    with download_bar() as progress:
        path = download_english(progress)
    say(f"the English text is in {path}")


def presets_rows(presets: Sequence[Preset]) -> list[dict[str, object]]:
    """One dict per preset, for JSON: its settings flat, the journal's record beneath `journal`.

    `peer` is another program's result, where the preset is not the journal's. Units: `journal.loss` and
    `peer.val_loss` are in nats per token, `journal.elapsed_s` and `peer.elapsed_s` in seconds.
    """
    return [
        {
            "key": preset.key,
            "title": preset.title,
            "parameters": preset_parameters(preset),
            **{name: getattr(preset.model, name) for name in ("n_layers", "width", "n_heads", "context")},
            "tokenizer": preset.tokenizer.kind,
            "vocab_size": preset.model.vocab_size,
            "data": preset.data.source,
            **{name: getattr(preset, name) for name in ("steps", "batch", "recipe")},
            "notes": list(preset.notes),
            "journal": to_builtins(preset.journal),
            "peer": to_builtins(preset.peer),
        }
        for preset in presets
    ]


def presets_table(presets: Sequence[Preset], width: int) -> Table:
    """The presets for a terminal `width` columns wide: a line each, or two where a line has no room."""
    wide = width >= WIDE
    headers, cells = (_WIDE_HEADERS, _wide_cells) if wide else (_NARROW_HEADERS, _narrow_cells)
    return table(headers, map(cells, presets), gap=1, no_wrap=wide, min_width=2)


def _wide_cells(preset: Preset) -> Sequence[Cell]:
    model, record = preset.model, preset.journal
    sizes = map(str, (model.n_layers, model.width, model.n_heads, model.context))
    training = (_tokenizer(preset), preset.data.source, f"{preset.steps:,}")
    result = (_verdict(preset), f"{record.step:,}" if record else UNKNOWN, loss(_loss(preset)), _time(preset))
    return (preset.key, preset.title, f"{preset_parameters(preset):,}", *sizes, *training, *result)


def _narrow_cells(preset: Preset) -> Sequence[Cell]:
    model, record = preset.model, preset.journal
    verdict: Cell = _verdict(preset)
    if record or preset.peer:
        at = f" at {record.step:,}" if record else ""
        verdict = (_verdict(preset).append(f", {_time(preset)}", "default"), f"{loss(_loss(preset))}{at}")
    text = f"{_tokenizer(preset)} · {preset.data.source}"
    size = (f"{preset_parameters(preset):,}", f"{preset.steps:,} steps")
    shape = (f"{model.n_layers} × {model.width}, {model.n_heads} heads", f"context {model.context}")
    return (preset.key, (preset.title, text), size, shape, verdict)


def _tokenizer(preset: Preset) -> str:
    asked = preset.tokenizer
    return f"bpe {asked.vocab_size}" if asked.kind == "bpe" else asked.kind


def _verdict(preset: Preset) -> Text:
    """The journal's verdict, or whose figures follow where the preset is not the journal's."""
    if preset.journal is not None:
        verdict = preset.journal.verdict
        return styled(verdict, _VERDICT_STYLES[verdict])
    return styled(preset.peer.name if preset.peer is not None else UNKNOWN, "")


def _loss(preset: Preset) -> float | None:
    if preset.journal is not None:
        return preset.journal.loss
    return preset.peer.val_loss if preset.peer is not None else None


def _time(preset: Preset) -> str:
    known = preset.journal or preset.peer
    return duration(known.elapsed_s if known else None)
