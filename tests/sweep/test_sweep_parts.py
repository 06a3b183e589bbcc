"""What a sweep is made of, without a cluster."""

from __future__ import annotations

import csv
import importlib.util
import io
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import msgspec
import pytest

from femtotui.cli.main import main
from femtotui.core.errors import FemtoError
from femtotui.presets import load_preset, run_config
from femtotui.sweep.coordinator import Halving, local_shape, new_sweep
from femtotui.sweep.messages import (
    MAX_REPORT_BYTES,
    Outcome,
    Reply,
    csv_table,
    decode,
    encode,
    markdown_table,
    ranked,
    table_rows,
)
from femtotui.sweep.spec import (
    SweepError,
    SweepSpec,
    SweepTrial,
    differing_settings,
    read_spec,
    trials_of,
    with_setting,
)
from femtotui.sweep.sweep_folder import SweepFolder, find_sweep
from femtotui.sweep.worker import keep_text, pack_run, unpack_run

CONFIG = run_config(load_preset("10"))


def test_a_sweep_is_every_combination() -> None:
    spec = SweepSpec(
        presets=("10", "2"),
        recipes=("modern", "journal"),
        seeds=(0, 1),
        settings={"lr": (1e-3, 3e-3)},
        steps=7,
    )
    trials = trials_of(spec, threads=1)
    assert len(trials) == spec.size == 16
    assert len({msgspec.json.encode(trial.config) for trial in trials}) == 16
    assert [trial.index for trial in trials] == list(range(16))
    assert {trial.config.train.seed for trial in trials[:8]} == {0}
    assert all(trial.config.train.steps == 7 and trial.config.train.threads == 1 for trial in trials)
    assert {tuple(row) for row in differing_settings(trials)} == {("preset", "recipe", "lr", "seed")}


@pytest.mark.parametrize(
    ("spec", "closely"),
    [
        (SweepSpec(presets=("10",)), False),
        (SweepSpec(presets=("10",), rank_by="score"), False),
        (SweepSpec(presets=("10",), rank_by="score", seconds=5.0), True),
        (SweepSpec(presets=("10",), rank_by="time"), True),
        (SweepSpec(presets=("10",), rank_by="time", settings={"eval_every": (7,)}), True),
        (SweepSpec(presets=("10",), rank_by="time", settings={"score_every": (50,)}), False),
    ],
)
def test_runs_are_scored_as_often_as_the_ranking_needs(spec: SweepSpec, closely: bool) -> None:
    train = trials_of(spec, threads=1)[0].config.train
    assert (train.score_every == train.eval_every) is closely


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("n_layers", 6, lambda c: c.model.n_layers),
        ("layers", "6", lambda c: c.model.n_layers),
        ("batch", 8, lambda c: c.train.batch),
        ("warmup_steps", 3, lambda c: c.recipe.schedule.warmup_steps),
        ("recipe.optimizer.lr", 0.5, lambda c: c.recipe.optimizer.lr),
        ("recipe.optimizer.adamw.beta2", 0.5, lambda c: c.recipe.optimizer.adamw.beta2),
        ("fresh_data", False, lambda c: c.recipe.fresh_data),
    ],
)
def test_any_setting_can_be_tried(name: str, value: object, found) -> None:
    changed = with_setting(CONFIG, name, value)
    assert found(changed) == type(found(changed))(value)
    assert changed != CONFIG


def test_the_lowest_rate_follows_the_base_rate() -> None:
    before, after = CONFIG.recipe.schedule, with_setting(CONFIG, "lr", 2 * CONFIG.recipe.schedule.base_lr)
    assert after.recipe.schedule.min_lr == pytest.approx(2 * before.min_lr)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("n_layer", 6, r"there is no setting `n_layer` \(did you mean `n_layers`\?\)"),
        ("model", 6, "there is no setting `model`"),
        ("a.b.c", 6, "there is no setting `a.b.c`"),
        ("n_layers", 0, "layers must be a whole number from 1 to 96"),
        ("n_layers", 2.5, "n_layers"),
        ("lr", "fast", "lr must be a number, not fast"),
        ("width", 33, "model.width must be a multiple of n_heads 2, not 33"),
        ("train.seed", 1, "give it in seeds"),
        ("\x1b[2J", 1, r"there is no setting `\\x1b\[2J`"),
    ],
)
def test_a_setting_that_will_not_do_is_named(name: str, value: object, words: str) -> None:
    with pytest.raises(SweepError, match=words):
        with_setting(CONFIG, name, value)


