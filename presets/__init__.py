"""femtotui.presets: the journal's twelve entries and two after it, the recipes, and where text comes from.

Reading order: schema, toml_file, problems, load, configure, sources.
"""

from .load import list_presets, list_recipes, load_preset, load_recipe, run_config
from .schema import Goal, JournalAttempt, JournalRecord, Peer, Preset

__all__ = [
    "Goal",
    "JournalAttempt",
    "JournalRecord",
    "Peer",
    "Preset",
    "list_presets",
    "list_recipes",
    "load_preset",
    "load_recipe",
    "run_config",
]
