"""Every file of a run says its format: a newer one is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from small_checkpoint import saved_run

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.checkpoint import load_weights
from femtotui.core.run_folder.entry import write_entry
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.info import Progress, RunFile, read_progress, write_progress
from femtotui.runs.library import write_title
from femtotui.trainer.remote import Address, read_address


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = saved_run(tmp_path)
    write_title(made.path, "a title")
    write_progress(made.path, PROGRESS)
    (made.path / RunFile.TRAINER_ADDRESS).write_bytes(msgspec.json.encode(Address(pid=1, secret="s")))
    return made


PROGRESS = Progress(
    state="stopped", step=7, train_loss=1.0, val_loss=None, elapsed_s=1.0, wall_s=2.0, peak_rss_mib=3.0,
    sittings=1, machine="this one", threads=2,
)  # fmt: skip

READERS: dict[str, Callable[[Path], object]] = {
    "run.json": RunFolder.open,
    "tokenizer.json": lambda path: RunFolder.open(path).tokenizer(),
    "progress.json": read_progress,
    RunFile.TRAINER_ADDRESS: read_address,
    RunFile.TITLE: lambda path: write_title(path, "another"),
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


def test_entry_md_says_its_format(run: RunFolder) -> None:
    write_entry(run.path)
    assert "<!-- femtotui entry, format 1" in (run.path / "entry.md").read_text()
