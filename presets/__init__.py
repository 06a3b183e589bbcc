"""femtotui.presets: the journal's twelve entries, the recipes, and where their text comes from.

Reading order: schema, toml_file, problems, load, configure, sources.
"""

from .configure import run_config
from .load import list_presets, list_recipes, load_preset, load_recipe
from .schema import Attempt, Goal, JournalRecord, Preset

__all__ = [
    "Attempt",
    "Goal",
    "JournalRecord",
    "Preset",
    "list_presets",
    "list_recipes",
    "load_preset",
    "load_recipe",
    "run_config",
]
