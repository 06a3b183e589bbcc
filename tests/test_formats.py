"""Every file of a run says its format: a newer one is refused in words, an older one is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from small_checkpoint import saved_run

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.checkpoint import load_weights
from femtotui.core.run_folder.entry import gather_entry, write_entry
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.info import Progress, read_progress, write_progress
from femtotui.core.run_folder.saved_model import open_saved
from femtotui.runs.library import TITLE_NAME, read_rows, write_title
from femtotui.trainer.remote import ADDRESS_NAME, Address, read_address


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = saved_run(tmp_path)
    write_title(made.path, "a title")
    write_progress(made.path, PROGRESS)
    (made.path / ADDRESS_NAME).write_bytes(msgspec.json.encode(Address(pid=1, secret="s")))
    return made


PROGRESS = Progress(
    state="stopped", step=7, train_loss=1.0, val_loss=None, elapsed_s=1.0, wall_s=2.0, peak_rss_mib=3.0,
    sittings=1,
)  # fmt: skip

READERS: dict[str, Callable[[Path], object]] = {
    "run.json": RunFolder.open,
    "tokenizer.json": lambda path: RunFolder.open(path).tokenizer(),
    "progress.json": read_progress,
    ADDRESS_NAME: read_address,
    TITLE_NAME: lambda path: write_title(path, "another"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_newer_file_is_refused_in_words_and_stays_as_it_is(run: RunFolder, name: str) -> None:
    path = run.path / name
    newer = json.loads(path.read_bytes()) | {"format": 99, "of_the_future": True}
    path.write_text(json.dumps(newer))
    with pytest.raises(FemtoError, match=r"newer femtotui \(format 99\).*: update femtotui"):
        READERS[name](run.path)
    assert json.loads(path.read_bytes()) == newer


@pytest.mark.parametrize("name", READERS)
def test_every_file_says_its_format(run: RunFolder, name: str) -> None:
    assert json.loads((run.path / name).read_bytes())["format"] == 1
    READERS[name](run.path)


def test_a_newer_checkpoint_is_refused_in_words(run: RunFolder) -> None:
    (path,) = run.checkpoint_paths()
    path.write_bytes(path.read_bytes().replace(b'"version":"2"', b'"version":"9"'))
    with pytest.raises(FemtoError, match=r"format version 9.*a newer femtotui can read it"):
        load_weights(path, run.config.model)


def test_a_checkpoint_of_the_first_version_is_read(run: RunFolder) -> None:
    """It had no checksum."""
    (path,) = run.checkpoint_paths()
    data = path.read_bytes()
    at = data.index(b',"crc32":"')
    without = data.replace(data[at : at + 19], b"").replace(b'"version":"2"', b'"version":"1"')
    header = int.from_bytes(data[:8], "little") - (len(data) - len(without))
    path.write_bytes(header.to_bytes(8, "little") + without[8:])
    assert open_saved(run.path.parent, run.path.name).step == 7


def test_files_from_before_they_had_everything_are_read(run: RunFolder) -> None:
    for name, fields in (
        ("tokenizer.json", ("format",)),
        ("progress.json", ("machine", "threads")),
        (TITLE_NAME, ("format",)),
    ):
        stored = json.loads((run.path / name).read_bytes())
        (run.path / name).write_text(json.dumps({k: v for k, v in stored.items() if k not in fields}))
    assert RunFolder.open(run.path).tokenizer().vocab_size == 256
    entry = gather_entry(run.path)
    assert (entry.machine, entry.threads) == (run.info.machine, run.config.train.threads)
    assert [row.title for row in read_rows(run.path.parent)] == ["a title"]
    write_title(run.path, "another")


def test_entry_md_says_its_format(run: RunFolder) -> None:
    write_entry(run.path)
    assert "<!-- femtotui entry, format 1" in (run.path / "entry.md").read_text()
