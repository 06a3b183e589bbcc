"""The synthetic texts, their split, and the stand-in for Rust."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from source_texts import TEXT, run_command

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.dummy_data.addition_dummy import held_out_pairs
from femtotui.dummy_data.simple_dummy import broken_rules
from femtotui.presets.sources import open_source, split_text

# Synthetic sources


def test_simple_dummy_is_what_its_command_writes() -> None:
    source = open_source(DataConfig(source="simple_dummy", lines=300), 4)
    assert source.train == run_command(source.command)
    assert source.validation.count(b"\n") == 1000
    assert source.validation[:700] not in source.train
    assert source.floor == pytest.approx(1.2413, abs=1e-4)


def test_addition_dummy_is_what_its_command_writes_and_validates_on_held_out_sums() -> None:
    source = open_source(DataConfig(source="addition_dummy"), 0)
    assert source.train == run_command(source.command)
    assert source.train.count(b"\n") == 8000
    assert source.fresh is not None
    for text, held_out in ((source.train, False), (source.fresh(3), False), (source.validation, True)):
        for line in text.decode().splitlines():
            a, _, b, *_ = line.split()
            assert ((int(a), int(b)) in held_out_pairs()) is held_out
    assert source.floor == pytest.approx(0.6445, abs=1e-3)
    assert "tenth" in source.notes[0]


@pytest.mark.parametrize("kind", ["simple_dummy", "addition_dummy"])
def test_fresh_blocks_go_on_from_the_training_text_and_never_repeat(kind: str) -> None:
    data = DataConfig(source=kind, lines=200)  # type: ignore[arg-type]
    source, again, other = open_source(data, 1), open_source(data, 1), open_source(data, 2)
    assert source.fresh and again.fresh and other.fresh
    assert source.fresh(0) == source.train
    assert source.fresh(5) == again.fresh(5)
    blocks = [source.fresh(k) for k in range(10)] + [other.fresh(k) for k in range(10)]
    assert len({*blocks, source.validation, other.validation}) == 22


def test_a_long_training_text_still_has_blocks_of_bearable_length() -> None:
    source = open_source(DataConfig(source="simple_dummy", lines=20_000), 0)
    assert source.fresh is not None
    assert source.fresh(0).count(b"\n") == source.fresh(1).count(b"\n") == 8000
    assert source.train.startswith(source.fresh(0))
    words = source.fresh(1).decode().replace("\n", "").rstrip(";").split(";")
    assert all(broken_rules(word, words[max(0, i - 3) : i]) == [] for i, word in enumerate(words))


# The split


@given(st.binary(max_size=2000))
@example(b"\0" + b"\x80" * 5)
def test_a_split_loses_nothing(text: bytes) -> None:
    train, validation = split_text(text)
    assert train + validation == text
    assert not text or train


def test_a_split_takes_the_last_tenth_at_the_end_of_a_line() -> None:
    train, validation = split_text(TEXT)
    assert train.endswith(b"\n")
    assert 0.09 < len(validation) / len(TEXT) < 0.11


@given(st.text(alphabet="aé€😀", min_size=20, max_size=400))
def test_a_split_never_cuts_through_a_character(text: str) -> None:
    train, validation = split_text(text.encode())
    assert train.decode() + validation.decode() == text
    assert len(validation) >= len(text.encode()) // 10


# Rust


def test_rust_without_files_is_a_stand_in_that_says_so() -> None:
    source = open_source(DataConfig(source="rust"), 0)
    text = source.train + source.validation
    assert 200_000 < len(text) < 320_000
    assert "not Rust" in source.notes[0]
    assert "files of your own" in source.notes[0]
    assert "stand-in" in source.name
    assert source.sha256 == open_source(DataConfig(source="rust"), 9).sha256
    paths = shlex.split(source.command.removesuffix(" > dataset.txt"))[1:]
    assert b"".join(Path(path).read_bytes() for path in paths) == text


def test_a_python_without_its_source_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(DataError, match=r"comes without .*give files of your own"):
        open_source(DataConfig(source="rust"), 0)
