"""femtotui.presets: the journal's twelve entries and two later ones, recipes, and sources of text.

Reading order: schema, toml_file, load, sources, english.
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
