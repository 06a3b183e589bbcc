"""`femtotui bench`: every field is there and means what it says; a mistake is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from femtotui.cli import main as cli
from femtotui.cli.bench import ONE_OF_EACH_SIZE, bench_config
from femtotui.cli.step_timer import step_gflop
from femtotui.core.config import AdamWConfig
from femtotui.presets import list_presets, load_preset
from femtotui.text.formats import preset_parameters

BENCH = Path(__file__).parents[1] / "bench"
FIELDS = {
    "preset", "recipe", "optimizer", "config", "steps", "ms_median", "ms_min", "tokens_per_s", "gflops",
    "sgemm_gflops", "gemm_share", "peak_rss_mib", "threads", "chunk", "blas_kernel",
}  # fmt: skip


def run(tmp_path: Path, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "FEMTOTUI_CACHE": str(tmp_path / "cache"),
        "FEMTOTUI_RUNS": str(tmp_path / "runs"),
    }
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=cwd or tmp_path,
        timeout=120,
        check=False,
    )


def femtotui(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(tmp_path, "-P", "-m", "femtotui", *arguments)


def test_a_preset_as_a_json_line(tmp_path: Path) -> None:
    asked = ("10", "--steps", "3", "--threads", "1", "--chunk", "5", "--recipe", "journal")
    result = femtotui(tmp_path, "bench", *asked, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert found.keys() == FIELDS
    assert (found["preset"], found["recipe"], found["optimizer"]) == ("10", "journal", "adamw")
    assert (found["threads"], found["chunk"], found["steps"]) == (1, 5, 3)
    sizes = {"layers": 4, "width": 32, "heads": 2, "context": 64, "batch": 32, "vocab": 256}
    assert found["config"] == sizes
    assert 0 < found["ms_min"] <= found["ms_median"]
    assert found["tokens_per_s"] == pytest.approx(32 * 64 / found["ms_median"] * 1e3, rel=1e-3)
    model = load_preset("10").model
    assert found["gflops"] == pytest.approx(step_gflop(model, 32) / found["ms_median"] * 1e3, rel=1e-2)
    assert found["gemm_share"] == pytest.approx(found["gflops"] / found["sgemm_gflops"], rel=1e-2)
    assert 20 < found["peak_rss_mib"] < 1000
    assert not (tmp_path / "runs").exists()


def test_several_presets_as_a_table(tmp_path: Path) -> None:
    result = femtotui(tmp_path, "bench", "10", "1", "--steps", "2", "--optimizer", "adamw")
    assert result.returncode == 0
    assert "timing #10 very simple model 5" in result.stderr
    words = " ".join(result.stdout.split())
    for expected in ("10 4/32/2/64/256", "1 4/64/4/64/", "tok/s", "MiB", "recipe modern, adamw, batch 32"):
        assert expected in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("bench --threads 0", "threads must be a whole number from 1 on, not 0"),
        ("bench --threads -3", "threads must be a whole number from 1 on, not -3"),
        ("bench --threads 100000", "100,000 threads are more than this machine's"),
        ("bench --threads many", "--threads"),
        ("bench --chunk 0", "chunk must be a whole number from 1 on, not 0"),
        ("bench --chunk 33", "a chunk of 33 sequences is more than the batch of 32"),
        ("bench --chunk 5000", "chunk"),
        ("bench --steps 0", "steps must be a whole number"),
        ("bench 99", "there is no preset `99`"),
        ("bench 10 2 very-simpel", "there is no preset `very-simpel`"),
        ("bench --recipe modem", "modern"),
        ("bench --optimizer sgd", "adamw"),
        ("train 10 --threads 0", "threads must be a whole number from 1 on, not 0"),
        ("train 10 --chunk 0", "chunk must be a whole number from 1 on, not 0"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("femtotui: ")
    assert shown.err.count("\n") == 1
    assert words in shown.err


def test_a_preset_without_its_data_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'key = "own"\ntitle = "own"\nsteps = 5\n[model]\nn_layers = 1\nwidth = 8\nn_heads = 1\n'
        '[tokenizer]\nkind = "byte"\n[data]\nsource = "files"\npaths = ["missing.txt"]\n'
    )
    result = femtotui(tmp_path, "bench", "own.toml", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("femtotui: That could not be measured: preset own: ")
    assert "missing.txt" in line


def test_more_threads_than_cores_train_with_a_note(tmp_path: Path) -> None:
    threads = (os.cpu_count() or 1) + 1
    result = femtotui(tmp_path, "train", "10", "--steps", "1", "--threads", str(threads))
    assert result.returncode == 0
    assert f"note: {threads} threads are more than this machine's" in result.stderr


def test_by_default_there_is_one_of_each_size() -> None:
    sizes = {key: preset_parameters(load_preset(key)) for key in ONE_OF_EACH_SIZE}
    assert sorted(sizes.values()) == list(sizes.values())
    # Entry 1 is entry 2 with fewer letters.
    assert set(sizes.values()) == {preset_parameters(p) for p in list_presets() if p.journal and p.key != "1"}


def test_a_run_to_time_keeps_the_recipe_apart_from_what_was_asked() -> None:
    config = bench_config("2", recipe="journal", optimizer="adamw", steps=7, threads=None, chunk=None)
    assert (config.recipe.wiring, config.train.steps) == ("journal", 7)
    assert isinstance(config.recipe.optimizer, AdamWConfig)
    assert config.recipe.optimizer.decay == "all"


@pytest.mark.parametrize(
    ("key", "weights", "attention"), [("10", 0.7046, 0.2013), ("2", 2.6172, 0.4027), ("5", 78.115, 3.2212)]
)
def test_the_arithmetic_of_a_step(key: str, weights: float, attention: float) -> None:
    assert step_gflop(load_preset(key).model, 32) == pytest.approx(weights + attention, rel=1e-3)


# -- the development scripts -----------------------------------------------------------------------------


def compare(tmp_path: Path, peer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "peer.py").write_text(peer)
    template = f"{sys.executable} {tmp_path / 'peer.py'} {{layers}},{{width}},{{vocab}}"
    script = BENCH / "compare.py"
    return run(tmp_path, script, "--preset", "10", "--peer", template, "--rounds", "2", *arguments)


def test_comparing_with_a_peer_in_turn(tmp_path: Path) -> None:
    peer = "import sys; assert sys.argv[1] == '4,32,256'; print('hello'); print('{\"ms_median\": 1000}')"
    result = compare(tmp_path, peer, "--json", "--", "--steps", "2")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["preset"], found["peer_ms"], len(found["ours_ms"])) == ("10", [1000.0] * 2, 2)
    low, high = sorted(found["ratios"])
    assert low <= found["ratio"] <= high
    assert found["ratio"] == pytest.approx(1000 / found["ms_median"], rel=0.5)


def test_a_peer_that_fails_is_named(tmp_path: Path) -> None:
    result = compare(tmp_path, "raise SystemExit('no torch here')", "--", "--steps", "2")
    assert result.returncode == 1
    assert result.stderr.strip().endswith("printed no measurement: no torch here")


def test_the_scaling_chart_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "scaling.svg"
    result = run(
        tmp_path, BENCH / "scaling.py", "--only", "layers", "--seconds", "0", "--out", out, cwd=BENCH
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("layers ") == 5
    svg = ET.fromstring(out.read_text("utf-8"))
    shapes = [element.tag.rpartition("}")[2] for element in svg.iter()]
    assert shapes.count("circle") == 5
    assert "ms per step against layers" in [element.text for element in svg.iter()]


def test_what_the_optimizer_costs_is_measured_within_the_steps(tmp_path: Path) -> None:
    result = run(tmp_path, BENCH / "between_steps.py", "--preset", "10", "--steps", "3")
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if "the optimizer" in line)
    assert 0 < float(line.split()[-3].removesuffix("%")) < 100
    assert line.endswith("of them")