def test_a_sweep_can_be_written_down(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'presets = ["10"]\nseeds = [0, 1]\nsteps = 9\nrank_by = "time"\n[settings]\nlr = [1e-3, 2e-3]\n'
    )
    spec = read_spec(str(file))
    assert spec == SweepSpec(
        presets=("10",), seeds=(0, 1), steps=9, rank_by="time", settings={"lr": (1e-3, 2e-3)}
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('presets = "10"', "presets needs a list"),
        ("presets = []", "name at least one"),
        ('presets = ["10"]\nsteps = 5\nseconds = 5.0', "`steps` or `seconds`, not both"),
        ('presets = ["10"]\nhalving = 1', "halving must be 0"),
        ('presets = ["10"]\nsetings = 1', "did you mean `settings`"),
        ('presets = ["10"]\n[settings]\nlr = []', "lr needs at least one value"),
        ('presets = ["10"]\nseeds = [-1]', "seeds must be whole numbers"),
    ],
)
def test_a_spec_that_will_not_do_is_explained(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(text)
    with pytest.raises(SweepError, match=words):
        read_spec(str(file))


def outcome(index: int, **figures: object) -> Outcome:
    return Outcome(index=index, **{"state": "finished", "step": 10, "elapsed_s": 1.0, **figures})


def test_ranking_is_by_what_was_asked_for() -> None:
    outcomes = [
        outcome(0, val_loss=1.5, score=0.9, unit="share", success_s=9.0),
        outcome(1, val_loss=1.4, score=0.2, unit="share"),
        outcome(2, val_loss=float("nan"), score=0.95, unit="share", success_s=12.0),
        outcome(3, state="failed", val_loss=1.0),
        outcome(4),
    ]
    assert [o.index for o in ranked(outcomes, "loss")] == [1, 0, 2, 4, 3]
    assert [o.index for o in ranked(outcomes, "score")] == [2, 0, 1, 4, 3]
    assert [o.index for o in ranked(outcomes, "time")] == [0, 2, 1, 4, 3]
    bits = [outcome(0, score=2.5, unit="bits a byte"), outcome(1, score=2.4, unit="bits a byte")]
    assert [o.index for o in ranked(bits, "score")] == [1, 0]


def test_halving_keeps_the_best_of_those_that_came_so_far() -> None:
    halving = Halving(2)
    assert not halving.must_stop(0, 800, 50, 3.0)  # below the first rung, 100
    assert not halving.must_stop(0, 800, 100, 2.0)  # the first to come
    assert halving.must_stop(1, 800, 100, 2.5)
    assert not halving.must_stop(2, 800, 100, 1.5)
    assert not halving.must_stop(2, 800, 150, 9.0)  # a rung counts once
    assert not halving.must_stop(0, 800, 200, 1.9)  # the next rung
    assert halving.must_stop(2, 800, 210, 1.95)
    assert not halving.must_stop(3, 800, 800, 9.0)  # at its end nothing is saved by stopping


@pytest.fixture
def trials() -> tuple[SweepTrial, ...]:
    return trials_of(SweepSpec(presets=("10",), settings={"lr": (1e-3, 3e-3)}), threads=1)


def test_tables_show_what_differs_best_first(trials: tuple[SweepTrial, ...]) -> None:
    outcomes = [
        outcome(0, val_loss=1.5, train_loss=1.4, run="/r/first"),
        outcome(1, state="failed", reason="it | \x1b[2J broke"),
    ]
    markdown = markdown_table(table_rows(trials, outcomes, "loss")).splitlines()
    assert markdown[0] == (
        "| rank | lr | state | step | loss | validation | score | success after | took | run | note |"
    )
    assert markdown[2] == "| 1 | 0.001 | finished | 10 | 1.4000 | 1.5000 | – | – | 0m 01s | first |  |"
    assert "\x1b" not in markdown[3]
    assert r"it \| " in markdown[3]
    rows = list(csv.DictReader(io.StringIO(csv_table(table_rows(trials, outcomes, "loss")))))
    assert [(row["rank"], row["lr"], row["state"]) for row in rows] == [
        ("1", "0.001", "finished"),
        ("2", "0.003", "failed"),
    ]


def test_a_sweep_is_found_again_with_what_is_left_to_do(tmp_path: Path) -> None:
    made = new_sweep(SweepSpec(presets=("10",), seeds=(0, 1, 2)), tmp_path, threads=1)
    made.add(outcome(1, val_loss=1.0))
    with (made.path / "outcomes.jsonl").open("a") as file:
        file.write('{"torn": ')
    found = find_sweep(tmp_path, "latest")
    assert [trial.index for trial in found.missing()] == [0, 2]
    assert found.info == made.info
    assert found.outcomes == made.outcomes
    assert (made.path / "table.md").read_text().count("\n") == 3
    with pytest.raises(SweepError, match="is 0 of the sweeps"):
        find_sweep(tmp_path, "nonesuch")


@pytest.mark.parametrize("text", ["{", '{"format": 1}', "[]"])
def test_a_damaged_sweep_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(SweepError, match="damaged"):
        SweepFolder.open(tmp_path)


def test_only_files_of_a_run_are_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../elsewhere.txt", "x")
    with pytest.raises(SweepError, match="no run folder"):
        unpack_run(buffer.getvalue(), tmp_path / "runs", "a-run")
    with pytest.raises(SweepError, match="no run folder"):
        unpack_run(b"not a zip", tmp_path / "runs", "a-run")
    with pytest.raises(SweepError, match="cannot be kept"):
        unpack_run(pack_run(tmp_path), tmp_path / "runs", "../a-run")
    assert not (tmp_path / "elsewhere.txt").exists()
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_messages_are_checked_where_they_arrive() -> None:
    reply = Reply(outcome=outcome(3), archive=b"zip")
    assert decode(encode(reply), Reply) == reply
    for hostile in (b"", b"\xc1", encode(outcome(1))[:-3], b"\x91" * 2000):
        with pytest.raises(FemtoError, match="cannot be understood"):
            decode(hostile, Reply)
    with pytest.raises(FemtoError, match="str, not bytes"):
        decode("bytes", Reply)
    with pytest.raises(FemtoError, match="too long arrived: 70,0"):
        decode(encode(Reply(archive=bytes(70_000))), Reply, MAX_REPORT_BYTES)
    with pytest.raises(FemtoError, match="length <= 10000"):
        decode(encode(outcome(1, reason="x" * 10_001)), Outcome)


def test_a_text_is_kept_once_and_mended(tmp_path: Path) -> None:
    path = keep_text(b"some text", tmp_path)
    first = path.stat().st_mtime_ns
    assert keep_text(b"some text", tmp_path).stat().st_mtime_ns == first
    path.write_bytes(b"other text")
    assert keep_text(b"some text", tmp_path).read_bytes() == b"some text"
    assert keep_text(b"more text", tmp_path) != path


def test_runs_that_begin_at_once_share_a_text(tmp_path: Path) -> None:
    text, start = b"x" * 2**20, Barrier(8)

    def keep(_: int) -> Path:
        start.wait()
        return keep_text(text, tmp_path)

    with ThreadPoolExecutor(8) as threads:
        (path,) = set(threads.map(keep, range(8)))
    assert path.read_bytes() == text


def test_local_runs_take_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("femtotui.sweep.coordinator.usable_cores", lambda: 8)
    assert local_shape(12, None, None) == (8, 1)
    assert local_shape(2, None, None) == (2, 4)
    assert local_shape(12, 3, None) == (3, 2)
    assert local_shape(12, None, 4) == (2, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which presets?"),
        (("10", "--set", "lr"), "--set needs a setting and values"),
        (("10", "--resume", "latest"), "leave out the rest"),
        (("10", "--set", "nonesuch=1"), "there is no setting `nonesuch`"),
        (("10", "--steps", "5", "--seconds", "5"), "not both"),
        (("nonesuch",), "there is no preset `nonesuch`"),
        (("--resume", "latest"), "there are no sweeps in"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *arguments, "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_cluster_that_is_not_there_is_one_line_and_the_sweep_is_kept(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "femtotui",
        "sweep",
        "10",
        "--scheduler",
        "nonsense",
        "--insecure-network",
        "--runs",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Trouble with the cluster: there is no Dask scheduler at nonsense" in done.stderr
    assert "0 of 1 runs have ended" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["sweep", "2", "--scheduler", "tls://nowhere"]) == 2
    assert capsys.readouterr().err == (
        "femtotui: That needs an extra: a sweep on other machines needs distributed, which is not installed: "
        "pip install 'femtotui[cluster]'\n"
    )


def test_other_commands_import_nothing_of_it() -> None:
    program = (
        "import sys\nfrom femtotui.cli.main import main\nmain(['--help'])\n"
        "print([n for n in sys.modules if n in ('distributed', 'dask', 'numpy', 'femtotui.sweep')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
