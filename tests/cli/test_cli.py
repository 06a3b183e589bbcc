"""The command line as a person or a script meets it: real processes, exit codes, one line for a mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from femtotui import __version__
from femtotui.cli import main as cli
from femtotui.cli.options import spread_values
from femtotui.cli.train import train
from femtotui.core.errors import ConfigError, RunError
from femtotui.core.run_folder.catalog import list_runs

PATIENCE_S = 60
NEVER = ("--steps", "1000000")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "femtotui", *arguments]


def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of this machine's own: no runs, no cache, no network."""
    homes = {
        name: str(tmp_path / "home") for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "FEMTOTUI_RUNS")
    }
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {**os.environ, **homes, **nowhere, "FEMTOTUI_RUNS": str(tmp_path / "runs")}


def femtotui(tmp_path: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        env=environment(tmp_path),
        cwd=cwd or tmp_path,
        timeout=PATIENCE_S,
        check=False,
    )


def started(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """A training that has made its first step."""
    process = subprocess.Popen(
        command(*arguments, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    while '"step_done"' not in process.stdout.readline():
        assert process.poll() is None
    return process


def mistake(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a user's mistake gets."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("femtotui: ")
    assert line.isprintable()
    return line


def test_version_and_help_answer_at_once(tmp_path: Path) -> None:
    assert femtotui(tmp_path, "--version").stdout.strip().endswith(__version__)
    assert "train" in femtotui(tmp_path, "--help").stdout


def test_help_imports_no_numpy_and_no_textual(tmp_path: Path) -> None:
    program = (
        "import sys; from femtotui.cli.main import main; main(['--help']); "
        "sys.exit(bool({'numpy', 'textual', 'rich'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment(tmp_path), capture_output=True, check=False
    )
    assert result.returncode == 0


def test_five_steps_as_json_lines(tmp_path: Path) -> None:
    result = femtotui(tmp_path, "train", "10", "--steps", "5", "--seed", "1", "--json")
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names == [
        "run_started",
        *["step_done"] * 5,
        "eval_done",
        "sample_done",
        "checkpoint_saved",
        "score_done",
        "run_finished",
    ]
    assert events[1].keys() == {
        "event", "step", "loss", "lr", "grad_norm", "ms", "elapsed_s", "rss_mib",
    }  # fmt: skip
    assert events[-1].keys() == {
        "event", "step", "train_loss", "val_loss", "elapsed_s", "peak_rss_mib", "parameters", "run", "reason",
    }  # fmt: skip
    assert events[-1]["parameters"] == 67_136
    assert Path(events[-1]["run"]).parent == tmp_path / "runs"
    assert "67,136 parameters" in result.stderr


def test_the_same_seed_gives_the_same_losses(tmp_path: Path) -> None:
    def losses(seed: str) -> list[str]:
        shown = femtotui(tmp_path, "train", "10", "--steps", "3", "--seed", seed, "--json").stdout
        events = [json.loads(line) for line in shown.splitlines()]
        return [event["loss"] for event in events if event["event"] == "step_done"]

    first = losses("7")
    assert len(first) == 3
    assert losses("7") == first
    assert losses("8") != first


def test_without_json_the_result_is_on_standard_output_and_the_rest_is_not(tmp_path: Path) -> None:
    result = femtotui(tmp_path, "train", "10", "--steps", "2")
    assert result.returncode == 0
    assert result.stdout.startswith("step 2, loss ")
    assert result.stdout.count("\n") == 1
    assert "training #10" in result.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = started(tmp_path, "train", "10", *NEVER)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert json.loads(stdout.splitlines()[-1])["reason"] == "stopped"
    (run,) = list_runs(tmp_path / "runs")
    assert stderr.splitlines()[-1].startswith("stopped at step ")
    assert f"femtotui train --resume {run.path}" in stderr
    assert "Traceback" not in stderr
    assert run.can_continue
    assert run.checkpoint_step == run.step


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    process = started(tmp_path, "train", "10", *NEVER)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    stopped = json.loads(stdout.splitlines()[-1])
    process = subprocess.Popen(
        command("train", "--resume", "latest", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(tmp_path),
    )
    resumed, step = (json.loads(process.stdout.readline()) for _ in range(2))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert (resumed["resumed"], resumed["step"], resumed["run"]) == (True, stopped["step"], stopped["run"])
    assert step["step"] == stopped["step"] + 1


def test_a_closed_pipe_ends_cleanly_with_the_run_saved(tmp_path: Path) -> None:
    process = started(tmp_path, "train", "10", *NEVER)
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    stderr = process.stderr.read()
    process.stderr.close()
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    (run,) = list_runs(tmp_path / "runs")
    assert run.checkpoint_step == run.step


def test_an_output_that_is_full_stops_the_run_saved_and_says_so(tmp_path: Path) -> None:
    program = (
        "import errno, sys; from femtotui.cli import main as cli; from femtotui.cli import train\n"
        "def full(*_): raise OSError(errno.ENOSPC, 'full')\n"
        "train.TrainingJson.show_progress = full; sys.exit(cli.main(sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", program, "train", "10", *NEVER, "--json"],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.returncode == 2
    assert "standard output cannot be written any more: the disk is full" in result.stderr
    assert "Traceback" not in result.stderr
    (run,) = list_runs(tmp_path / "runs")
    assert run.can_continue


def test_several_paths_after_one_data(tmp_path: Path) -> None:
    for name, text in (("a.txt", "abc " * 200), ("b.txt", "def " * 200)):
        (tmp_path / name).write_text(text)
    result = femtotui(tmp_path, "train", "10", "--data", "a.txt", "b.txt", "--steps", "2", "--json")
    assert result.returncode == 0, result.stderr
    begun = json.loads(result.stdout.splitlines()[0])
    assert begun["data_bytes"] == 1600
    assert begun["config"]["data"]["paths"] == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    # A glob, from another folder; and going on from yet another one.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = femtotui(tmp_path, "train", "10", "--data", "../*.txt", "--steps", "2", "--json", cwd=elsewhere)
    assert json.loads(result.stdout.splitlines()[0])["data_bytes"] == 1600
    again = femtotui(tmp_path, "train", "--resume", "latest", "--json")
    assert again.returncode == 0, again.stderr
    (tmp_path / "a.txt").write_text("changed " * 100)
    assert "its data has changed" in mistake(femtotui(tmp_path, "train", "--resume", "latest"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train very-simpel-model-5", "preset"),
        ("train 99", "there is no preset"),
        ("train", "which preset?"),
        ("traim 2", "did you mean `femtotui train`?"),
        ("3", "femtotui train 3"),
        ("train 2 --recipe modem", "modern"),
        ("train 2 --steps 0", "steps must be a whole number"),
        ("train 2 --steps -5", "steps must be a whole number"),
        ("train 2 --steps 99999999999999999999", "steps must be a whole number"),
        ("train 2 --steps many", "--steps"),
        ("train 2 --seed -1", "seed must be a whole number"),
        ("train 2 --threads -1", "threads must be a whole number"),
        ("train 2 --threads 100000", "threads must be a whole number"),
        ("train 2 --chunk 5000", "chunk"),
        ("train 2 --chunk 33", "chunk"),
        ("train 2 --nonsense", "--nonsense"),
        ("train 2 --runs file.txt", "a file of that name is in the way"),
        ("train 2 --runs file.txt/below", "a part of that path is a file"),
        ("train 2 --data missing.txt", "missing.txt"),
        ("train 2 --data empty.txt", "empty"),
        ("train 2 --data folder", "folder"),
        ("train 2 --data *.nothing", "nothing"),
        ("train 2 --data short.txt", "context"),
        ("train 1 --data latin1.txt", "UTF-8"),
        ("train heads.toml", "must be a multiple of n_heads"),
        ("train missing.toml", "missing.toml"),
        ("train --resume nowhere", "there is no run"),
        ("train 2 --resume nowhere", "--resume takes everything from the run"),
        ("99", "needs a terminal"),
        ("", "use `femtotui train 2`"),
        ("runs --runs file.txt", "cannot read the runs folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path,
    arguments: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9 " * 200)
    (tmp_path / "folder").mkdir()
    (tmp_path / "heads.toml").write_text(
        'key = "own"\ntitle = "own"\nsteps = 5\n[model]\nn_layers = 1\nwidth = 10\nn_heads = 3\n'
        '[tokenizer]\nkind = "byte"\n[data]\nsource = "simple_dummy"\n'
    )
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    code = cli.main(arguments.split())
    shown = capsys.readouterr()
    line = mistake(subprocess.CompletedProcess(arguments, code, shown.out, shown.err))
    assert words in line
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_an_unwritable_runs_folder_is_one_line(tmp_path: Path) -> None:
    assert "cannot make a run" in mistake(femtotui(tmp_path, "train", "2", "--runs", "/proc/nothing/here"))


def test_hostile_names_reach_the_terminal_as_visible_characters(tmp_path: Path) -> None:
    line = mistake(femtotui(tmp_path, "train", "2", "--data", "\x1b[2Jgone\nfile\u202e.txt"))
    assert "gone" in line


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (ConfigError("steps: no\nsecond line"), 2, "femtotui: That setting does not work: steps: no"),
        (RunError("x"), 2, "femtotui: Trouble with a run folder: x"),
        (click.UsageError("odd."), 2, "femtotui: odd (see `femtotui --help`)"),
        (KeyboardInterrupt(), 130, "femtotui: stopped"),
        (click.Abort(), 130, "femtotui: stopped"),
    ],
)
def test_what_ends_a_command_is_told_in_one_line(
    raised: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise raised

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.main([]) == code
    shown = capsys.readouterr().err
    assert shown.startswith(words)
    assert shown.count("\n") == 1


def test_a_bug_stays_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.cli, "main", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main([])


def test_presets_and_runs_as_json_and_as_tables(tmp_path: Path) -> None:
    assert len(json.loads(femtotui(tmp_path, "presets", "--json").stdout)) == 14
    assert "very simple model 2" in femtotui(tmp_path, "presets").stdout
    assert json.loads(femtotui(tmp_path, "runs", "--json").stdout) == []
    nothing = femtotui(tmp_path, "runs")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no runs" in nothing.stderr
    assert femtotui(tmp_path, "train", "10", "--steps", "2").returncode == 0
    damaged = tmp_path / "runs" / "20200101-000000-damaged-aaaaaa"
    damaged.mkdir()
    (damaged / "run.json").write_text("\x1b[2J")
    finished, broken = json.loads(femtotui(tmp_path, "runs", "--json").stdout)
    assert (finished["state"], finished["step"], finished["preset"]) == ("finished", 2, "10")
    assert finished["loss"] > 0
    assert (broken["state"], broken["run"]) == ("damaged", str(damaged))
    table = femtotui(tmp_path, "runs").stdout
    assert "finished" in table
    assert "damaged" in table
    assert "\x1b" not in table


def test_english_without_a_network_trains_on_what_is_there_and_says_so(tmp_path: Path) -> None:
    result = femtotui(tmp_path, "train", "11", "--steps", "1", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[0])["notes"]
    assert "note: " in result.stderr
    refused = mistake(femtotui(tmp_path, "data", "english"))
    assert "Traceback" not in refused


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("train 2 --data a b --json", "train 2 --data a --data b --json"),
        ("--data a --data b c", "--data a --data b --data c"),
        ("--data=a b", "--data=a b"),
        ("--data a train 2", "--data a train 2"),
        ("--data a -- b", "--data a -- b"),
        ("--data", "--data"),
        ("", ""),
    ],
)
def test_one_data_option_may_have_several_values(given: str, expected: str) -> None:
    assert spread_values(train, given.split(), stops={"train"}) == expected.split()
