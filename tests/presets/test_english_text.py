"""The English text: downloaded once, checked, and told in words where that fails."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from source_texts import TEXT, run_command

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.presets import english
from femtotui.presets.sources import download_english, english_is_cached, open_source

JOURNAL_ENGLISH = english.ENGLISH


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


def test_english_offline_is_a_stand_in_that_says_so_and_how_to_get_the_real_one() -> None:
    source = open_source(DataConfig(source="english"), 0)
    text = source.train + source.validation
    assert len(text) > 200_000
    assert "not the journal's English" in source.notes[0]
    assert english.ENGLISH.url in source.notes[0]
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
