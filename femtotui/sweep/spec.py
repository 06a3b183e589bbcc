"""What a sweep is to try: presets x recipes x seeds x settings, how long, and what the best is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from femtotui.core.config import MAX_SEED, ConfigStruct, RunConfig, TrainConfig
from femtotui.core.errors import ConfigError, FemtoError, PresetError
from femtotui.presets import load_preset, run_config
from femtotui.presets.schema import require_printable
from femtotui.presets.toml_file import did_you_mean, explain, parse_toml, read_file, to_settings, visible

RankBy = Literal["loss", "score", "time"]
Value = bool | int | float | str

MAX_TRIALS = 10_000


class SweepSpec(ConfigStruct, frozen=True):
    """A sweep as its author writes it, in TOML or as flags.

    Without `recipes` every preset has its own. `settings` are any fields of a run's settings, each with the
    values to try (see named_setting). The budget of each run is `steps`, or `seconds` of training; without
    either it is the preset's steps. `rank_by` is the validation loss, the task's score, or the training time
    until the task counts as done. A `halving` of 2 or more stops all but the best 1/halving of the runs at
    each of some rungs (see halving); 0 lets all of them end.
    """

    presets: tuple[str, ...]
    recipes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    settings: dict[str, tuple[Value, ...]] = msgspec.field(default_factory=dict)
    data: tuple[str, ...] = ()
    steps: int | None = None
    seconds: float | None = None
    rank_by: RankBy = "loss"
    halving: int = 0

    def __post_init__(self) -> None:
        if not self.presets:
            raise ConfigError("presets: name at least one, 1 to 12 or the path of a .toml file")
        if self.steps is not None and self.seconds is not None:
            raise ConfigError("the budget is `steps` or `seconds`, not both")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ConfigError(f"seconds must be above 0, not {self.seconds:g}")
        if self.halving < 0 or self.halving == 1:
            raise ConfigError(f"halving must be 0 (off), or 2 or more, not {self.halving}")
        if not self.seeds or not all(0 <= seed <= MAX_SEED for seed in self.seeds):
            raise ConfigError(f"seeds must be whole numbers from 0 to {MAX_SEED:,}, at least one")
        for name, values in self.settings.items():
            require_printable(settings=name)
            if not values:
                raise ConfigError(f"settings: {name} needs at least one value")
        if self.size > MAX_TRIALS:
            raise ConfigError(f"that would be {self.size:,} runs: at most {MAX_TRIALS:,} make a sweep")

    @property
    def size(self) -> int:
        """How many runs it takes."""
        values = math.prod(len(values) for values in self.settings.values())
        return len(self.presets) * max(1, len(self.recipes)) * len(self.seeds) * values


def read_spec(path: str) -> SweepSpec:
    """The sweep in a TOML file. Raises: SweepError, in words that say what will not do."""
    try:
        return to_settings(parse_toml(read_file(path), path), SweepSpec, path)
    except PresetError as error:
        raise SweepError(str(error)) from error


class SweepError(FemtoError):
    """A sweep that cannot be made, found, or gone on with."""

    title = "Trouble with a sweep"


class ClusterError(FemtoError):
    """Workers or a scheduler that cannot be used."""

    title = "Trouble with the cluster"


class SweepTrial(ConfigStruct, frozen=True):
    """One run of a sweep. `settings` are the spec's, at this run's values."""

    index: int
    settings: dict[str, Value]
    config: RunConfig

    def differing(self) -> dict[str, Value]:
        """What tells this run from the others of a sweep, by name."""
        config = self.config
        chosen: dict[str, Value] = {"preset": config.preset, "recipe": config.recipe.name}
        return {**chosen, **self.settings, "seed": config.train.seed}


def trials_of(spec: SweepSpec, threads: int) -> tuple[SweepTrial, ...]:
    """All runs of a sweep; one seed of everything comes before the next seed.

    Raises: FemtoError for a preset, recipe or setting that will not do.
    """
    return tuple(
        SweepTrial(index=index, settings=settings, config=config)
        for index, (settings, config) in enumerate(_combinations(spec, threads))
    )


def _combinations(spec: SweepSpec, threads: int) -> Iterator[tuple[dict[str, Value], RunConfig]]:
    presets = [load_preset(key) for key in spec.presets]
    recipes = spec.recipes or (None,)
    values = itertools.product(*spec.settings.values())
    for seed, preset, recipe, chosen in itertools.product(spec.seeds, presets, recipes, list(values)):
        settings = dict(zip(spec.settings, chosen, strict=True))
        config = run_config(
            preset, recipe=recipe, steps=spec.steps, seed=seed, data=spec.data, threads=threads
        )
        for name, value in settings.items():
            config = with_setting(config, name, value)
        yield settings, msgspec.structs.replace(config, train=_watched(config.train, spec))


def _watched(train: TrainConfig, spec: SweepSpec) -> TrainConfig:
    """What travels home is the end of a run, and its best. Where the score decides and may come at any time,
    it is looked at with every evaluation: a run that its seconds end has no thorough one.
    """
    closely = spec.rank_by == "time" or (spec.rank_by == "score" and spec.seconds is not None)
    asked = {"score_every", "train.score_every"} & spec.settings.keys()
    score_every = train.eval_every if closely and not asked else train.score_every
    return msgspec.structs.replace(train, keep_checkpoints=1, score_every=score_every)


def differing_names(trials: tuple[SweepTrial, ...]) -> tuple[str, ...]:
    """The settings that are not the same in all runs, in order; preset alone if nothing differs."""
    rows = [trial.differing() for trial in trials]
    names = list(rows[0]) if rows else []
    return tuple(name for name in names if len({str(row[name]) for row in rows}) > 1) or ("preset",)


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
