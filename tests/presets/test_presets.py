"""The journal's entries, the recipes, and the settings of a run made of them."""

from __future__ import annotations

import math
import re

import msgspec
import pytest

from femtotui.core.config import AttentionConfig, MuonConfig, Recipe, RunConfig
from femtotui.core.errors import ConfigError, PresetError
from femtotui.presets import list_presets, list_recipes, load_preset, load_recipe, run_config

KEYS = [str(number) for number in range(1, 13)]
AFTER_THE_JOURNAL = ["13", "14"]
PARAMETERS = {
    "1": 201_231,
    "2": 232_320,
    "3": 331_904,
    "4": 331_904,
    "5": 6_443_776,
    "6": 232_320,
    "7": 232_320,
    "8": 331_904,
    "9": 506_976,
    "10": 67_136,
    "11": 1_253_376,
    "12": 2_652_406,
}
# verdict, step, loss, seconds: as the journal has them.
RECORDS = {
    "1": ("success", 685, 1.4672, 136),
    "2": ("success", 629, 1.4760, 129),
    "3": ("fail", 874, 1.9082, 264),
    "4": ("fail", 370, 2.6159, 105),
    "5": ("fail", 274, 2.7485, 761),
    "6": ("fail", 508, 2.3020, 103),
    "7": ("fail", 716, 1.3845, 144),
    "8": ("fail", 996, 1.3336, None),
    "9": ("success", 1856, 1.4313, 592),
    "10": ("success", 528, 1.5303, 50),
    "11": ("fail", 400, 3.2494, None),
    "12": ("fail", 338, 5.8933, None),
}
SOURCES = {
    "simple_dummy": ["1", "2", "3", "9", "10"],
    "rust": ["4", "5", "6"],
    "addition_dummy": ["7", "8"],
    "english": ["11", "12"],
}

# The journal's entries


def test_there_are_the_twelve_entries_in_order_and_two_after_them() -> None:
    assert [preset.key for preset in list_presets()] == KEYS + AFTER_THE_JOURNAL


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_has_the_exact_number_of_parameters(key: str) -> None:
    assert load_preset(key).model.n_parameters == PARAMETERS[key]


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_carries_the_journals_record(key: str) -> None:
    record = load_preset(key).journal
    assert record is not None
    assert record.entry == int(key)
    assert (record.verdict, record.step, record.loss, record.elapsed_s) == RECORDS[key]
    assert record.machine == ("Intel Core Ultra 7 155H" if int(key) >= 10 else "Apple M3 Pro")
    assert record.note
    assert record.command


def test_what_else_the_journal_noted() -> None:
    records = {preset.key: preset.journal for preset in list_presets() if preset.journal}
    assert {key: record.ram for key, record in records.items() if record.ram} == {
        "5": "5–6 GiB",
        "8": "0.8–1 GiB",
        "12": "3–4 GiB",
    }
    assert {key: record.ms_per_step for key, record in records.items() if record.ms_per_step} == {
        "11": "800–900",
        "12": "1400–1500",
    }
    again = records["3"].again
    assert again is not None
    assert (again.step, again.loss, again.elapsed_s) == (650, 1.9255, 191)


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_has_the_journals_text_tokens_and_context(key: str) -> None:
    preset = load_preset(key)
    assert key in SOURCES[preset.data.source]
    assert preset.tokenizer.kind == {"1": "char", "12": "bpe"}.get(key, "byte")
    assert preset.tokenizer.vocab_size == {"1": 15, "12": 566}.get(key, 256)
    assert preset.model.vocab_size == preset.tokenizer.vocab_size
    assert preset.model.context == (80 if key == "12" else 64)
    assert (preset.model.dropout, preset.batch, preset.recipe) == (0, 32, "modern")


def test_entry_1_explains_its_count() -> None:
    assert any("232K" in note and "201,231" in note for note in load_preset("1").notes)


def test_an_entry_is_found_by_its_title_too() -> None:
    assert load_preset("very simple model 4") == load_preset("9")
    assert load_preset(" ENGLISH model 2 ") == load_preset("12")


# What came after the journal


def test_nanogpts_own_recipe_for_a_cpu_is_a_preset() -> None:
    preset = load_preset("13")
    model = preset.model
    assert (model.n_layers, model.n_heads, model.width, model.context, model.dropout) == (4, 4, 128, 64, 0)
    assert (preset.batch, preset.steps, preset.tokenizer.kind) == (12, 2000, "byte")
    assert preset.data.source == "english"
    assert preset.peer is not None
    assert (preset.peer.name, preset.peer.val_loss, preset.peer.elapsed_s) == ("nanoGPT", 1.917, 76)


