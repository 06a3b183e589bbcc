"""A sweep's runs: every combination that its spec names, each with its resolved settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from femtotui.core.config import RunConfig, Settings, TrainConfig
from femtotui.presets import load_preset, run_config

from .named_setting import with_setting
from .spec import SweepSpec, Value


class Trial(Settings, frozen=True):
    """One run of a sweep. `settings` are the spec's, at this run's values."""

    index: int
    settings: dict[str, Value]
    config: RunConfig

    def differing(self) -> dict[str, Value]:
        """What tells this run from the others of a sweep, by name."""
        config = self.config
        chosen: dict[str, Value] = {"preset": config.preset, "recipe": config.recipe.name}
        return {**chosen, **self.settings, "seed": config.train.seed}


def trials_of(spec: SweepSpec, threads: int) -> tuple[Trial, ...]:
    """All runs of a sweep; one seed of everything comes before the next seed.

    Raises: FemtoError for a preset, recipe or setting that will not do.
    """
    return tuple(
        Trial(index=index, settings=settings, config=config)
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


def differing_names(trials: tuple[Trial, ...]) -> tuple[str, ...]:
    """The settings that are not the same in all runs, in order; preset alone if nothing differs."""
    rows = [trial.differing() for trial in trials]
    names = list(rows[0]) if rows else []
    return tuple(name for name in names if len({str(row[name]) for row in rows}) > 1) or ("preset",)
