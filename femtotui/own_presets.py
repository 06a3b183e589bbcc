"""Presets of one's own: TOML files in the user's config folder, those with errors included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from femtotui.core.errors import FemtoError, PresetError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.presets import Preset, list_presets, load_preset

SUFFIX = ".toml"


@dataclass(frozen=True)
class BrokenPreset:
    """A file that is no preset, and why."""

    path: Path
    problem: str


class Shelf:
    """One's own presets: those in `folder` (None: nowhere), and those that were only made for now."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.saved: dict[str, Preset] = {}
        self.unsaved: dict[str, Preset] = {}
        self.broken: tuple[BrokenPreset, ...] = ()
        self.reload()

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All of them, by key; one made for now stands in for one saved under its key."""
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
        """Have a preset for as long as the program runs."""
        _require_own_key(preset)
        self.unsaved[preset.key] = preset

    def save(self, preset: Preset) -> Path:
        """Write a preset to the folder, over the one with its key.

        Raises: PresetError.
        """
        _require_own_key(preset)
        if self.folder is None:
            raise PresetError("there is no folder to keep presets in")
        path = self.folder / f"{preset.key}{SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, tomli_w.dumps(_said(msgspec.to_builtins(preset))).encode())
        except OSError as error:
            raise PresetError(f"cannot write {path}: {os_error_words(error)}") from error
        except UnicodeEncodeError as error:
            raise PresetError("a name in it is no text, which TOML cannot hold") from error
        self.unsaved.pop(preset.key, None)
        self.reload()
        return path


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is said: TOML has no word for None."""
    return {
        key: _said(value) if isinstance(value, Mapping) else value
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
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as error:
        broken.append(BrokenPreset(folder, f"cannot be read: {os_error_words(error)}"))
        return []