@pytest.mark.parametrize(("key", "nats"), [("13", 1.58), ("14", 1.4697)])
def test_their_goals_are_in_bits_a_byte_and_they_have_no_record(key: str, nats: float) -> None:
    preset = load_preset(key)
    assert preset.journal is None
    assert preset.goal is not None
    assert preset.goal.score == pytest.approx(nats / math.log(2), abs=1e-4)


def test_how_a_run_is_validated_is_the_presets() -> None:
    assert run_config(load_preset("14")).train.eval_every == load_preset("14").eval_every == 500
    assert run_config(load_preset("13")).train.eval_windows == load_preset("13").eval_windows == 256
    usual = run_config(load_preset("2")).train
    assert (usual.eval_every, usual.eval_windows) == (100, 64)
    with pytest.raises(ConfigError, match="eval_windows"):
        msgspec.structs.replace(load_preset("2"), eval_windows=0)


def test_a_presets_rates_take_the_place_of_the_recipes() -> None:
    preset = msgspec.structs.replace(load_preset("2"), learning_rate=3e-3, muon_lr=0.02)
    recipe = run_config(preset).recipe
    assert isinstance(recipe.optimizer, MuonConfig)
    assert (recipe.schedule.base_lr, recipe.optimizer.lr) == (3e-3, 0.02)
    assert run_config(preset, recipe="journal").recipe.optimizer == load_recipe("journal").optimizer
    with pytest.raises(ConfigError, match="muon_lr must be a number above 0"):
        msgspec.structs.replace(preset, muon_lr=0.0)


# Unknown names


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("sipmle 2", "2, very simple model 2"),
        ("very simple model 44", "9, very simple model 4"),
        ("Rust codr 2", "5, Rust coder 2"),
        ("adition model 1", "7, addition model 1"),
        ("englsh", "11, English model 1"),
    ],
)
def test_an_unknown_preset_suggests_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(PresetError, match=re.escape(f"did you mean {nearest}?")):
        load_preset(asked)


