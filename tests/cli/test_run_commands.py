"""eval, export and journal, as a person or a script meets them."""

from __future__ import annotations

import json
import shlex
from collections import deque
from pathlib import Path
from queue import SimpleQueue

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file
from small_runs import small_config, train_to_the_end

from femtotui.cli import main as cli
from femtotui.core.commands import Steering, Stop
from femtotui.core.run_folder.entry import gather_entry
from femtotui.core.run_folder.folder import RunFolder
from femtotui.trainer.session import continue_run, open_trained, prepare, train_command


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ünï runs")
    train_to_the_end(prepare(small_config("modern", "byte", steps=60), folder))
    return folder


@pytest.fixture
def run(runs: Path) -> RunFolder:
    return RunFolder.open(next(runs.glob("*-10-*")))


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_eval_gives_the_verdict_of_the_runs_end(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder
) -> None:
    found = json.loads(said(capsys, "eval", "--runs", runs, "--json"))
    (line,) = (run.path / "scores.jsonl").read_text().splitlines()
    at_the_end = json.loads(line)
    assert found["evaluator"] == "simple_dummy"
    assert found["step"] == 60
    assert {k: found[k] for k in ("score", "details", "verdict")} == {
        k: at_the_end[k] for k in ("score", "details", "verdict")
    }
    assert said(capsys, "eval", "latest", "--runs", runs, "--checkpoint", "best").startswith("fail: ")
    assert "no checkpoint `7`" in refused(capsys, "eval", "--runs", runs, "--checkpoint", "7")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_export_holds_the_weights_by_name_and_overwrites_nothing(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / f"weights of mine.{kind}"
    arguments = ("export", run.path.name, "--runs", runs, "--format", kind, "-o", target)
    assert said(capsys, *arguments).strip() == str(target)
    stored = load_file(target) if kind == "safetensors" else np.load(target, allow_pickle=False)
    training = open_trained(run.path, "latest")
    training.close()
    qkv = stored["layers.0.attention.qkv.weight"]
    assert qkv.shape == (16, 48)
    size = sum(value.size for name, value in stored.items() if not name.startswith("metadata."))
    assert size == training.n_parameters
    first = training.parameters_P[: 256 * 16].reshape(256, 16)
    assert np.array_equal(stored["token_embedding.weight"], first)
    before = target.read_bytes()
    assert "exists: choose another" in refused(capsys, *arguments)
    assert target.read_bytes() == before
    said(capsys, *arguments, "--force")


def test_journal_is_one_document_with_ones_own_notes(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder
) -> None:
    train_to_the_end(prepare(small_config("journal", "char", steps=5), runs))
    damaged = runs / "20000101-000000-2-aaaaaa"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    said(capsys, "journal", run.path.name, "--runs", runs, "--note", "My own words. \x1b[2J")
    assert cli.main(["journal", "--runs", str(runs)]) == 0
    out, err = capsys.readouterr()
    assert out.count("# 10. Training very simple model 5 (") == 2
    assert "My own words." in out
    assert "\x1b" not in out
    assert "My own words." in (run.path / "entry.md").read_text()
    assert "left out: " in err and "run.json is damaged" in err
    entries = json.loads(said(capsys, "journal", "--runs", runs, "--json"))
    notes = {entry["recipe"]: entry["note"] for entry in entries}
    assert notes.keys() == {"modern", "journal"}
    assert notes["modern"].startswith("My own words.")
    assert "is damaged" in refused(capsys, "journal", damaged.name, "--runs", runs)


def test_a_note_needs_a_run(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert "which run is the note for?" in refused(capsys, "journal", "--runs", runs, "--note", "x")


def test_another_thread_count_is_said_to_cost_the_last_bits(run: RunFolder) -> None:
    exact = continue_run(run.path)
    exact.close()
    assert not any("rounding" in note for note in exact.notes)
    other = continue_run(run.path, threads=2)
    other.close()
    assert other.training.threads == 2
    assert "2 threads of 2 sequences instead of 1 of 4: the run continues equal" in other.notes[0]


def test_the_entry_says_with_how_many_threads_it_went_on(tmp_path: Path) -> None:
    begun = prepare(small_config("modern", "byte", steps=20), tmp_path)
    stop: SimpleQueue[Steering] = SimpleQueue()
    stop.put(Stop())
    deque(begun.record(stop), maxlen=0)
    begun.close()
    path = begun.run.path
    assert gather_entry(path).threads == gather_entry(path).begun_threads == 1
    train_to_the_end(continue_run(path, threads=2))
    assert (gather_entry(path).threads, gather_entry(path).begun_threads) == (2, 1)
    assert ", 2 threads; begun with 1 thread)" in (path / "entry.md").read_text()
    assert "--threads 1" in gather_entry(path).again, "the same again is as it was begun"


def test_the_command_that_trains_the_same_again() -> None:
    config = small_config("modern", "byte", steps=6)
    data = msgspec.structs.replace(config.data, source="files", paths=("/my texts/*.rs",))
    config = msgspec.structs.replace(config, data=data)
    words = train_command(config)
    assert shlex.split(words)[:3] == ["femtotui", "train", config.preset]
    assert "--steps 6 --seed" in words and words.endswith(" --data '/my texts/*.rs'")
