"""A preset as a form of text fields, with a message for each invalid field. No screen."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import msgspec

from femtotui.core.config import SourceKind, TokenizerKind
from femtotui.core.errors import ConfigError
from femtotui.presets import Preset, list_presets, list_recipes, run_config
from femtotui.presets.toml_file import explain


@dataclass(frozen=True)
class Field:
    """A field of the form; with `choices`, a list to choose from."""

    name: str
    label: str
    hint: str = ""
    choices: tuple[str, ...] = ()


FIELDS = (
    Field("title", "title", "what you will see in the list"),
    Field("key", "key", "small letters, digits, hyphens: names it on the command line"),
    Field("n_layers", "layers"),
    Field("width", "embedding degree", "a multiple of the heads"),
    Field("n_heads", "heads"),
    Field("context", "context", "tokens of context"),
    Field("dropout", "dropout", "0 for none"),
    Field("tokenizer", "tokenizer", choices=get_args(TokenizerKind)),
    Field("vocab_size", "vocabulary", "for bpe: 257 or more; else leave empty"),
    Field("source", "data", choices=get_args(SourceKind)),
    Field("paths", "files", "for files and rust: paths or globs; → completes"),
    Field("lines", "lines", "for the synthetic data"),
    Field("recipe", "recipe", choices=tuple(recipe.name for recipe in list_recipes())),
    Field("learning_rate", "learning rate", "empty: the recipe's"),
    Field("muon_lr", "Muon's rate", "empty: the recipe's, if it uses Muon"),
    Field("steps", "steps"),
    Field("batch", "batch"),
)
_MODEL = ("n_layers", "width", "n_heads", "context")
_WHOLE = (*_MODEL, "steps", "batch", "lines")
_RATES = ("learning_rate", "muon_lr")
_BYTE_VOCABULARY = 256


def form_of(preset: Preset) -> dict[str, str]:
    """The fields of a preset; one of the journal's gets the key and title of a user preset."""
    own = all(preset.key != entry.key for entry in list_presets())
    size = preset.tokenizer.vocab_size
    return {
        "title": preset.title if own else f"my {preset.title}",
        "key": preset.key if own else f"my-{preset.key}",
        **{name: str(getattr(preset.model, name)) for name in _MODEL},
        "dropout": f"{preset.model.dropout:g}",
        "tokenizer": preset.tokenizer.kind,
        "vocab_size": str(size) if preset.tokenizer.kind == "bpe" else "",
        "source": preset.data.source,
        "paths": shlex.join(preset.data.paths),
        "lines": str(preset.data.lines),
        "recipe": preset.recipe,
        **{name: f"{rate:g}" if (rate := getattr(preset, name)) is not None else "" for name in _RATES},
        "steps": str(preset.steps),
        "batch": str(preset.batch),
    }


def read_form(values: Mapping[str, str]) -> tuple[Preset | None, dict[str, str]]:
    """The preset that a form describes, or None and the problems by field."""
    problems: dict[str, str] = {}
    kind = values["tokenizer"]
    numbers = {name: _whole(values[name], name, problems) for name in _WHOLE}
    # A BPE or a character vocabulary is known once the text has been read.
    known = _BYTE_VOCABULARY if kind == "byte" else 0
    tables = {
        "key": values["key"].strip(),
        "title": values["title"].strip(),
        "model": {
            **{name: numbers[name] for name in _MODEL},
            "dropout": _real(values["dropout"] or "0", "dropout", problems),
            "vocab_size": known,
        },
        "data": {"source": values["source"], "paths": _paths(values, problems), "lines": numbers["lines"]},
        "steps": numbers["steps"],
        "batch": numbers["batch"],
        "recipe": values["recipe"],
    }
    for name in _RATES:
        tables[name] = _real(values[name], name, problems) if values[name].strip() else None
    asked = _whole(values["vocab_size"], "vocab_size", problems) if kind == "bpe" else known
    tables["tokenizer"] = {"kind": kind, "vocab_size": asked}
    if problems:
        return None, problems
    try:
        preset = msgspec.convert(tables, Preset)
    except msgspec.ValidationError as error:
        problem = explain(error, Preset)
        return None, {problem.field.rpartition(".")[2] or "title": problem.reason}
    try:
        run_config(preset)
    except ConfigError as error:  # the recipe's attention does not fit the heads
        return None, {"n_heads": str(error)}
    if any(preset.key == entry.key for entry in list_presets()):
        return None, {"key": f"{preset.key} is taken: choose another, such as `my-preset`"}
    return preset, {}


def _whole(text: str, name: str, problems: dict[str, str]) -> int:
    try:
        return int(text.strip().replace(",", "").replace("_", ""))
    except ValueError:
        problems[name] = "needs a whole number"
        return 1


def _real(text: str, name: str, problems: dict[str, str]) -> float:
    try:
        return float(text.strip())
    except ValueError:
        problems[name] = "needs a number, such as 0.001 or 1e-3"
        return 0.0


def _paths(values: Mapping[str, str], problems: dict[str, str]) -> tuple[str, ...]:
    """The paths, absolute so that they last; each must lead to a file."""
    if values["source"] not in {"files", "rust"}:
        return ()
    try:
        given = shlex.split(values["paths"])
    except ValueError:
        problems["paths"] = "a quotation mark is missing"
        return ()
    if values["source"] == "files" and not given:
        problems["paths"] = "name at least one file"
    paths = tuple(os.path.abspath(os.path.expanduser(path)) for path in given)  # noqa: PTH100, PTH111  (never raise)
    for path, name in zip(paths, given, strict=True):
        if "\0" in path or not (os.path.isfile(path) or glob.glob(path, recursive=True)):  # noqa: PTH113, PTH207
            problems["paths"] = f"there is no file {name!r}"
    return paths


def completion(text: str) -> str | None:
    """`text` with its last path completed as far as it is unambiguous; None if no file matches."""
    head, _, last = text.rpartition(" ")
    if not last or any(mark in last for mark in "'\"*?["):
        return None
    expanded = os.path.expanduser(last)  # noqa: PTH111
    try:
        found = sorted(glob.glob(f"{glob.escape(expanded)}*"))  # noqa: PTH207
    except (OSError, ValueError):
        return None
    if not found:
        return None
    best = os.path.commonprefix(found)  # noqa: RUF071  (by characters)
    if len(best) <= len(expanded):
        best = found[0]
    if len(found) == 1 and os.path.isdir(best):  # noqa: PTH112
        best += os.sep
    if not best.isprintable() or " " in best:
        return None
    completed = last + best[len(expanded) :]
    return f"{head} {completed}" if head else completed
