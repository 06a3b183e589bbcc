"""A run's settings with one of them changed, named as a person names it."""

from __future__ import annotations

from typing import Any

import msgspec

from femtotui.core.config import RunConfig
from femtotui.presets.problems import did_you_mean, explain, visible

from .errors import SweepError
from .spec import Value

_ALIASES = {
    "lr": "recipe.schedule.base_lr",
    "layers": "model.n_layers",
    "heads": "model.n_heads",
    "recipe": "recipe.name",
}
# Where a name without a path is looked for, in this order.
_GROUPS = (
    "model",
    "train",
    "recipe.schedule",
    "recipe.optimizer",
    "recipe.init",
    "recipe",
    "tokenizer",
    "data",
)
_DECIDED_ELSEWHERE = {
    "train.seed": "seeds",
    "train.threads": "--threads",
    "recipe.name": "recipes",
    "data.source": "presets",
    "data.paths": "data",
    "model.vocab_size": "settings, as `tokenizer.vocab_size`",
}


def with_setting(config: RunConfig, name: str, value: Value) -> RunConfig:
    """`config` with `value` for the setting `name`: `n_layers`, `lr`, or a path: `recipe.optimizer.lr`.

    The lowest learning rate follows the base rate in proportion, as in presets.

    Raises: SweepError, naming the setting and what would do.
    """
    tree: dict[str, Any] = msgspec.to_builtins(config)
    path = _path_of(name, tree)
    group = _at(tree, path[:-1])
    before = group[path[-1]]
    group[path[-1]] = value
    try:
        if path == ["recipe", "schedule", "base_lr"]:
            group["min_lr"] *= float(value) / before
        return msgspec.convert(tree, RunConfig, strict=False)
    except msgspec.ValidationError as error:
        raise SweepError(f"{visible(name)} = {visible(str(value))}: {explain(error, RunConfig)}") from error
    except ValueError as error:
        raise SweepError(f"{visible(name)} must be a number, not {visible(str(value))}") from error


def _path_of(name: str, tree: dict[str, Any]) -> list[str]:
    full = _ALIASES.get(name, name)
    if "." not in full:
        full = next((f"{group}.{full}" for group in _GROUPS if full in _at(tree, group.split("."))), full)
    path = full.split(".")
    if full in _DECIDED_ELSEWHERE:
        raise SweepError(
            f"{visible(name)} is not one of the settings to try: give it in {_DECIDED_ELSEWHERE[full]}"
        )
    owner = _at(tree, path[:-1])
    if len(path) < 2 or path[-1] not in owner or isinstance(owner[path[-1]], dict):
        raise SweepError(f"there is no setting `{visible(name)}`{did_you_mean(name, _known(tree))}")
    return path


def _at(tree: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The group at a path; an empty one if there is none."""
    group: Any = tree
    for part in path:
        group = group.get(part) if isinstance(group, dict) else None
    return group if isinstance(group, dict) else {}


def _known(tree: dict[str, Any]) -> list[str]:
    names = {name for group in _GROUPS for name in _at(tree, group.split("."))}
    return sorted({*names, *_ALIASES})
