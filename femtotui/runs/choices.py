"""What was asked for on the command line, applied to whichever preset is chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from femtotui.core.config import RunConfig
from femtotui.presets import Preset, list_presets, load_preset, run_config
from femtotui.presets.sources import english_is_cached

from .own_presets import BrokenPreset, Shelf


@dataclass(frozen=True)
class Choices:
    """The preset to open, and the options that go with it.

    `recipe` and `seed` hold for every preset; `data` for those that read the same kind of text as the first,
    so that one's own Rust serves all three Rust entries and leaves the others alone. `shelf` holds one's own.
    """

    opening: Preset
    recipe: str | None = None
    seed: int | None = None
    data: tuple[str, ...] = ()
    shelf: Shelf = field(default_factory=lambda: Shelf(None))

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The journal's entries, then one's own, the one that was opened among them."""
        known = {preset.key: preset for preset in (*list_presets(), *self.shelf.presets)}
        known.setdefault(self.opening.key, self.opening)
        return tuple(known.values())

    @property
    def broken(self) -> tuple[BrokenPreset, ...]:
        """The files among one's own that are no presets."""
        return self.shelf.broken

    def config(self, key: str, *, seed: int | None = None) -> RunConfig:
        """The settings of preset `key`; `seed` overrides the one asked for.

        Raises: FemtoError children, in words.
        """
        return self.config_of(self.preset(key), seed=seed)

    def config_of(self, preset: Preset, *, seed: int | None = None) -> RunConfig:
        """The settings of a preset that need not be among those known.

        Raises: FemtoError children, in words.
        """
        chosen = seed if seed is not None else self.seed or 0
        data = self.data if preset.data.source == self.opening.data.source else ()
        return run_config(preset, recipe=self.recipe, seed=chosen, data=data)

    def preset(self, key: str) -> Preset:
        """The preset of that key.

        Raises: PresetError, naming the nearest.
        """
        known = {preset.key: preset for preset in self.presets}
        return known[key] if key in known else load_preset(key)


def wants_english(config: RunConfig) -> bool:
    """Whether a run would need the English text that is not on this machine yet."""
    return config.data.source == "english" and not english_is_cached()


def preset_of_run(config: RunConfig) -> Preset:
    """The preset that a run was made from; if that is one's own, what the run knows of it."""
    for preset in list_presets():
        if preset.key == config.preset:
            return preset
    return Preset(
        key=config.preset,
        title=config.title,
        model=config.model,
        tokenizer=config.tokenizer,
        data=config.data,
        steps=config.train.steps,
        batch=config.train.batch,
        recipe=config.recipe.name,
    )
