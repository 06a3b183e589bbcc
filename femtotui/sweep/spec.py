"""What a sweep is to try: presets x recipes x seeds x settings, how long, and what the best is."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from femtotui.core.config import MAX_SEED, Settings
from femtotui.core.errors import ConfigError, PresetError
from femtotui.presets.schema import require_printable
from femtotui.presets.toml_file import parse_toml, read_file, to_settings

from .errors import SweepError

RankBy = Literal["loss", "score", "time"]
Value = bool | int | float | str

MAX_TRIALS = 10_000


class SweepSpec(Settings, frozen=True):
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
