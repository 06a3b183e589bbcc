"""What was asked for on the command line, applied to whichever preset is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from femtotui.core.config import RunConfig
from femtotui.presets import Preset, list_presets, load_preset, run_config
from femtotui.presets.sources import english_is_cached


@dataclass(frozen=True)
class Choices:
    """The preset to open, and the options that go with it.

    `recipe` and `seed` hold for every preset; `data` for those that read the same kind of text as the first,
    so that one's own Rust serves all three Rust entries and leaves the others alone.
    """

    opening: Preset
    recipe: str | None = None
    seed: int | None = None
    data: tuple[str, ...] = ()

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The journal's entries, and the one that was opened if it is one's own."""
        known = list_presets()
        return known if any(preset == self.opening for preset in known) else (*known, self.opening)

    def config(self, key: str, *, seed: int | None = None) -> RunConfig:
        """The settings of preset `key`; `seed` overrides the one asked for.

        Raises: FemtoError children, in words.
        """
        preset = self.preset(key)
        chosen = seed if seed is not None else self.seed or 0
        data = self.data if preset.data.source == self.opening.data.source else ()
        return run_config(preset, recipe=self.recipe, seed=chosen, data=data)

    def preset(self, key: str) -> Preset:
        """The preset of that key.

        Raises: PresetError, naming the nearest.
        """
        return self.opening if key == self.opening.key else load_preset(key)


def wants_english(config: RunConfig) -> bool:
    """Whether a run would need the English text that is not on this machine yet."""
    return config.data.source == "english" and not english_is_cached()
