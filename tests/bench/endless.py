"""A preset that does not end while it is measured."""

from __future__ import annotations

from pathlib import Path

import msgspec

from femtotui.presets import load_preset
from femtotui.runs.choices import UserPresets

STEPS = 100_000_000


def endless(preset: str, folder: Path) -> str:
    """The path of a preset file that is `preset` but for its steps; it is written into `folder`."""
    lasting = msgspec.structs.replace(load_preset(preset), key=f"endless-{preset}", steps=STEPS)
    return str(UserPresets(folder / "presets").save(lasting))
