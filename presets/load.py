"""Loading presets and recipes, and making run configurations from them."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from femtotui.core.config import DataConfig, MuonConfig, Recipe, RunConfig, TrainConfig
from femtotui.core.errors import ConfigError, PresetError, UnknownPresetError
from femtotui.dummy_data import simple_dummy

from .schema import Preset, require_printable
from .toml_file import did_you_mean, parse_toml, read_file, to_settings, visible

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from femtotui.core.evaluators import Evaluator

_SUFFIX = ".toml"
_ENTRY_FILE = re.compile(r"entry-(\d\d)\.toml")
_NEAR_ENOUGH = 0.6


def list_presets() -> tuple[Preset, ...]:
    """The journal's entries, in its order."""
    return tuple(_entry(key) for key in _entry_files())


def load_preset(key: str) -> Preset:
    """The preset of a journal entry ("2", or its title), or a user preset: the path of a .toml file.

    Raises: UnknownPresetError, naming the nearest; PresetError for an invalid file.
    """
    if key in _entry_files():
        return _entry(key)
    if key.lower().endswith(_SUFFIX) or "/" in key or "\\" in key:
        return _user_preset(key)
    for preset in list_presets():
        if preset.title.casefold() == key.strip().casefold():
            return preset
    nearest, last = _nearest(key), list(_entry_files())[-1]
    hint = f" (did you mean {nearest.key}, {nearest.title}?)" if nearest else ""
    raise UnknownPresetError(
        f"there is no preset `{visible(key)}`{hint}: give 1 to {last}, a title, or the path of a .toml file"
    )


def list_recipes() -> tuple[Recipe, ...]:
    """Every recipe, sorted by name."""
    return tuple(_recipe(name) for name in _recipe_files())


def load_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises: PresetError for an unknown name, listing the known ones."""
    names = list(_recipe_files())
    if name not in names:
        hint = did_you_mean(name, names) or f": there are {', '.join(names)}"
        raise PresetError(f"there is no recipe `{visible(name)}`{hint}")
    return _recipe(name)


@functools.cache
def _entry_files() -> dict[str, Traversable]:
    named = ((_ENTRY_FILE.fullmatch(file.name), file) for file in _packaged())
    return {str(int(name[1])): file for name, file in named if name}


@functools.cache
def _recipe_files() -> dict[str, Traversable]:
    files = _packaged("recipes")
    return {file.name.removesuffix(_SUFFIX): file for file in files if file.name.endswith(_SUFFIX)}


def _packaged(*folder: str) -> list[Traversable]:
    import importlib.resources  # noqa: PLC0415 - slow to import, and not always needed

    resources = importlib.resources.files("femtotui.presets").joinpath(*folder)
    return sorted(resources.iterdir(), key=lambda file: file.name.removesuffix(_SUFFIX))


@functools.cache
def _entry(key: str) -> Preset:
    file = _entry_files()[key]
    return to_settings(parse_toml(file.read_bytes(), file.name), Preset, file.name)


@functools.cache
def _recipe(name: str) -> Recipe:
    file = _recipe_files()[name]
    recipe = to_settings(parse_toml(file.read_bytes(), file.name), Recipe, file.name)
    require_printable(name=recipe.name, summary=recipe.summary)
    return recipe


def _user_preset(path: str) -> Preset:
    name = visible(path)
    preset = to_settings(parse_toml(read_file(path), name), Preset, name)
    if preset.key in _entry_files():
        reason = f"`{preset.key}` is taken; choose another, such as `my-preset`"
        raise PresetError(reason, "key", prefix=f"{name}: ")
    return preset


def _nearest(key: str) -> Preset | None:
    """The preset whose title is most similar to `key`, which must contain a letter."""
    words = key.casefold().split()
    if not any(character.isalpha() for character in key):
        return None
    best = max(list_presets(), key=lambda preset: _likeness(words, preset.title))
    return best if _likeness(words, best.title) >= _NEAR_ENOUGH else None


def _likeness(words: list[str], title: str) -> float:
    """The mean similarity, 0 to 1, of each of `words` to the nearest word of the title."""
    title_words = title.casefold().split()
    best = (
        max(difflib.SequenceMatcher(None, word, other).ratio() for other in title_words) for word in words
    )
    return sum(best) / len(words)


def run_config(
    preset: Preset,
    *,
    recipe: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    data: Sequence[str] = (),
    threads: int = 0,
    chunk: int = 0,
) -> RunConfig:
    """The configuration of a run of `preset`; None, 0 or empty means the preset's value, or chosen later.

    `data` are paths or globs of the user's text. A char or bpe vocabulary is then determined by that text
    (`model.vocab_size` is 0).

    Raises: ConfigError for an invalid value, PresetError for an unknown recipe.
    """
    train = TrainConfig(
        steps=preset.steps if steps is None else steps,
        batch=preset.batch,
        seed=seed,
        threads=threads,
        chunk=chunk,
        eval_every=preset.eval_every,
        eval_windows=preset.eval_windows,
    )
    config = RunConfig(
        preset=preset.key,
        title=preset.title,
        model=preset.model,
        tokenizer=preset.tokenizer,
        data=preset.data,
        recipe=_at_rates(load_recipe(preset.recipe if recipe is None else recipe), preset),
        train=train,
    )
    return _with_data(config, tuple(data)) if data else config


def _at_rates(recipe: Recipe, preset: Preset) -> Recipe:
    """The recipe with the preset's rates: `base_lr`, with `min_lr` in proportion, and Muon's."""
    optimizer, schedule = recipe.optimizer, recipe.schedule
    if preset.muon_lr is not None and isinstance(optimizer, MuonConfig):
        optimizer = replace(optimizer, lr=preset.muon_lr)
    if preset.learning_rate is not None:
        min_lr = schedule.min_lr * preset.learning_rate / schedule.base_lr
        schedule = replace(schedule, base_lr=preset.learning_rate, min_lr=min_lr)
    return replace(recipe, optimizer=optimizer, schedule=schedule)


def _with_data(config: RunConfig, paths: tuple[str, ...]) -> RunConfig:
    for path in paths:
        if not path.strip() or "\0" in path:
            raise ConfigError(f"must name files, not {visible(repr(path))}", "data.paths")
    model, tokenizer = config.model, config.tokenizer
    if tokenizer.kind != "byte":
        model = replace(model, vocab_size=0)
    if tokenizer.kind == "char":
        tokenizer = replace(tokenizer, vocab_size=0)
    data = replace(config.data, source="rust" if config.data.source == "rust" else "files", paths=paths)
    return replace(config, model=model, tokenizer=tokenizer, data=data)


def choose_evaluator(data: DataConfig) -> Evaluator:
    """The evaluator for models trained on this data."""
    # Imports NumPy.
    from femtotui.core.evaluators import SumsEvaluator, TextEvaluator, WordsEvaluator  # noqa: PLC0415

    match data.source:
        case "simple_dummy":
            return WordsEvaluator("simple_dummy", simple_dummy.broken_rules, tuple(simple_dummy.RULES))
        case "addition_dummy":
            return SumsEvaluator()
        case "english" | "rust" | "files":
            return TextEvaluator(data.source)
