"""`femtotui inspect` as a person or a script meets it: its figures, its pictures, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from small_checkpoint import saved_run
from small_checkpoint import small_config as untrained_config
from small_runs import small_config, train_to_the_end

from femtotui.cli import main as cli
from femtotui.core.model.inspection import stream_by_depth
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.saved_model import open_saved
from femtotui.core.sampling.distribution import Sampling
from femtotui.inspection import report
from femtotui.trainer.session import open_trained, prepare

TEXT = "bacedi;\nho"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    config = small_config("modern", "byte", steps=60)
    config = msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, n_layers=2))
    train_to_the_end(prepare(config, folder))
    return folder


@pytest.fixture
def run(runs: Path) -> RunFolder:
    return RunFolder.open(next(runs.iterdir()))


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    assert cli.main(["inspect", *map(str, arguments)]) == 0
    return capsys.readouterr()


def rows(capsys: pytest.CaptureFixture[str], view: str, *arguments: object) -> list[dict]:
    lines = printed(capsys, *arguments, "--json")[0].splitlines()
    return [row for row in map(json.loads, lines) if row["view"] == view]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main(["inspect", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(f): (f.stat().st_mtime_ns, sha256(f.read_bytes()).hexdigest()) for f in files}


# -- what it shows -------------------------------------------------------------------------------------


def test_without_flags_it_shows_three_views_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    before = contents(runs)
    out, err = printed(capsys, "--runs", runs, "--text", TEXT)
    assert contents(runs) == before and err == ""
    titles = [line for line in out.splitlines() if ":" in line and not line.startswith(" ")]
    assert titles[0].startswith("attention of token 10, 'o'")
    assert titles[1].startswith("logit lens: the token after token 10, 'o'")
    assert titles[2] == "layers: step 61, 64 tokens of its batch"
    assert out.splitlines()[0] == "#10 very simple model 5, step 60"
    assert all(len(line) <= 80 for line in out.splitlines())


def test_attention_is_that_of_every_head_of_the_chosen_token(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder
) -> None:
    found = rows(capsys, "attention", "--runs", runs, "--text", TEXT, "--attention", "--token", 5)
    sampler = open_saved(runs, run.path.name).sampler
    weights_LHTT = sampler.inspect(np.array(list(TEXT[:5].encode()), np.int32)).attention_LHTT
    assert [(row["layer"], row["head"]) for row in found] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for row in found:
        weights_T = weights_LHTT[row["layer"] - 1, row["head"] - 1, -1]
        by_position = {look["position"]: look for look in row["top"]}
        assert len(by_position) == 5 and sum(look["weight"] for look in row["top"]) == pytest.approx(1)
        for position, look in by_position.items():
            assert look["weight"] == pytest.approx(weights_T[position - 1])
            assert look["token"] == TEXT[position - 1]
        assert [look["weight"] for look in row["top"]] == sorted(weights_T, reverse=True)


def test_one_layer_and_one_head(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    chosen = ("--runs", runs, "--text", TEXT, "--attention", "--layer", 2, "--head", 1)
    assert [(row["layer"], row["head"]) for row in rows(capsys, "attention", *chosen)] == [(2, 1)]
    out, _ = printed(capsys, *chosen)
    assert len(out.strip().splitlines()) == 5, "model, an empty line, title, header, row"


def test_the_lens_ends_in_the_models_own_probabilities(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder
) -> None:
    found = rows(capsys, "lens", "--runs", runs, "--text", TEXT, "--lens")
    assert [row["depth"] for row in found] == [0, 1, 2]
    sampler = open_saved(runs, run.path.name).sampler
    (token,) = sampler.generate(TEXT.encode(), 1, Sampling(alternatives=5))
    assert [entry["id"] for entry in found[-1]["top"]] == [entry.id for entry in token.top]
    assert [entry["p"] for entry in found[-1]["top"]] == pytest.approx([e.p for e in token.top], rel=1e-4)
    assert found[0]["top"] != found[-1]["top"]


def test_the_layers_are_those_of_the_step_after_the_checkpoint(
    capsys: pytest.CaptureFixture[str], runs: Path, run: RunFolder
) -> None:
    saved_at = min(run.checkpoints())
    arguments = ("--runs", runs, "--layers", "--checkpoint", saved_at)
    found = rows(capsys, "layers", *arguments)
    training = open_trained(run.path, str(saved_at))
    training.inspect_next()
    training.advance()
    training.close()
    step = training.inspected
    assert step is not None and [row["depth"] for row in found] == [0, 1, 2]
    assert [row["rms"] for row in found] == [stream.rms for stream in step.streams]
    assert [row["gradient_rms"] for row in found] == [stream.gradient_rms for stream in step.streams]
    assert found[1]["update_ratio"] == step.of_layer(0).update_ratio
    assert found[2]["entropies"] == list(step.layers[1].entropies)
    tensors = rows(capsys, "tensor", *arguments)
    assert {row["name"] for row in tensors} == step.tensors.keys()
    out, err = printed(capsys, *arguments)
    assert f"layers: step {saved_at + 1}" in out and err == "", "no text is read"
    assert f"{step.streams[2].carrying:.3g}" in out


def test_layers_without_their_data_are_the_stream_of_the_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"bacedi;\nhokuba;\n" * 400)
    config = small_config("journal", "byte", steps=3)
    data = msgspec.structs.replace(config.data, source="files", paths=(str(text),))
    train_to_the_end(prepare(msgspec.structs.replace(config, data=data), tmp_path / "runs"))
    text.unlink()
    arguments = ("--runs", tmp_path / "runs", "--text", TEXT)
    out, err = printed(capsys, *arguments)
    assert "no training step can be measured" in err and "the stream of the text up to token 10" in out
    found = rows(capsys, "layers", *arguments)
    saved = open_saved(tmp_path / "runs", "latest")
    flat = np.concatenate([tensor.ravel() for tensor in saved.sampler.parameters.values()])
    ids = np.frombuffer(TEXT.encode(), np.uint8).astype(np.int32)[None]
    streams = stream_by_depth(saved.sampler.config, saved.config.recipe, flat, ids)
    assert [row["carrying"] for row in found] == [stream.carrying for stream in streams]
    assert found[1]["gradient_rms"] is None


def test_weights_by_name(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    arguments = ("--runs", runs, "--weights", "layers.1.attention.keys")
    out, err = printed(capsys, *arguments)
    keys = open_saved(runs, "latest").sampler.parameters["layers.1.attention.qkv.weight"][:, 16:32]
    assert err == "" and "attention of" not in out and "weights: layers.1.attention.keys" in out
    assert "shape      16 × 16" in out and f"std        {keys.std():.4g}" in out
    map_lines = out.splitlines()[3:19]
    assert all(len(line) == 32 and set(line) <= set("+-·1234567 ") for line in map_lines)
    (row,) = rows(capsys, "weights", *arguments)
    assert row["shape"] == [16, 16] and sum(row["counts"]) == 256
    assert row["mean"] == pytest.approx(keys.mean(), rel=1e-4)
    whole = rows(capsys, "weights", "--runs", runs, "--weights", "layers.1.attention.qkv.weight")
    assert whole[0]["shape"] == [16, 48]
    assert "did you mean `head.bias`" in refused(capsys, "--runs", runs, "--weights", "head.bia")


def test_a_checkpoint_file_is_a_model_too(
    capsys: pytest.CaptureFixture[str], run: RunFolder, tmp_path: Path
) -> None:
    step, path = min(run.checkpoints().items())
    assert f"layers: step {step + 1}" in printed(capsys, path, "--layers")[0]
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(path.read_bytes())
    out, err = printed(capsys, alone, "--text", TEXT)
    assert f"step {step}" in out and "no training step can be measured" in err
    assert "give its run to choose `best`" in refused(capsys, alone, "--checkpoint", "best")


# -- pictures ------------------------------------------------------------------------------------------


def test_a_picture_holds_the_tables_and_fetches_nothing(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "inside.svg"
    picture.write_text("an older one")
    out, _ = printed(capsys, "--runs", runs, "--text", TEXT, "--svg", picture, "--weights", "head.bias")
    assert out.strip() == str(picture) and list(tmp_path.iterdir()) == [picture]
    svg = picture.read_text("utf-8")
    words = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "weights: head.bias" in words and "#10 very simple model 5, step 60" in words
    assert "@font-face" not in svg and "url(http" not in svg and 'xml:space="preserve"' in svg
    lines = printed(capsys, "--runs", runs, "--text", TEXT, "--svg", picture, "--json")[0].splitlines()
    assert json.loads(lines[0]) == {"view": "model", "model": "#10 very simple model 5, step 60"}


def test_a_picture_that_cannot_be_written_is_refused(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path
) -> None:
    arguments = ("--runs", runs, "--text", TEXT, "--lens", "--svg")
    precious = tmp_path / "notes.txt"
    precious.write_text("mine")
    assert "does not end in .svg" in refused(capsys, *arguments, precious)
    assert precious.read_text() == "mine"
    assert "it is not there" in refused(capsys, *arguments, tmp_path / "nowhere" / "a.svg")
    (tmp_path / "folder.svg").mkdir()
    assert "cannot write" in refused(capsys, *arguments, tmp_path / "folder.svg")


# -- what goes wrong -----------------------------------------------------------------------------------


def test_an_empty_text_is_a_newline_and_says_so(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    out, err = printed(capsys, "--runs", runs, "--attention")
    assert err == "note: no text is given: a newline is read\n"
    assert r"attention of token 1, '\n'" in out and r"100% '\n' 0" in out


def test_of_a_long_text_the_last_window_is_read(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    text = "abcdefghij" * 5
    out, err = printed(capsys, "--runs", runs, "--text", text, "--lens", "--token", 43)
    assert err == "note: 43 tokens are too many to read at once: the last 16 are read\n"
    assert "the token after token 43, 'c'" in out
    found = rows(capsys, "attention", "--runs", runs, "--text", text, "--token", 43)
    assert all(28 <= look["position"] <= 43 for row in found for look in row["top"])
    last = rows(capsys, "lens", "--runs", runs, "--text", text[27:43])
    assert rows(capsys, "lens", "--runs", runs, "--text", text, "--token", 43) == last


def test_a_text_may_not_take_more_memory_than_there_is(
    capsys: pytest.CaptureFixture[str], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_WEIGHTS", 2 * 2 * 5**2)
    assert "the last 5 are read" in printed(capsys, "--runs", runs, "--text", TEXT, "--lens")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--token", "11"), "--token must be from 1 to 10, not 11"),
        (("--token", "0"), "--token must be from 1 to 10, not 0"),
        (("--layer", "3"), "--layer must be from 1 to 2, not 3"),
        (("--head", "-1"), "--head must be from 1 to 2, not -1"),
        (("--lens", "--layer", "0"), "--layer and --head choose among --attention: add it"),
        (("--checkpoint", "7"), "no checkpoint `7`"),
        (("nothing",), "there is no run `nothing`"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], runs: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(capsys, "--runs", runs, "--text", TEXT, *arguments)


def test_a_run_without_checkpoints_and_damaged_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = saved_run(tmp_path, steps=(3, 7))
    newest, older = run.checkpoint_paths()
    newest.write_bytes(newest.read_bytes()[:1000])
    out, err = printed(capsys, "--runs", tmp_path, "--text", TEXT, "--lens")
    assert "step 3" in out and "step 3 is used instead" in err
    older.write_bytes(b"")
    assert "damaged" in refused(capsys, "--runs", tmp_path)
    newest.unlink()
    older.rename(older.with_suffix(".safetensors.123.tmp"))
    assert "has no checkpoint yet" in refused(capsys, "--runs", tmp_path)


def test_characters_that_the_tokenizer_lacks_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    saved_run(tmp_path, untrained_config("char"))
    assert "'Z' (U+005A): give a text without" in refused(capsys, "--runs", tmp_path, "--text", "baZ")


def test_nothing_of_somebody_elses_run_reaches_the_terminal_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hostile = msgspec.structs.replace(untrained_config(), title="\x1b[2J[red]\u202e\nname")
    saved_run(tmp_path / "runs", hostile)
    picture = tmp_path / "a.svg"
    arguments = ("--runs", tmp_path / "runs", "--text", "\x1b[31m[b]\u202e")
    for more in ((), ("--svg", picture)):
        shown = "".join(printed(capsys, *arguments, *more))
        assert all(character.isprintable() or character == "\n" for character in shown)
    ElementTree.fromstring(picture.read_text("utf-8"))
    assert "[red]" in printed(capsys, *arguments)[0], "no markup"


def test_a_model_that_overflows_is_shown_as_such(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = saved_run(tmp_path, steps=(1,))
    huge = np.full(run.config.model.n_parameters, 1e38, np.float32)
    run.save({"parameters": huge}, 2, 1.0)
    out, _ = printed(capsys, "--runs", tmp_path, "--text", TEXT)
    assert "not finite" in out
    top = rows(capsys, "lens", "--runs", tmp_path, "--text", TEXT)[-1]["top"]
    assert top == []


def test_a_pipe_that_closes_early_is_no_error(runs: Path) -> None:
    code = "import sys; from femtotui.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "inspect", "--runs", str(runs), "--text", TEXT, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUTF8": "1"}
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 0
