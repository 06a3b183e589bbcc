"""The specification of a sweep: presets x recipes x seeds x settings, the budget, and the ranking."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
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
    """A sweep as the user writes it, in TOML or as options.

    Without `recipes` every preset has its own. `settings` are any fields of RunConfig, each with the values
    to try (see `with_setting`). The budget of each run is `steps`, or `seconds` of training; without
    either it is the preset's steps. `rank_by` is the validation loss, the task's score, or the training time
    until the task counts as done. A `halving` of 2 or more stops all but the best 1/halving of the runs at
    each of some rungs (see halving); 0 trains all to their end.
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
            raise ConfigError("presets: name at least one, 1 to 14 or the path of a .toml file")
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
        """Number of runs."""
        values = math.prod(len(values) for values in self.settings.values())
        return len(self.presets) * max(1, len(self.recipes)) * len(self.seeds) * values


def read_spec(path: str) -> SweepSpec:
    """Read a sweep from a TOML file. Raises: SweepError, naming what is not valid."""
    try:
        return to_settings(parse_toml(read_file(path), path), SweepSpec, path)
    except PresetError as error:
        raise SweepError(str(error)) from error


class SweepError(FemtoError):
    """A sweep that cannot be made, found or resumed."""

    title = "Trouble with a sweep"


class ClusterError(FemtoError):
    """Workers or a scheduler that cannot be used."""

    title = "Trouble with the cluster"


class SweepTrial(ConfigStruct, frozen=True):
    """One run of a sweep. `settings` are the spec's, with this run's values."""

    index: int
    settings: dict[str, Value]
    config: RunConfig

    @property
    def settings_by_name(self) -> dict[str, Value]:
        """All settings that may differ between the runs."""
        config = self.config
        chosen: dict[str, Value] = {"preset": config.preset, "recipe": config.recipe.name}
        return {**chosen, **self.settings, "seed": config.train.seed}


def trials_of(spec: SweepSpec, threads: int) -> tuple[SweepTrial, ...]:
    """Return all runs of a sweep; every combination with one seed comes before the next seed.

    Raises: FemtoError for an invalid preset, recipe or setting.
    """
    presets = [load_preset(key) for key in spec.presets]
    recipes = spec.recipes or (None,)
    values = list(itertools.product(*spec.settings.values()))
    trials: list[SweepTrial] = []
    for seed, preset, recipe, chosen in itertools.product(spec.seeds, presets, recipes, values):
        settings = dict(zip(spec.settings, chosen, strict=True))
        config = run_config(
            preset, recipe=recipe, steps=spec.steps, seed=seed, data=spec.data, threads=threads
        )
        for name, value in settings.items():
            config = with_setting(config, name, value)
        config = msgspec.structs.replace(config, train=_for_sweep(config.train, spec))
        trials.append(SweepTrial(index=len(trials), settings=settings, config=config))
    return tuple(trials)


def _for_sweep(train: TrainConfig, spec: SweepSpec) -> TrainConfig:
    """Keep one checkpoint, the one that is sent back, and score as often as the ranking needs.

    Where the ranking needs scores before the end, they come with every evaluation: a run that is ended by
    its budget of seconds has no thorough score.
    """
    often = spec.rank_by == "time" or (spec.rank_by == "score" and spec.seconds is not None)
    chosen = {"score_every", "train.score_every"} & spec.settings.keys()
    score_every = train.eval_every if often and not chosen else train.score_every
    return msgspec.structs.replace(train, keep_checkpoints=1, score_every=score_every)


def differing_settings(trials: Sequence[SweepTrial]) -> list[dict[str, Value]]:
    """The settings of each run that differ between runs, in order; its `preset` if none does."""
    rows = [trial.settings_by_name for trial in trials]
    names = [name for name in (rows or [{}])[0] if len({str(row[name]) for row in rows}) > 1] or ["preset"]
    return [{name: row[name] for name in names} for row in rows]


_ALIASES = {
    "lr": "recipe.schedule.base_lr",
    "layers": "model.n_layers",
    "heads": "model.n_heads",
    "recipe": "recipe.name",
}
# The groups searched for a name without a path, in this order.
_GROUPS = (
    "model", "train", "recipe.schedule", "recipe.optimizer", "recipe.init", "recipe", "tokenizer", "data",
)  # fmt: skip
_GIVEN_ELSEWHERE = {
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

    Raises: SweepError, naming the setting and the nearest valid one.
    """
    tree: dict[str, Any] = msgspec.to_builtins(config)
    groups = dict(_groups_of(tree))
    path = _path_of(name, groups)
    group, field = groups[path], path.rpartition(".")[2]
    before, group[field] = group[field], value
    try:
        if path == "recipe.schedule.base_lr":
            group["min_lr"] *= float(value) / before
        return msgspec.convert(tree, RunConfig, strict=False)
    except msgspec.ValidationError as error:
        raise SweepError(f"{visible(name)} = {visible(str(value))}: {explain(error, RunConfig)}") from error
    except ValueError as error:
        raise SweepError(f"{visible(name)} must be a number, not {visible(str(value))}") from error


def _groups_of(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The path of every setting, with the group that holds its value."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _groups_of(value, f"{path}{name}.")
        elif path:
            yield f"{path}{name}", tree


def _path_of(name: str, known: Collection[str]) -> str:
    path = _ALIASES.get(name, name)
    if "." not in path:
        path = next((full for group in _GROUPS if (full := f"{group}.{path}") in known), path)
    if path in _GIVEN_ELSEWHERE:
        raise SweepError(
            f"{visible(name)} is not one of the settings to try: give it in {_GIVEN_ELSEWHERE[path]}"
        )
    if path not in known:
        names = {full.rpartition(".")[2] for full in known if full.rpartition(".")[0] in _GROUPS}
        raise SweepError(
            f"there is no setting `{visible(name)}`{did_you_mean(name, sorted(names | {*_ALIASES}))}"
        )
    return path
