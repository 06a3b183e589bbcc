"""The table of runs on the command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from run_folders import make_run

from femtotui.cli.runs import runs_table
from femtotui.core.run_folder.catalog import list_runs


def printed(runs: Path, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(runs_table(list_runs(runs), width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_name_that_one_copies_is_never_broken(width: int, tmp_path: Path) -> None:
    names = [make_run(tmp_path, "2", 200).name, make_run(tmp_path, "10", 3).name]
    damaged = tmp_path / "20200101-000000-own-aaaaaa"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    lines = printed(tmp_path, width)
    for name in [*names, damaged.name]:
        assert sum(line.split(" ")[0] == name for line in lines) == 1, "\n".join(lines)
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "200/" in text and "damaged" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_run_takes_a_line_and_what_has_no_room_is_left_out(width: int, tmp_path: Path) -> None:
    make_run(tmp_path, "2", 200)
    header, line = printed(tmp_path, width)
    assert "step" in header and ("val" in header) == (width >= 80)
    assert ("2 simple 2" in line) == (width >= 80)
