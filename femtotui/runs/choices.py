"""The options of the command line, applied to the preset that is chosen; user presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError, PresetError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.core.run_folder.catalog import RunSummary
from femtotui.presets import Preset, list_presets, load_preset, run_config
from femtotui.presets.sources import english_is_cached


@dataclass(frozen=True)
class Choices:
    """The preset or run to open, and the options that go with it.

    A `run` is resumed where it can be, and `opening` is its preset; without `trains` nothing is trained yet.
    `recipe` and `seed` hold for every preset; `data` for those that read the same kind of text as the first,
    so that the user's Rust serves all three Rust entries and leaves the others alone.
    """

    opening: Preset
    recipe: str | None = None
    seed: int | None = None
    data: tuple[str, ...] = ()
    run: RunSummary | None = None
    trains: bool = True
    user_presets: UserPresets = field(default_factory=lambda: UserPresets(None))

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The journal's entries, then the user presets, with the one that was opened."""
        known = {preset.key: preset for preset in (*list_presets(), *self.user_presets.presets)}
        known.setdefault(self.opening.key, self.opening)
        return tuple(known.values())

    @property
    def broken(self) -> tuple[BrokenPreset, ...]:
        """The files in the folder of user presets that cannot be read as one."""
        return self.user_presets.broken

    def config(self, key: str, *, seed: int | None = None) -> RunConfig:
        """The settings of preset `key`; `seed` overrides the one asked for. Raises: FemtoError children."""
        return self.config_of(self.preset(key), seed=seed)

    def config_of(self, preset: Preset, *, seed: int | None = None) -> RunConfig:
        """The settings of a preset that need not be among those known. Raises: FemtoError children."""
        chosen = seed if seed is not None else self.seed or 0
        data = self.data if preset.data.source == self.opening.data.source else ()
        return run_config(preset, recipe=self.recipe, seed=chosen, data=data)

    def preset(self, key: str) -> Preset:
        """The preset of that key. Raises: PresetError, naming the nearest."""
        known = {preset.key: preset for preset in self.presets}
        return known[key] if key in known else load_preset(key)


def wants_english(config: RunConfig) -> bool:
    """Whether a run would need the English text that is not on this machine yet."""
    return config.data.source == "english" and not english_is_cached()


def preset_of_run(config: RunConfig) -> Preset:
    """The preset of a run; for a user preset, one made from the settings of the run."""
    entry = next((preset for preset in list_presets() if preset.key == config.preset), None)
    return entry or Preset(
        key=config.preset,
        title=config.title,
        model=config.model,
        tokenizer=config.tokenizer,
        data=config.data,
        steps=config.train.steps,
        batch=config.train.batch,
        recipe=config.recipe.name,
    )


@dataclass(frozen=True)
class BrokenPreset:
    """A file that is no preset, and why."""

    path: Path
    problem: str


class UserPresets:
    """The user's presets: those saved in `folder` (None: nowhere), and unsaved ones of this session."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.saved: dict[str, Preset] = {}
        self.unsaved: dict[str, Preset] = {}
        self.broken: tuple[BrokenPreset, ...] = ()
        self.reload()

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All of them, by key; an unsaved one replaces a saved one with its key."""
        merged = {**self.saved, **self.unsaved}
        return tuple(merged[key] for key in sorted(merged))

    def reload(self) -> None:
        """Read the folder again. Never fails: what cannot be read is listed as broken."""
        saved: dict[str, Preset] = {}
        broken: list[BrokenPreset] = []
        for path in _toml_files(self.folder, broken):
            try:
                preset = load_preset(str(path))
                if preset.key in saved:
                    raise PresetError(
                        f"its key `{preset.key}` belongs to another of your presets: choose another"
                    )
                saved[preset.key] = preset
            except FemtoError as error:
                broken.append(BrokenPreset(path, str(error)))
        self.saved, self.broken = saved, tuple(broken)

    def add(self, preset: Preset) -> None:
        _require_own_key(preset)
        self.unsaved[preset.key] = preset

    def save(self, preset: Preset) -> Path:
        """Write a preset to the folder, over the one with its key. Raises: PresetError."""
        _require_own_key(preset)
        if self.folder is None:
            raise PresetError("there is no folder to keep presets in")
        path = self.folder / f"{preset.key}.toml"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, tomli_w.dumps(_without_none(msgspec.to_builtins(preset))).encode())
        except OSError as error:
            raise PresetError(f"cannot write {path}: {os_error_words(error)}") from error
        except UnicodeEncodeError as error:
            raise PresetError("a name in it is no text, which TOML cannot hold") from error
        self.unsaved.pop(preset.key, None)
        self.reload()
        return path


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those that are None, which TOML cannot hold."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def _require_own_key(preset: Preset) -> None:
    if any(preset.key == entry.key for entry in list_presets()):
        raise PresetError(f"key `{preset.key}` is taken: choose another, such as `my-preset`")


def _toml_files(folder: Path | None, broken: list[BrokenPreset]) -> list[Path]:
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        broken.append(BrokenPreset(folder, f"cannot be read: {os_error_words(error)}"))
        return []
