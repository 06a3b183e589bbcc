"""Presets of one's own: read from a .toml file, or refused in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from femtotui.core.errors import FemtoError, PresetError
from femtotui.presets import Preset, load_preset

OWN = """
key = "mine"
title = "a model of my own"
steps = 500
batch = 16

[model]
n_layers = 2
width = 32
n_heads = 4

[tokenizer]
kind = "byte"

[data]
source = "simple_dummy"
"""


def own_file(folder: Path, text: str | bytes, name: str = "mine.toml") -> str:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_an_own_preset_is_read_from_its_file(tmp_path: Path) -> None:
    preset = load_preset(own_file(tmp_path, OWN))
    assert (preset.key, preset.title, preset.steps, preset.batch) == ("mine", "a model of my own", 500, 16)
    assert (preset.model.n_layers, preset.model.width, preset.model.context) == (2, 32, 64)
    assert preset.journal is None


def test_an_own_preset_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = own_file(tmp_path, OWN)
    before = load_preset(path).steps
    own_file(tmp_path, OWN.replace("steps = 500", "steps = 700"))
    assert (before, load_preset(path).steps) == (500, 700)


def test_an_own_preset_may_not_pass_for_an_entry_of_the_journal(tmp_path: Path) -> None:
    path = own_file(tmp_path, OWN.replace('"mine"', '"2"'))
    with pytest.raises(PresetError, match="is taken; choose another"):
        load_preset(path)


@pytest.mark.parametrize(
    ("change", "field", "advice"),
    [
        (
            ("n_layers = 2", 'n_layers = "two"'),
            "model.n_layers",
            "needs a whole number, not a text in quotes",
        ),
        (
            ("n_layers = 2", "n_layers = 2.5"),
            "model.n_layers",
            "a whole number, not a number with a decimal point",
        ),
        (("n_layers = 2", ""), "model.n_layers", "is missing: add it"),
        (("n_layers = 2", "n_layers = -2"), "model.n_layers", "must be a whole number from 1 to 96"),
        (("n_heads = 4", "n_heads = 5"), "model.width", "must be a multiple of n_heads 5, not 32"),
        (("width = 32", "width = 32\nwidht = 32"), "model.widht", "is not a setting (did you mean `width`?)"),
        (("width = 32", "width = 32\nqqq = 1"), "model.qqq", "(there are: n_layers, width,"),
        (('"byte"', '"bite"'), "tokenizer.kind", "must be 'bpe' or 'byte' or 'char', not 'bite'"),
        (('"byte"', '"bpe"'), "tokenizer.vocab_size", "must be 257 or more for bpe"),
        (('"byte"', '"byte"\nvocab_size = 300'), "tokenizer.vocab_size", "must be 256 for byte, not 300"),
        (("width = 32", "width = 32\nvocab_size = 99"), "model.vocab_size", "must be the tokenizer's, 256"),
        (('"simple_dummy"', '"files"'), "data.paths", "needs at least one path"),
        (("steps = 500", "steps = 0"), "steps", "must be a whole number from 1"),
        (("steps = 500", 'steps = 500\nnotes = ["a", 3]'), "notes[1]", "needs a text in quotes"),
        (("steps = 500", "steps = 500\nnotes = 3"), "notes", "needs a list in [ ], not a whole number"),
        (("batch = 16", "batch = 100_000"), "batch", "must be a whole number from 1 to 4,096"),
        (('"mine"', '"../../mine"'), "key", "must be 1 to 32 small letters"),
        (('"a model of my own"', '""'), "title", "must have 1 to 60 characters"),
        (('"a model of my own"', '"\\u001b[2Jgone"'), "title", "must be one line of printable text"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_do(
    tmp_path: Path, change: tuple[str, str], field: str, advice: str
) -> None:
    assert change[0] in OWN
    path = own_file(tmp_path, OWN.replace(*change))
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    message = str(caught.value)
    assert caught.value.field == field and message.startswith(f"{path}: {field} ")
    assert advice in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "missing"),
        (b"key = ", "not valid TOML"),
        (b"key = 1\nkey = 2", "not valid TOML"),
        (b"\xff\xfe\x00k", "not UTF-8"),
        (b"\x00" * 64, "not valid TOML"),
        (b"a = " + b"[" * 20_000, "nested too deeply"),
        (b"steps = " + b"9" * 5000, "not valid TOML"),
        (b"#" * 70_000, "larger than 65,536 bytes"),
        (b'"\\u001b]0;title\\u0007" = 1', "\\x1b]0;title\\x07 is not a setting"),
        (b"\x80\x04\x95cbuiltins\neval\n", "not UTF-8"),
    ],
)
def test_a_damaged_or_hostile_file_is_refused_in_one_printable_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset(own_file(tmp_path, content))
    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("number", ["0x" + "f" * 6000, "-0x" + "f" * 400, "1e999", "nan"])
@pytest.mark.parametrize("field", ["steps = 500", "n_layers = 2", "width = 32"])
def test_absurd_numbers_are_refused(tmp_path: Path, field: str, number: str) -> None:
    name = field.split(" = ", maxsplit=1)[0]
    with pytest.raises(PresetError):
        load_preset(own_file(tmp_path, OWN.replace(field, f"{name} = {number}")))


@pytest.mark.parametrize(
    ("figure", "advice"),
    [
        ("step = 0", "journal.step must be a whole number from 1"),
        ("step = 0x" + "f" * 6000, "journal.step must be a whole number"),
        ("loss = nan", "journal.loss must be a number from 0"),
        ("elapsed_s = inf", "journal.elapsed_s must be a number from 0 to "),
        ('note = "a\\nb"', "journal.note must be one line"),
    ],
)
def test_a_record_of_ones_own_holds_figures_that_can_be(tmp_path: Path, figure: str, advice: str) -> None:
    record = {
        "step": "1",
        "loss": "1.0",
        "elapsed_s": "1",
        "note": '"n"',
        "command": '"c"',
        "verdict": '"fail"',
    }
    name, _, value = figure.partition(" = ")
    lines = "\n".join(f"{key} = {text}" for key, text in {**record, "entry": "1", name: value}.items())
    with pytest.raises(PresetError, match=re.escape(advice)):
        load_preset(own_file(tmp_path, f"{OWN}\n[journal]\n{lines}\n"))


def test_any_cut_of_a_preset_file_is_refused_or_read_whole(tmp_path: Path) -> None:
    whole = OWN.strip().encode()
    for end in range(len(whole)):
        try:
            preset = load_preset(own_file(tmp_path, whole[:end]))
        except FemtoError as error:
            assert str(error)
        else:
            assert isinstance(preset, Preset)


def test_a_missing_file_a_folder_and_a_null_byte_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="there is no file"):
        load_preset(str(tmp_path / "none.toml"))
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(PresetError, match="is not a file"):
        load_preset(str(folder))
    with pytest.raises(PresetError):
        load_preset("a\0b.toml")
