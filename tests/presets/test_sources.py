"""Where text comes from: rules, own files, the English download against a server of our own, stand-ins."""

from __future__ import annotations

import hashlib
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.dummy_data.addition_dummy import is_held_out
from femtotui.dummy_data.simple_dummy import broken_rules
from femtotui.presets import english, own_files
from femtotui.presets.sources import download_english, english_is_cached, open_source
from femtotui.presets.split import split_text

ROOT = Path(__file__).parents[2]
JOURNAL_ENGLISH = english.ENGLISH
TEXT = b"".join(b"line %d of the text\n" % i for i in range(4000))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no proxy between the tests and their server, and nothing real to download."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FEMTOTUI_CACHE", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    expect(monkeypatch, "http://127.0.0.1:9/")
    return folder


def expect(monkeypatch: pytest.MonkeyPatch, url: str, text: bytes = TEXT) -> None:
    """Make `text` at `url` the text that is known to the byte."""
    remote = english.RemoteText(url, len(text), hashlib.sha256(text).hexdigest())
    monkeypatch.setattr(english, "ENGLISH", remote)


class Handler(BaseHTTPRequestHandler):
    """Serves what its path says."""

    def do_GET(self) -> None:
        body = {"/good": TEXT, "/wrong": b"x" + TEXT[1:], "/long": TEXT * 50, "/short": TEXT[:-500]}
        if self.path == "/cut":  # promises more than it sends
            self.answer(TEXT[:-500], len(TEXT))
        elif self.path in body:
            self.answer(body[self.path], len(body[self.path]))
        else:
            self.send_error(404)

    def answer(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that has read enough goes away, as it should."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with QuietServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def no_progress(_received: int, _total: int) -> None:
    pass


def files(*paths: Path | str) -> DataConfig:
    return DataConfig(source="files", paths=tuple(map(str, paths)))


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
            assert is_held_out(int(a), int(b)) is held_out
    assert source.floor == pytest.approx(0.6445, abs=1e-3)
    assert "tenth" in source.notes[0]


def run_command(command: str) -> bytes:
    """Run `python3 SCRIPT ... > dataset.txt` from the repository's root, its output taken instead."""
    program, *arguments = shlex.split(command.removesuffix(" > dataset.txt"))
    assert program == "python3"
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True).stdout


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
    monkeypatch.setattr(own_files, "MAX_TEXT_BYTES", 2**20)
    with (folder / "huge").open("wb") as huge:
        huge.truncate(5 * 2**20)
    with pytest.raises(DataError, match=r"too much text: .* 5 MiB, and at most 1 MiB"):
        open_source(files(folder / "huge"), 0)


# Rust


def test_rust_without_files_is_a_stand_in_that_says_so() -> None:
    source = open_source(DataConfig(source="rust"), 0)
    text = source.train + source.validation
    assert 200_000 < len(text) < 320_000
    assert "not Rust" in source.notes[0]
    assert "--data" in source.notes[0]
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


# English


def test_english_offline_is_a_stand_in_that_says_so_and_how_to_get_the_real_one() -> None:
    source = open_source(DataConfig(source="english"), 0)
    text = source.train + source.validation
    assert len(text) > 200_000
    assert "not the journal's English" in source.notes[0]
    assert "--data" in source.notes[0]
    assert "stand-in" in source.name
    assert run_command(source.command) == text
    assert not english_is_cached()


def test_english_is_the_text_that_the_journal_links_to() -> None:
    assert JOURNAL_ENGLISH.n_bytes == 1_115_390
    assert JOURNAL_ENGLISH.sha256 == "434c0554a8c4c53dc17e56a0abb0f30b88f83cbceb0289cb897db68c25e89eba"
    assert "/d00da389998bcef3ba483bb7a0614f4e874e1d06/" in JOURNAL_ENGLISH.url


def test_a_download_is_checked_kept_and_used(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, f"{server}/good")
    told: list[tuple[int, int]] = []
    path = download_english(lambda received, total: told.append((received, total)))
    assert path == cache / "english.txt"
    assert path.read_bytes() == TEXT
    assert os.listdir(cache) == ["english.txt"]  # noqa: PTH208
    assert told[0] == (0, len(TEXT))
    assert told[-1] == (len(TEXT), len(TEXT))
    assert told == sorted(told)
    assert english_is_cached()
    source = open_source(DataConfig(source="english"), 0)
    assert (source.name, source.notes) == ("english", ())
    assert source.train + source.validation == TEXT
    assert source.command == f"curl -L {server}/good > dataset.txt"


def test_opening_english_downloads_it_only_if_allowed_and_once(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, f"{server}/good")
    assert "stand-in" in open_source(DataConfig(source="english"), 0).name
    told: list[int] = []
    for _ in range(2):
        source = open_source(
            DataConfig(source="english"), 0, download=lambda received, _: told.append(received)
        )
        assert source.name == "english"
    assert told.count(0) == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("wrong", "is not the journal's text"),
        ("short", "is not the journal's text"),
        ("long", "is not the journal's text"),
        ("cut", "is not the journal's text"),
        ("gone", "the server answers 404"),
    ],
)
def test_another_text_is_refused_and_nothing_kept(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    expect(monkeypatch, f"{server}/{path}")
    told: list[int] = []
    with pytest.raises(DataError, match=words):
        download_english(lambda received, _: told.append(received))
    assert not cache.exists()
    assert max(told, default=0) <= len(TEXT)
    assert not english_is_cached()


def test_no_network_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        expect(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}/")
        with pytest.raises(DataError, match=r"cannot be reached \(.*refused.*\): check the network"):
            open_source(DataConfig(source="english"), 0, download=no_progress)


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(english, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        expect(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(DataError, match=r"no answer for 0\.1 seconds"):
            download_english(no_progress)


def test_a_server_that_does_not_speak_http_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        expect(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}/")

        def babble() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x1b[31mwhat?\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(DataError, match="cannot be reached") as caught:
            download_english(no_progress)
        thread.join()
    assert str(caught.value).isprintable()


def test_a_cache_that_cannot_be_written_is_told_in_words(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, f"{server}/good")
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot keep the download in .*FEMTOTUI_CACHE"):
        download_english(no_progress)


def test_a_full_disk_is_told_in_words_and_leaves_nothing(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    expect(monkeypatch, f"{server}/good")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="the disk is full"):
        download_english(no_progress)
    assert list(cache.iterdir()) == []


def test_breaking_off_a_download_leaves_nothing(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(received: int, _total: int) -> None:
        if received:
            raise KeyboardInterrupt

    expect(monkeypatch, f"{server}/good")
    with pytest.raises(KeyboardInterrupt):
        download_english(interrupt)
    assert not cache.exists()


def test_a_damaged_cache_counts_as_none(cache: Path) -> None:
    cache.mkdir()
    (cache / "english.txt").write_bytes(TEXT[:-1])
    assert not english_is_cached()
    assert "stand-in" in open_source(DataConfig(source="english"), 0).name


def test_without_its_variable_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEMTOTUI_CACHE")
    path = english.cache_path()
    assert path.name == "english.txt"
    assert "femtotui" in str(path.parent)
