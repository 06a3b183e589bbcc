"""The run folder: made whole, appended in whole lines, opened and listed whatever state it is in."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest
from small_training import record_all, rows, small_config, small_run, small_training

from femtotui.core.errors import CheckpointError, RunError
from femtotui.core.events import EvalDone, SampleDone, StepDone
from femtotui.core.run_folder import logs as row_files
from femtotui.core.run_folder.catalog import find_run, list_runs
from femtotui.core.run_folder.folder import RunFolder


def step_done(step: int) -> StepDone:
    return StepDone(
        step=step, loss=1.5, lr=0.001, grad_norm=0.5, ms=1.23456, elapsed_s=step / 3, rss_mib=50.04
    )


def test_a_new_folder_holds_the_documented_files_and_opens_again(tmp_path: Path) -> None:
    run, training = small_run(tmp_path / "ünïcode runs")
    assert sorted(path.name for path in run.path.iterdir()) == [
        "checkpoints",
        "evals.csv",
        "metrics.csv",
        "run.json",
        "samples.jsonl",
        "scores.jsonl",
        "tokenizer.json",
    ]
    again = RunFolder.open(run.path)
    assert again.info == run.info
    assert again.config == training.config
    assert again.info.data.sha256 == training.source.sha256
    assert again.info.parameters == training.n_parameters
    assert again.info.versions.keys() >= {"python", "numpy"}
    text = b"bacedi;"
    assert list(again.tokenizer().encode(text)) == list(training.tokenizer.encode(text))


def test_rows_are_appended_in_whole_lines_that_read_back_exactly(tmp_path: Path) -> None:
    run, _ = small_run(tmp_path)
    run.append(step_done(1))
    run.append(EvalDone(step=1, val_loss=0.1 + 0.2, train_loss=1.5, elapsed_s=1.0))
    run.append(SampleDone(step=1, prompt="\n", text="a\nb\x1b", seed=3))
    assert rows(run.path / "metrics.csv") == [["1", "1.5", "0.001", "0.5", "1.235", "0.3333", "50.0"]]
    assert float(rows(run.path / "evals.csv")[0][1]) == 0.1 + 0.2
    sample = msgspec.json.decode((run.path / "samples.jsonl").read_bytes(), type=SampleDone)
    assert sample.text == "a\nb\x1b"


def test_metrics_wait_for_a_flush(tmp_path: Path) -> None:
    run, _ = small_run(tmp_path)
    run.append(step_done(1))
    assert rows(run.path / "metrics.csv") == []
    run.flush()
    assert len(rows(run.path / "metrics.csv")) == 1


def test_rows_after_the_checkpoint_and_torn_ones_are_cut_off(tmp_path: Path) -> None:
    run, _ = small_run(tmp_path)
    for step in (1, 2, 3, 4, 5):
        run.append(step_done(step))
        run.append(SampleDone(step=step, prompt="", text="a", seed=0))
        run.append(SampleDone(step=step, prompt="", text="b", seed=1))
    metrics = run.path / "metrics.csv"
    with metrics.open("ab") as file:
        file.write(b"3,9,9,9,9,9,9\n6,1.5,0.0")
    (run.path / "checkpoints" / "step-9.safetensors.77.tmp").write_bytes(b"half")
    run.cut_after(3)
    assert [row[0] for row in rows(metrics)] == ["1", "2", "3"]
    assert (run.path / "samples.jsonl").read_bytes().count(b"\n") == 6
    assert list((run.path / "checkpoints").iterdir()) == []


def test_a_full_disk_leaves_whole_lines_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = small_run(tmp_path)
    run.append(step_done(1))
    run.flush()
    append_whole = row_files._append_whole

    class HalfFull:
        """A file on a disk with room for five more bytes."""

        def __init__(self, file) -> None:
            self._file, self._room = file, 5
            self.seek, self.truncate = file.seek, file.truncate

        def write(self, data) -> int:
            if not self._room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written, self._room = self._file.write(data[: self._room]), 0
            return written

    monkeypatch.setattr(row_files, "_append_whole", lambda file, data: append_whole(HalfFull(file), data))
    run.append(step_done(2))
    with pytest.raises(RunError, match="the disk is full"):
        run.flush()
    assert [row[0] for row in rows(run.path / "metrics.csv")] == ["1"]
    monkeypatch.setattr(row_files, "_append_whole", append_whole)
    run.flush()
    assert [row[0] for row in rows(run.path / "metrics.csv")] == ["1", "2"]


def test_a_folder_that_vanishes_is_not_made_anew(tmp_path: Path) -> None:
    run, _ = small_run(tmp_path)
    run.append(step_done(1))
    run.path.rename(tmp_path / "moved")
    with pytest.raises(RunError, match="not there"):
        run.flush()
    assert not run.path.exists()


def test_a_runs_folder_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    for runs, words in (
        (in_the_way, "a file of that name is in the way"),
        (in_the_way / "below", "a part of that path is a file"),
        (tmp_path / ("x" * 300), "too long"),
        (Path("/proc/femtotui-runs"), "cannot make a run"),
        (tmp_path / "zero\0byte", "null"),
    ):
        with pytest.raises(RunError, match=words):
            small_run(runs)


def test_a_run_that_cannot_be_made_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        small_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    for step in range(8, 13):
        run.save(training.tensors(), step, 0.0)
    names = [path.name for path in run.checkpoint_paths()]
    assert names == ["step-12.safetensors", "step-11.safetensors", "step-10.safetensors"]


def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    run.save(training.tensors(), 1, 0.0)
    run.save(training.tensors(), 2, 0.0)
    newest = run.checkpoint_paths()[0]
    newest.write_bytes(newest.read_bytes()[:-10])
    loaded, (note,) = run.load_newest(training.tensors())
    assert loaded.step == 1
    assert "step-2.safetensors is damaged" in note
    assert "continues from step 1" in note
    assert [path.name for path in run.checkpoint_paths()] == ["step-1.safetensors"]
    assert (newest.parent / "step-2.safetensors.damaged").exists()


def test_when_no_checkpoint_is_whole_the_newest_is_explained_and_all_stay(tmp_path: Path) -> None:
    run, training = small_run(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        run.load_newest(training.tensors())
    run.save(training.tensors(), 1, 0.0)
    run.checkpoint_paths()[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-1\.safetensors is damaged"):
        run.load_newest(training.tensors())
    assert len(run.checkpoint_paths()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b'{"format": 1}', "damaged"),
        (b'{"format": 2, "new": true}', "newer femtotui"),
        (b"[" * 100_000, "damaged"),
        (b'"' + b"x" * 5_000_000 + b'"', "larger than"),
        (b"\xff\xfe", "damaged"),
    ],
)
def test_a_damaged_run_is_refused_when_opened_and_shown_when_listed(
    tmp_path: Path, content: bytes, words: str
) -> None:
    run, _ = small_run(tmp_path)
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=words):
        RunFolder.open(run.path)
    (listed,) = list_runs(tmp_path)
    assert listed.info is None
    assert words in listed.problem


def test_runs_are_listed_newest_first_and_foreign_folders_left_out(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []
    first, training = small_run(tmp_path, small_config(4))
    record_all(first, training)
    first.path.rename(tmp_path / "20200101-000000-small-aaaaaa")
    second, _ = small_run(tmp_path)
    (tmp_path / "holiday photos").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    newest, oldest = list_runs(tmp_path)
    assert newest.path == second.path
    assert (newest.step, newest.loss, newest.finished, newest.can_continue) == (0, None, False, False)
    assert (oldest.step, oldest.checkpoint_step, oldest.finished) == (4, 4, True)
    assert oldest.loss is not None
    assert oldest.val_loss is not None


def test_a_run_is_found_by_what_a_person_types(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no runs yet"):
        find_run(tmp_path, "latest")
    first, _ = small_run(tmp_path)
    first.path.rename(old := tmp_path / "20200101-000000-small-aaaaaa")
    newest, _ = small_run(tmp_path)
    assert find_run(tmp_path, str(old)) == old
    assert find_run(tmp_path, old.name) == old
    assert find_run(tmp_path, "aaaaaa") == old
    assert find_run(tmp_path, "latest") == newest.path
    with pytest.raises(RunError, match="could be 2 runs"):
        find_run(tmp_path, "small")
    with pytest.raises(RunError, match="the nearest is 20200101-000000-small-aaaaaa"):
        find_run(tmp_path, "20200101-000000-smal-aaaaab")
    for odd in ("", "..", "\0", "x" * 500, "~nobody-here"):
        with pytest.raises(RunError):
            find_run(tmp_path, odd)


def test_the_preset_cannot_lead_out_of_the_runs_folder(tmp_path: Path) -> None:
    config = msgspec.structs.replace(small_config(), preset="../../etc/x y")
    run, training = small_run(tmp_path, config)
    assert run.path.parent == tmp_path
    assert training.config.preset == "../../etc/x y"
    assert small_training(config).config.preset == RunFolder.open(run.path).config.preset
