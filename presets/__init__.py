"""femtotui.presets: the journal's twelve entries and two after it, the recipes, and where text comes from.

Reading order: schema, toml_file, problems, load, configure, sources.
"""

from .configure import run_config
from .load import list_presets, list_recipes, load_preset, load_recipe
from .schema import Attempt, Goal, JournalRecord, Peer, Preset

__all__ = [
    "Attempt",
    "Goal",
    "JournalRecord",
    "Peer",
    "Preset",
    "list_presets",
    "list_recipes",
    "load_preset",
    "load_recipe",
    "run_config",
]