@pytest.mark.parametrize("asked", ["0", "15", "-1", "2.0", "", "zzzz", "../", "entry-02"])
def test_a_name_like_none_says_what_there_is(asked: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset(asked)
    assert "did you mean" not in str(caught.value)
    assert "1 to 14" in str(caught.value) or ".toml" in str(caught.value)


def test_an_unknown_recipe_suggests_the_nearest_or_lists_all() -> None:
    with pytest.raises(PresetError, match="did you mean `modern`"):
        load_recipe("modren")
    with pytest.raises(PresetError, match="there are journal, journal-gains-1, modern, modern-1"):
        load_recipe("xyz")


# Recipes


def test_the_journal_recipe_is_femtogpts() -> None:
    recipe = load_recipe("journal")
    init, optimizer, schedule = recipe.init, recipe.optimizer, recipe.schedule
    assert (recipe.wiring, recipe.fresh_data) == ("journal", False)
    assert (init.matrix_std, init.embedding_std, init.gain) == (0.02, 0.02, "normal")
    assert (init.position_amplitude, init.scale_residual) == (1.0, False)
    assert (optimizer.beta1, optimizer.beta2, optimizer.eps) == (0.9, 0.999, 1e-8)
    assert (optimizer.weight_decay, optimizer.decay, optimizer.clip_norm) == (0.01, "all", None)
    assert (schedule.base_lr, schedule.min_lr) == (1e-3, 1e-5)
    assert (schedule.warmup_steps, schedule.decay_steps) == (100, 50_000)


def test_the_modern_recipe_is_prenorm_with_muon_and_a_rate_that_falls_until_the_end() -> None:
    recipe = load_recipe("modern")
    init, optimizer, schedule = recipe.init, recipe.optimizer, recipe.schedule
    assert (recipe.wiring, recipe.fresh_data) == ("prenorm", True)
    assert (init.embedding_std, init.position_amplitude) == (0.05, 0.05)
    assert (init.gain, init.scale_residual, init.scale_by_width) == ("ones", True, True)
    assert isinstance(optimizer, MuonConfig)
    assert (optimizer.adamw.decay, optimizer.adamw.clip_norm) == ("matrices", 1.0)
    assert schedule.min_lr == pytest.approx(0.05 * schedule.base_lr)
    assert schedule.decay_steps is None


def test_the_modern_recipe_before_has_no_word_on_attention() -> None:
    """Runs made before those settings existed carry none, and train and sample as they did."""
    older, newer = load_recipe("modern-1"), load_recipe("modern")
    assert older.attention == AttentionConfig()
    assert (newer.attention.rotary_share, newer.attention.shifted_keys) == (0.5, 0.5)
    assert (older.wiring, older.init, older.fresh_data) == (newer.wiring, newer.init, newer.fresh_data)
    written = msgspec.to_builtins(older)
    del written["attention"], written["epochs_per_block"]
    assert msgspec.convert(written, Recipe) == older


@pytest.mark.parametrize(
    ("attention", "heads", "field", "said"),
    [
        ({"rotary_share": 0.5}, 32, "rotary_share", "even number of columns, but 0.5 of heads of 2 is 1"),
        ({"rotary_share": 0.3}, 4, "rotary_share", "0.3 of heads of 16 is 4.8"),
        ({"shifted_keys": 0.5}, 64, "shifted_keys", "must be 0 for heads of size 1"),
    ],
)
def test_attention_that_does_not_fit_the_heads_is_refused(
    attention: dict[str, float], heads: int, field: str, said: str
) -> None:
    config = run_config(load_preset("2"), recipe="journal")
    recipe = msgspec.structs.replace(config.recipe, attention=AttentionConfig(**attention))
    model = msgspec.structs.replace(config.model, n_heads=heads)
    with pytest.raises(ConfigError, match=said) as refused:
        msgspec.structs.replace(config, recipe=recipe, model=model)
    assert refused.value.field == field


def test_one_thing_sets_the_recipe_that_answers_entry_3_apart() -> None:
    journal, gains_1 = load_recipe("journal"), load_recipe("journal-gains-1")
    assert gains_1.init == msgspec.structs.replace(journal.init, gain="ones")
    assert (gains_1.wiring, gains_1.optimizer, gains_1.schedule, gains_1.fresh_data) == (
        journal.wiring,
        journal.optimizer,
        journal.schedule,
        journal.fresh_data,
    )


def test_recipes_are_listed_under_their_names() -> None:
    assert [recipe.name for recipe in list_recipes()] == ["journal", "journal-gains-1", "modern", "modern-1"]
    assert all(load_recipe(recipe.name) is recipe for recipe in list_recipes())


# The settings of a run


def test_a_run_takes_the_presets_settings() -> None:
    preset = load_preset("9")
    config = run_config(preset)
    assert isinstance(config, RunConfig)
    assert (config.preset, config.title) == ("9", "very simple model 4")
    assert (config.model, config.tokenizer, config.data) == (preset.model, preset.tokenizer, preset.data)
    assert (config.train.steps, config.train.batch, config.train.seed) == (preset.steps, 32, 0)
    assert config.recipe == load_recipe("modern")


def test_what_is_asked_for_comes_before_the_preset() -> None:
    config = run_config(load_preset("2"), recipe="journal", steps=629, seed=7, threads=2, chunk=8)
    assert config.recipe.name == "journal"
    assert (config.train.steps, config.train.seed, config.train.threads, config.train.chunk) == (629, 7, 2, 8)


def test_own_text_replaces_the_presets_source_but_rust_stays_rust() -> None:
    own = run_config(load_preset("2"), data=["a.txt", "b/*.txt"]).data
    assert (own.source, own.paths) == ("files", ("a.txt", "b/*.txt"))
    rust = run_config(load_preset("4"), data=["src/*.rs"]).data
    assert (rust.source, rust.paths) == ("rust", ("src/*.rs",))


def test_own_text_decides_the_vocabulary_of_characters_and_bpe() -> None:
    char = run_config(load_preset("1"), data=["a.txt"])
    bpe = run_config(load_preset("12"), data=["a.txt"])
    byte = run_config(load_preset("2"), data=["a.txt"])
    assert (char.model.vocab_size, char.tokenizer.vocab_size) == (0, 0)
    assert (bpe.model.vocab_size, bpe.tokenizer.vocab_size) == (0, 566)
    assert (byte.model.vocab_size, byte.tokenizer.vocab_size) == (256, 256)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": -5},
        {"steps": 10**12},
        {"seed": -1},
        {"seed": 2**40},
        {"threads": -1},
        {"chunk": -1},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        run_config(load_preset("2"), **wrong)


@pytest.mark.parametrize("path", ["", "  ", "a\0b"])
def test_a_data_path_that_names_nothing_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.paths must name files"):
        run_config(load_preset("2"), data=[path])
