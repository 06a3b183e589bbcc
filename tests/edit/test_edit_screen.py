"""The edit form, presets of one's own, and the list that they appear in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from stage import Stage, stage, training
from textual.widgets import Input, Static

from femtotui.core.config import DataConfig
from femtotui.core.errors import PresetError
from femtotui.edit.edit_screen import EditScreen
from femtotui.edit.form import completion, form_of, read_form
from femtotui.presets import Preset, list_presets, load_preset
from femtotui.runs.choices import UserPresets
from femtotui.train.preset_list import PresetFilter, PresetList, matches
from femtotui.trainer.protocol import Start


def changed(**values: str) -> dict[str, str]:
    return read_form({**form_of(load_preset("2")), **values})[1]


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.key)
def test_every_preset_fills_a_form_that_describes_it(preset: object) -> None:
    made, problems = read_form(form_of(preset))  # type: ignore[arg-type]
    assert not problems and made is not None
    assert made.key.startswith("my-") and made.model.n_layers == preset.model.n_layers  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("n_heads", "5", "must be a multiple of n_heads 5, not 64"),
        ("width", "wide", "needs a whole number"),
        ("n_layers", "0", "must be a whole number from 1 to 96"),
        ("steps", "", "needs a whole number"),
        ("dropout", "2", "must be a number of at least 0 and below 1"),
        ("learning_rate", "0", "must be a number above 0"),
        ("learning_rate", "fast", "needs a number"),
        ("key", "2", "is taken"),
        ("key", "My Key", "must be 1 to 32 small letters"),
        ("title", "", "must have 1 to 60 characters"),
        ("batch", "1e9", "needs a whole number"),
    ],
)
def test_what_cannot_be_is_refused_at_the_field(field: str, value: str, words: str) -> None:
    problems = changed(**{field: value})
    at = {"n_heads": "width"}.get(field, field)
    assert words in problems[at], problems


def test_heads_that_the_recipes_attention_does_not_fit_are_refused() -> None:
    assert "even number of columns" in changed(n_heads="32")["n_heads"]
    assert changed(n_heads="32", recipe="journal") == {}


def test_files_must_be_there(tmp_path: Path) -> None:
    text = tmp_path / "my text.txt"
    text.write_text("abc", "utf-8")
    assert "name at least one file" in changed(source="files")["paths"]
    assert "there is no file" in changed(source="files", paths=str(tmp_path / "none"))["paths"]
    assert "quotation mark" in changed(source="files", paths="'a")["paths"]
    made, problems = read_form({**form_of(load_preset("2")), "source": "files", "paths": f"'{text}'"})
    assert not problems and made is not None and made.data.paths == (str(text),)


def test_paths_are_completed(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "one.txt").write_text("1", "utf-8")
    (tmp_path / "corpus" / "only.txt").write_text("2", "utf-8")
    assert completion(f"{tmp_path}/cor") == f"{tmp_path}/corpus/"
    assert completion(f"x {tmp_path}/corpus/o") == f"x {tmp_path}/corpus/on"
    assert completion(f"{tmp_path}/corpus/onl") == f"{tmp_path}/corpus/only.txt"
    assert completion(f"{tmp_path}/nothing") is None and completion("") is None


def test_a_saved_preset_is_read_back_as_it_was(tmp_path: Path) -> None:
    shelf = UserPresets(tmp_path / "presets")
    made, _ = read_form({**form_of(load_preset("2")), "title": 'a "b" \\ ü', "learning_rate": "2e-3"})
    assert made is not None
    path = shelf.save(made)
    assert shelf.saved == {"my-2": made} and load_preset(str(path)) == made
    with pytest.raises(PresetError, match="is taken"):
        shelf.add(load_preset("2"))


@pytest.mark.parametrize("entry", list_presets(), ids=lambda entry: entry.key)
def test_every_entry_can_become_ones_own_whole(entry: Preset, tmp_path: Path) -> None:
    mine = msgspec.structs.replace(entry, key="mine", notes=('a "b" \\ ü',))
    assert load_preset(str(UserPresets(tmp_path).save(mine))) == mine


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    data = DataConfig(source="files", paths=("\udcff.txt",))
    mine = msgspec.structs.replace(load_preset("2"), key="mine", data=data)
    with pytest.raises(PresetError, match="no text"):
        UserPresets(tmp_path).save(mine)
    assert not list(tmp_path.iterdir())


def test_the_rates_of_an_entry_stay_when_it_is_edited() -> None:
    made, _ = read_form(form_of(load_preset("13")))
    assert made is not None and made.muon_lr == load_preset("13").muon_lr is not None


def test_files_with_errors_are_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("key = = 1", "utf-8")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    (tmp_path / "d.toml").mkdir()
    shelf = UserPresets(tmp_path)
    assert [broken.path.name for broken in shelf.broken] == ["a.toml", "b.toml", "d.toml"]
    assert "line 1" in shelf.broken[0].problem and "UTF-8" in shelf.broken[1].problem


async def edit(it: Stage) -> EditScreen:
    await it.pilot.press("e")
    await it.until(lambda: isinstance(it.app.screen, EditScreen) and bool(it.app.screen.query("#edit-batch")))
    await it.pilot.pause()
    assert isinstance(it.app.screen, EditScreen)
    return it.app.screen


async def test_an_edited_preset_is_saved_trained_and_listed(runs: Path) -> None:
    async with training(runs) as it:
        screen = await edit(it)
        assert "232,320 parameters" in str(screen.query_one("#edit-forecast", Static).render())
        screen.query_one("#edit-n_heads", Input).value = "5"
        await it.pilot.pause()
        problem = screen.query_one("#problem-width", Static)
        assert problem.display and "multiple of n_heads 5" in str(problem.render())
        await it.pilot.click("#save-train")
        assert it.app.screen is screen, "nothing wrong can be trained"
        screen.query_one("#edit-n_heads", Input).value = "8"
        screen.query_one("#edit-learning_rate", Input).value = "0.002"
        await it.pilot.pause()
        assert not problem.display
        await it.pilot.click("#save-train")
        await it.until(lambda: "#my-2 " in it.header() and "training" in it.header())
        start = it.trainer.commands[0]
        assert isinstance(start, Start) and start.config.model.n_heads == 8
        assert start.config.recipe.schedule.base_lr == 0.002
        assert (runs.parent / "presets" / "my-2.toml").exists()
        assert "my-2" in it.app.train.presets
        assert it.app.train.query_one(PresetList).highlighted_key == "my-2"


async def test_leaving_the_form_changes_nothing(runs: Path) -> None:
    async with training(runs) as it:
        await edit(it)
        await it.pilot.press("escape")
        await it.until(lambda: it.app.screen is it.app.train)
        assert len(it.fleet.trainers) == 1 and not (runs.parent / "presets").exists()


async def test_a_broken_file_is_greyed_and_says_why(runs: Path) -> None:
    folder = runs.parent / "presets"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("[bold]red[/] = ", "utf-8")
    async with training(runs) as it:
        presets = it.app.train.query_one(PresetList)
        presets.focus()
        await it.pilot.press("end")
        await it.until(lambda: "bad.toml: " in it.news)
        await it.pilot.press("enter")
        assert len(it.fleet.trainers) == 1


async def test_pointing_at_a_preset_says_what_it_would_take(runs: Path) -> None:
    async with training(runs) as it:
        presets = it.app.train.query_one(PresetList)
        await it.until(lambda: presets.has_focus and presets.highlighted_key == "2")
        await it.pilot.press("down", "down", "down")
        await it.until(lambda: it.news.startswith("#5 Rust coder 2: 6,443,776 parameters · about "))


async def test_typing_filters_the_list(runs: Path) -> None:
    async with training(runs) as it:
        presets = it.app.train.query_one(PresetList)
        await it.pilot.press("slash", *"addi")
        await it.until(lambda: presets.option_count == 2)
        await it.pilot.press("enter")
        await it.until(lambda: "#7 " in it.header())
        await it.until(lambda: presets.option_count == 14 and not it.app.train.query(PresetFilter))
        await it.pilot.press("slash", *"zzz")
        await it.until(lambda: presets.option_count == 0)
        await it.pilot.press("enter")
        assert "no preset has zzz" in it.news
        await it.pilot.press("escape")
        await it.until(lambda: presets.option_count == 14 and presets.has_focus)


async def test_on_80_columns_the_filter_comes_with_the_list(runs: Path) -> None:
    async with stage(runs, size=(80, 24)) as it:
        await it.until(lambda: "training" in it.header())
        await it.pilot.press("slash", "r", "u")
        await it.until(lambda: it.app.train.query_one(PresetList).option_count == 3)
        assert it.app.train.query_one(PresetList).display


def test_every_word_must_occur() -> None:
    assert matches(load_preset("2"), "simple BYTE") and not matches(load_preset("2"), "simple bpe")
