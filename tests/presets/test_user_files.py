"""Texts of one's own: paths and globs, and what cannot be read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from source_texts import TEXT

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.presets import sources
from femtotui.presets.sources import open_source


def files(*paths: Path | str) -> DataConfig:
    return DataConfig(source="files", paths=tuple(map(str, paths)))


# One's own files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "my texts"
    (place / "deep" / "er").mkdir(parents=True)
    for name in ("b.rs", "a.rs", "deep/c.rs", "deep/er/d.rs", "-e.txt"):
        (place / name).write_text(f"{name} " * 100)
    return place


def all_text(data: DataConfig) -> bytes:
    source = open_source(data, 0)
    return source.train + source.validation


def test_files_are_put_one_after_another_in_the_order_given(folder: Path) -> None:
    source = open_source(files(folder / "b.rs", folder / "a.rs"), 0)
    assert source.train + source.validation == b"b.rs " * 100 + b"a.rs " * 100
    assert source.name == "2 files"
    assert source.command == f"cat '{folder}/b.rs' '{folder}/a.rs' > dataset.txt"
    assert (source.notes, source.floor, source.fresh) == ((), None, None)


def test_one_file_gives_its_name(folder: Path) -> None:
    assert open_source(files(folder / "b.rs"), 0).name == "b.rs"


def test_globs_are_sorted_and_go_deep(folder: Path) -> None:
    assert all_text(files(folder / "*.rs")) == b"a.rs " * 100 + b"b.rs " * 100
    deep = all_text(DataConfig(source="rust", paths=(str(folder / "**" / "*.rs"),)))
    assert deep.split()[::100] == [b"a.rs", b"b.rs", b"deep/c.rs", b"deep/er/d.rs"]


def test_a_tilde_is_ones_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert all_text(files("~/a.rs")) == b"a.rs " * 100


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder: Path) -> None:
    (folder / "[x].txt").write_bytes(TEXT)
    (folder / "x.txt").write_bytes(b"another")
    assert all_text(files(folder / "[x].txt")) == TEXT


def test_the_command_gives_the_same_bytes_in_a_shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "it's; $HOME").write_bytes(TEXT)
    monkeypatch.chdir(folder)
    source = open_source(files("-e.txt", "it's; $HOME", "*.rs"), 0)
    subprocess.run(["sh", "-c", source.command], check=True, cwd=folder)
    assert (folder / "dataset.txt").read_bytes() == source.train + source.validation


def test_many_files_are_named_by_their_globs(folder: Path) -> None:
    for i in range(30):
        (folder / f"many {i:02}.txt").write_text(f"{i} ")
    source = open_source(files(folder / "many *.txt"), 0)
    assert len(source.command) < 200
    subprocess.run(["sh", "-c", source.command], check=True, cwd=folder)
    assert (folder / "dataset.txt").read_bytes() == source.train + source.validation


def test_an_empty_file_among_others_does_not_matter(folder: Path) -> None:
    (folder / "empty").touch()
    assert all_text(files(folder / "empty", folder / "a.rs")) == b"a.rs " * 100


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.rs", "there is no file .*missing.rs"),
        ("*.cpp", r"no file matches .*\*.cpp"),
        ("**/nothing", "no file matches"),
        ("deep", r"deep is a folder: name its files, for example .*deep.\*.txt"),
        ("dee?", "no file matches"),
        ("empty", "empty is empty"),
        ("a.rs/b.rs", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("zero\0", "no file can be called"),
        ("bell\x07", r"there is no file .*bell\\x07"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(folder: Path, name: str, words: str) -> None:
    (folder / "empty").touch()
    with pytest.raises(DataError, match=words) as caught:
        open_source(files(f"{folder}/{name}"), 0)
    assert str(caught.value).isprintable()


def test_a_file_that_may_not_be_read_is_told_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a fake: whoever runs the tests as root may read everything."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="may not be read: check its permissions"):
        open_source(files(folder / "a.rs"), 0)


def test_a_device_is_refused_at_once() -> None:
    with pytest.raises(DataError, match="device or a pipe"):
        open_source(files(os.devnull), 0)


def test_too_much_text_is_refused_before_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_TEXT_BYTES", 2**20)
    with (folder / "huge").open("wb") as huge:
        huge.truncate(5 * 2**20)
    with pytest.raises(DataError, match=r"too much text: .* 5 MiB, and at most 1 MiB"):
        open_source(files(folder / "huge"), 0)
