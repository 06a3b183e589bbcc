"""Odd names of folders and files: a run lives in them like in any other, or is refused before it begins."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import msgspec
import pytest
from small_runs import outcome_of, small_config, train_to_the_end

from femtotui.cli import main as cli
from femtotui.core.errors import RunError
from femtotui.core.run_folder.catalog import list_runs
from femtotui.core.run_folder.entry import gather_entry
from femtotui.core.run_folder.folder import RunFolder
from femtotui.presets.sources import open_source
from femtotui.trainer.session import continue_run, prepare

ODD = "-ru ns 漢é \u202e'$(x) [a];" + ("" if sys.platform == "win32" else '\n"*?\\')
NO_UTF8 = os.fsdecode(b"stray \xff")

no_stray_bytes = sys.platform in {"win32", "darwin"}  # their file systems have none


def test_a_run_in_a_folder_of_an_odd_name_on_a_file_of_an_odd_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, text = tmp_path / ODD, tmp_path / f"{ODD}.txt"
    text.write_bytes(b"bacedi;\nhokuba;\n" * 400)
    plain = small_config("modern", "byte", steps=30)
    data = msgspec.structs.replace(plain.data, source="files", paths=(str(text),))
    train_to_the_end(prepare(msgspec.structs.replace(plain, data=data), runs))
    (run,) = list_runs(runs)
    assert run.finished
    train_to_the_end(continue_run(run.path))
    assert [step for step, _ in outcome_of(run.path).losses] == list(range(1, 31))
    again = shlex.split(gather_entry(run.path).again)
    assert again[again.index("--data") + 1] == str(text)
    for command in ("runs", "journal"):
        assert cli.main([command, "--json", "--runs", str(runs)]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1
        assert cli.main([command, "--runs", str(runs)]) == 0
        shown = capsys.readouterr().out
        assert "\u202e" not in shown
    assert cli.main(["eval", run.path.name, "--json", "--runs", str(runs)]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == str(run.path)


@pytest.mark.skipif(no_stray_bytes, reason="file names are text there")
def test_a_name_that_no_file_could_hold_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / NO_UTF8
    with pytest.raises(RunError, match=r"stray \\xff is not valid UTF-8: rename it"):
        prepare(small_config("modern", "byte"), runs)
    assert list(tmp_path.iterdir()) == []
    for arguments in (
        ["train", "2", "--runs", runs],
        ["train", "2", "--data", runs],
        ["runs", "--runs", runs],
    ):
        assert cli.main([str(argument) for argument in arguments]) == 2
        assert "not valid UTF-8" in capsys.readouterr().err


@pytest.mark.skipif(no_stray_bytes, reason="file names are text there")
def test_a_run_that_was_given_such_a_name_is_listed_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_to_the_end(prepare(small_config("modern", "byte", steps=5), tmp_path))
    (run,) = list_runs(tmp_path)
    renamed = run.path.rename(tmp_path / NO_UTF8)
    (listed,) = list_runs(tmp_path)
    assert "rename it" in listed.problem
    assert cli.main(["runs", "--json", "--runs", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["run"].endswith("stray \\xff")
    assert cli.main(["runs", "--runs", str(tmp_path)]) == 0
    assert cli.main(["train", "--resume", str(renamed)]) == 2
    assert "not valid UTF-8" in capsys.readouterr().err
    assert RunFolder.open(renamed.rename(run.path)).checkpoint_paths()


@pytest.mark.skipif(no_stray_bytes, reason="file names are text there")
def test_a_file_of_such_a_name_is_read_by_a_glob_and_its_command_says_which(tmp_path: Path) -> None:
    (tmp_path / f"{NO_UTF8}.txt").write_bytes(b"bacedi;\nhokuba;\n" * 400)
    plain = small_config("modern", "byte", steps=5)
    data = msgspec.structs.replace(plain.data, source="files", paths=(str(tmp_path / "*.txt"),))
    assert open_source(data, 0).command.endswith("/stray\\x20\\xff.txt' > dataset.txt")
    train_to_the_end(prepare(msgspec.structs.replace(plain, data=data), tmp_path / "runs"))
